"""What `prepare` makes of a conversation, and the options it takes."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import torch
from torch import Tensor

from vesalius.errors import OptionError
from vesalius.models.contract import NamedTensors
from vesalius.models.parts.speaking import Said
from vesalius.models.parts.which_picture import Asked
from vesalius.models.qwen_vl.sights import Sight
from vesalius.study.items import Item
from vesalius.vision.resize import Resize

__all__ = ["Prepared", "VlOptions", "options_from", "pixel_tensors"]

OptionsT = TypeVar("OptionsT")


@dataclass(frozen=True)
class VlOptions:
    """Options of `prepare`.

    `min_pixels`, `max_pixels`: bounds on a picture's area after fitting.  `do_sample_frames`: choose frames of clips by
    rate.  `crop_frames_to`: (height, width) of the top-left corner kept of frames.  `add_generation_prompt`: end with
    the start of an answer (None: if the conversation waits for one).  `template`: checked against the checkpoint.
    `system`: the system message of a conversation without one.  `packed`: several conversations in one row, or padded
    on the left (None: one row where all end with an answer).  `resize`: "exact" (Pillow's values) or "fast" (within 2
    grey levels of them).  `labels`: what is learned, a description for `prepare`; `loss` also takes the tensor.
    `do_sample`, `max_new_tokens`, `eos_token_id`: generation settings that `ask` takes; accepted, so that one set of
    options serves both.
    """

    min_pixels: int | None = None
    max_pixels: int | None = None
    do_sample_frames: bool | None = None
    crop_frames_to: Sequence[int] | None = None
    add_generation_prompt: bool | None = None
    template: str | None = None
    system: str | None = None
    packed: bool | None = None
    resize: Resize = "exact"
    labels: str | Tensor | None = None
    max_new_tokens: int | None = None
    do_sample: bool | None = None
    eos_token_id: int | Sequence[int] | None = None

    def __post_init__(self) -> None:
        """OptionError for numbers and switches that are none."""
        for name in ("min_pixels", "max_pixels"):
            value: Any = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise OptionError(f"{name} is {value!r}; it must be a whole number above 0.")
        for name in ("do_sample_frames", "add_generation_prompt", "packed"):
            if not isinstance(value := getattr(self, name), bool | None):
                raise OptionError(f"{name} is {value!r}; it must be true or false.")


def options_from(kind: type[OptionsT], given: Mapping[str, Any]) -> OptionsT:
    """The options as a dataclass. OptionError for a name it does not have, with the nearest one."""
    known = [one.name for one in fields(kind)]  # pyright: ignore[reportArgumentType]
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise OptionError(
                f"prepare has no option {name!r}.", fix=f"Did you mean {near[0]}?" if near else f"Use {known}."
            )
    return kind(**given)


@dataclass
class Prepared(NamedTensors):
    """Named tensors and what they were made from.

    `input_ids`, `attention_mask`, `mm_token_type_ids`, `labels` `[B, L]`; `position_ids` `[3, B, L]`; `pixel_values`,
    `image_grid_thw` and the same of videos where there are any, of all rows one after another. Rows of a batch are
    padded on the left (positions 1, labels -100). A packed row has B = 1, no mask, and position_ids `[4, 1, L]`, plain
    positions first.
    `lengths`: of the samples of the batch or row.  `sights`: what was seen, in order; `media`: the items it was seen
    of.  `text`: the prompt with one placeholder per medium.  `said`: filled while an answer is made.  `asked`: the
    question, and about which media.  `samples`: what a padded batch was made of.  `plan`: what a family wants to
    remember of its options; `extra`: what it found beside the text; `warnings`: what was odd.
    """

    tensors: dict[str, Tensor]
    sights: tuple[Sight, ...] = ()
    media: tuple[Item, ...] = ()
    text: str = ""
    lengths: tuple[int, ...] = ()
    stop_ids: tuple[int, ...] = ()
    said: Said = field(default_factory=Said)
    plan: Any = None
    extra: dict[str, Any] = field(default_factory=dict[str, Any])
    asked: Asked = field(default_factory=Asked)
    samples: tuple[Prepared, ...] = ()
    warnings: list[str] = field(default_factory=list[str])

    @property
    def new_tokens(self) -> list[list[int]]:
        """Ids that were said, of every row."""
        return [list(one.said.ids) for one in self.samples or (self,)]

    @property
    def told(self) -> dict[str, Any]:
        """What the answer's trace says beyond its text."""
        sizes = [list(sight.fitted) for sight in self.sights]
        return {"new_tokens": self.new_tokens[0], "processed_sizes_wh": sizes, **self.extra}


def pixel_tensors(sights: Sequence[Sight]) -> dict[str, Tensor]:
    """Patches and grids of pictures and of clips, by the names the networks take; absent where there are none."""
    made: dict[str, Tensor] = {}
    for name, grid, chosen in (
        ("pixel_values", "image_grid_thw", [s for s in sights if not s.is_clip]),
        ("pixel_values_videos", "video_grid_thw", [s for s in sights if s.is_clip]),
    ):
        if chosen:
            made[name] = torch.cat([torch.from_numpy(sight.patches) for sight in chosen])
            made[grid] = torch.tensor([sight.grid for sight in chosen])
    return made

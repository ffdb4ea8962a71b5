"""Options of Citrus-V's `prepare` and what a prepared row remembers of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vesalius.errors import InputError, OptionError
from vesalius.models.contract import SliceMask, VolumeMask
from vesalius.models.qwen_vl.prepared import Prepared, VlOptions
from vesalius.models.qwen_vl.sights import Sight
from vesalius.study.items import Volume

__all__ = ["CitrusOptions", "Plan", "Sample", "masks_on", "picture_for_sam", "segmented_sights"]


@dataclass(frozen=True)
class CitrusOptions(VlOptions):
    """As `VlOptions`, and: `sam_image_from`: "original" or "smart_resized" (the shrunk picture, as published).
    `sam_image_size`, `sam_resample`: checked against the checkpoint.  `seg_image`: which picture the masks are of.
    `mask_resize`: "bilinear" or "nearest_256" (as published).  `masks`: one per [SEG] of a training answer (see
    `masks_on`).
    `seg_grad_hook`, `loss`: taken by `loss`."""

    sam_image_from: str = "original"
    sam_image_size: int | None = None
    sam_resample: str = "lanczos"
    seg_image: int = 0
    mask_resize: str = "bilinear"
    masks: Sequence[Any] | None = None
    seg_grad_hook: Any = None
    loss: str | None = None

    def __post_init__(self) -> None:
        """OptionError for a value that is not one of those named."""
        super().__post_init__()
        if isinstance(self.seg_image, bool) or not isinstance(self.seg_image, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise OptionError(f"seg_image is {self.seg_image!r}; it is the number of a picture, from 0.")
        for name, known in (
            ("sam_image_from", ("original", "smart_resized")),
            ("mask_resize", ("bilinear", "nearest_256")),
            ("sam_resample", ("lanczos",)),
        ):
            if getattr(self, name) not in known:
                raise OptionError(f"{name} is {getattr(self, name)!r}.", fix=f"Use {' or '.join(known)}.")


@dataclass(frozen=True)
class Sample:
    """One conversation of a row: how many pictures SAM2 gets for it, how many of its [SEG] are learned (None: no masks
    given), and on what: (picture, [SEG]) of every mask, by picture."""

    pictures: int
    masks: int | None
    drawn: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Plan:
    """The options of a prepared conversation and the sights its masks are drawn on."""

    options: CitrusOptions
    segmented: list[Sight]
    samples: tuple[Sample, ...]


def segmented_sights(made: Prepared, number: int) -> list[Sight]:
    """The sights masks are drawn on: one picture, or every shown slice of a volume."""
    pictures = [sight for sight in made.sights if not sight.is_clip]
    if not pictures:
        return []
    if not 0 <= number < len(pictures):
        raise OptionError(f"seg_image is {number}, there are {len(pictures)} pictures.", fix="Count from 0.")
    chosen = pictures[number]
    if isinstance(made.media[chosen.where.item], Volume):
        return [sight for sight in pictures if sight.where.item == chosen.where.item]
    return [chosen]


def masks_on(
    masks: Sequence[Any], sights: Sequence[Sight], media: Sequence[Any]
) -> tuple[list[Any], tuple[tuple[int, int], ...]]:
    """(mask pictures, (picture, [SEG]) of each), by picture. `masks`: one per [SEG]: a picture, which lies on the first
    of `sights`, a `SliceMask` or a `VolumeMask`. InputError for slices that are not shown and masks of another grid."""
    placed: list[tuple[int, int, Any]] = []
    for said, mask in enumerate(masks):
        if isinstance(mask, VolumeMask):
            shape = _volume_of(sights, media).shape
            if mask.volume.shape != shape:
                raise InputError(f"a mask is {mask.volume.shape}, its volume {shape}.", fix="Give it in the same grid.")
            for number, sight in enumerate(sights):
                axis, index = sight.where.axis, sight.where.slice_index
                if axis is not None and index is not None:
                    placed.append((number, said, mask.on(axis, index)))
        elif isinstance(mask, SliceMask):
            _volume_of(sights, media)
            shown = {(sight.where.axis, sight.where.slice_index): number for number, sight in enumerate(sights)}
            number = shown.get((mask.axis, mask.index))
            if number is None:
                listed = ", ".join(f"{index}" for _, index in shown)
                raise InputError(
                    f"a mask lies on {mask.axis} slice {mask.index}, which is not shown ({sights[0].where.axis} "
                    f"{listed} are).", fix="Show more slices (num_slices in the medium's meta), or give a whole mask.",
                )  # fmt: skip
            placed.append((number, said, mask.pixels))
        else:
            placed.append((0, said, mask))
    placed.sort(key=lambda one: one[:2])
    return [mask for _, _, mask in placed], tuple((number, said) for number, said, _ in placed)


def _volume_of(sights: Sequence[Sight], media: Sequence[Any]) -> Volume:
    item = media[sights[0].where.item] if sights else None
    if not isinstance(item, Volume):
        raise InputError("a mask of a volume is given, and no volume is segmented.", fix="Give a mask of the picture.")
    return item


def picture_for_sam(sight: Sight, source: str) -> Any:
    """`[H, W(, 3)]` uint8: the original picture, or what the language model saw."""
    return sight.original if source == "original" else sight.shown

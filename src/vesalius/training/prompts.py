"""From samples to prompts with their truth: what stands before the last answer is asked, the answer is right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vesalius.dialogue.samples import BoxTarget, Sample, Targets, read_samples
from vesalius.dialogue.saying import Saying
from vesalius.dialogue.target_sizes import target_size
from vesalius.errors import InputError
from vesalius.training.data.conversation import conversation_of
from vesalius.training.recipe_sft import Source
from vesalius.training.rewards.truth import Truth
from vesalius.training.sft_data import drawn_mask, drawn_phantoms

__all__ = ["Placed", "Prompt", "prompt_of", "read_placed", "truth_of"]

_LETTER = re.compile(r"[A-Z]")


@dataclass(frozen=True)
class Placed:
    """A sample and where it stands: its source, and its number there from 1."""

    sample: Sample
    file: Path
    number: int

    @property
    def place(self) -> str:
        return f"{self.file.name}, sample {self.number} ({self.sample.id})"

    @property
    def folder(self) -> Path:
        """What its media paths start from."""
        return self.file if self.file.is_dir() else self.file.parent


def read_placed(sources: Sequence[Source], drawn: Path) -> list[Placed]:
    """All samples of the sources; phantoms are drawn under `drawn` once. InputError for files that cannot be read or
    hold nothing."""
    placed: list[Placed] = []
    for source in sources:
        path = Path(source.path) if source.path else drawn_phantoms(source, drawn)
        own = [Placed(sample, path, number) for number, sample in enumerate(read_samples(path), 1)]
        if not own:
            raise InputError("there is no sample.", file=path)
        placed += own
    return placed


@dataclass(frozen=True)
class Prompt:
    """`messages`: as `Model.prepare` takes them, the last from the user."""

    id: str
    task: str
    messages: Sequence[dict[str, Any]] = field(repr=False)
    truth: Truth = field(repr=False)


def prompt_of(placed: Placed, saying: Saying | None = None, *, dialect: str = "", coord: str = "") -> Prompt:
    """The prompt of a sample. `saying`: how the model says places (`saying_of`), for prompts that name some. `dialect`,
    `coord`: how places in completions are read ("": by the family). InputError for a sample that does not end with an
    answer."""
    sample, folder = placed.sample, placed.folder
    if sample.turns[-1].role != "assistant" or len(sample.turns) < 2:
        raise InputError("the sample does not end with an answer to a question; there is no truth to reward.")
    messages = conversation_of(sample, folder, saying)[:-1]
    return Prompt(sample.id, sample.tags.task, messages, truth_of(sample, folder, dialect=dialect, coord=coord))


def truth_of(sample: Sample, folder: Path, *, dialect: str = "", coord: str = "") -> Truth:
    """What the last answer of a sample says is right, from its targets; from its text where there is no target.

    Boxes, points and masks count where all of them lie on one picture, slice or frame. A sample of the task "box",
    "point", "count" or "mask" without such targets says that there is none.
    """
    turn, task = sample.turns[-1], sample.tags.task
    targets = turn.targets or Targets()
    lying = [*targets.boxes, *targets.points, *targets.masks]
    places = {(one.media, one.slice, one.frame) for one in lying}
    here = next(iter(places)) if len(places) == 1 else None
    size = _size(sample, folder, lying) if lying or task in ("box", "point") else None
    single = len(places) <= 1 and (size is not None or not lying)
    boxes = tuple((one.label, one.box) for one in targets.boxes)
    points = tuple((one.label, one.point) for one in targets.points)
    labels = tuple(dict.fromkeys(one.label for one in (*targets.boxes, *targets.points, *targets.counts)))
    counts = targets.counts
    answer = targets.answer if targets.answer is not None else None if turn.targets is not None else turn.text
    return Truth(
        answer=answer,
        kind=_kind(answer),
        options=8 if _kind(answer) == "mcq" else None,
        lang=sample.lang,
        labels=labels if labels else None,
        boxes=boxes if single and (boxes or (task == "box" and size is not None)) else None,
        points=points if single and (points or (task == "point" and size is not None)) else None,
        count=sum(one.count for one in counts) if counts else 0 if task == "count" and turn.targets else None,
        masks=_masks(targets, folder) if single and (targets.masks or task == "mask") else None,
        findings=labels if task == "report" else None,
        size=size,
        place=here,
        dialect=dialect or None,
        coord=coord or None,
    )  # fmt: skip


def _kind(answer: str | None) -> str:
    if answer is not None and answer.lower() in ("yes", "no"):
        return "yesno"
    return "mcq" if answer is not None and _LETTER.fullmatch(answer) else "open"


def _masks(targets: Targets, folder: Path) -> tuple[Any, ...]:
    return tuple(drawn_mask(mask, folder) > 0 for mask in targets.masks)


def _size(sample: Sample, folder: Path, lying: Sequence[Any]) -> tuple[float, float] | None:
    """(width, height) in pixels of what the places lie on; without places, of the first picture."""
    if lying:
        return target_size(sample, folder)(lying[0])
    first = BoxTarget(label="none", box=(0, 0, 1, 1))
    return target_size(sample, folder)(first) if sample.media and sample.media[0].kind == "image" else None

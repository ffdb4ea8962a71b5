"""From the places a text names, in the model's frame, to findings in original pixels and millimetres."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from vesalius.findings.dialects import Named, Reading, detect, read_named
from vesalius.findings.dialects.frames import frame_of
from vesalius.findings.dialects.statements import without_thoughts
from vesalius.findings.findings import Box, Finding, Point
from vesalius.findings.mentions import without_mention
from vesalius.findings.parse import placed
from vesalius.findings.place import place
from vesalius.models.parts.thinking import split_thinking
from vesalius.models.parts.which_picture import Asked, Shot, on_pictures
from vesalius.models.qwen_vl.sights import TIMELESS, Sight
from vesalius.study.items import Item

__all__ = ["found_on", "located", "named_in"]


def located(
    text: str,
    sights: Sequence[Sight],
    items: Sequence[Item],
    asked: Asked,
    *,
    thousandths: bool,
    read: Callable[[str], Sequence[Named]] | None = None,
) -> tuple[list[Finding], bool]:
    """(boxes and points of the text as findings on the pictures it names, whether any picture was a guess).

    What was only thought counts where the answer names no place. `thousandths`: coordinates are thousandths of the
    picture, else pixels of the picture as it was fitted. `read`: the dialect (None: MedMO's and Qwen's).
    """
    read = read or (lambda said: named_in(said, "medmo"))
    shots = [Shot(sight.where.item, sight.times_s) for sight in sights]
    answer = split_thinking(text)[1]
    said, assumed = on_pictures(answer if read(answer) else _untagged(text), read, shots, asked)
    made: list[Finding] = []
    for number, (one, shot, frame) in enumerate(said, 1):
        made += found_on(sights[shot], items, [one], thousandths=thousandths, frame=frame, first=number)
    return made, assumed


def _untagged(text: str) -> str:
    """Thoughts as part of the answer."""
    return text.replace("<think>", "").replace("</think>", "\n")


def named_in(text: str, dialect: str) -> list[Named]:
    """What an answer names in a family's dialect or in Qwen's own forms. Thoughts are not searched, and numbers that
    merely stand in brackets are no places."""
    shown, _ = without_thoughts(text)
    reading = read_named(shown, "parens" if detect(shown) == "parens" else dialect)
    return [one for one in reading.named if one.label or "prose" not in reading.repairs]


def found_on(
    sight: Sight,
    items: Sequence[Item],
    named: Sequence[Named],
    *,
    thousandths: bool,
    frame: int = 0,
    first: int = 1,
) -> list[Finding]:
    """Places on one sight → findings, clipped to the picture; those without area after that are left out.

    `frame`: which of a clip's shown frames.  `first`: the number findings are grouped under, counted on.
    """
    pixels = frame_of("norm1000" if thousandths else "abs_processed", sight.size, sight.fitted)
    item = items[sight.where.item]
    where = sight.where
    if sight.times_s is not None:
        # Frames that have no times of their own have those the model was told.
        told = sight.times_s[frame] if item.origin.format in TIMELESS else None
        where = replace(where, frame=sight.frames[frame], time_s=told)
    made: list[Finding] = []
    for number, one in enumerate(named, first):
        found = placed(one, pixels, Reading(""), strict=False)
        if found is None:
            continue
        label, coords = without_mention(one.label), found.coords
        if found.kind == "point":
            made.append(place(Point(label=label, x=coords[0], y=coords[1], where=where, group=number), item))
        else:
            x0, y0, x1, y1 = coords
            box = Box(label=label, x0=x0, y0=y0, x1=x1, y1=y1, where=where, group=number)
            made.append(place(box, item))
    return made

"""From the places a text names, in the model's frame, to findings in original pixels and millimetres."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from vesalius.findings.dialects import Named, read_medmo_boxes
from vesalius.findings.findings import Box, Finding, Point
from vesalius.findings.mentions import without_mention
from vesalius.findings.place import place
from vesalius.models.parts.thinking import split_thinking
from vesalius.models.parts.which_picture import Asked, Shot, on_pictures
from vesalius.models.qwen_vl.sights import TIMELESS, Sight
from vesalius.study.items import Item

__all__ = ["found_on", "located"]


def located(
    text: str,
    sights: Sequence[Sight],
    items: Sequence[Item],
    asked: Asked,
    *,
    thousandths: bool,
    read: Callable[[str], Sequence[Named]] = read_medmo_boxes,
    first: int = 1,
) -> tuple[list[Finding], bool]:
    """(boxes and points of the text as findings on the pictures it names, whether any picture was a guess).

    What was only thought counts where the answer names no place. `thousandths`: coordinates are thousandths of the
    picture, else pixels of the picture as it was fitted. `read`: the dialect. `first`: the number findings are grouped
    under, counted on.
    """
    shots = [Shot(sight.where.item, sight.times_s) for sight in sights]
    answer = split_thinking(text)[1]
    placed, assumed = on_pictures(answer if read(answer) else text, read, shots, asked)
    made: list[Finding] = []
    for number, (one, shot, frame) in enumerate(placed, first):
        made += found_on(sights[shot], items, [one], thousandths=thousandths, frame=frame, first=number)
    return made, assumed


def found_on(
    sight: Sight, items: Sequence[Item], named: Sequence[Named], *, thousandths: bool, frame: int = 0, first: int = 1
) -> list[Finding]:
    """Places on one sight → findings, clipped to the picture; those without area after that are left out.

    `frame`: which of a clip's shown frames.  `first`: the number findings are grouped under, counted on.
    """
    width, height = sight.size
    wide, high = (1000.0, 1000.0) if thousandths else (float(sight.fitted[0]), float(sight.fitted[1]))
    item = items[sight.where.item]
    where = sight.where
    if sight.times_s is not None:
        # Frames that have no times of their own have those the model was told.
        told = sight.times_s[frame] if item.origin.format in TIMELESS else None
        where = replace(where, frame=sight.frames[frame], time_s=told)
    made: list[Finding] = []
    for number, one in enumerate(named, first):
        label = without_mention(one.label)
        xs = [min(max(x / wide * width, 0.0), float(width)) for x in one.numbers[0::2]]
        ys = [min(max(y / high * height, 0.0), float(height)) for y in one.numbers[1::2]]
        if not one.is_box:
            made.append(place(Point(label=label, x=xs[0], y=ys[0], where=where, group=number), item))
        elif xs[0] < xs[1] and ys[0] < ys[1]:
            box = Box(label=label, x0=xs[0], y0=ys[0], x1=xs[1], y1=ys[1], where=where, group=number)
            made.append(place(box, item))
    return made

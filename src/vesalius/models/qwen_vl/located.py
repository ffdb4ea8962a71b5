"""From the places a text names, in the model's frame, to findings in original pixels and millimetres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vesalius.findings.dialects import Named, read_medmo_boxes
from vesalius.findings.findings import Box, Finding, Point
from vesalius.findings.place import place
from vesalius.models.qwen_vl.sights import Sight
from vesalius.study.items import Item

__all__ = ["found_on", "located"]


def located(text: str, sights: Sequence[Sight], items: Sequence[Item], *, thousandths: bool) -> list[Finding]:
    """Boxes and points of the text as findings on the first picture shown (the texts name none of several).

    `thousandths`: coordinates are thousandths of the picture, else pixels of the picture as it was fitted.
    """
    return found_on(sights[0], items, read_medmo_boxes(text), thousandths=thousandths) if sights else []


def found_on(sight: Sight, items: Sequence[Item], named: Sequence[Named], *, thousandths: bool) -> list[Finding]:
    """Places on one sight → findings, clipped to the picture; those without area after that are left out."""
    width, height = sight.size
    frame = (1000.0, 1000.0) if thousandths else (float(sight.fitted[0]), float(sight.fitted[1]))
    item = items[sight.where.item]
    made: list[Finding] = []
    for number, one in enumerate(named, 1):
        xs = [min(max(x / frame[0] * width, 0.0), float(width)) for x in one.numbers[0::2]]
        ys = [min(max(y / frame[1] * height, 0.0), float(height)) for y in one.numbers[1::2]]
        where = replace(sight.where, time_s=None)
        if not one.is_box:
            made.append(place(Point(label=one.label, x=xs[0], y=ys[0], where=where, group=number), item))
        elif xs[0] < xs[1] and ys[0] < ys[1]:
            box = Box(label=one.label, x0=xs[0], y0=ys[0], x1=xs[1], y1=ys[1], where=where, group=number)
            made.append(place(box, item))
    return made

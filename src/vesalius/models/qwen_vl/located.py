"""From the places a text names, in the model's frame, to findings in original pixels and millimetres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vesalius.findings.dialects import Named, Reading, detect, read_named
from vesalius.findings.dialects.frames import frame_of
from vesalius.findings.dialects.statements import without_thoughts
from vesalius.findings.findings import Box, Finding, Point
from vesalius.findings.parse import placed
from vesalius.findings.place import place
from vesalius.models.qwen_vl.sights import Sight
from vesalius.study.items import Item

__all__ = ["found_on", "located", "named_in"]


def located(text: str, sights: Sequence[Sight], items: Sequence[Item], *, thousandths: bool) -> list[Finding]:
    """Boxes and points of the text as findings on the first picture shown (the texts name none of several).

    `thousandths`: coordinates are thousandths of the picture, else pixels of the picture as it was fitted.
    """
    return found_on(sights[0], items, named_in(text, "medmo"), thousandths=thousandths) if sights else []


def named_in(text: str, dialect: str) -> list[Named]:
    """What an answer names in a family's dialect or in Qwen's own forms. Thoughts are not searched, and numbers that
    merely stand in brackets are no places."""
    shown, _ = without_thoughts(text)
    reading = read_named(shown, "parens" if detect(shown) == "parens" else dialect)
    return [one for one in reading.named if one.label or "prose" not in reading.repairs]


def found_on(sight: Sight, items: Sequence[Item], named: Sequence[Named], *, thousandths: bool) -> list[Finding]:
    """Places on one sight → findings, clipped to the picture; those without area after that are left out."""
    frame = frame_of("norm1000" if thousandths else "abs_processed", sight.size, sight.fitted)
    item = items[sight.where.item]
    made: list[Finding] = []
    for number, one in enumerate(named, 1):
        found = placed(one, frame, Reading(""), strict=False)
        if found is None:
            continue
        where, coords = replace(sight.where, time_s=None), found.coords
        if found.kind == "point":
            made.append(place(Point(label=one.label, x=coords[0], y=coords[1], where=where, group=number), item))
        else:
            x0, y0, x1, y1 = coords
            box = Box(label=one.label, x0=x0, y0=y0, x1=x1, y1=y1, where=where, group=number)
            made.append(place(box, item))
    return made

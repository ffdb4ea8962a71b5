"""Marks in the texts of samples: where a medium stands, and where a place is said.

`<image>`, `<volume>`, `<video>`, `<table>` in a user turn stand for the sample's media of that kind, in order. A sample
without any has its media in front of its first user turn. `<bbox>`, `<point>`, `<mask>` in a turn stand for the turn's
boxes, points and masks, in order; `<ref-object>` for the label of the place that follows. So a text holds no coordinate
of any frame, and each model is taught to say places in its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vesalius.dialogue.samples import Sample, Turn

__all__ = ["MEDIA_MARK", "PLACE_KINDS", "PLACE_MARK", "UNNAMED", "Problem", "mark_problems"]

MEDIA_MARK = re.compile(r"<(image|volume|video|table)>")
PLACE_MARK = re.compile(r"<(ref-object|bbox|point|mask)>")
PLACE_KINDS = {"bbox": "boxes", "point": "points", "mask": "masks"}
"""Which targets a mark stands for."""
UNNAMED = "region"
"""The label of places whose data name none; never said."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a row and what to do; neither holds the row's own words."""

    kind: str
    reason: str
    fix: str


def mark_problems(sample: Sample) -> Iterator[Problem]:
    """Marks that do not fit the sample's media or targets."""
    yield from _media_marks(sample)
    for number, turn in enumerate(sample.turns):
        if "<" in turn.text:
            yield from _place_marks(turn, number)


def _media_marks(sample: Sample) -> Iterator[Problem]:
    counts: dict[str, int] = {}
    for turn in sample.turns:
        if turn.role == "user" and "<" in turn.text:
            for kind in MEDIA_MARK.findall(turn.text):
                counts[kind] = counts.get(kind, 0) + 1
    if not counts:
        return
    have: dict[str, int] = {}
    for medium in sample.media:
        have[medium.kind] = have.get(medium.kind, 0) + 1
    for kind in dict.fromkeys((*counts, *have)):
        said, there = counts.get(kind, 0), have.get(kind, 0)
        if said > there:
            yield Problem("placeholders", f"{said} <{kind}> but {there} {kind}{'' if there == 1 else 's'} in media",
                          f"Add the missing {kind} or take the surplus <{kind}> out of the text.")  # fmt: skip
        elif said < there:
            yield Problem("placeholders", f"{said} <{kind}> but {there} {kind}{'' if there == 1 else 's'} in media",
                          "Mark the place of every medium, or of none.")  # fmt: skip


def _place_marks(turn: Turn, number: int) -> Iterator[Problem]:
    marks = PLACE_MARK.findall(turn.text)
    if not marks:
        return
    for mark, field in PLACE_KINDS.items():
        said = marks.count(mark)
        there = len(getattr(turn.targets, field)) if turn.targets is not None else 0
        if said and said != there:
            yield Problem("places", f"turn {number}: {said} <{mark}> but {there} {field} in targets",
                          f"Give one of {field} for each <{mark}>.")  # fmt: skip
    if "ref-object" in marks and all(mark == "ref-object" for mark in marks):
        yield Problem("places", f"turn {number}: <ref-object> with no place behind it", "Write the name instead.")

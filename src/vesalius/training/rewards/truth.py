"""What a reward compares: a completion, read for places once, and the truth of its prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError
from vesalius.findings.dialects.statements import without_thoughts
from vesalius.findings.findings import Box, Count, Finding, Mask, Point, Where
from vesalius.findings.parse import parse_grounding

__all__ = ["Completion", "Labelled", "Truth", "completion_of"]

Labelled = tuple[str | None, tuple[float, ...]]
"""A name (or None) and a box (x0, y0, x1, y1) or point (x, y), pixels of the original picture."""


_ELSEWHERE = 1e6


@dataclass(frozen=True)
class Truth:
    """What is right. A field that is None is not known: rewards that need it give None.

    `answer`: a letter ("mcq"), "yes" or "no" ("yesno") or a text ("open"), as `kind` says; `options` as `parse_answer`
    takes them.  `labels`: names of what is there; () is nothing.  `boxes`, `points`: with their names, pixels of the
    original; () is none.  `count`.  `masks`: bool `[H, W]` each.  `findings`: names a report has to tell; `known`: all
    names it may.  `size`: (width, height) of the picture the places lie on.  `place`: which medium, slice and frame
    that is; what the family finds elsewhere matches nothing.  `dialect`, `coord`: how places are written where the
    model's own reading is not given (see `parse_grounding`); None: in a way of the family's own.  `synonyms`: name →
    what else it is called.
    """

    answer: str | None = None
    kind: str = "open"
    options: Any = None
    lang: str | None = None
    labels: tuple[str, ...] | None = None
    boxes: tuple[Labelled, ...] | None = None
    points: tuple[Labelled, ...] | None = None
    count: int | None = None
    masks: tuple[NDArray[np.bool_], ...] | None = field(default=None, repr=False)
    findings: tuple[str, ...] | None = None
    known: tuple[str, ...] = ()
    size: tuple[float, float] | None = None
    place: tuple[int, int | None, int | None] | None = None
    dialect: str | None = "medmo"
    coord: str | None = None
    synonyms: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class Completion:
    """What a model wrote. `num_tokens`: of the completion, the end token among them.  `finish`: "stop", "length", …
    `found`: what the family read out of the text, pixels of the original; None: it is read in the truth's dialect."""

    text: str
    num_tokens: int | None = None
    finish: str | None = None
    found: tuple[Finding, ...] | None = None

    @cached_property
    def answer(self) -> str:
        """The text behind the thoughts; "" while a thought is open."""
        shown, is_open = without_thoughts(self.text)
        return "" if is_open else shown

    def boxes(self, truth: Truth) -> list[Labelled]:
        """Every box it names, in the order written. Raises InputError where nothing says how to read them."""
        if self.found is not None:
            boxes = [one for one in self.found if isinstance(one, Box)]
            return [_moved(one.label, (one.x0, one.y0, one.x1, one.y1), one.where, truth) for one in boxes]
        return [(place.label, tuple(place.coords)) for place in self._places(truth, "any") if place.kind == "box"]

    def points(self, truth: Truth) -> list[Labelled]:
        """Every point it names."""
        if self.found is not None:
            points = [one for one in self.found if isinstance(one, Point)]
            return [_moved(one.label, (one.x, one.y), one.where, truth) for one in points]
        return [(place.label, tuple(place.coords)) for place in self._places(truth, "point") if place.kind == "point"]

    def count(self, truth: Truth) -> int | None:
        """The number it states; None when it states none."""
        counted = [one.count for one in self.found or () if isinstance(one, Count)]
        if len(counted) == 1:
            return counted[0]
        return parse_grounding(self.text, truth.dialect or "medmo", truth.size or (1, 1), expect="count").count

    def masks(self) -> list[NDArray[np.bool_]]:
        """Every mask that was drawn for it."""
        return [one.mask for one in self.found or () if isinstance(one, Mask)]

    def _places(self, truth: Truth, expect: Any) -> Sequence[Any]:
        if truth.size is None or truth.dialect is None:
            raise InputError("the truth names no picture size or no dialect to read places in.")
        read = parse_grounding(
            self.text, truth.dialect, truth.size, coord=truth.coord, expect=expect, finish_reason=self.finish
        )
        return read.items


def _moved(label: str, coords: tuple[float, ...], where: Where, truth: Truth) -> Labelled:
    """As it is on the truth's picture; far outside the frame if it lies on another."""
    elsewhere = truth.place is not None and (where.item, where.slice_index, where.frame) != truth.place
    return label, tuple(value + _ELSEWHERE for value in coords) if elsewhere else coords


def completion_of(given: Completion | str) -> Completion:
    """A text alone is a completion, too."""
    return Completion(given) if isinstance(given, str) else given

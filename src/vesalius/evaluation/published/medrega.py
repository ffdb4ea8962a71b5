"""MedRegA's region scores, right and as published.

Regions of an item are matched one to one on 1 - IoU. Three kinds of hit: the box (IoU at least the threshold), the
object (names of a matched pair agree), both at once. The published script divides hits by the wrong side: its precision
is over true regions, its recall over predicted ones; F1 is the same. It also takes an empty name for a match.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vesalius.evaluation.metrics.aligned import aligned, aligned_texts
from vesalius.evaluation.metrics.token_overlap import token_overlap
from vesalius.findings.box_overlap import iou_matrix
from vesalius.findings.matching import assign
from vesalius.findings.normal_text import normalise

__all__ = ["HitScores", "Region", "RegionScores", "named_right", "names_agree", "region_scores", "single_region_ious"]


@dataclass(frozen=True)
class Region:
    """One region: its box (x0, y0, x1, y1) in any one frame, and what it is called."""

    box: tuple[float, float, float, float]
    name: str = ""


@dataclass(frozen=True)
class HitScores:
    """Hits over all items, with both pairs of ratios."""

    hits: int
    num_predicted: int
    num_true: int

    @property
    def precision(self) -> float:
        """Hits / predicted regions; 1 when there is nothing on either side."""
        return self.hits / self.num_predicted if self.num_predicted else float(self.num_true == 0)

    @property
    def recall(self) -> float:
        """Hits / true regions; 1 when there is nothing on either side."""
        return self.hits / self.num_true if self.num_true else float(self.num_predicted == 0)

    @property
    def f1(self) -> float:
        """2 hits / (predicted + true); the same in the published script."""
        both = self.num_predicted + self.num_true
        return 2 * self.hits / both if both else 1.0

    @property
    def published_precision(self) -> float:
        """Hits / true regions, as the published script has it."""
        return self.recall

    @property
    def published_recall(self) -> float:
        """Hits / predicted regions, as the published script has it."""
        return self.precision


@dataclass(frozen=True)
class RegionScores:
    """`alignment`: share of box hits whose names agree; None without a box hit."""

    box: HitScores
    object: HitScores
    object_box: HitScores
    alignment: float | None


def names_agree(predicted: str, true: str, *, published: bool = False) -> bool:
    """One name contains the other after `normalise`. An empty prediction agrees with nothing, or, `published`, with
    everything."""
    said, truth = normalise(predicted), normalise(true)
    if not said:
        return published
    return bool(truth) and (said in truth or truth in said)


def region_scores(
    predicted: Sequence[Sequence[Region]],
    true: Sequence[Sequence[Region]],
    min_iou: float = 0.5,
    *,
    published: bool = False,
) -> RegionScores:
    """Scores over items. `min_iou`: .5, published .75 where one region holds several objects. `published`: empty names
    agree (the ratios of both readings are always there)."""
    said, truth = aligned(predicted, true)
    hits = np.zeros(3, dtype=np.int64)
    for regions, targets in zip(said, truth, strict=True):
        # Sorted: ties of the assignment then break the same way in every order.
        ours, theirs = (sorted(side, key=lambda r: (r.box, r.name)) for side in (regions, targets))
        ious = iou_matrix([r.box for r in ours], [r.box for r in theirs])
        for p, g in assign(1.0 - ious):
            near = bool(ious[p, g] >= min_iou)
            named = names_agree(ours[p].name, theirs[g].name, published=published)
            hits += np.array([near, named, near and named], dtype=np.int64)
    counts = (sum(map(len, said)), sum(map(len, truth)))
    box, named, both = (HitScores(int(hit), *counts) for hit in hits)
    return RegionScores(box, named, both, both.hits / box.hits if box.hits else None)


def single_region_ious(predicted: Sequence[Sequence[Region]], true: Sequence[Region]) -> NDArray[np.float64]:
    """One object, one region: the best IoU among an item's predicted boxes [n]; published are its mean and the shares
    above .25, .5 and .75. Copies and guesses cost nothing here."""
    said, truth = aligned(predicted, true)
    best = [iou_matrix([r.box for r in regions], [t.box]) for regions, t in zip(said, truth, strict=True)]
    return np.array([float(ious.max(initial=0.0)) for ious in best])


def named_right(predicted: Sequence[str | None], reference: Sequence[str]) -> NDArray[np.bool_]:
    """Region to text: recall of the reference's tokens is at least .75 [n]."""
    said, truth = aligned_texts(predicted, reference)
    return token_overlap(said, truth).recall >= 0.75

"""One-to-one matching of predicted with true boxes and points.

The assignment is optimal (Hungarian) and does not depend on the order in which findings are given: both sides are put
into one order first, so that ties always break the same way. Needs scipy (`pip install 'vesalius[eval]'`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import InputError, UnsupportedError
from vesalius.findings.box_overlap import as_boxes, iou_matrix

__all__ = ["Matching", "as_points", "assign", "match_boxes", "match_points", "row_order"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Matching:
    """Accepted pairs of one image. `pairs` [K, 2]: (predicted, true) indices, ascending by the first."""

    pairs: NDArray[np.intp]
    values: Floats
    """[K]: IoU of the pair, or its distance."""
    num_predicted: int
    num_true: int

    @property
    def num_matched(self) -> int:
        """True positives."""
        return len(self.pairs)

    @property
    def precision(self) -> float:
        """Matched / predicted; 1 when there is nothing on either side, else 0 when nothing was predicted."""
        return _ratio(self.num_matched, self.num_predicted, self.num_true)

    @property
    def recall(self) -> float:
        """Matched / true; 1 when there is nothing on either side, else 0 when there is nothing to find."""
        return _ratio(self.num_matched, self.num_true, self.num_predicted)

    @property
    def f1(self) -> float:
        """2 matched / (predicted + true); 1 when there is nothing on either side."""
        both = self.num_predicted + self.num_true
        return 2 * self.num_matched / both if both else 1.0


def _ratio(part: int, whole: int, other: int) -> float:
    return part / whole if whole else float(other == 0)


def assign(cost: ArrayLike) -> NDArray[np.intp]:
    """Cost [P, G] → pairs [min(P, G), 2] of least total cost. Raises UnsupportedError without scipy."""
    matrix = np.asarray(cost, dtype=np.float64)
    if matrix.size == 0:
        return np.zeros((0, 2), dtype=np.intp)
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as exc:
        raise UnsupportedError("matching needs scipy.", fix="Run: pip install 'vesalius[eval]'.") from exc
    return np.stack(linear_sum_assignment(matrix), axis=1)


def match_boxes(predicted: ArrayLike, true: ArrayLike, min_iou: float = 0.5) -> Matching:
    """Boxes [P, 4|6] and [G, 4|6] of one image: best assignment on 1 - IoU, pairs with IoU >= `min_iou` (> 0) kept."""
    said, truth = as_boxes(predicted), as_boxes(true)
    p, g = row_order(said), row_order(truth)
    ious = iou_matrix(said[p], truth[g])
    pairs = assign(1.0 - ious)
    values = ious[pairs[:, 0], pairs[:, 1]]
    return _accepted(pairs, values, (values >= min_iou) & (values > 0), p, g)


def match_points(predicted: ArrayLike, true: ArrayLike, radius: float = 10.0) -> Matching:
    """Points [P, 2|3] and [G, 2|3] of one image: as many pairs nearer than `radius` as there can be, and of those the
    ones of least total distance. A far point takes no near one's partner."""
    said, truth = as_points(predicted), as_points(true)
    p, g = row_order(said), row_order(truth)
    if said.size and truth.size and said.shape[1] != truth.shape[1]:
        raise InputError(f"points of {said.shape[1]} and of {truth.shape[1]} coordinates cannot be compared.")
    if not (said.size and truth.size):
        distances = np.zeros((len(said), len(truth)))
    else:
        distances = np.linalg.norm(said[p][:, None] - truth[g][None], axis=2)
    # A pair out of reach costs more than all others together could.
    pairs = assign(np.where(distances < radius, distances, radius * (1.0 + min(distances.shape))))
    values = distances[pairs[:, 0], pairs[:, 1]]
    return _accepted(pairs, values, values < radius, p, g)


def as_points(points: ArrayLike) -> Floats:
    """Anything point-like → float64 [N, 2] or [N, 3]; none → [0, 2]. Raises InputError for other shapes, NaN, inf."""
    try:
        found = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError) as exc:
        raise InputError("points are not rows of 2 or 3 numbers.") from exc
    if found.size == 0:
        return np.zeros((0, 2))
    if found.ndim != 2 or found.shape[1] not in (2, 3):
        raise InputError(f"points have shape {found.shape}, not [N, 2] or [N, 3].")
    if not np.isfinite(found).all():
        raise InputError(f"point {int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])} is not finite.")
    return found


def row_order(rows: Floats) -> NDArray[np.intp]:
    """Indices that sort rows `[N, D]` by their first number, then by the next: one order, however they were given."""
    return np.lexsort(rows.T[::-1]) if len(rows) else np.zeros(0, dtype=np.intp)


def _accepted(
    pairs: NDArray[np.intp], values: Floats, kept: NDArray[np.bool_], p: NDArray[np.intp], g: NDArray[np.intp]
) -> Matching:
    found = np.stack([p[pairs[kept, 0]], g[pairs[kept, 1]]], axis=1)
    order = np.argsort(found[:, 0], kind="stable")
    return Matching(found[order], values[kept][order], len(p), len(g))

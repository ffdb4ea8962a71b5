"""How far boxes overlap: IoU and GIoU in two or three dimensions.

Boxes are `[N, 4]` (x0, y0, x1, y1) or `[N, 6]` (x0, y0, z0, x1, y1, z1) in one continuous frame, any unit; an edge adds
no pixel. A box whose corners are swapped has no area and overlaps nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import InputError

__all__ = ["as_boxes", "box_sizes", "giou_matrix", "giou_pairs", "iou_matrix", "iou_pairs"]

Floats = NDArray[np.float64]


def as_boxes(boxes: ArrayLike) -> Floats:
    """Anything box-like → float64 [N, 4] or [N, 6]; no boxes → [0, 4]. Raises InputError for other shapes, NaN, inf."""
    try:
        found = np.asarray(boxes, dtype=np.float64)
    except (TypeError, ValueError) as exc:
        raise InputError("boxes are not rows of 4 or 6 numbers.") from exc
    if found.size == 0:
        return np.zeros((0, found.shape[-1] if found.ndim == 2 and found.shape[-1] in (4, 6) else 4))
    if found.ndim != 2 or found.shape[1] not in (4, 6):
        raise InputError(f"boxes have shape {found.shape}, not [N, 4] or [N, 6].")
    if not np.isfinite(found).all():
        raise InputError(f"box {int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])} is not finite.")
    return found


def box_sizes(boxes: Floats) -> Floats:
    """Boxes [N, 2k] → areas (k = 2) or volumes (k = 3) [N]; swapped corners give 0."""
    return _sizes(boxes.T)


def iou_matrix(first: ArrayLike, second: ArrayLike) -> Floats:
    """IoU of every box of `first` [N] with every box of `second` [M] → [N, M] in [0, 1]."""
    a, b = _same_kind(first, second)
    return _ious(a.T[:, :, None], b.T[:, None, :])


def iou_pairs(first: ArrayLike, second: ArrayLike) -> Floats:
    """IoU of box k of `first` with box k of `second` → [N]. Raises InputError when the numbers differ."""
    a, b = _aligned(first, second)
    return _ious(a.T, b.T)


def giou_matrix(first: ArrayLike, second: ArrayLike) -> Floats:
    """Generalised IoU of every box of `first` with every box of `second` → [N, M] in (-1, 1]."""
    a, b = _same_kind(first, second)
    return _gious(a.T[:, :, None], b.T[:, None, :])


def giou_pairs(first: ArrayLike, second: ArrayLike) -> Floats:
    """Generalised IoU of box k of `first` with box k of `second` → [N]. Raises InputError when the numbers differ."""
    a, b = _aligned(first, second)
    return _gious(a.T, b.T)


def _same_kind(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats]:
    a, b = as_boxes(first), as_boxes(second)
    if not len(a):
        a = np.zeros((0, b.shape[1]))
    if not len(b):
        b = np.zeros((0, a.shape[1]))
    if a.shape[1] != b.shape[1]:
        raise InputError(f"boxes of {a.shape[1]} and of {b.shape[1]} numbers cannot be compared.")
    return a, b


def _aligned(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats]:
    a, b = _same_kind(first, second)
    if len(a) != len(b):
        raise InputError(f"{len(a)} boxes cannot be paired with {len(b)}.")
    return a, b


# Below, boxes are [2k, ...], one coordinate after the other: several times faster than a short last axis.


def _sizes(boxes: Floats) -> Floats:
    k = len(boxes) // 2
    return _product(np.maximum(boxes[k:] - boxes[:k], 0.0))


def _product(sides: Floats) -> Floats:
    area = sides[0] * sides[1]
    return area if len(sides) == 2 else area * sides[2]


def _shared_and_union(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    k = len(a) // 2
    size_a, size_b = _sizes(a), _sizes(b)
    # A swapped box lies "inside out": a side of its overlap may come out positive, but its size is 0.
    sides = np.maximum(np.minimum(a[k:], b[k:]) - np.maximum(a[:k], b[:k]), 0.0)
    shared = _product(sides) * np.logical_and(size_a > 0, size_b > 0)
    return shared, size_a + size_b - shared


def _ious(a: Floats, b: Floats) -> Floats:
    shared, union = _shared_and_union(a, b)
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _gious(a: Floats, b: Floats) -> Floats:
    k = len(a) // 2
    shared, union = _shared_and_union(a, b)
    hull = _product(np.maximum(a[k:], b[k:]) - np.minimum(a[:k], b[:k]))
    iou = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return iou - np.divide(hull - union, hull, out=np.zeros_like(hull), where=hull > 0)

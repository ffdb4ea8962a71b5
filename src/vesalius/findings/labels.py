"""Where labels stand on a picture so that they hide no finding and no other label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rect", "place_labels"]

Rect = tuple[int, int, int, int]
"""(x0, y0, x1, y1) whole display pixels, x1 and y1 exclusive."""


def place_labels(
    occupied: NDArray[np.bool_], targets: Sequence[Rect], sizes: Sequence[tuple[int, int]], *, gap: int = 4
) -> list[Rect | None]:
    """A free rectangle for each label, as near to its target as can be, or None where none is left.

    `occupied`: `[H, W]` bool, display pixels that a finding covers.  `targets`: what each label names.
    `sizes`: (width, height) of each label.  Labels keep inside `[H, W]`, off every occupied pixel and `gap / 2` off
    each other. Corners of the target are tried first, then every place there is; the nearest that keeps `gap` wins.
    """
    height, width = occupied.shape
    filled = np.zeros((height + 1, width + 1), dtype=np.int32)
    np.cumsum(np.cumsum(occupied, axis=0, dtype=np.int32), axis=1, out=filled[1:, 1:])
    taken: list[Rect] = []
    placed: list[Rect | None] = []
    for target, size in zip(targets, sizes, strict=True):
        rect = _best(filled, target, size, taken, gap)
        placed.append(rect)
        if rect is not None:
            taken.append(rect)
    return placed


def _best(
    filled: NDArray[np.int32], target: Rect, size: tuple[int, int], taken: Sequence[Rect], gap: int
) -> Rect | None:
    height, width = filled.shape[0] - 1, filled.shape[1] - 1
    if size[0] > width or size[1] > height:
        return None
    corners = np.asarray(_corners(target, size, gap), dtype=np.int64)
    inside = (corners >= 0).all(axis=1) & (corners[:, 0] <= width - size[0]) & (corners[:, 1] <= height - size[1])
    near = _free(filled, corners[inside], size, taken, gap)
    if len(near):
        return _rect(near[0], size)
    places = _everywhere(filled, size, taken, gap)
    if not len(places):
        return None
    distances = _distances(places, size, target)
    beside = gap * gap
    return _rect(places[int(np.argmin(np.where(distances < beside, 2 * beside - distances, distances)))], size)


def _everywhere(filled: NDArray[np.int32], size: tuple[int, int], taken: Sequence[Rect], gap: int) -> NDArray[np.int64]:
    """Every free top-left corner `[N, 2]`, pixel by pixel."""
    w, h = size
    free = filled[h:, w:] - filled[:-h, w:] - filled[h:, :-w] + filled[:-h, :-w] == 0
    half = gap // 2
    for x0, y0, x1, y1 in taken:
        free[max(0, y0 - half - h + 1) : y1 + half, max(0, x0 - half - w + 1) : x1 + half] = False
    return np.argwhere(free)[:, ::-1]


def _corners(target: Rect, size: tuple[int, int], gap: int) -> list[tuple[int, int]]:
    """Top-left corners of a label above, below and beside its target, the most usual first."""
    x0, y0, x1, y1 = target
    w, h = size
    above, below, left, right = y0 - gap - h, y1 + gap, x0 - gap - w, x1 + gap
    middle_x, middle_y = (x0 + x1 - w) // 2, (y0 + y1 - h) // 2
    return [
        *((x0, above), (x1 - w, above), (x0, below), (x1 - w, below)),
        *((right, y0), (left, y0), (right, y1 - h), (left, y1 - h)),
        *((middle_x, above), (middle_x, below), (right, middle_y), (left, middle_y)),
    ]


def _free(
    filled: NDArray[np.int32], places: NDArray[np.int64], size: tuple[int, int], taken: Sequence[Rect], gap: int
) -> NDArray[np.int64]:
    """Those of `places` (top-left corners inside the picture, `[N, 2]`) that hide nothing."""
    x0, y0 = places[:, 0], places[:, 1]
    x1, y1 = x0 + size[0], y0 + size[1]
    covered = filled[y1, x1] - filled[y0, x1] - filled[y1, x0] + filled[y0, x0]
    free = covered == 0
    half = gap // 2
    for tx0, ty0, tx1, ty1 in taken:
        free &= (x1 + half <= tx0) | (x0 - half >= tx1) | (y1 + half <= ty0) | (y0 - half >= ty1)
    return places[free]


def _distances(places: NDArray[np.int64], size: tuple[int, int], target: Rect) -> NDArray[np.int64]:
    """Squared gap between each label and the target."""
    x0, y0 = places[:, 0], places[:, 1]
    across = np.maximum(0, np.maximum(target[0] - (x0 + size[0]), x0 - target[2]))
    down = np.maximum(0, np.maximum(target[1] - (y0 + size[1]), y0 - target[3]))
    return across**2 + down**2


def _rect(place: NDArray[np.int64], size: tuple[int, int]) -> Rect:
    x, y = int(place[0]), int(place[1])
    return x, y, x + size[0], y + size[1]

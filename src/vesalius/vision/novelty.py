"""What is new in a block of a frame since it was last kept: change of small cells, and compact spots that appear.

Shape letters: T frames, R x C blocks of a frame (N = R·C), K values of a block, H x W pixels. Grey levels 0…255.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Novelty", "grey_frames", "novelty_of", "outside_body"]

Array = NDArray[np.float32]

_DARK = 25.0
"""Grey level below which a pixel may be air."""

_CROWDED = 91.0
"""Percentile of how far spots stand out beyond which they are a sign; below it they are texture."""
_USUAL = 70.0
"""Percentile of the changes from frame to frame that counts as one usual change of an item."""


def grey_frames(blocks_TNMCPP: Array, columns: int) -> Array:
    """Normalised blocks (see `reduction`) → grey pictures `[T, H, W]`, 0…255."""
    frames, count, merged, _, side, _ = blocks_TNMCPP.shape
    merge = round(merged**0.5)
    grey = (blocks_TNMCPP.mean(3) + 1) * np.float32(127.5)
    grid = grey.reshape(frames, count // columns, columns, merge, merge, side, side)
    return grid.transpose(0, 1, 3, 5, 2, 4, 6).reshape(frames, -1, columns * merge * side)


@dataclass(frozen=True)
class Novelty:
    """`cells`: cell means `[T, N, K]` at two scales, in usual changes of the item (`usual`: grey levels of one).
    `spots`: how far compact spots stand out from all that is around them, grey levels `[T, N, K]`.
    `appearing` `[T, N]`: the same of the change since one and two frames before, which finds spots that touch other
    structures. `crowded`: what one in eleven blocks inside the body exceeds in either: where spots are everywhere they
    are no sign. `outside` `[T, N]`: air around the body."""

    cells: tuple[Array, Array]
    usual: tuple[float, float]
    spots: Array
    appearing: Array
    crowded: tuple[float, float]
    outside: NDArray[np.bool_]


def novelty_of(frames_THW: Array, rows: int, columns: int, patch: int) -> Novelty:
    """Measure every block once; which of them are new depends on what is kept and is asked frame by frame."""
    fine = patch // 7 if patch >= 14 and patch % (patch // 7) == 0 else 1
    small = _cells(frames_THW, fine)
    spots = np.maximum(_spots(small, 2, 4), _spots(small, 4, 7))
    appearing = np.zeros((len(small), rows * columns), np.float32)
    for back in range(1, min(3, len(small))):
        change = small[back:] - small[:-back]
        found = np.maximum(_spots(change, 2, 4), _spots(change, 4, 7))
        np.maximum(appearing[back:], _blocks(found, rows, columns).max(-1), out=appearing[back:])
    outside = outside_body(frames_THW, rows, columns)
    halves, pairs = (
        _blocks(values, rows, columns) for values in (_cells(frames_THW, max(patch // 2, 1)), _box(small, 2))
    )
    usual = (_usual(halves, outside), _usual(pairs, outside))
    cells = (halves / np.float32(usual[0]), pairs / np.float32(usual[1]))
    blocks = _blocks(spots, rows, columns)
    new = np.diff(blocks, axis=0).max(-1)
    crowded = _exceeded(new, outside[1:]), _exceeded(appearing[1:], outside[1:])
    return Novelty(cells, usual, blocks, appearing, crowded, outside)


def outside_body(frames_THW: Array, rows: int, columns: int) -> NDArray[np.bool_]:
    """`[T, N]`: dark blocks that hang together with the picture's border. Dark places inside a body (lungs) do not."""
    dark = (_blocks(frames_THW, rows, columns) < _DARK).mean(-1) > 0.98
    dark_TRC = dark.reshape(-1, rows, columns)
    reached = np.zeros_like(dark_TRC)
    for edge in (np.s_[:, 0], np.s_[:, -1], np.s_[:, :, 0], np.s_[:, :, -1]):
        reached[edge] = dark_TRC[edge]
    while True:
        grown = reached.copy()
        grown[:, 1:] |= reached[:, :-1]
        grown[:, :-1] |= reached[:, 1:]
        grown[:, :, 1:] |= reached[:, :, :-1]
        grown[:, :, :-1] |= reached[:, :, 1:]
        grown &= dark_TRC
        if (grown == reached).all():
            return reached.reshape(dark.shape)
        reached = grown


def _cells(frames_THW: Array, side: int) -> Array:
    """Means of side x side pixels."""
    count, high, wide = frames_THW.shape
    return frames_THW.reshape(count, high // side, side, wide // side, side).mean((2, 4))


def _blocks(values_THW: Array, rows: int, columns: int) -> Array:
    count, high, wide = values_THW.shape
    grid = values_THW.reshape(count, rows, high // rows, columns, wide // columns)
    return grid.transpose(0, 1, 3, 2, 4).reshape(count, rows * columns, -1)


def _box(values_THW: Array, side: int) -> Array:
    """Sliding means of side x side values, edges repeated."""
    before, after = side // 2, side - 1 - side // 2
    padded = np.pad(values_THW, ((0, 0), (before, after), (before, after)), mode="edge")
    high, wide = values_THW.shape[1:]
    total = np.zeros_like(values_THW)
    for down in range(side):
        for across in range(side):
            total += padded[:, down : down + high, across : across + wide]
    return total / np.float32(side * side)


def _spots(values_THW: Array, side: int, distance: int) -> Array:
    """How much a place is brighter (or darker) than seven of the eight places `distance` around it; an edge or a
    strand, which goes on in two directions, gives nothing. One neighbour may be bright: a vessel beside a nodule."""
    mean = _box(values_THW, side)
    high, wide = mean.shape[1:]
    padded = np.pad(mean, ((0, 0), (distance, distance), (distance, distance)), mode="edge")
    # Largest and second largest around, of the values and (for dark spots) of their negatives.
    first = np.full((2, *mean.shape), -np.inf, np.float32)
    second = first.copy()
    steps = (0, distance, 2 * distance)
    for down in steps:
        for across in steps:
            if (down, across) == (distance, distance):
                continue
            one = padded[:, down : down + high, across : across + wide]
            for sign, values in enumerate((one, -one)):
                most, next_most = first[sign], second[sign]
                np.maximum(next_most, np.minimum(most, values), out=next_most)
                np.maximum(most, values, out=most)
    return np.maximum(np.maximum(mean - second[0], -mean - second[1]), np.float32(0))


def _exceeded(values_TN: Array, outside_TN: NDArray[np.bool_]) -> float:
    inside = values_TN[~outside_TN]
    return float(np.percentile(inside, _CROWDED)) if inside.size else 0.0


def _usual(values_TNK: Array, outside_TN: NDArray[np.bool_]) -> float:
    changes = np.abs(np.diff(values_TNK, axis=0)).max(-1)[~outside_TN[1:]]
    return max(float(np.percentile(changes, _USUAL)), 1.0) if changes.size else 1.0

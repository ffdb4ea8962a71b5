"""Shapes as numbers: irregular blobs, ellipses, strokes, and the longest diameter of a mask.

A shape is a signed depth (1 at its middle, 0 on its edge, negative outside) from which a soft cover 0…1 and a mask
follow. Only + − × ÷ and square roots are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.phantoms.dice import Dice
from vesalius.phantoms.textures import cut

__all__ = [
    "Patch",
    "blob",
    "circle_points",
    "clipped",
    "cover",
    "dense",
    "ellipse",
    "longest_diameter",
    "longest_diameters",
    "strokes",
    "walk",
    "wave",
]

Field = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Patch:
    """A shape inside its window of the picture: `depth` and `cover` `[h, w]` float32, `mask` where cover ≥ ½.

    `a`, `b`: the shape's own coordinates there, −1…1 across it.  `full_area`: pixels it would have if nothing were cut
    off by the picture's edge (of the ellipse it came from).
    """

    rows: slice
    columns: slice
    depth: Field
    cover: Field
    mask: Mask
    a: Field
    b: Field
    full_area: float


def circle_points(turn: float) -> tuple[float, float]:
    """(cosine, sine) of an angle in turns by polynomials, to about 1e-7, alike on every machine."""
    t = turn - int(turn // 1.0)
    quarter = int(t * 4.0)
    x = (t * 4.0 - quarter) * 1.5707963267948966
    x2 = x * x
    sine = x * (1 - x2 / 6 * (1 - x2 / 20 * (1 - x2 / 42 * (1 - x2 / 72 * (1 - x2 / 110 * (1 - x2 / 156))))))
    cosine = 1 - x2 / 2 * (1 - x2 / 12 * (1 - x2 / 30 * (1 - x2 / 56 * (1 - x2 / 90 * (1 - x2 / 132)))))
    return ((cosine, sine), (-sine, cosine), (-cosine, -sine), (sine, -cosine))[quarter]


def wave(phase: Field) -> Field:
    """A sine-like wave of `phase` in turns: two parabolas, −1…1, zero at whole and half turns."""
    t = np.floor(phase)
    np.subtract(phase, t, out=t)
    t *= np.float32(2.0)
    t -= np.float32(1.0)
    bow = np.abs(t)
    bow -= np.float32(1.0)
    bow *= t
    bow *= np.float32(4.0)
    return bow


def cover(depth: Field, per_pixel: float) -> Field:
    """Soft cover 0…1 from a depth that grows by 1 / `per_pixel` per pixel (½ on the edge)."""
    soft = depth * np.float32(per_pixel)
    soft += np.float32(0.5)
    np.maximum(soft, np.float32(0.0), out=soft)
    return np.minimum(soft, np.float32(1.0), out=soft)


def clipped(field: Field, low: float = 0.0, high: float = 1.0) -> Field:
    """`field` itself, limited to low … high in place."""
    return np.clip(field, low, high, out=field)


def ellipse(u: Field, v: Field, cu: float, cv: float, ru: float, rv: float, turn: float = 0.0, power: int = 2) -> Field:
    """Depth of an ellipse (power 2) or rounded box (power 4) given in body coordinates; turned about its centre."""
    # In place as far as it goes: half the time of drawing is memory traffic.
    if turn:
        c, s = circle_points(turn)
        a = u * np.float32(c / ru)
        a += v * np.float32(s / ru)
        a -= np.float32((cu * c + cv * s) / ru)
        b = v * np.float32(c / rv)
        b -= u * np.float32(s / rv)
        b -= np.float32((cv * c - cu * s) / rv)
    else:
        a, b = u * np.float32(1.0 / ru), v * np.float32(1.0 / rv)
        a -= np.float32(cu / ru)
        b -= np.float32(cv / rv)
    a *= a
    b *= b
    if power == 4:
        a *= a
        b *= b
    a += b
    np.sqrt(a, out=a)
    if power == 4:
        np.sqrt(a, out=a)
    return np.subtract(np.float32(1.0), a, out=a)


def blob(
    extent: tuple[int, int],
    x: float,
    y: float,
    rx: float,
    ry: float,
    dice: Dice,
    turn: float = 0.0,
    rough: float = 0.1,
    cell: float | None = None,
    edge: float = 1.0,
    power: int = 2,
) -> Patch | None:
    """An irregular ellipse at pixel (x, y) with radii in pixels, or None where nothing of it is on the picture.

    `extent`: (height, width).  `rough`: how far noise of `cell` pixels moves its edge, in radii.  `edge`: pixels over
    which it fades.
    """
    height, width = extent
    reach = max(rx, ry) * (1.0 + 3.1 * rough) + edge + 1.0
    x0, x1 = max(0, int(x - reach)), min(width, int(x + reach) + 2)
    y0, y1 = max(0, int(y - reach)), min(height, int(y + reach) + 2)
    texture = (dice.unit(), dice.unit(), dice.unit())
    if x1 - x0 < 2 or y1 - y0 < 2:
        return None
    dx = (np.arange(x0, x1, dtype=np.float32) + np.float32(0.5 - x))[None, :]
    dy = (np.arange(y0, y1, dtype=np.float32) + np.float32(0.5 - y))[:, None]
    c, s = circle_points(turn)
    a = dx * np.float32(c) + dy * np.float32(s)
    a *= np.float32(1.0 / rx)
    b = dy * np.float32(c) - dx * np.float32(s)
    b *= np.float32(1.0 / ry)
    distance, b2 = a * a, b * b
    if power == 4:
        distance *= distance
        b2 *= b2
    distance += b2
    np.sqrt(distance, out=distance)
    if power == 4:
        np.sqrt(distance, out=distance)
    if rough:
        # The noise is anchored at the centre, so a shape cut by the border keeps its outline.
        size = int(2 * reach) + 4
        noise = cut("lattice", Dice(texture), size, size, cell or 0.7 * (rx + ry))
        top, left = y0 - int(y - reach), x0 - int(x - reach)
        bend = np.float32(rough) * noise[top : top + y1 - y0, left : left + x1 - x0]
        bend *= np.minimum(distance, np.float32(1.0))
        distance += bend
    depth = np.subtract(np.float32(1.0), distance, out=distance)
    soft = cover(depth, min(rx, ry) / max(edge, 0.25))
    return Patch(
        slice(y0, y1), slice(x0, x1), depth, soft, soft >= np.float32(0.5), a, b, 3.14159 * rx * ry * (1 - rough * 0.5)
    )


_FERET = np.array([circle_points(k / 64.0) for k in range(32)], dtype=np.float64)
_FAR = (_FERET[:, 0] >= 0).astype(np.intp)
"""The end of a row (0: first pixel, 1: last) that reaches further along each direction, by the sign of its cosine."""
_NEAR = 1 - _FAR


def longest_diameter(mask: Mask, spacing: tuple[float, float] = (1.0, 1.0)) -> float:
    """Longest caliper (Feret) diameter of a mask `[H, W]`, in the unit of `spacing` (x, y per pixel).

    The largest distance between pixel centres along any of 32 directions, plus one pixel along that direction for the
    two half pixels outside them (so a single pixel measures 1); 0 for an empty mask.
    """
    return longest_diameters((mask,), spacing)[0]


def longest_diameters(masks: Sequence[Mask], spacing: tuple[float, float] = (1.0, 1.0)) -> list[float]:
    """`longest_diameter` of several masks, measured together (for small ones the calls cost more than the sums)."""
    sizes = [0.0] * len(masks)
    which: list[int] = []
    starts: list[int] = []
    rows: list[NDArray[np.intp]] = []
    firsts: list[NDArray[np.intp]] = []
    lasts: list[NDArray[np.intp]] = []
    total = 0
    for index, mask in enumerate(masks):
        filled = np.flatnonzero(mask.any(1))
        if filled.size == 0:
            continue
        lines = mask if filled.size == len(mask) else mask[filled]
        which.append(index)
        starts.append(total)
        rows.append(filled)
        firsts.append(lines.argmax(1))
        lasts.append(mask.shape[1] - 1 - lines[:, ::-1].argmax(1))
        total += filled.size
    if not which:
        return sizes
    ends = np.empty((total, 2), np.float64)
    np.concatenate(firsts, out=ends[:, 0])
    np.concatenate(lasts, out=ends[:, 1])
    across, down = _FERET[:, 0] * spacing[0], _FERET[:, 1] * spacing[1]
    lifted = np.concatenate(rows)[:, None] * down
    far = ends.take(_FAR, 1)
    far *= across
    far += lifted
    near = ends.take(_NEAR, 1)
    near *= across
    near += lifted
    reach = np.maximum.reduceat(far, starts) - np.minimum.reduceat(near, starts)
    reach += np.sqrt(across * across + down * down)
    for index, longest in zip(which, reach.max(1).tolist(), strict=True):
        sizes[index] = longest
    return sizes


def walk(
    dice: Dice,
    starts: NDArray[np.float64],
    headings: NDArray[np.float64],
    steps: int,
    stride: float,
    bend: float,
    pull: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Winding paths `[steps, N, 2]` from `starts` `[N, 2]` along unit `headings` `[N, 2]`; `bend` is the largest turn
    per step (radians, nearly), `pull` `[N]` a steady turn."""
    count = len(starts)
    rolls = np.array([[dice.unit() for _ in range(count)] for _ in range(1 + steps // 6)]) * 2.0 - 1.0
    angles = rolls * bend
    if pull is not None:
        angles += pull
    turns = np.stack([-angles, angles], 1)
    # Small arrays: what counts is the number of calls, so across and down go together, without temporaries.
    path = np.empty((steps, 2, count))
    heading = np.ascontiguousarray(headings.T, np.float64)
    change, length = np.empty_like(heading), np.empty(count)
    turned = heading[::-1]
    for step in range(steps):
        path[step] = heading
        np.multiply(turned, turns[step // 6], out=change)
        np.add(heading, change, out=heading)
        np.multiply(heading, heading, out=change)
        np.add(change[0], change[1], out=length)
        np.sqrt(length, out=length)
        np.divide(1.0, length, out=length)
        np.multiply(heading, length, out=heading)
    path = np.ascontiguousarray(path.transpose(0, 2, 1))
    # So far the headings; the places are their running sum.
    path *= stride
    path[1:] = np.cumsum(path[:-1], 0)
    path[0] = 0.0
    return path + starts


def dense(path: NDArray[np.float64], radii: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points and radii of paths `[S, N, 2]` with radii `[S, N]`, two more put between every two: (`[M, 2]`, `[M]`)."""
    step = (path[1:] - path[:-1]) * (1.0 / 3.0)
    points = np.concatenate([path.reshape(-1, 2), (path[:-1] + step).reshape(-1, 2), (path[1:] - step).reshape(-1, 2)])
    return points, np.concatenate([radii.ravel(), radii[:-1].ravel(), radii[1:].ravel()])


def strokes(extent: tuple[int, int], points: NDArray[np.float64], radii: NDArray[np.float64]) -> Field:
    """Soft cover 0…1 `[H, W]` of discs at `points` `[N, 2]` (x, y pixels) with `radii` `[N]`: lines, vessels, hairs."""
    height, width = extent
    out = np.zeros(height * width, np.float32)
    if not len(points):
        return out.reshape(height, width)
    reach = int(radii.max() + 1.0)
    offsets = np.arange(-reach, reach + 1)
    column, row = np.floor(points.T).astype(np.int64)
    near = (column >= reach) & (column < width - reach) & (row >= reach) & (row < height - reach)
    if not near.any():
        return out.reshape(height, width)
    points, radii, column, row = points[near], radii[near], column[near], row[near]
    dx = offsets[None, :] + (column + 0.5 - points[:, 0])[:, None]
    dy = offsets[None, :] + (row + 0.5 - points[:, 1])[:, None]
    weight = (dy * dy)[:, :, None] + (dx * dx)[:, None, :]
    np.sqrt(weight, out=weight)
    np.subtract((radii + 0.5)[:, None, None], weight, out=weight)
    weight = weight.reshape(len(weight), -1)
    where = (row * width + column)[:, None] + (offsets[:, None] * width + offsets).ravel()
    touched = weight > 0.0
    weight = np.minimum(weight[touched], 1.0).astype(np.float32)
    np.maximum.at(out, where[touched], weight)
    return out.reshape(height, width)

"""From the see head's maps to separate objects, in the square picture's pixels. numpy only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.models.parts.largest_pieces import largest_pieces

__all__ = ["SIDES", "SeenMaps", "SeenObject", "find_objects", "mask_at", "tight_box"]

Maps = NDArray[np.float32]


@dataclass(frozen=True)
class SeenMaps:
    """The head's outputs for one picture as numpy, logits: `masks`, `centres` `[L, S, S]`, `offsets` `[2, S, S]`,
    `sides` `[3, S, S]`, `present` `[L]`; grid S = half the square side."""

    masks: Maps
    centres: Maps
    offsets: Maps
    sides: Maps
    present: Maps


@dataclass(frozen=True)
class SeenObject:
    """One object in the square pixel frame.

    `logits`: mask logits on the grid `[S, S]`, −20 where another object owns the cell.  `score`: 0..1 before
    calibration.  `side`: "right" | "midline" | "left", the greatest of `side_logits` (in that order).
    """

    label: str
    height: float
    score: float
    box: tuple[float, float, float, float]
    centre: tuple[float, float]
    side: str
    side_logits: tuple[float, float, float]
    logits: Maps = field(repr=False)


_SPECK = 0.3
"""Share of an object's largest piece below which another piece of its mask is none of it."""

SIDES = ("right", "midline", "left")
"""In the order of the head's side logits."""


def _sigmoid(x: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-np.clip(x, -30, 30)))


def find_objects(
    maps: SeenMaps,
    labels: tuple[str, ...],
    thresholds: dict[str, float],
    *,
    only: frozenset[str] | None = None,
    default_threshold: float = 0.3,
    mask_threshold: float = 0.5,
    max_per_label: int = 24,
    midline: float = 0.0,
) -> list[SeenObject]:
    """Objects whose centre is at least its label's threshold, best first within a label.

    A mask cell belongs to the centre its offset points nearest to, small pieces apart from the rest to none; an object
    without a cell is dropped. `midline` is added to the logit of the midline before sides are compared.
    """
    found: list[SeenObject] = []
    for index, label in enumerate(labels):
        if only is not None and label not in only:
            continue
        threshold = thresholds.get(label, default_threshold)
        peaks = _own_centres(maps.offsets, _peaks(_sigmoid(maps.centres[index]), threshold, max_per_label))
        if peaks:
            found += _split(maps, index, label, peaks, mask_threshold, midline)
    return found


def _peaks(heat: Maps, threshold: float, most: int) -> list[tuple[float, int, int]]:
    """(height, row, column) of local maxima in 3×3, highest first."""
    ys, xs = np.nonzero(heat >= threshold)
    padded = np.pad(heat, 1)
    peaks: list[tuple[float, int, int]] = []
    for y, x in zip(ys.tolist(), xs.tolist(), strict=True):
        if heat[y, x] >= padded[y : y + 3, x : x + 3].max():
            peaks.append((float(heat[y, x]), y, x))
    peaks.sort(reverse=True)
    kept: list[tuple[float, int, int]] = []
    for peak in peaks:  # equal neighbours on a plateau count once
        if all(abs(peak[1] - k[1]) > 1 or abs(peak[2] - k[2]) > 1 for k in kept):
            kept.append(peak)
        if len(kept) == most:
            break
    return kept


def _own_centres(offsets: Maps, peaks: list[tuple[float, int, int]]) -> list[tuple[float, int, int]]:
    """Without peaks whose own offset points nearer to a higher one: they are the same object seen twice."""
    kept: list[tuple[float, int, int]] = []
    for peak in peaks:
        _, y, x = peak
        # Offsets are in square pixels / 16; a cell is two square pixels.
        dx, dy = (float(v) * 8 for v in offsets[:, y, x])
        own = dx * dx + dy * dy
        if all((x + dx - k[2]) ** 2 + (y + dy - k[1]) ** 2 >= own for k in kept):
            kept.append(peak)
    return kept


def _split(
    maps: SeenMaps, index: int, label: str, peaks: list[tuple[float, int, int]], mask_threshold: float, midline: float
) -> list[SeenObject]:
    logits = maps.masks[index]
    cut = float(np.log(mask_threshold / (1 - mask_threshold)))
    # A margin of weaker cells keeps sub-cell edges when the mask is enlarged.
    ys, xs = np.nonzero(logits > cut - 4)
    if len(ys) == 0:
        return []
    # Offsets are in square pixels / 16; a cell is two square pixels.
    aim_x = xs + 0.5 + maps.offsets[0, ys, xs] * 8
    aim_y = ys + 0.5 + maps.offsets[1, ys, xs] * 8
    centres = np.array([(column + 0.5, row + 0.5) for _, row, column in peaks])
    distance = (aim_x[:, None] - centres[None, :, 0]) ** 2 + (aim_y[:, None] - centres[None, :, 1]) ** 2
    owner = distance.argmin(1)
    found: list[SeenObject] = []
    for n, (height, row, column) in enumerate(peaks):
        own_y, own_x = ys[owner == n], xs[owner == n]
        own = np.full_like(logits, -20.0)
        own[own_y, own_x] = logits[own_y, own_x]
        inside = own > cut
        if not inside.any():
            continue
        # Specks far away have no centre of their own to belong to; they would stretch the box across the body.
        specks = inside & ~largest_pieces(inside, _SPECK)
        own[specks] = -20.0
        inside &= ~specks
        right, middle, left = (float(v) for v in maps.sides[:, inside].mean(1))
        sides = (right, middle + midline, left)
        strength = float(_sigmoid(own[inside]).mean())
        found.append(
            SeenObject(
                label,
                height,
                float(np.sqrt(height * strength)),
                tight_box(own, cut),
                (2.0 * column + 1.0, 2.0 * row + 1.0),
                SIDES[sides.index(max(sides))],
                sides,
                own,
            )
        )
    return found


def tight_box(own: Maps, cut: float) -> tuple[float, float, float, float]:
    """Box of the cells above `cut` (at least one) on the doubled grid, i.e. whole square pixels."""
    ys, xs = np.nonzero(own > cut)
    y0, y1, x0, x1 = max(ys.min() - 2, 0), ys.max() + 3, max(xs.min() - 2, 0), xs.max() + 3
    fine = mask_at(own[y0:y1, x0:x1], 2 * min(x1, own.shape[1]) - 2 * x0, 2 * min(y1, own.shape[0]) - 2 * y0, cut)
    rows, columns = np.nonzero(fine)
    if len(rows) == 0:
        return (2.0 * xs.min(), 2.0 * ys.min(), 2.0 * xs.max() + 2, 2.0 * ys.max() + 2)
    return (
        2.0 * x0 + float(columns.min()),
        2.0 * y0 + float(rows.min()),
        2.0 * x0 + float(columns.max()) + 1,
        2.0 * y0 + float(rows.max()) + 1,
    )


def mask_at(logits: Maps, width: int, height: int, cut: float = 0.0) -> NDArray[np.bool_]:
    """`[h, w]` logits enlarged bilinearly to `[height, width]`, then compared with `cut`.

    Logits are clipped to ±6 first, so a cell owned by another object cannot pull a neighbour's edge far in.
    """
    from PIL import Image

    clipped = np.clip(logits, -6, 6).astype(np.float32)
    enlarged = Image.fromarray(clipped).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(enlarged) > cut

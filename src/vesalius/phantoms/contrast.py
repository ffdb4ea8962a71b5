"""How clearly a drawn finding stands out from what surrounds it, as a reader of the picture would see it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vesalius.phantoms.truth import LABELS, PlacedObject, Truth

__all__ = ["stands_out"]

Mask = NDArray[np.bool_]

_ORGANS = tuple(label for label, role in LABELS.items() if role == "anatomy")


def _grown(mask: Mask, times: int) -> Mask:
    for _ in range(times):
        out = mask.copy()
        out[1:] |= mask[:-1]
        out[:-1] |= mask[1:]
        out[:, 1:] |= mask[:, :-1]
        out[:, :-1] |= mask[:, 1:]
        mask = out
    return mask


def _organ_around(truth: Truth, thing: PlacedObject, window: tuple[slice, slice]) -> Mask | None:
    """The smallest organ that holds most of the object, cut to the window."""
    inside = thing.mask[window]
    area = int(np.count_nonzero(inside))
    best: Mask | None = None
    smallest = thing.mask.size + 1
    for other in truth.objects:
        if other.label in _ORGANS:
            held = int(np.count_nonzero(other.mask[window] & inside))
            size = int(np.count_nonzero(other.mask))
            if held * 2 > area and size < smallest:
                best, smallest = other.mask[window], size
    return best


def stands_out(truth: Truth, thing: PlacedObject, width: int = 4) -> float:
    """Contrast-to-noise of an object: how much further its pixels lie from the median of a ring `width` pixels wide
    around it than the ring's own pixels do (grey levels, best colour channel), divided by the noise of the ring (from
    differences of neighbouring pixels, at least 2 grey levels).

    Only the part of the ring in the object's own organ counts, if it lies in one; every other finding and two pixels
    of soft edge are left out. Infinite where nothing of the ring is left.
    """
    height, width_px = thing.mask.shape
    margin = width + 3
    x0, y0 = max(0, int(thing.box[0]) - margin), max(0, int(thing.box[1]) - margin)
    x1, y1 = min(width_px, int(thing.box[2]) + margin), min(height, int(thing.box[3]) + margin)
    window = slice(y0, y1), slice(x0, x1)
    mask = thing.mask[window]
    near = _grown(mask, 2)
    ring = _grown(near, width) & ~near
    for other in truth.objects:
        if other is not thing and other.label not in _ORGANS:
            ring &= ~_grown(other.mask[window], 1)
    organ = _organ_around(truth, thing, window)
    if organ is not None and np.count_nonzero(ring & organ) >= 6:
        ring &= organ
    if np.count_nonzero(ring) < 6:
        return float("inf")
    part = truth.pixels[window].astype(np.float64)
    channels = part[..., None] if part.ndim == 2 else part
    best = 0.0
    for index in range(channels.shape[-1]):
        plane = channels[..., index]
        around = float(np.median(plane[ring]))
        inside = float(np.abs(plane[mask] - around).mean())
        outside = float(np.abs(plane[ring] - around).mean())
        steps = np.abs(np.diff(plane, axis=1))[ring[:, 1:] & ring[:, :-1]]
        noise = max(2.0, float(np.median(steps)) / 0.954 if steps.size else 2.0)
        best = max(best, (inside - outside) / noise)
    return best

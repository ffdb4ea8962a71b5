"""Whether two pictures are one picture: a perceptual hash for all pairs, an embedding for those that come near.

The hash is of the low frequencies of a small grey picture: it hardly changes when a picture is resized, compressed
again or made brighter. Thresholds were set on phantoms, where different ones of one modality are never nearer than
`NEAR_BITS`.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["BITS", "MAYBE_BITS", "NEAR_BITS", "hash_distances", "perceptual_hash", "pixel_vector"]

_SIDE, _LOW = 32, 16
BITS = _LOW * _LOW - 1
NEAR_BITS = 40
"""Hashes that differ in at most so many bits are of one picture."""
MAYBE_BITS = 60
"""Up to so many, the embedding decides."""
_FLAT = 2.0
"""Grey levels by which the cells of a picture must differ (standard deviation) for its hash to mean anything."""

Pixels = NDArray[np.uint8]


def _grey(picture: Pixels) -> NDArray[np.float64]:
    """`[32, 32]`, the mean of what lies under each cell."""
    from PIL import Image

    # As float, for the steps of 8 bits are coarse in a dark picture.
    grey = Image.fromarray(picture).convert("L").convert("F")
    return np.asarray(grey.resize((_SIDE, _SIDE), Image.Resampling.BOX), dtype=np.float64)


@lru_cache(maxsize=1)
def _cosines() -> NDArray[np.float64]:
    n = np.arange(_SIDE)
    return np.cos(np.pi * (2 * n[None] + 1) * n[:, None] / (2 * _SIDE))[:_LOW]


def perceptual_hash(picture: Pixels) -> NDArray[np.uint64] | None:
    """256 bits as `[4]` uint64 of a picture `[H, W]` or `[H, W, 3]`: which of its low frequencies (the mean brightness
    apart) are above their median. None for a picture without content, which would be like every other one."""
    grey = _grey(picture)
    if grey.std() < _FLAT:
        return None
    low = (_cosines() @ grey @ _cosines().T).ravel()[1:]
    bits = np.zeros(_LOW * _LOW, dtype=bool)
    bits[1:] = low > np.median(low)
    return np.packbits(bits).view(np.uint64)


def hash_distances(one: NDArray[np.uint64], many: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How many bits differ: `[4]` against `[N, 4]` → `[N]`."""
    return np.bitwise_count(many ^ one[None]).sum(axis=1).astype(np.int64)


def pixel_vector(picture: Pixels) -> NDArray[np.float32]:
    """A plain embedding for machines without an encoder: the small grey picture, its mean taken off, of unit length
    `[1024]`. The dot product of two is their correlation."""
    grey = _grey(picture).ravel()
    grey -= grey.mean()
    length = float(np.linalg.norm(grey))
    return (grey / length if length else grey).astype(np.float32)

"""Media spoilt before a model sees them: pictures, the slices of a volume, the frames of a clip."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.evaluation.contract import Medium
from vesalius.evaluation.corruptions import (
    NOISE_VARIANCE,
    Corruption,
    Spoiling,
    blurred,
    corrupt_pixels,
    drawn,
    generator,
)
from vesalius.evaluation.shown_items import hashed_png, shown_item
from vesalius.study.items import Clip, Volume, VoxelSource
from vesalius.study.windows import Window, default_window

__all__ = ["corrupted"]

_SAMPLED = 16
"""Slices the grey window of a volume is taken from where its file names none."""


def corrupted(medium: Medium, sha256: str, corruption: Corruption, seed: int) -> tuple[Any, str]:
    """(what is shown instead, its hash). A picture becomes a PNG of the same size; a volume keeps its grid, affine and
    type of values; a clip its times. What is drawn depends on `seed`, the corruption and the medium's content alone.

    `sha256`: of the real medium. Raises InputError for media that cannot be read.
    """
    shown = shown_item(medium)
    rng = generator(corruption, sha256, seed)
    done = drawn(corruption, rng)
    derived = hashlib.sha256(f"{corruption} {seed} {sha256}".encode()).hexdigest()
    if isinstance(shown, Volume):
        return _spoilt_volume(shown, done, int(rng.integers(2**63))), derived
    if isinstance(shown, Clip):
        return _spoilt_clip(shown, done, int(rng.integers(2**63))), derived
    return hashed_png(corrupt_pixels(shown, done, rng))


def _spoilt_clip(clip: Clip, done: Spoiling, seed: int) -> Clip:
    def load(indices: Sequence[int]) -> list[NDArray[np.uint8]]:
        frames = clip.frames(list(indices))
        return [
            corrupt_pixels(frame, done, np.random.default_rng((seed, index)))
            for index, frame in zip(indices, frames, strict=True)
        ]

    return replace(clip, load=load)


def _spoilt_volume(volume: Volume, done: Spoiling, seed: int) -> Volume:
    from vesalius.vision.views import spread

    window = volume.window
    if window is None:
        sampled = volume.source.planes(2, spread(volume.source.shape[2], _SAMPLED))
        window = default_window(volume.origin.modality, sampled)
    return replace(volume, source=_Spoilt(volume.source, done, window, seed))


@dataclass(frozen=True)
class _Spoilt:
    """Stored voxels, spoilt slice by slice across the stored third axis (see `study.items.VoxelSource`).

    Grey values are counted from the window's black (0) to its white (1). Brightness leaves what the window shows as
    black or white as it is; noise is added to all voxels, inside the window and outside.
    """

    source: VoxelSource
    done: Spoiling
    window: Window
    seed: int

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.source.shape

    @property
    def dtype(self) -> np.dtype[np.generic]:
        return self.source.dtype

    def planes(self, axis: int, indices: Sequence[int]) -> NDArray[np.generic]:
        if axis != 2:
            return np.moveaxis(self.all(), axis, 0)[list(indices)]
        planes = self.source.planes(2, indices)
        return np.stack([self._plane(plane, index) for plane, index in zip(planes, indices, strict=True)])

    def all(self) -> NDArray[np.generic]:
        values = self.source.all().copy()
        for index in range(values.shape[2]):
            values[:, :, index] = self._plane(values[:, :, index], index)
        return values

    def _plane(self, plane: NDArray[Any], index: int) -> NDArray[Any]:
        values = plane.astype(np.float64)
        low, high = self.window.low, self.window.high
        if self.done.kernel_px is not None:
            values = blurred(values, self.done.kernel_px)
        if self.done.factor is not None:
            brighter = np.minimum(low + (values - low) * self.done.factor, high)
            values = np.where((values > low) & (values < high), brighter, values)
        if self.done.noise_mean is not None:
            rng = np.random.default_rng((self.seed, index))
            values = values + rng.normal(self.done.noise_mean, NOISE_VARIANCE**0.5, values.shape) * (high - low)
        if plane.dtype.kind == "f":
            return values.astype(plane.dtype)
        limits = np.iinfo(plane.dtype)
        return np.rint(values).clip(limits.min, limits.max).astype(plane.dtype)

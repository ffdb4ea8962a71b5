"""Media without content: as large as the real ones, and everywhere as grey as those are on average."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.evaluation.contract import Medium
from vesalius.evaluation.shown_items import hashed_png, shown_item
from vesalius.study.items import Clip, Volume

__all__ = ["blank"]

_SAMPLED = 16
"""Slices or frames the mean of a volume or clip is taken over."""


def blank(medium: Medium, sha256: str) -> tuple[Any, str]:
    """(what is shown instead, its hash). A picture becomes a PNG; a volume keeps its grid and affine, a clip its times.

    `sha256`: of the real medium. Raises InputError for media that cannot be read.
    """
    shown = shown_item(medium)
    derived = hashlib.sha256(f"blank {sha256}".encode()).hexdigest()
    if isinstance(shown, Volume):
        return _blank_volume(shown), derived
    if isinstance(shown, Clip):
        return _blank_clip(shown), derived
    return hashed_png(np.full_like(shown, round(float(shown.mean()))))


@dataclass(frozen=True)
class _Constant:
    """Stored voxels that all have one value (see `study.items.VoxelSource`)."""

    shape: tuple[int, int, int]
    dtype: np.dtype[np.generic]
    value: float

    def planes(self, axis: int, indices: Sequence[int]) -> NDArray[np.generic]:
        rest = [length for d, length in enumerate(self.shape) if d != axis]
        return np.full((len(indices), *rest), self.value, self.dtype)

    def all(self) -> NDArray[np.generic]:
        return np.full(self.shape, self.value, self.dtype)


def _blank_volume(volume: Volume) -> Volume:
    from vesalius.vision.views import spread

    values = volume.source.planes(2, spread(volume.source.shape[2], _SAMPLED))
    mean = float(np.nan_to_num(np.nanmean(values.astype(np.float64))))
    dtype = volume.source.dtype
    value = mean if dtype.kind == "f" else round(mean)
    return replace(volume, source=_Constant(volume.source.shape, dtype, value))


def _blank_clip(clip: Clip) -> Clip:
    from vesalius.vision.views import spread

    frames = clip.frames(spread(clip.num_frames, _SAMPLED))
    grey = round(float(np.mean([frame.mean() for frame in frames])))

    def load(indices: Sequence[int]) -> list[NDArray[np.uint8]]:
        return [np.full((clip.height, clip.width, 3), grey, np.uint8) for _ in indices]

    return replace(clip, load=load)

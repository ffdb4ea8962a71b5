"""Slices of a volume as Hulu-Med's two readers cut them, and as a radiologist would see them.

Published rule: planes of the *stored* array (axis 0, 1, 2 for sagittal, coronal, axial), `[X, Y]` taken as rows and
columns, each scaled to 0…255 by its own minimum and maximum and truncated. No orientation, spacing or window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vesalius.models.contract import Shown
from vesalius.models.hulumed.quirks import HuluMedQuirks
from vesalius.study.geometry import AXES
from vesalius.study.items import Axis, Volume
from vesalius.study.raw_voxels import RawVoxels
from vesalius.vision.views import spread

__all__ = ["CutSlices", "Loader", "cut_slices", "slice_indices"]

Loader = Literal["hf", "original"]

_ORIGINAL_SLICES = 180


@dataclass(frozen=True)
class CutSlices:
    """`frames`: `[H, W]` uint8 each. `indices`: canonical slice of each along `axis`. `row_per_column`: distance of
    rows over distance of columns where the size rule should regard it, else 1."""

    frames: list[NDArray[np.uint8]]
    axis: Axis
    indices: tuple[int, ...]
    row_per_column: float = 1.0


def slice_indices(depth: int, num_slices: int | None, loader: Loader, *, repeat: bool = True) -> list[int]:
    """Stored indices of the slices that are cut. The original reader takes 180 where nothing is said, also of a
    thinner volume, whose slices then repeat; the HF reader takes all, and never more than there are."""
    wanted = num_slices if num_slices is not None else _ORIGINAL_SLICES if loader == "original" else depth
    if wanted >= depth and (loader == "hf" or not repeat):
        return list(range(depth))
    return np.linspace(0, depth - 1, wanted).astype(int).tolist()


def cut_slices(shown: Shown, loader: Loader, quirks: HuluMedQuirks) -> CutSlices:
    """The slices of a volume part. `shown.window` clips before the scaling (only the HF reader has one as
    published)."""
    volume = shown.item
    assert isinstance(volume, Volume)
    axis: Axis = shown.axis or "axial"
    if not quirks.stored_axes:
        return _radiological(volume, shown, axis, loader, quirks)
    stored_axis = AXES[axis]
    depth = volume.source.shape[stored_axis]
    indices = slice_indices(depth, shown.num_slices, loader, repeat=quirks.slice_repeat)
    frames: list[NDArray[np.uint8]] = []
    wrap = loader == "original" and quirks.constant_slice_wrap
    for values in _stored_planes(volume, stored_axis, indices):
        if shown.window is not None:
            values = np.clip(values, shown.window.low, shown.window.high)
        frames.append(_bytes_of(values, wrap=wrap))
    canonical = volume.orientation.order.index(stored_axis)
    name: Axis = next(each for each, number in AXES.items() if number == canonical)  # pyright: ignore[reportAssignmentType]
    flipped = volume.orientation.flips[canonical]
    return CutSlices(frames, name, tuple(depth - 1 - i if flipped else i for i in indices))


def _stored_planes(volume: Volume, axis: int, indices: Sequence[int]) -> NDArray[np.float64]:
    """`[n, a, b]` float64, slope and intercept applied in that precision as the published reader does."""
    source: Any = volume.source
    if not isinstance(source, RawVoxels) or (source.slope, source.inter) == (1.0, 0.0):
        return source.planes(axis, indices).astype(np.float64)
    plain = replace(source, slope=1.0, inter=0.0)
    return plain.planes(axis, indices).astype(np.float64) * float(source.slope) + float(source.inter)


def _bytes_of(values: NDArray[np.float64], *, wrap: bool) -> NDArray[np.uint8]:
    low, high = values.min(), values.max()
    if high > low:
        return ((values - low) / (high - low) * 255).astype(np.uint8)
    # A cast to a byte beyond 0…255 differs between machines; x86 takes the whole number modulo 256.
    return np.full(values.shape, int(low) % 256 if wrap else 0, np.uint8)


def _radiological(volume: Volume, shown: Shown, axis: Axis, loader: Loader, quirks: HuluMedQuirks) -> CutSlices:
    depth = volume.num_slices(axis)
    most = shown.num_slices or (_ORIGINAL_SLICES if loader == "original" else depth)
    indices = spread(depth, most)
    if quirks.slice_repeat and most > depth:
        indices = np.linspace(0, depth - 1, most).astype(int).tolist()
    views = volume.slices(indices, axis, shown.window)
    across, down = views[0].spacing_mm
    return CutSlices([view.view() for view in views], axis, tuple(indices), down / across)

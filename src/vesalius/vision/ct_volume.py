"""CT volumes as 3D encoders and slice encoders read them: window, crop to the body, resize. Arrays are `[D, H, W]`,
axis 0 = slices; everything here is pixels only."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

__all__ = ["HU_WINDOW", "cropped", "foreground_box", "grey_slices", "resized", "windowed"]

HU_WINDOW = (-1000.0, 1000.0)
"""Lowest and highest HU of the published window."""

_Array = NDArray[Any]
_Box = tuple[slice, slice, slice]


def windowed(values: _Array, low_high: tuple[float, float] = HU_WINDOW) -> NDArray[np.float32]:
    """HU `[D, H, W]` → 0..255 float32. Whole numbers are scaled in float64 before that: slices are later cut to whole
    grey levels, so the rounding must be that of the published code. Slice by slice, as float64 of a scan is large."""
    low, high = low_high
    made = np.empty(values.shape, np.float32)
    for plane, grey in zip(values, made, strict=True):
        real = plane.astype(np.float64) if plane.dtype.kind in "iu" else plane
        grey[...] = (np.clip(real, low, high) - low) / (high - low) * 255
    return made


def foreground_box(values: _Array) -> _Box | None:
    """The smallest box that holds every voxel above 0, or None when there is none."""
    inside = values > 0
    if not inside.any():
        return None
    edges: list[slice] = []
    for axis in range(3):
        rows = np.flatnonzero(inside.any(axis=tuple(other for other in range(3) if other != axis)))
        edges.append(slice(int(rows[0]), int(rows[-1]) + 1))
    return edges[0], edges[1], edges[2]


def cropped(values: _Array, box: _Box | None) -> _Array:
    """`values[box]`; everything when there is no box."""
    return values if box is None else values[box]


def resized(values: _Array, size: tuple[int, int, int]) -> Tensor:
    """`[D, H, W]` → `[D', H', W']` float32: trilinear, corners not aligned, no antialiasing."""
    voxels = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    return functional.interpolate(voxels[None, None], size=size, mode="trilinear", align_corners=False)[0, 0]


def grey_slices(values: _Array, size: tuple[int, int, int], *, truncate: bool = True) -> NDArray[np.uint8]:
    """0..255 `[D, H, W]` → cropped to above 0, resized, whole grey levels `[D', H', W']` uint8.

    `truncate`: cut the fraction off, as the published code does; else round.
    """
    grey = resized(cropped(values, foreground_box(values)), size)
    if not truncate:
        grey = grey.round()
    return grey.clamp(0, 255).to(torch.uint8).numpy()

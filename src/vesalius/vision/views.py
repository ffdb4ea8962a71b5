"""Which slices and windows of a scan are shown to a model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.study.geometry import AXES
from vesalius.study.items import Axis, Volume
from vesalius.study.windows import PRESETS, Window

__all__ = ["HEADER_MODALITY", "ct_windows", "guess_modality", "native_axis", "spread"]

HEADER_MODALITY = {
    "CT": "ct",
    "MR": "mr",
    "CR": "xray",
    "DX": "xray",
    "RG": "xray",
    "US": "ultrasound",
    "ES": "endoscopy",
    "OP": "fundus",
    "SM": "microscopy",
    "GM": "microscopy",
}
"""DICOM modality code → the name models are asked about. Codes that fit none are left to the picture itself."""


def spread(count: int, most: int) -> list[int]:
    """At most `most` indices, evenly over 0…count−1, first and last included."""
    if count <= most:
        return list(range(count))
    return [int(v) for v in np.linspace(0, count - 1, most).round()]


def native_axis(volume: Volume) -> Axis:
    """The axis the scan was cut across: the one with clearly the thickest voxels, else axial."""
    spacing = volume.spacing_mm
    thickest = int(np.argmax(spacing))
    if spacing[thickest] < 1.5 * sorted(spacing)[1]:
        return "axial"
    return next(name for name, axis in AXES.items() if axis == thickest)  # pyright: ignore[reportReturnType]


def guess_modality(volume: Volume) -> str | None:
    """ "ct" when one middle slice holds Hounsfield-like integers (air near −1000), else None: the picture decides."""
    if volume.source.dtype.kind not in "iuf":
        return None
    axis = native_axis(volume)
    values = volume.slices([volume.num_slices(axis) // 2], axis)[0].values
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return "ct" if -3100 <= low <= -500 and 100 <= high <= 32_000 else None


def ct_windows(values: NDArray[Any]) -> list[Window]:
    """CT windows for one slice in HU, the best first: lung where much of the body's inside is air, else soft tissue."""
    height, width = values.shape
    inner = values[height // 5 : 4 * height // 5, width // 5 : 4 * width // 5]
    air = float(((inner > -980) & (inner < -500)).mean())
    lung, soft = PRESETS["lung"], PRESETS["soft-tissue"]
    return [lung, soft] if air > 0.08 else [soft, lung]

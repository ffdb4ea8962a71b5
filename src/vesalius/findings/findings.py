"""What was found: boxes, points, counts, masks, measurements and reports, in original pixels and millimetres.

Pixel and RAS frames are those of `vesalius.study.items`. Every finding says which item of the study, and which slice
or frame of it, it lies on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Box", "Count", "Finding", "Mask", "Measurement", "Point", "Report", "Where"]


@dataclass(frozen=True)
class Where:
    """Which picture a finding lies on.

    `item`: 0-based position among the conversation's media.  `axis` and `slice_index`: canonical slice of a volume.
    `frame` and `time_s`: frame of a clip.
    """

    item: int = 0
    axis: Literal["axial", "coronal", "sagittal"] | None = None
    slice_index: int | None = None
    frame: int | None = None
    time_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle in the pixel frame: x0 < x1, y0 < y1.

    `size_mm`: (width, height) or None without spacing.  `centre_ras_mm`: or None without patient geometry.
    `confidence`: 0..1 calibrated, or None.  `group`: findings that describe one object share a number.
    """

    label: str
    x0: float
    y0: float
    x1: float
    y1: float
    where: Where = Where()
    size_mm: tuple[float, float] | None = None
    centre_ras_mm: tuple[float, float, float] | None = None
    confidence: float | None = None
    group: int | None = None
    kind: Literal["box"] = "box"


@dataclass(frozen=True, kw_only=True)
class Point:
    """A place in the pixel frame; `ras_mm` or None without patient geometry."""

    label: str
    x: float
    y: float
    where: Where = Where()
    ras_mm: tuple[float, float, float] | None = None
    confidence: float | None = None
    group: int | None = None
    kind: Literal["point"] = "point"


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many of something there are on the picture, volume or clip."""

    label: str
    count: int
    where: Where = Where()
    confidence: float | None = None
    kind: Literal["count"] = "count"


@dataclass(frozen=True, kw_only=True)
class Mask:
    """Pixels `[H, W]` bool of a picture, slice or frame, or canonical voxels `[X, Y, Z]` bool of a volume.

    `area_mm2` for 2D, `volume_ml` for 3D; None without spacing.
    """

    label: str
    mask: NDArray[np.bool_] = field(repr=False)
    where: Where = Where()
    area_mm2: float | None = None
    volume_ml: float | None = None
    confidence: float | None = None
    group: int | None = None
    kind: Literal["mask"] = "mask"


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A number with its unit ("mm", "mm2", "ml", "HU"…), e.g. the longest diameter of a lesion."""

    label: str
    name: str
    value: float
    unit: str
    where: Where = Where()
    confidence: float | None = None
    group: int | None = None
    kind: Literal["measurement"] = "measurement"


@dataclass(frozen=True, kw_only=True)
class Report:
    """A short structured report."""

    findings: str
    impression: str
    lang: str = "en"
    kind: Literal["report"] = "report"


Finding = Box | Point | Count | Mask | Measurement | Report

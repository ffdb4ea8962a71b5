"""Findings in millimetres: what a study item's geometry says about a box, a point or a mask.

Frames are those of `vesalius.study.items`: pixel (outer corner of the first pixel is (0, 0)), canonical voxel (centres
at integers), RAS mm.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError
from vesalius.findings.findings import Box, Count, Mask, Measurement, Point, Report, Where
from vesalius.findings.masks import area_mm2, volume_ml
from vesalius.study.geometry import AXES, display_to_voxel
from vesalius.study.items import Axis, Clip, Document, Item, Picture, Slide, Table, Volume

__all__ = ["Plane", "place", "plane_of", "slice_mask_to_volume", "volume_mask_to_slice"]

FindingT = TypeVar("FindingT", Box, Point, Count, Mask, Measurement, Report)
BoolArray = NDArray[np.bool_]

_SLACK_PX = 1e-6
"""A box may stand out of the picture by rounding only."""


@dataclass(frozen=True)
class Plane:
    """The picture a finding lies on. `to_ras`: 4×4, pixel frame (x, y, 0, 1) → RAS mm, or None."""

    width: int
    height: int
    spacing_mm: tuple[float, float] | None
    to_ras: NDArray[np.float64] | None


def plane_of(where: Where, item: Item) -> Plane:
    """Size and geometry of the picture, slice, frame or slide that `where` names; nothing is decoded.

    Raises InputError when `item` has no such slice or frame, or is no picture at all.
    """
    match item:
        case Picture():
            return Plane(item.width, item.height, _picture_spacing(item), item.pixel_to_ras)
        case Volume():
            return _slice_plane(where, item)
        case Clip():
            if where.frame is not None and not 0 <= where.frame < item.num_frames:
                raise InputError(f"frame {where.frame} is outside 0..{item.num_frames - 1}.")
            return Plane(item.width, item.height, item.spacing_mm, None)
        case Slide():
            spacing = None if item.mpp is None else (item.mpp[0] / 1000.0, item.mpp[1] / 1000.0)
            return Plane(item.width, item.height, spacing, None)
        case Table() | Document():
            raise InputError(f"a finding with a place cannot lie on a {type(item).__name__.lower()}.")


def _picture_spacing(item: Picture) -> tuple[float, float] | None:
    if item.spacing_mm is not None or item.pixel_to_ras is None:
        return item.spacing_mm
    x, y = (float(v) for v in np.linalg.norm(item.pixel_to_ras[:3, :2], axis=0))
    return (x, y)


def _slice_plane(where: Where, item: Volume) -> Plane:
    if where.axis is None or where.slice_index is None:
        raise InputError("a finding on a volume needs where.axis and where.slice_index.")
    _check_slice(item, where.axis, where.slice_index)
    canonical = AXES[where.axis]
    across, down = (c for c in range(3) if c != canonical)
    to_ras = np.asarray(item.affine_ras @ display_to_voxel(item.shape, canonical, where.slice_index))
    spacing = item.spacing_mm
    return Plane(item.shape[across], item.shape[down], (spacing[across], spacing[down]), to_ras)


def _check_slice(volume: Volume, axis: Axis, index: int) -> None:
    count = volume.num_slices(axis)
    if not 0 <= index < count:
        raise InputError(f"slice {index} is outside 0..{count - 1} ({axis}).")


def place(finding: FindingT, item: Item) -> FindingT:
    """The same finding with every millimetre its item's geometry can tell; fields stay None where nothing is known.

    Box: `size_mm`, `centre_ras_mm`.  Point: `ras_mm`.  Mask: `area_mm2` (2D) or `volume_ml` (3D).  On a clip, `time_s`
    of the named frame.  Count, Measurement and Report: only `where` is checked.
    Raises InputError when the finding lies outside its picture, slice range, frame range or grid.
    """
    placed: Any
    match finding:
        case Report():
            return finding
        case Box():
            placed = _place_box(finding, plane_of(finding.where, item))
        case Point():
            placed = _place_point(finding, plane_of(finding.where, item))
        case Mask():
            placed = _place_mask(finding, item)
        case Count() | Measurement():
            _check_loosely(finding.where, item)
            placed = finding
    return _with_time(placed, item)


def _with_time(finding: Any, item: Item) -> Any:
    where: Where = finding.where
    if not isinstance(item, Clip) or where.frame is None or where.time_s is not None:
        return finding
    return replace(finding, where=replace(where, time_s=float(item.times_s[where.frame])))


def _check_loosely(where: Where, item: Item) -> None:
    """A count may be of a whole volume or clip, or of a table; only indices that are given are checked."""
    if isinstance(item, Volume) and where.axis is not None and where.slice_index is not None:
        _check_slice(item, where.axis, where.slice_index)
    if isinstance(item, Clip):
        plane_of(where, item)


def _to_ras(plane: Plane, x: float, y: float) -> tuple[float, float, float] | None:
    if plane.to_ras is None:
        return None
    r, a, s = (float(v) for v in (plane.to_ras @ np.array([x, y, 0.0, 1.0]))[:3])
    return (r, a, s)


def _check_inside(kind: str, numbers: tuple[float, ...], plane: Plane, inside: Callable[[float, float], bool]) -> None:
    if not all(math.isfinite(v) for v in numbers):
        raise InputError(f"a {kind} has a coordinate that is not finite.")
    if not inside(plane.width + _SLACK_PX, plane.height + _SLACK_PX):
        shown = ", ".join(f"{v:g}" for v in numbers)
        raise InputError(f"{kind} ({shown}) does not fit the {plane.width} x {plane.height} picture.")


def _place_box(box: Box, plane: Plane) -> Box:
    _check_inside(
        "box",
        (box.x0, box.y0, box.x1, box.y1),
        plane,
        lambda width, height: -_SLACK_PX <= box.x0 < box.x1 <= width and -_SLACK_PX <= box.y0 < box.y1 <= height,
    )
    size = plane.spacing_mm and ((box.x1 - box.x0) * plane.spacing_mm[0], (box.y1 - box.y0) * plane.spacing_mm[1])
    centre = _to_ras(plane, (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
    return replace(box, size_mm=size, centre_ras_mm=centre)


def _place_point(point: Point, plane: Plane) -> Point:
    _check_inside(
        "point",
        (point.x, point.y),
        plane,
        lambda width, height: -_SLACK_PX <= point.x <= width and -_SLACK_PX <= point.y <= height,
    )
    return replace(point, ras_mm=_to_ras(plane, point.x, point.y))


def _place_mask(mask: Mask, item: Item) -> Mask:
    if mask.mask.ndim == 3:
        if not isinstance(item, Volume):
            raise InputError("a mask [X, Y, Z] can only lie on a volume.")
        if mask.mask.shape != item.shape:
            raise InputError(f"mask {mask.mask.shape} does not match the volume {item.shape}.")
        return replace(mask, area_mm2=None, volume_ml=volume_ml(mask.mask, item.affine_ras))
    plane = plane_of(mask.where, item)
    if mask.mask.shape != (plane.height, plane.width):
        raise InputError(f"mask {mask.mask.shape} does not match the picture ({plane.height}, {plane.width}).")
    area = None if plane.spacing_mm is None else area_mm2(mask.mask, plane.spacing_mm)
    return replace(mask, area_mm2=area, volume_ml=None)


def slice_mask_to_volume(
    mask: BoolArray, volume: Volume, axis: Axis, index: int, *, out: BoolArray | None = None
) -> BoolArray:
    """A mask drawn on a displayed slice → canonical voxels, exactly (no resampling).

    `mask`: `[H, W]` bool as `Volume.slices([index], axis)` shows it.  `out`: `[X, Y, Z]` bool to add to (logical or),
    else a new array.  Returns `[X, Y, Z]` bool.  Raises InputError for a wrong shape or slice.
    """
    _check_slice(volume, axis, index)
    canonical = AXES[axis]
    across, down = (c for c in range(3) if c != canonical)
    expected = (volume.shape[down], volume.shape[across])
    if mask.shape != expected:
        raise InputError(f"mask {mask.shape} does not match the {axis} slice {expected}.")
    if out is None:
        out = np.zeros(volume.shape, dtype=bool)
    elif out.shape != volume.shape:
        raise InputError(f"mask {out.shape} does not match the volume {volume.shape}.")
    target = np.moveaxis(out, canonical, 0)[index]
    # The display is the canonical plane transposed with both axes reversed; this is the same step back.
    target |= np.asarray(mask, dtype=bool)[::-1, ::-1].T
    return out


def volume_mask_to_slice(mask: BoolArray, axis: Axis, index: int) -> BoolArray:
    """Canonical voxels `[X, Y, Z]` → the mask `[H, W]` of one displayed slice, a view. InputError for a wrong index."""
    count = mask.shape[AXES[axis]]
    if not 0 <= index < count:
        raise InputError(f"slice {index} is outside 0..{count - 1} ({axis}).")
    return np.moveaxis(mask, AXES[axis], 0)[index].T[::-1, ::-1]

"""A DICOM Segmentation as masks on the scan it was drawn on, by the positions in its own header."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import GeometryError, InputError, UnsupportedError, VesaliusError
from vesalius.findings.findings import Mask
from vesalius.study.geometry import LPS_TO_RAS
from vesalius.study.items import Picture, Volume

__all__ = ["is_dicom_seg", "read_dicom_seg"]

_SEGMENTATION, _LABELMAP = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"
_OFF_GRID = 0.05
"""Voxels by which a segmentation's pixel may miss the scan's voxel centre."""


def is_dicom_seg(path: str | PathLike[str]) -> bool:
    """Whether a file is a DICOM Segmentation, by its header."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        header: Any = dcmread(path, specific_tags=["SOPClassUID"], stop_before_pixels=True)
    except (InvalidDicomError, OSError, ValueError, EOFError):
        return False
    return str(header.get("SOPClassUID", "")) in (_SEGMENTATION, _LABELMAP)


def read_dicom_seg(path: str | PathLike[str], item: Volume | Picture) -> list[Mask]:
    """The segments of a file as masks with their labels: `[X, Y, Z]` canonical voxels of a volume, `[H, W]` of a picture.
    A segment without a pixel has an empty mask.

    Raises InputError for a file that is no segmentation or names another series, GeometryError when its pixels do not
    lie on the scan's voxels, UnsupportedError for fractional segments.
    """
    from pydicom import dcmread

    try:
        dataset: Any = dcmread(path)
        if str(dataset.get("SOPClassUID", "")) not in (_SEGMENTATION, _LABELMAP):
            raise InputError("is no DICOM Segmentation.", file=path)
        return _masks(dataset, item, path)
    except VesaliusError:
        raise
    except Exception as exc:  # pydicom raises a dozen kinds for damaged files
        raise InputError(
            f"cannot be read as a DICOM Segmentation ({type(exc).__name__}).", file=path, fix="Export it again."
        ) from exc


def _masks(dataset: Any, item: Volume | Picture, path: Any) -> list[Mask]:
    if dataset.get("SegmentationType") == "FRACTIONAL":
        raise UnsupportedError("its segments are fractional.", file=path, fix="Export it as binary.")
    named = {str(one.SeriesInstanceUID) for one in dataset.get("ReferencedSeriesSequence", ())}
    if named and item.origin.series_uid is not None and item.origin.series_uid not in named:
        raise InputError("was drawn on another series.", file=path, fix="Name the series it refers to.")
    shape = item.shape if isinstance(item, Volume) else (item.height, item.width)
    labels = {int(one.SegmentNumber): str(one.SegmentLabel) for one in dataset.SegmentSequence}
    drawn = {number: np.zeros(shape, dtype=bool) for number in labels if number}
    frames = np.asarray(dataset.pixel_array).reshape(-1, int(dataset.Rows), int(dataset.Columns))
    labelmap = str(dataset.SOPClassUID) == _LABELMAP
    shared = dataset.SharedFunctionalGroupsSequence[0]
    groups = dataset.PerFrameFunctionalGroupsSequence
    for frame, group in zip(frames, groups, strict=True):
        numbers = sorted({int(v) for v in np.unique(frame)} - {0}) if labelmap else [_number(group, shared)]
        for number in numbers:
            if number not in drawn:
                raise InputError(f"a frame names segment {number}, which is not listed.", file=path)
            inside = frame == number if labelmap else frame != 0
            _draw(drawn[number], inside, group, shared, item, path)
    return [Mask(label=labels[number], mask=mask) for number, mask in drawn.items()]


def _number(group: Any, shared: Any) -> int:
    holder = group if "SegmentIdentificationSequence" in group else shared
    return int(holder.SegmentIdentificationSequence[0].ReferencedSegmentNumber)


def _draw(
    mask: NDArray[np.bool_], inside: NDArray[np.bool_], group: Any, shared: Any, item: Volume | Picture, path: Any
) -> None:
    if isinstance(item, Picture):
        if inside.shape != mask.shape:
            raise GeometryError(f"a frame is {inside.shape}, the picture {mask.shape}.", file=path)
        mask |= inside
        return
    rows, columns = np.nonzero(inside)
    if not rows.size:
        return
    start, across, down = _plane(group, shared)
    points = start + columns[:, None] * across + rows[:, None] * down
    ras = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ LPS_TO_RAS.T
    exact = (ras @ np.linalg.inv(item.affine_ras).T)[:, :3]
    voxels = np.rint(exact).astype(np.int64)
    if np.abs(exact - voxels).max() > _OFF_GRID:
        raise GeometryError(
            "its pixels do not lie on the scan's voxels.", file=path, fix="Use the series it was drawn on."
        )
    if (voxels < 0).any() or (voxels >= np.asarray(mask.shape)).any():
        raise GeometryError("it reaches outside the scan.", file=path, fix="Use the series it was drawn on.")
    mask[tuple(voxels.T)] = True


def _plane(group: Any, shared: Any) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(centre of the first pixel, step of a column, step of a row), LPS mm."""

    def of(sequence: str) -> Any:
        return (group if sequence in group else shared)[sequence][0]

    start = np.asarray(of("PlanePositionSequence").ImagePositionPatient, dtype=np.float64)
    turn = np.asarray(of("PlaneOrientationSequence").ImageOrientationPatient, dtype=np.float64)
    between_rows, between_columns = (float(v) for v in of("PixelMeasuresSequence").PixelSpacing)
    return start, turn[:3] * between_columns, turn[3:] * between_rows

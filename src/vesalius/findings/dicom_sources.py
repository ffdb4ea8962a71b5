"""The DICOM headers behind a study item, and where each stored image lies in its volume."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import GeometryError, InputError, UnsupportedError
from vesalius.limits import current
from vesalius.study.geometry import LPS_TO_RAS
from vesalius.study.items import Clip, Origin, Picture, Volume

__all__ = ["SourcePlane", "picture_source", "volume_sources"]

_KEPT = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality"),
    *("ImageType", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "ImagePositionPatient"),
    *("ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices", "ImagerPixelSpacing"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "DimensionOrganizationSequence"),
    *("DimensionIndexSequence", "PositionReferenceIndicator", "PatientOrientation"),
)
_EMPTY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate"),
    *("StudyTime", "ReferringPhysicianName", "PositionReferenceIndicator"),
)


@dataclass(frozen=True)
class SourcePlane:
    """One stored image or frame of a volume.

    `header`: its data set without pixels.  `first`: canonical voxel under its first pixel.  `across`, `down`: canonical
    steps from one column, one row to the next; unit vectors along an axis.  `size`: (rows, columns).
    """

    header: Any = field(repr=False)
    first: NDArray[np.int64]
    across: NDArray[np.int64]
    down: NDArray[np.int64]
    size: tuple[int, int]

    def pixels(self, voxels: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The plane `[rows, columns]` of canonical voxels `[X, Y, Z]`."""
        rows, columns = np.arange(self.size[0])[:, None], np.arange(self.size[1])[None, :]
        x, y, z = (self.first[c] + self.down[c] * rows + self.across[c] * columns for c in range(3))
        return voxels[x, y, z]


def picture_source(item: Picture | Clip, *, include_patient: bool) -> Any:
    """The header of a picture's or clip's file. Raises UnsupportedError for a picture that is one of several frames."""
    header = _headers(item.origin, include_patient=include_patient)[0]
    if isinstance(item, Picture) and int(header.get("NumberOfFrames") or 1) > 1:
        raise UnsupportedError("DICOM output for one frame of a multi-frame picture is not supported.")
    _complete(header, None)
    if (header.Rows, header.Columns) != (item.height, item.width):
        raise GeometryError(
            f"the source is {header.Columns} x {header.Rows} pixels, the picture {item.width} x {item.height}."
        )
    return header


def volume_sources(volume: Volume, *, include_patient: bool) -> list[SourcePlane]:
    """Each stored image or frame of a volume, in stored order. Raises GeometryError when one lies off the grid."""
    headers = _headers(volume.origin, include_patient=include_patient)
    for header in headers:
        _complete(header, float(np.linalg.norm(volume.stored_affine_ras[:3, 2])))
    planes: list[SourcePlane] = []
    to_voxel = np.linalg.inv(volume.affine_ras)
    for header in headers:
        for position, orientation, spacing in _frames(header):
            rows, columns = int(header.Rows), int(header.Columns)
            matrix = to_voxel @ LPS_TO_RAS @ _pixel_to_lps(position, orientation, spacing)
            planes.append(_plane(header, matrix, (rows, columns), volume.shape, len(planes)))
    distinct = {tuple(int(v) for v in plane.first) for plane in planes}
    if len(distinct) < len(planes):
        raise GeometryError("two source images lie on the same slice of the volume.")
    return planes


def _complete(header: Any, slice_distance_mm: float | None) -> None:
    """Give a header of slices what a segmentation of them must have and many archives leave out.

    `SliceThickness`: the distance of slices.  `FrameOfReferenceUID`: one that follows from the series, so that all its
    slices and every segmentation of them share it.
    """
    if "ImagePositionPatient" not in header or "PerFrameFunctionalGroupsSequence" in header:
        return
    if header.get("SliceThickness") is None:
        header.SliceThickness = header.get("SpacingBetweenSlices") if slice_distance_mm is None else slice_distance_mm
    if not header.get("FrameOfReferenceUID") and header.get("SeriesInstanceUID"):
        from pydicom.uid import generate_uid

        header.FrameOfReferenceUID = generate_uid(entropy_srcs=["frame of reference", str(header.SeriesInstanceUID)])


def _plane(
    header: Any, matrix: NDArray[np.float64], size: tuple[int, int], shape: tuple[int, int, int], number: int
) -> SourcePlane:
    """Whole voxel steps from a pixel index (column, row) → voxel matrix."""
    first, across, down = (np.rint(matrix[:3, c]).astype(np.int64) for c in (3, 0, 1))
    unit = all(np.abs(step).sum() == 1 for step in (across, down))
    last = first + across * (size[1] - 1) + down * (size[0] - 1)
    far = matrix[:3, 3] + matrix[:3, 0] * (size[1] - 1) + matrix[:3, 1] * (size[0] - 1)
    # A quarter voxel absorbs rounded positions in headers; anything more would put the mask beside its place.
    close = max(float(np.abs(matrix[:3, 3] - first).max()), float(np.abs(far - last).max())) < 0.25
    inside = all(0 <= v < n for corner in (first, last) for v, n in zip(corner, shape, strict=True))
    if not (unit and close and inside):
        raise GeometryError(
            f"source image {number + 1} does not lie on the volume's grid.", fix="Read the series again."
        )
    return SourcePlane(header, first, across, down, size)


def _pixel_to_lps(
    position: Sequence[float], orientation: Sequence[float], spacing: Sequence[float]
) -> NDArray[np.float64]:
    """4×4: (column, row, 0, 1) of pixel centres → LPS mm (DICOM PS3.3 C.7.6.2.1.1)."""
    along_row, along_column = np.asarray(orientation[:3]), np.asarray(orientation[3:])
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1] = along_row * spacing[1], along_column * spacing[0]
    matrix[:3, 2], matrix[:3, 3] = np.cross(along_row, along_column), position
    return matrix


def _frames(header: Any) -> Iterator[tuple[list[float], list[float], list[float]]]:
    """(position, orientation, pixel spacing) of each frame of a single- or multi-frame header."""
    try:
        if "PerFrameFunctionalGroupsSequence" not in header:
            yield (
                _floats(header.ImagePositionPatient),
                _floats(header.ImageOrientationPatient),
                _floats(header.PixelSpacing),
            )
            return
        shared = header.SharedFunctionalGroupsSequence[0]
        for group in header.PerFrameFunctionalGroupsSequence:
            position = group.PlanePositionSequence[0].ImagePositionPatient
            turned = (group if "PlaneOrientationSequence" in group else shared).PlaneOrientationSequence[0]
            measures = (group if "PixelMeasuresSequence" in group else shared).PixelMeasuresSequence[0]
            yield _floats(position), _floats(turned.ImageOrientationPatient), _floats(measures.PixelSpacing)
    except (AttributeError, IndexError, TypeError, ValueError) as exc:
        raise GeometryError("a source image has no position, orientation or pixel spacing.") from exc


def _floats(values: Any) -> list[float]:
    return [float(v) for v in values]


def _headers(origin: Origin, *, include_patient: bool) -> list[Any]:
    """Headers of an item's instances in stored order, each once; of the patient only what is asked for."""
    if origin.format != "dicom" or not origin.instances:
        raise UnsupportedError(f"DICOM output needs images read from DICOM files, not {origin.format}.")
    wanted = list(dict.fromkeys(uid for _, uid in origin.instances))
    found = _read_headers(origin.files, set(wanted))
    missing = sum(uid not in found for uid in wanted)
    if missing:
        raise InputError(
            f"{missing} of {len(wanted)} source images are not in the files the study was read from.",
            fix="DICOM output needs them in place.",
        )
    return [_with_patient(found[uid]) if include_patient else _without_patient(found[uid]) for uid in wanted]


def _read_headers(files: Sequence[str], wanted: set[str]) -> dict[str, Any]:
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    found: dict[str, Any] = {}
    for number, name in enumerate(_all_files(files)):
        if len(found) == len(wanted):
            break
        if number >= current().max_series_files:
            raise InputError(f"more than {current().max_series_files} files to look through for source images.")
        try:
            header: Any = dcmread(name, stop_before_pixels=True)
        except (InvalidDicomError, OSError, EOFError, ValueError, AttributeError, KeyError, NotImplementedError):
            # A folder may hold other files; a source image that is missing in the end is reported by count.
            continue
        uid = str(header.get("SOPInstanceUID", ""))
        if uid in wanted:
            found[uid] = header
    return found


def _all_files(names: Sequence[str]) -> Iterator[Path]:
    """The named files, and the files in named folders."""
    for name in names:
        path = Path(name)
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.is_file())
        elif path.is_file():
            yield path


def _without_patient(header: Any) -> Any:
    """A data set with geometry, references and empty patient fields; built from a list of what may stay."""
    from pydicom.dataset import Dataset

    kept: Any = Dataset()
    for keyword in _KEPT:
        if keyword in header:
            kept[keyword] = header[keyword]
    for keyword in _EMPTY:
        setattr(kept, keyword, "")
    return kept


def _with_patient(header: Any) -> Any:
    """The data set as it is, with those fields empty that a segmentation must have and the file lacks."""
    for keyword in _EMPTY:
        if keyword not in header:
            setattr(header, keyword, "")
    return header

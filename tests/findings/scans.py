"""Small scans made on the spot: volumes with any affine, DICOM series, pictures and clips."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

from vesalius.study.geometry import canonical_orientation
from vesalius.study.items import Clip, Origin, Picture, Volume

OBLIQUE = ((0.8, 0.36, -0.48), (0.0, 0.8, 0.6))
"""Row and column directions (LPS) of a doubly tilted slice; both of length one and at right angles."""
CANARY = "CANARY^PATIENT"


class StoredVoxels:
    """A VoxelSource over an array `[i, j, k]`."""

    def __init__(self, values: NDArray[Any]) -> None:
        self.stored = values
        self.shape: tuple[int, int, int] = values.shape  # pyright: ignore[reportAttributeAccessIssue]
        self.dtype = values.dtype

    def planes(self, axis: int, indices: Sequence[int]) -> NDArray[Any]:
        return np.moveaxis(np.take(self.stored, list(indices), axis=axis), axis, 0)

    def all(self) -> NDArray[Any]:
        return self.stored


def volume(shape: tuple[int, int, int] = (7, 9, 5), affine: NDArray[np.float64] | None = None) -> Volume:
    """A volume of distinct values on the stored grid `shape`; the default affine flips and permutes axes."""
    if affine is None:
        affine = np.array([[0, 0, -3.0, 40], [-0.7, 0, 0, 20], [0, 0.9, 0, -10], [0, 0, 0, 1.0]])
    values = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    orientation = canonical_orientation(affine)
    return Volume(
        source=StoredVoxels(values),
        affine_ras=orientation.canonical_affine(affine, shape),
        orientation=orientation,
        stored_affine_ras=affine,
        origin=Origin("nifti", modality="CT"),
    )


def picture(width: int = 60, height: int = 40, **fields: Any) -> Picture:
    values = np.arange(width * height, dtype=np.uint16).reshape(height, width) % 200
    shown = values.astype(np.uint8)
    return Picture(width, height, lambda: shown, fields.pop("origin", Origin("png")), **fields)


def clip(frames: int = 5, width: int = 48, height: int = 32) -> Clip:
    pixels = [np.full((height, width, 3), 40 * n, dtype=np.uint8) for n in range(frames)]
    times = np.arange(frames, dtype=np.float64) * np.float64(0.25)
    return Clip(width, height, times, lambda wanted: [pixels[n] for n in wanted], Origin("mp4"), spacing_mm=(0.5, 0.5))


def write_series(
    folder: Path,
    directions: tuple[Sequence[float], Sequence[float]] = ((1, 0, 0), (0, 1, 0)),
    *,
    slices: int = 6,
    rows: int = 10,
    columns: int = 14,
    spacing: tuple[float, float] = (0.7, 0.9),
    step: float = 2.5,
    thickness: float = 2.5,
    origin: Sequence[float] = (-12.5, 31.25, 7.0),
    missing: Sequence[int] = (),
) -> list[Path]:
    """A CT series; file names run against the slice order, so nothing can rely on them.

    `spacing`: between rows and columns, mm.  `step`: from slice to slice along the normal, mm; below 0 the instance
    numbers run against it.  `thickness` may leave gaps or overlap.  `missing`: slices that are not written.
    """
    across, down = (np.asarray(d, dtype=float) for d in directions)
    normal = np.cross(across, down)
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    paths: list[Path] = []
    for k in (k for k in range(slices) if k not in missing):
        dataset = _image(CTImageStorage, rows, columns, study, series)
        dataset.Modality = "CT"
        dataset.FrameOfReferenceUID = frame
        dataset.PositionReferenceIndicator = ""
        dataset.ImageOrientationPatient = [round(float(v), 6) for v in (*across, *down)]
        dataset.ImagePositionPatient = [round(float(v), 6) for v in np.asarray(origin) + step * k * normal]
        dataset.PixelSpacing = list(spacing)
        dataset.SliceThickness = thickness
        dataset.InstanceNumber = k + 1
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1000
        path = folder / f"{chr(ord('z') - k)}.dcm"
        _save(dataset, path)
        paths.append(path)
    return paths


def write_multi_frame(paths: Sequence[Path], path: Path) -> None:
    """The same CT slices as one enhanced multi-frame file."""
    slices = [dcmread(p) for p in paths]
    dataset = Dataset()
    for keyword in _SHARED:
        dataset[keyword] = slices[0][keyword]
    dataset.SOPClassUID, dataset.SOPInstanceUID = EnhancedCTImageStorage, generate_uid()
    dataset.NumberOfFrames = len(slices)
    shared, turned, measures, scale = Dataset(), Dataset(), Dataset(), Dataset()
    turned.ImageOrientationPatient = slices[0].ImageOrientationPatient
    measures.PixelSpacing, measures.SliceThickness = slices[0].PixelSpacing, slices[0].SliceThickness
    scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType = 1, -1000, "HU"
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [turned], [measures]
    shared.PixelValueTransformationSequence = [scale]
    dataset.SharedFunctionalGroupsSequence = [shared]
    groups: list[Dataset] = []
    for one in slices:
        group, plane = Dataset(), Dataset()
        plane.ImagePositionPatient = one.ImagePositionPatient
        group.PlanePositionSequence = [plane]
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = groups
    dataset.PixelData = b"".join(one.PixelData for one in slices)
    _save(dataset, path)


_SHARED = (
    *("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PositionReferenceIndicator", "Modality"),
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber"),
    *("StudyID", "SeriesNumber", "InstanceNumber", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "ImageType"),
)


def write_radiograph(path: Path, rows: int = 24, columns: int = 18) -> None:
    """A digital X-ray image without a frame of reference."""
    dataset = _image("1.2.840.10008.5.1.4.1.1.1", rows, columns, generate_uid(), generate_uid())
    dataset.Modality = "CR"
    dataset.ImagerPixelSpacing = [0.2, 0.2]
    dataset.PatientOrientation = ["L", "F"]
    dataset.InstanceNumber = 1
    _save(dataset, path)


def write_cine(path: Path, frames: int = 6, rows: int = 24, columns: int = 32) -> None:
    """An ultrasound cine loop: one multi-frame file, neither place nor frame of reference."""
    dataset = _image("1.2.840.10008.5.1.4.1.1.3.1", rows, columns, generate_uid(), generate_uid())
    dataset.Modality = "US"
    dataset.NumberOfFrames = frames
    dataset.FrameTime = 40.0
    dataset.InstanceNumber = 1
    dataset.PixelData = dataset.PixelData * frames
    _save(dataset, path)


def _image(kind: str, rows: int, columns: int, study: str, series: str) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = kind, generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate, dataset.PatientSex = (
        CANARY,
        CANARY,
        "19500101",
        "O",
    )
    dataset.StudyDate, dataset.StudyTime, dataset.AccessionNumber, dataset.StudyID = "20200101", "101010", "CANARY", "1"
    dataset.StudyDescription = CANARY
    dataset.SeriesNumber = 1
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = rows, columns, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    pixels = np.random.default_rng(0).integers(0, 2000, (rows, columns), dtype=np.uint16)
    dataset.PixelData = pixels.tobytes()
    return dataset


def _save(dataset: Dataset, path: Path) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta
    dataset.save_as(path, enforce_file_format=True)

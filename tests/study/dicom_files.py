"""Small DICOM files for tests: any transfer syntax, series with known geometry, and ways to damage them."""

from __future__ import annotations

import io
import struct
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import config
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID

Array = NDArray[Any]

CT = "1.2.840.10008.5.1.4.1.1.2"
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
ULTRASOUND_FILM = "1.2.840.10008.5.1.4.1.1.3.1"

SYNTAXES = {
    "implicit": "1.2.840.10008.1.2",
    "explicit": "1.2.840.10008.1.2.1",
    "big": "1.2.840.10008.1.2.2",
    "deflated": "1.2.840.10008.1.2.1.99",
    "rle": "1.2.840.10008.1.2.5",
    "jpeg-baseline": "1.2.840.10008.1.2.4.50",
    "jpeg-extended": "1.2.840.10008.1.2.4.51",
    "jpeg-lossless": "1.2.840.10008.1.2.4.57",
    "jpeg-lossless-sv1": "1.2.840.10008.1.2.4.70",
    "jpegls": "1.2.840.10008.1.2.4.80",
    "jpegls-near": "1.2.840.10008.1.2.4.81",
    "j2k-lossless": "1.2.840.10008.1.2.4.90",
    "j2k": "1.2.840.10008.1.2.4.91",
    "htj2k": "1.2.840.10008.1.2.4.201",
}
LOSSLESS = tuple(n for n in SYNTAXES if n not in ("jpeg-baseline", "jpeg-extended", "jpegls-near", "j2k"))


@contextmanager
def unchecked() -> Generator[None]:
    """Let pydicom build values the standard forbids: damaged headers are what half the tests need."""
    before = config.settings.reading_validation_mode, config.settings.writing_validation_mode
    config.settings.reading_validation_mode = config.settings.writing_validation_mode = config.IGNORE
    try:
        yield
    finally:
        config.settings.reading_validation_mode, config.settings.writing_validation_mode = before


@unchecked()
def image(
    pixels: Array,
    *,
    bits: int | None = None,
    photometric: str | None = None,
    number: int = 1,
    series: str = "1",
    patient: str = "P1",
    name: str = "Test^Patient",
    **tags: Any,
) -> Dataset:
    """One image dataset, uncompressed. `pixels`: `[rows, cols]`, `[rows, cols, 3]`, or `[n, …]` with NumberOfFrames."""
    dataset = Dataset()
    dataset.SOPClassUID = tags.pop("SOPClassUID", CT)
    dataset.SOPInstanceUID = tags.pop("SOPInstanceUID", f"1.2.3.{series}.{number}")
    dataset.StudyInstanceUID = "1.2.3"
    dataset.SeriesInstanceUID = f"1.2.3.{series}"
    dataset.Modality = tags.pop("Modality", "CT")
    dataset.PatientID, dataset.PatientName = patient, name
    dataset.InstanceNumber = number
    frames = int(tags.get("NumberOfFrames", 1))
    shape = pixels.shape[1:] if "NumberOfFrames" in tags and frames == len(pixels) and pixels.ndim > 2 else pixels.shape
    dataset.Rows, dataset.Columns = int(shape[0]), int(shape[1])
    dataset.SamplesPerPixel = 3 if len(shape) == 3 else 1
    if dataset.SamplesPerPixel == 3:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = photometric or ("RGB" if len(shape) == 3 else "MONOCHROME2")
    dataset.BitsAllocated = 8 * pixels.dtype.itemsize
    dataset.BitsStored = bits or dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    raw = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    dataset.add_new(0x7FE00010, "OB" if pixels.dtype.itemsize == 1 else "OW", raw + b"\0" * (len(raw) % 2))
    return dataset


def placed(
    pixels: Array,
    position: Sequence[float],
    *,
    orientation: Sequence[float] = (1, 0, 0, 0, 1, 0),
    spacing: Sequence[float] = (0.5, 0.75),
    **tags: Any,
) -> Dataset:
    """An image with a place in the patient. `spacing`: (row spacing, column spacing) mm, as DICOM writes it."""
    return image(
        pixels,
        ImagePositionPatient=[float(v) for v in position],
        ImageOrientationPatient=[float(v) for v in orientation],
        PixelSpacing=[float(v) for v in spacing],
        FrameOfReferenceUID="1.2.3.99",
        **tags,
    )


def encode_frame(pixels: Array, syntax: str, *, bits: int) -> bytes:
    """One frame in a compressed transfer syntax of `SYNTAXES`."""
    if syntax == "rle":
        planes = pixels[..., None] if pixels.ndim == 2 else pixels
        segments = [
            imagecodecs.packbits_encode(
                np.ascontiguousarray(planes[..., c]).view(np.uint8).reshape(*planes.shape[:2], -1)[:, :, b].tobytes()
            )
            for c in range(planes.shape[2])
            for b in reversed(range(pixels.dtype.itemsize))
        ]
        segments = [s + b"\0" * (len(s) % 2) for s in segments]
        offsets = np.cumsum([64, *map(len, segments)])[:-1]
        head = struct.pack("<16I", len(segments), *offsets, *([0] * (15 - len(segments))))
        return head + b"".join(segments)
    unsigned = pixels.view(f"u{pixels.dtype.itemsize}") & ((1 << bits) - 1) if syntax != "j2k" else pixels
    coders: dict[str, Any] = {
        "jpeg-baseline": lambda: imagecodecs.jpeg8_encode(unsigned, level=95),
        "jpeg-extended": lambda: imagecodecs.jpeg8_encode(unsigned, level=95, bitspersample=bits),
        "jpeg-lossless": lambda: imagecodecs.jpeg8_encode(unsigned, lossless=True, predictor=4, bitspersample=bits),
        "jpeg-lossless-sv1": lambda: imagecodecs.jpeg8_encode(unsigned, lossless=True, predictor=1, bitspersample=bits),
        "jpegls": lambda: imagecodecs.jpegls_encode(unsigned.astype(pixels.dtype.str.replace("i", "u"))),
        "jpegls-near": lambda: imagecodecs.jpegls_encode(unsigned, level=2),
        "j2k-lossless": lambda: imagecodecs.jpeg2k_encode(
            pixels, reversible=True, codecformat="j2k", bitspersample=bits
        ),
        "j2k": lambda: imagecodecs.jpeg2k_encode(pixels, level=40, codecformat="j2k", bitspersample=bits),
        "htj2k": lambda: imagecodecs.htj2k_encode(pixels, reversible=True),
    }
    return bytes(coders[syntax]())


@unchecked()
def file_bytes(dataset: Dataset, syntax: str = "explicit", *, preamble: bool = True) -> bytes:
    """The dataset as a whole file in a transfer syntax of `SYNTAXES`, its pixels encoded to suit."""
    dataset = Dataset(dataset)
    uid = UID(SYNTAXES[syntax])
    little = syntax != "big"
    if uid.is_encapsulated and "PixelData" in dataset:
        frames = _frames(dataset)
        bits = int(dataset.BitsStored)
        encoded = [encode_frame(f, syntax, bits=bits) for f in frames]
        dataset.add_new(0x7FE00010, "OB", encapsulate(encoded))
        dataset["PixelData"].is_undefined_length = True
    elif not little and "PixelData" in dataset and dataset.BitsAllocated > 8:
        width = dataset.BitsAllocated // 8
        swapped = np.frombuffer(dataset.PixelData, f"<u{width}").astype(f">u{width}").tobytes()
        dataset.add_new(0x7FE00010, "OW", swapped)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = uid
    dataset.file_meta = meta
    stream = io.BytesIO()
    if not preamble:
        del dataset.file_meta
        dcmwrite(stream, dataset, implicit_vr=syntax == "implicit", little_endian=little, enforce_file_format=False)
        return stream.getvalue()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def _frames(dataset: Dataset) -> list[Array]:
    kind = "i" if dataset.PixelRepresentation else "u"
    shape: tuple[int, ...] = (int(dataset.get("NumberOfFrames") or 1), dataset.Rows, dataset.Columns)
    shape = (*shape, 3) if dataset.SamplesPerPixel == 3 else shape
    width = dataset.BitsAllocated // 8
    count = int(np.prod(shape)) * width
    return list(np.frombuffer(dataset.PixelData[:count], f"{kind}{width}").reshape(shape))


def ramp(rows: int = 6, cols: int = 8, *, start: int = 0, dtype: str = "i2") -> Array:
    """A slice whose every pixel differs: start + column + 10 * row."""
    return (start + np.arange(cols)[None, :] + 10 * np.arange(rows)[:, None]).astype(dtype)


def series(
    count: int = 5,
    *,
    step: Sequence[float] = (0, 0, 2.5),
    start: Sequence[float] = (-20, -10, 5),
    number_of: Any = None,
    **tags: Any,
) -> list[Dataset]:
    """`count` parallel slices; slice k is `ramp(start=100 * k)` at start + k * step (LPS mm)."""
    return [
        placed(
            ramp(start=100 * k),
            [s + k * d for s, d in zip(start, step, strict=True)],
            number=(k + 1) if number_of is None else number_of(k),
            **tags,
        )
        for k in range(count)
    ]


def save(datasets: Sequence[Dataset], folder: Path, syntax: str = "explicit") -> list[str]:
    """Write datasets as files named in reverse of their order; the paths, sorted by name."""
    paths: list[str] = []
    for index, dataset in enumerate(datasets):
        path = folder / f"im{len(datasets) - index:04d}.dcm"
        path.write_bytes(file_bytes(dataset, syntax))
        paths.append(str(path))
    return sorted(paths)


def enhanced(count: int = 4, *, step: float = 3.0, **tags: Any) -> Dataset:
    """An enhanced multi-frame MR of `count` frames stored from the last position to the first."""
    frames = np.stack([ramp(start=100 * k, dtype="u2") for k in reversed(range(count))])
    dataset = image(frames, SOPClassUID=ENHANCED_MR, Modality="MR", NumberOfFrames=count, **tags)
    shared, measures, turn, transform = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.75], step
    turn.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    transform.RescaleSlope, transform.RescaleIntercept, transform.RescaleType = 2, -10, "US"
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [turn]
    shared.PixelValueTransformationSequence = [transform]
    dataset.SharedFunctionalGroupsSequence = [shared]
    groups: list[Dataset] = []
    for k in reversed(range(count)):
        place, group = Dataset(), Dataset()
        place.ImagePositionPatient = [0.0, 0.0, k * step]
        group.PlanePositionSequence = [place]
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = groups
    return dataset


def nested(depth: int, *, undefined: bool) -> bytes:
    """A header-only explicit little endian file whose sequences nest `depth` deep."""
    body = b""
    item, sequence = b"\xfe\xff\x00\xe0", struct.pack("<HH2sH", 0x0040, 0xA730, b"SQ", 0)
    if undefined:
        body = (sequence + b"\xff" * 4 + item + b"\xff" * 4) * depth
        closing = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
        body += closing * depth
    else:
        layers: list[bytes] = []
        size = 0
        for _ in range(depth):
            layers.append(sequence + struct.pack("<I", size + 8) + item + struct.pack("<I", size))
            size += 20
        body = b"".join(reversed(layers))
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = CT, "1.2.3.4", "CT"
    return file_bytes(dataset) + body


__all__ = [
    "CT",
    "ENHANCED_MR",
    "LOSSLESS",
    "SECONDARY",
    "SYNTAXES",
    "ULTRASOUND_FILM",
    "encode_frame",
    "enhanced",
    "file_bytes",
    "image",
    "nested",
    "placed",
    "ramp",
    "save",
    "series",
    "unchecked",
]

"""DICOM files → study items: volumes, pictures, clips and documents. Headers are read now, pixels when asked for.

Stored grid of a volume: i = column, j = row, k = slice in order of height along the normal, so the stored affine
follows from ImageOrientationPatient, ImagePositionPatient and PixelSpacing exactly (LPS turned to RAS+).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError, LimitError, UnsupportedError, VesaliusError
from vesalius.limits import current
from vesalius.study.dicom_header import DicomSource, Header, damaged, looks_like_dicom, quiet_pydicom, read_header
from vesalius.study.dicom_image import Identity, ImageFile, identity, read_image, uid
from vesalius.study.dicom_series import (
    DicomSlices,
    Placed,
    by_height,
    check_stack,
    phases,
    picture_affine,
    runs,
    similar,
    stack_affine,
)
from vesalius.study.dicom_text import is_pdf, is_report, pdf_text, report_text
from vesalius.study.geometry import canonical_orientation
from vesalius.study.items import Clip, Document, Item, Origin, Picture, Volume
from vesalius.study.windows import apply_window, default_window

__all__ = ["looks_like_dicom", "read_dicom"]

Array = NDArray[Any]

_DICOMDIR = "1.2.840.10008.1.3.10"
_MOVING = frozenset(("US", "XA", "RF", "ES", "XC", "IVUS", "GM"))
"""Modalities whose multi-frame images are films, whatever else the header says."""


@dataclass
class _Reading:
    """What has been gathered from the files of one call."""

    images: list[ImageFile] = field(default_factory=list[ImageFile])
    documents: list[Item] = field(default_factory=list[Item])
    left_out: list[InputError] = field(default_factory=list[InputError])
    people: list[Identity] = field(default_factory=list[Identity])
    notes: Counter[str] = field(default_factory=Counter[str])


def read_dicom(paths: Sequence[str | bytes], *, allow_gaps: bool = False) -> tuple[list[Item], list[str]]:
    """Read DICOM files (paths, or whole files as bytes) into study items; returns (items, warnings).

    Files are grouped by series. A stack of ≥ 2 parallel slices becomes a `Volume`, a single frame a `Picture`, a film
    a `Clip`, a structured report or PDF a `Document`. Files that are no images (plans, presentation states) are left
    out with a warning when something else could be read. Frames in MONOCHROME1 keep their stored polarity:
    `Picture.inverted` says so, a volume carries a warning, clips are shown right.

    `allow_gaps`: a series with missing or unevenly spaced slices gives one item per evenly spaced part instead of an
    error.

    Raises InputError (not DICOM, damaged, truncated, two patients), GeometryError (gaps, impossible geometry),
    LimitError (over `limits`), UnsupportedError (transfer syntax or object kind that is not read).
    """
    if not paths:
        raise InputError("no DICOM file was given.", fix="Give a file or a folder.")
    cap = current().max_series_files
    if len(paths) > cap:
        raise LimitError(f"{len(paths)} DICOM files were given, the limit is {cap}.", fix="Give one series.")
    reading = _Reading()
    with quiet_pydicom():
        for number, path in enumerate(paths, start=1):
            _read_one(_source(path, number, len(paths)), reading)
    _one_patient(reading.people)
    series = _series(reading.images)
    items: list[Item] = []
    for images in series:
        items.extend(_series_items(images, allow_gaps, reading.notes))
    items.extend(reading.documents)
    if not items:
        raise reading.left_out[0]
    for error in reading.left_out:
        reading.notes[f"Left out: {error.problem}"] += 1
    if len(series) > 1:
        reading.notes[f"{len(series)} series were given; each is read on its own."] += 1
    return items, [note if count == 1 else f"{note} ({count} times)" for note, count in reading.notes.items()]


def _source(path: str | bytes, number: int, total: int) -> DicomSource:
    if isinstance(path, (bytes, bytearray, memoryview)):
        return DicomSource("bytes" if total == 1 else f"bytes {number} of {total}", blob=bytes(path))
    return DicomSource(str(path), path=str(path))


def _read_one(source: DicomSource, reading: _Reading) -> None:
    header = read_header(source)
    try:
        _sort_in(header, reading)
    except VesaliusError:
        raise
    except RecursionError as exc:
        depth = current().max_sequence_depth
        raise LimitError(f"nests sequences deeper than the limit of {depth}.", file=source.label) from exc
    except Exception as exc:  # lazily converted values fail in as many ways as the parser itself
        raise damaged(source.label, exc) from exc


def _sort_in(header: Header, reading: _Reading) -> None:
    dataset, label = header.tags, header.source.label
    sop_class = uid(dataset, "SOPClassUID") or ""
    meta = getattr(dataset.dataset, "file_meta", None)
    if "DirectoryRecordSequence" in dataset or (meta and uid(meta, "MediaStorageSOPClassUID") == _DICOMDIR):
        problem = "is a DICOMDIR, a list of files; the paths in it are not followed."
        reading.left_out.append(UnsupportedError(problem, file=label, fix="Give the folder that holds the images."))
        return
    reading.people.append(identity(dataset))
    if is_report(sop_class) or is_pdf(sop_class):
        words = report_text(header) if is_report(sop_class) else pdf_text(header)
        origin = Origin("dicom", _files([header.source]), "SR" if is_report(sop_class) else "DOC")
        instance = (sop_class, uid(dataset, "SOPInstanceUID") or "")
        series = uid(dataset, "SeriesInstanceUID")
        reading.documents.append(Document(words, replace(origin, series_uid=series, instances=(instance,))))
        return
    image = read_image(header)
    if image is None:
        reading.left_out.append(_without_pixels(sop_class, label))
        return
    if _segmentation(sop_class):
        problem = "is a DICOM segmentation, which is a finding and not a scan."
        reading.left_out.append(UnsupportedError(problem, file=label, fix="Read the series it was drawn on."))
        return
    for note in image.warnings:
        reading.notes[note] += 1
    reading.images.append(image)


def _segmentation(sop_class: str) -> bool:
    return sop_class in ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")


def _without_pixels(sop_class: str, label: str) -> InputError:
    from pydicom.uid import UID

    name = UID(sop_class).name if sop_class else ""
    if not name or name == sop_class or "Image Storage" in name:
        return InputError("has no pixel data.", file=label, fix="Give an image, a report or a PDF.")
    return UnsupportedError(f"is a {name} object without pixel data.", file=label, fix="Give the images it refers to.")


def _one_patient(people: Sequence[Identity]) -> None:
    """Refuse files of two patients: different IDs, or names without a word in common."""
    refusal = InputError(
        "the files belong to more than one patient.", fix="Give the files of one patient; nothing was read."
    )
    if len({p.patient_id for p in people if p.patient_id}) > 1:
        raise refusal
    names = [n for n in dict.fromkeys(p.name_words for p in people) if n]
    if any(not (names[0] & other) for other in names[1:]):
        raise refusal


def _series(images: Sequence[ImageFile]) -> list[list[ImageFile]]:
    """Images by SeriesInstanceUID in order of first appearance; an image without one stands alone."""
    groups: dict[str, list[ImageFile]] = {}
    for number, image in enumerate(images):
        groups.setdefault(image.series_uid or f"file {number}", []).append(image)
    return list(groups.values())


def _series_items(images: Sequence[ImageFile], allow_gaps: bool, notes: Counter[str]) -> list[Item]:
    images = _distinct(images, notes)
    items: list[Item] = []
    stackable: list[Placed] = []
    for image in images:
        frames = [Placed(image, frame) for frame in image.frames]
        placed = all(f.frame.position and f.frame.orientation and f.frame.spacing for f in frames)
        film = len(frames) > 1 and (not placed or image.modality in _MOVING or image.store.format.colour)
        if film:
            items.append(_clip(image, notes))
        elif placed and not image.store.format.colour:
            stackable.extend(frames)
        else:
            items.append(_picture(frames[0]))
    groups = _clusters(stackable)
    if len(groups) > 1 or (groups and items):
        total = len(groups) + (1 if items else 0)
        notes[f"A series mixes {total} orientations, sizes, spacings or kinds of image; each is read on its own."] += 1
    stacks: list[Item] = []
    for group in groups:
        stacks.extend(_group_items(group, allow_gaps, notes))
    return stacks + items


def _distinct(images: Sequence[ImageFile], notes: Counter[str]) -> list[ImageFile]:
    kept: dict[str, ImageFile] = {}
    for number, image in enumerate(images):
        kept.setdefault(image.sop_instance or f"file {number}", image)
    if len(kept) < len(images):
        notes[f"{len(images) - len(kept)} files repeat an image already read and were left out."] += 1
    return list(kept.values())


def _clusters(frames: Sequence[Placed]) -> list[list[Placed]]:
    """Frames that can be stacked together, the largest group first."""
    groups: list[list[Placed]] = []
    for placed in frames:
        home = next((g for g in groups if similar(g[0], placed)), None)
        if home is None:
            groups.append([placed])
        else:
            home.append(placed)
    return sorted(groups, key=len, reverse=True)


def _group_items(group: list[Placed], allow_gaps: bool, notes: Counter[str]) -> list[Item]:
    if len(group) == 1:
        return [_picture(group[0])]
    stacks, warnings = phases(group)
    if all(len(stack) == 1 for stack in stacks):
        if len({id(p.image) for p in group}) == 1:
            return [_clip(group[0].image, notes)]
        return [_picture(stack[0]) for stack in stacks]
    items: list[Item] = []
    for note in warnings:
        notes[note] += 1
    for stack in stacks:
        if allow_gaps:
            parts = runs(stack)
            if len(parts) > 1:
                gap = f"Slices are missing or unevenly spaced; the series is read as {len(parts)} separate parts."
                notes[gap] += 1
        else:
            check_stack(stack)
            parts = [stack]
        for part in parts:
            items.append(_volume(part, warnings, notes) if len(part) > 1 else _picture(part[0]))
    return items


def _files(sources: Sequence[DicomSource]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(source.path for source in sources if source.path is not None))


def _origin(placed: Sequence[Placed], warnings: Sequence[str] = ()) -> Origin:
    image = placed[0].image
    own = dict.fromkeys(note for p in placed for note in p.image.warnings)
    return Origin(
        format="dicom",
        files=_files([p.image.store.source for p in placed]),
        modality=image.modality,
        body_part=image.body_part,
        series_uid=image.series_uid,
        instances=tuple((p.image.sop_class, p.image.sop_instance) for p in placed),
        details=dict(image.details),
        warnings=(*own, *warnings),
    )


def _picture(placed: Placed) -> Picture:
    shape = placed.image.store.format
    return Picture(
        width=shape.cols,
        height=shape.rows,
        load=placed.values,
        origin=_origin([placed]),
        spacing_mm=placed.frame.spacing,
        pixel_to_ras=picture_affine(placed),
        window=placed.frame.window,
        inverted=shape.photometric == "MONOCHROME1",
    )


def _volume(stack: list[Placed], warnings: Sequence[str], notes: Counter[str]) -> Volume:
    stack = by_height(stack)
    affine, found = stack_affine(stack)
    if any(p.image.store.format.photometric == "MONOCHROME1" for p in stack):
        found.append("Slices are stored as MONOCHROME1: values keep that polarity, bright and dark are exchanged.")
    for note in found:
        notes[note] += 1
    slices = DicomSlices(stack)
    orientation = canonical_orientation(affine)
    return Volume(
        source=slices,
        affine_ras=orientation.canonical_affine(affine, slices.shape),
        orientation=orientation,
        stored_affine_ras=affine,
        origin=_origin(stack, [*warnings, *found]),
        window=stack[len(stack) // 2].frame.window,
        units=stack[0].image.units,
    )


def _clip(image: ImageFile, notes: Counter[str]) -> Clip:
    shape, frames = image.store.format, [Placed(image, frame) for frame in image.frames]
    times, warnings = image.times_s, list[str]()
    if times is None:
        times = np.arange(len(frames), dtype=np.float64)
        warnings.append("A film states no frame rate; its frames are counted as seconds.")
        notes[warnings[0]] += 1
    cap = current().max_clip_s
    if float(times[-1]) > cap:
        raise LimitError(f"runs for {float(times[-1]):.0f} s, the limit is {cap:.0f} s.", file=image.label)
    return Clip(
        width=shape.cols,
        height=shape.rows,
        times_s=times,
        load=_ClipFrames(frames),
        origin=replace(_origin(frames[:1], warnings), instances=_origin(frames).instances),
        spacing_mm=frames[0].frame.spacing,
    )


class _ClipFrames:
    """Decodes chosen frames of a film as RGB. Grey frames share one window: the file's, else that of three frames."""

    def __init__(self, frames: Sequence[Placed]) -> None:
        self._frames = tuple(frames)
        self._window = frames[0].frame.window

    def __call__(self, indices: Sequence[int]) -> list[NDArray[np.uint8]]:
        for index in indices:
            if not 0 <= index < len(self._frames):
                raise IndexError(f"frame {index} is outside 0..{len(self._frames) - 1}")
        return [self._rgb(self._frames[index]) for index in indices]

    def _rgb(self, placed: Placed) -> NDArray[np.uint8]:
        values = placed.values()
        if values.ndim == 3:
            return values.astype(np.uint8, copy=False)
        if self._window is None:
            count = len(self._frames)
            sample = [self._frames[n].values() for n in sorted({0, count // 2, count - 1})]
            self._window = default_window(placed.image.modality, np.stack(sample))
        shown = apply_window(values, self._window)
        if placed.image.store.format.photometric == "MONOCHROME1":
            shown = 255 - shown
        return np.repeat(shown[:, :, None], 3, axis=2)

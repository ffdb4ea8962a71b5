"""The facts of one DICOM image file, taken from its header once so that the header can be dropped.

An `ImageFile` has one `Frame` per stored frame: its place in the patient (LPS mm, as DICOM writes it), its spacing,
its value transformation and window. Single-frame files, enhanced multi-frames (functional groups), dose grids and
NM reconstructions all come out in the same form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError
from vesalius.study.dicom_header import Header
from vesalius.study.dicom_pixels import FrameStore, frame_store
from vesalius.study.dicom_terms import BODY_PARTS, LATERALITIES, MODALITIES, UNITS, VIEW_POSITIONS
from vesalius.study.dicom_values import IDENTITY, Rescale, find_rescale, find_window, floats
from vesalius.study.windows import Window

__all__ = ["Frame", "Identity", "ImageFile", "identity", "read_image", "text", "uid"]


@dataclass(frozen=True)
class Identity:
    """Who a file says it shows: used only to refuse mixed patients, never shown. Both are normalised, "" if absent."""

    patient_id: str = field(repr=False)
    name_words: frozenset[str] = field(repr=False)


@dataclass(frozen=True)
class Frame:
    """One stored frame. Vectors in LPS mm; `spacing` = (x, y) = (column spacing, row spacing) in mm."""

    index: int
    position: tuple[float, float, float] | None = None
    orientation: tuple[float, ...] | None = None
    spacing: tuple[float, float] | None = None
    thickness: float | None = None
    rescale: Rescale = IDENTITY
    window: Window | None = None


@dataclass(frozen=True)
class ImageFile:
    """One DICOM image, header facts only."""

    store: FrameStore
    frames: tuple[Frame, ...] = field(repr=False)
    sop_class: str
    sop_instance: str
    series_uid: str | None
    frame_of_reference: str | None
    modality: str | None
    body_part: str | None
    units: str
    number: int
    times_s: NDArray[np.float64] | None = field(repr=False)
    details: dict[str, str] = field(default_factory=dict[str, str])
    warnings: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return self.store.label


def text(dataset: Any, keyword: str) -> str:
    """A header value as one stripped string, "" when absent or multiple."""
    value = dataset.get(keyword)
    return "" if value is None or isinstance(value, bytes) else str(value).strip(" \0")


def uid(dataset: Any, keyword: str) -> str | None:
    """A UID, or None when absent or not made of digits and dots."""
    value = text(dataset, keyword)
    return value if value and len(value) <= 64 and set(value) <= set("0123456789.") else None


def identity(dataset: Any) -> Identity:
    """The patient's identity, normalised for comparison."""
    name = text(dataset, "PatientName").casefold()
    words = "".join(c if c.isalnum() else " " for c in name).split()
    return Identity("".join(text(dataset, "PatientID").casefold().split()), frozenset(words))


def read_image(header: Header) -> ImageFile | None:
    """Facts of an image file; None when it has no pixels.

    Raises InputError for sizes, bits, transformations or palettes that contradict each other.
    """
    store = frame_store(header)
    if store is None:
        return None
    dataset, label = header.tags, header.source.label
    notes = list(header.warnings)
    frames = _frames(dataset, store.format.num_frames, label, notes)
    modality = text(dataset, "Modality").upper()
    return ImageFile(
        store=store,
        frames=frames,
        sop_class=uid(dataset, "SOPClassUID") or "",
        sop_instance=uid(dataset, "SOPInstanceUID") or "",
        series_uid=uid(dataset, "SeriesInstanceUID"),
        frame_of_reference=uid(dataset, "FrameOfReferenceUID"),
        modality=modality if modality in MODALITIES else None,
        body_part=_listed(dataset, "BodyPartExamined", BODY_PARTS),
        units=_units(dataset, modality),
        number=_number(dataset),
        times_s=_frame_times(dataset, store.format.num_frames),
        details=_details(dataset, store),
        warnings=tuple(notes),
    )


def _listed(dataset: Any, keyword: str, terms: frozenset[str]) -> str | None:
    """A coded string, only when it is one of the standard's terms (anything else might be free text)."""
    value = text(dataset, keyword).upper()
    return value if value in terms else None


def _number(dataset: Any) -> int:
    found = floats(dataset.get("InstanceNumber"))
    return int(found[0]) if found and math.isfinite(found[0]) else 0


def _units(dataset: Any, modality: str) -> str:
    for keyword in ("RescaleType", "Units", "DoseUnits"):
        value = text(dataset, keyword).upper()
        if value in UNITS:
            return UNITS[value]
    return "HU" if modality == "CT" else ""


def _details(dataset: Any, store: FrameStore) -> dict[str, str]:
    shape = store.format
    details = {
        "transfer_syntax": store.syntax,
        "photometric": shape.photometric,
        "bits": f"{shape.bits_stored}/{shape.bits_allocated}{' signed' if shape.signed else ''}",
    }
    for key, keyword, terms in (
        ("view", "ViewPosition", VIEW_POSITIONS),
        ("laterality", "ImageLaterality", LATERALITIES),
        ("burned_in", "BurnedInAnnotation", frozenset(("YES", "NO"))),
    ):
        value = _listed(dataset, keyword, terms)
        if value is not None:
            details[key] = value
    return details


def _vector(group: Any, keyword: str, length: int) -> tuple[float, ...] | None:
    found = floats(group.get(keyword))
    return tuple(found) if len(found) == length and all(math.isfinite(v) for v in found) else None


def _position(group: Any) -> tuple[float, float, float] | None:
    found = _vector(group, "ImagePositionPatient", 3)
    return None if found is None else (found[0], found[1], found[2])


def _spacing(group: Any, keyword: str) -> tuple[float, float] | None:
    """(x, y) from a (row spacing, column spacing) attribute; None unless both are positive."""
    found = _vector(group, keyword, 2)
    return (found[1], found[0]) if found and min(found) > 0 else None


def _plane_spacing(dataset: Any, notes: list[str]) -> tuple[float, float] | None:
    spacing = _spacing(dataset, "PixelSpacing")
    if spacing is not None:
        return spacing
    if dataset.get("PixelSpacing") is not None:
        notes.append("PixelSpacing is not two positive numbers and was left out.")
    spacing = _spacing(dataset, "ImagerPixelSpacing") or _spacing(dataset, "NominalScannedPixelSpacing")
    if spacing is not None:
        notes.append("Spacing is that of the detector (ImagerPixelSpacing): sizes in the patient are smaller.")
        return spacing
    return _ultrasound_spacing(dataset, notes)


def _ultrasound_spacing(dataset: Any, notes: list[str]) -> tuple[float, float] | None:
    """Spacing from the 2D regions of an ultrasound image (physical units centimetres), if they agree."""
    found: set[tuple[float, float]] = set()
    for region in dataset.get("SequenceOfUltrasoundRegions") or ():
        centimetres = [floats(region.get(f"PhysicalUnits{axis}Direction"))[:1] for axis in "XY"] == [[3.0], [3.0]]
        x, y = (floats(region.get(f"PhysicalDelta{axis}"))[:1] for axis in "XY")
        if centimetres and x and y and all(math.isfinite(v[0]) and v[0] != 0 for v in (x, y)):
            found.add((round(abs(x[0]) * 10, 6), round(abs(y[0]) * 10, 6)))
    if len(found) > 1:
        notes.append("Ultrasound regions have different scales; no single spacing is stated.")
    return found.pop() if len(found) == 1 else None


def _frames(dataset: Any, count: int, label: str, notes: list[str]) -> tuple[Frame, ...]:
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence")
    if per_frame:
        if len(per_frame) != count:
            raise InputError(
                f"describes {len(per_frame)} frames in its functional groups but states {count}.",
                file=label,
                fix="Export the file again.",
            )
        shared = (dataset.get("SharedFunctionalGroupsSequence") or [None])[0]
        return tuple(_enhanced(n, per_frame[n], shared, dataset, label) for n in range(count))
    window, note = find_window(dataset, label)
    if note:
        notes.append(note)
    base = Frame(
        0,
        _position(dataset),
        _vector(dataset, "ImageOrientationPatient", 6),
        _plane_spacing(dataset, notes),
        _thickness(dataset),
        find_rescale(dataset, label),
        window,
    )
    if count == 1:
        return (base,)
    return _stepped(dataset, base, count, notes)


def _thickness(group: Any) -> float | None:
    found = floats(group.get("SliceThickness"))
    return found[0] if found and math.isfinite(found[0]) and found[0] > 0 else None


def _group(own: Any, shared: Any, keyword: str) -> Any:
    """The first item of a functional group: the frame's own, else the shared one, else None."""
    for holder in (own, shared):
        items = None if holder is None else holder.get(keyword)
        if items:
            return items[0]
    return None


def _enhanced(index: int, own: Any, shared: Any, dataset: Any, label: str) -> Frame:
    place = _group(own, shared, "PlanePositionSequence")
    turn = _group(own, shared, "PlaneOrientationSequence")
    measures = _group(own, shared, "PixelMeasuresSequence")
    transform = _group(own, shared, "PixelValueTransformationSequence")
    display = _group(own, shared, "FrameVOILUTSequence")
    if transform is None and "RescaleSlope" in dataset:
        transform = dataset
    return Frame(
        index,
        None if place is None else _position(place),
        None if turn is None else _vector(turn, "ImageOrientationPatient", 6),
        _spacing(dataset if measures is None else measures, "PixelSpacing"),
        None if measures is None else _thickness(measures),
        IDENTITY if transform is None else find_rescale(transform, label),
        None if display is None else find_window(display, label)[0],
    )


def _stepped(dataset: Any, base: Frame, count: int, notes: list[str]) -> tuple[Frame, ...]:
    """Frames of a plain multi-frame: dose grids and NM reconstructions step along the normal, others have no place."""
    rescale = base.rescale
    scaling = floats(dataset.get("DoseGridScaling"))
    if scaling and math.isfinite(scaling[0]) and scaling[0] > 0:
        rescale = Rescale(scaling[0], 0.0)
    offsets = floats(dataset.get("GridFrameOffsetVector"))
    position, orientation = base.position, base.orientation
    detectors = dataset.get("DetectorInformationSequence")
    if position is None and detectors and text(dataset, "ImageType").upper().find("RECON") >= 0:
        position, orientation = _position(detectors[0]), _vector(detectors[0], "ImageOrientationPatient", 6)
        step = floats(dataset.get("SpacingBetweenSlices"))
        if position is not None and step and math.isfinite(step[0]) and step[0] != 0:
            offsets = [n * step[0] for n in range(count)]
            notes.append("Frames are placed by SpacingBetweenSlices along the normal of the first.")
    if position is None or orientation is None or len(offsets) != count or not all(map(math.isfinite, offsets)):
        plain = Frame(0, None, None, base.spacing, base.thickness, rescale, base.window)
        return tuple(_at(plain, n, None) for n in range(count))
    normal = np.cross(orientation[:3], orientation[3:])
    # Type "absolute z" dose offsets repeat the first position's z; relative ones start at 0.
    start = offsets[0]
    placed = Frame(0, position, orientation, base.spacing, base.thickness, rescale, base.window)
    return tuple(_at(placed, n, np.asarray(position) + (offset - start) * normal) for n, offset in enumerate(offsets))


def _at(frame: Frame, index: int, position: NDArray[np.float64] | None) -> Frame:
    place = None if position is None else (float(position[0]), float(position[1]), float(position[2]))
    return Frame(index, place, frame.orientation, frame.spacing, frame.thickness, frame.rescale, frame.window)


def _frame_times(dataset: Any, count: int) -> NDArray[np.float64] | None:
    """Presentation times in seconds from the first frame, or None when the header has no timing."""
    vector = floats(dataset.get("FrameTimeVector"))
    if len(vector) == count and all(math.isfinite(v) and v >= 0 for v in vector):
        return np.cumsum([0.0, *vector[1:]], dtype=np.float64) / 1000.0
    step = floats(dataset.get("FrameTime"))
    if step and math.isfinite(step[0]) and step[0] > 0:
        return np.arange(count, dtype=np.float64) * (step[0] / 1000.0)
    for keyword in ("RecommendedDisplayFrameRate", "CineRate"):
        rate = floats(dataset.get(keyword))
        if rate and math.isfinite(rate[0]) and rate[0] > 0:
            return np.arange(count, dtype=np.float64) / rate[0]
    return None

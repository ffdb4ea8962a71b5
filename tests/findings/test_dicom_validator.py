"""DICOM SEG and SR by dicom-validator: no attribute is missing, empty, out of place or of a wrong value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from tests.findings.dicom_standard import violations
from tests.findings.scans import OBLIQUE, write_cine, write_multi_frame, write_radiograph, write_series
from vesalius.findings import Box, Count, Finding, Mask, Measurement, Point, Where, place
from vesalius.findings.export_dicom_seg import write_dicom_seg
from vesalius.findings.export_dicom_sr import write_dicom_sr
from vesalius.study import read
from vesalius.study.items import Clip, Picture, Volume

Item = Volume | Picture | Clip


def series(folder: Path) -> Item:
    write_series(folder)
    return read(folder).items[0]  # pyright: ignore[reportReturnType]


def oblique_series(folder: Path) -> Item:
    write_series(folder, OBLIQUE)
    return read(folder).items[0]  # pyright: ignore[reportReturnType]


def multi_frame(folder: Path) -> Item:
    (folder / "one").mkdir()
    write_multi_frame(write_series(folder / "one"), folder / "frames.dcm")
    return read(folder / "frames.dcm").items[0]  # pyright: ignore[reportReturnType]


def radiograph(folder: Path) -> Item:
    write_radiograph(folder / "chest.dcm")
    return read(folder / "chest.dcm").items[0]  # pyright: ignore[reportReturnType]


def cine(folder: Path) -> Item:
    write_cine(folder / "cine.dcm")
    return read(folder / "cine.dcm").items[0]  # pyright: ignore[reportReturnType]


SOURCES: list[Callable[[Path], Item]] = [series, oblique_series, multi_frame, radiograph, cine]


def masks_on(item: Item) -> list[Mask]:
    """Two overlapping masks, of an organ and of something without a code, in another script."""
    shape = item.shape if isinstance(item, Volume) else (item.height, item.width)
    where = Where(frame=3) if isinstance(item, Clip) else Where()
    first, second = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    first[1:5, 2:6] = True
    second[2:4, 3:8] = True
    return [
        place(Mask(label="liver", mask=first, where=where, group=1, confidence=0.75), item),
        place(Mask(label="右肺结节 عقدة", mask=second, where=where), item),
    ]


def findings_on(item: Item) -> list[Finding]:
    """Boxes and points in and across the stored planes, numbers, a count."""
    places = [Where(axis="axial", slice_index=2), Where(axis="coronal", slice_index=2)]
    if not isinstance(item, Volume):
        places = [Where(frame=3) if isinstance(item, Clip) else Where()]
    found: list[Finding] = []
    for where in places:
        found.append(place(Box(label="nodule", x0=0.5, y0=1, x1=3.5, y1=3, where=where, confidence=0.5), item))
        found.append(place(Point(label="ذروة", x=2, y=1.5, where=where), item))
    return [
        *found,
        Measurement(label="liver", name="long axis", value=12.5, unit="mm", group=1),
        Measurement(label="liver", name="平均 CT 值", value=-3, unit="HU"),
        Count(label="nodules", count=4, where=places[0]),
    ]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("include_patient", [False, True], ids=["bare", "filed"])
def test_a_segmentation_breaks_no_rule(source: Any, include_patient: bool, tmp_path: Path) -> None:
    item = source(tmp_path)
    write_dicom_seg(masks_on(item), item, tmp_path / "out.dcm", include_patient=include_patient)
    assert violations(tmp_path / "out.dcm") == []


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("segmented", [False, True], ids=["outlined", "segmented"])
@pytest.mark.parametrize("include_patient", [False, True], ids=["bare", "filed"])
def test_a_report_breaks_no_rule(source: Any, segmented: bool, include_patient: bool, tmp_path: Path) -> None:
    item = source(tmp_path)
    masks = masks_on(item)
    seg = tmp_path / "seg.dcm" if segmented else None
    if seg is not None:
        write_dicom_seg(masks, item, seg)
    findings = [*masks, *findings_on(item)]
    write_dicom_sr(findings, item, tmp_path / "out.dcm", segmentation=seg, include_patient=include_patient)
    assert violations(tmp_path / "out.dcm") == []


def _drop(keyword: str) -> Callable[[Any], None]:
    def change(dataset: Any) -> None:
        delattr(dataset, keyword)

    return change


def _content(dataset: Any, value_type: str) -> Any:
    """The first content item of a value type, depth first."""
    for item in dataset.get("ContentSequence", []):
        if item.ValueType == value_type:
            return item
        if (inner := _content(item, value_type)) is not None:
            return inner
    return None


def _damaged(path: Path, change: Callable[[Any], None]) -> list[str]:
    dataset = dcmread(path)
    change(dataset)
    dataset.save_as(path)
    return violations(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_drop("SegmentationType"), "TagMissing"),
        (_drop("PatientID"), "TagMissing"),
        (lambda d: setattr(d, "SegmentationType", "SHARP"), "EnumValueNotAllowed"),
        (lambda d: setattr(d, "ContentDate", ""), "TagEmpty"),
        (lambda d: setattr(d, "EchoTime", 3), "TagUnexpected"),
        (lambda d: delattr(d.SegmentSequence[0], "SegmentAlgorithmName"), "TagMissing"),
        (lambda d: delattr(d.SegmentSequence[1].SegmentedPropertyTypeCodeSequence[0], "CodeMeaning"), "TagMissing"),
        (lambda d: d.pop("DimensionOrganizationSequence"), "TagMissing"),
        (lambda d: delattr(d.PerFrameFunctionalGroupsSequence[0], "FrameContentSequence"), "TagMissing"),
    ],
)
def test_a_broken_segmentation_is_noticed(change: Any, said: str, tmp_path: Path) -> None:
    item = series(tmp_path)
    write_dicom_seg(masks_on(item), item, tmp_path / "out.dcm")
    assert any(said in line for line in _damaged(tmp_path / "out.dcm", change))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_drop("CompletionFlag"), "TagMissing"),
        (_drop("ContinuityOfContent"), "TagMissing"),
        (lambda d: setattr(d, "VerificationFlag", "MAYBE"), "EnumValueNotAllowed"),
        (lambda d: delattr(_content(d, "NUM"), "MeasuredValueSequence"), "TagMissing"),
        (lambda d: delattr(_content(d, "NUM").MeasuredValueSequence[0], "MeasurementUnitsCodeSequence"), "TagMissing"),
        (lambda d: delattr(_content(d, "SCOORD"), "GraphicType"), "TagMissing"),
        (lambda d: delattr(_content(d, "SCOORD3D"), "ReferencedFrameOfReferenceUID"), "TagMissing"),
        (lambda d: delattr(_content(d, "CODE"), "ConceptCodeSequence"), "TagMissing"),
        (lambda d: setattr(_content(d, "CODE"), "TextValue", "x"), "TagNotAllowed"),
        (lambda d: delattr(_content(d, "TEXT"), "RelationshipType"), "TagMissing"),
    ],
)
def test_a_broken_report_is_noticed(change: Any, said: str, tmp_path: Path) -> None:
    item = series(tmp_path)
    write_dicom_sr(findings_on(item), item, tmp_path / "out.dcm")
    assert any(said in line for line in _damaged(tmp_path / "out.dcm", change))

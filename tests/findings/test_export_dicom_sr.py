"""DICOM structured reports: read again by highdicom, complete by the standard's tables, exactly in place."""

from __future__ import annotations

import json
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.sr.codedict import codes

from tests.findings.scans import CANARY, OBLIQUE, picture, write_cine, write_multi_frame, write_radiograph, write_series
from vesalius.errors import InputError, UnsupportedError
from vesalius.findings import Box, Count, Finding, Mask, Measurement, Point, Report, Where, place
from vesalius.findings.dicom_sources import volume_sources
from vesalius.findings.export_dicom_sr import write_dicom_sr
from vesalius.findings.save import save_findings
from vesalius.findings.sr_codes import ucum
from vesalius.study import read
from vesalius.study.items import Axis, Clip, Picture, Volume

AXIAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
SAGITTAL = ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0))


@pytest.fixture
def series(tmp_path: Path) -> Path:
    folder = tmp_path / "series"
    folder.mkdir()
    write_series(folder, OBLIQUE)
    return folder


def read_volume(folder: Path) -> Volume:
    item = read(folder).items[0]
    assert isinstance(item, Volume)
    return item


def reread(path: Path) -> Any:
    """The report as highdicom parses it: every content item checked against its template on the way."""
    return highdicom.sr.srread(path)


def region_lps(report: Any, group: Any, sources: dict[str, Any]) -> np.ndarray:
    """Corners of a group's region in LPS mm, from the report and the referenced files alone."""
    region = group.roi
    if isinstance(region, highdicom.sr.ImageRegion3D):
        return region.value
    (named,) = region.ContentSequence
    reference = named.ReferencedSOPSequence[0]
    source = sources[reference.ReferencedSOPInstanceUID]
    if "PerFrameFunctionalGroupsSequence" in source:
        per_frame = source.PerFrameFunctionalGroupsSequence[int(reference.ReferencedFrameNumber) - 1]
        shared = source.SharedFunctionalGroupsSequence[0]
        position = per_frame.PlanePositionSequence[0].ImagePositionPatient
        turned = shared.PlaneOrientationSequence[0].ImageOrientationPatient
        spacing = shared.PixelMeasuresSequence[0].PixelSpacing
    else:
        position, turned, spacing = source.ImagePositionPatient, source.ImageOrientationPatient, source.PixelSpacing
    across, down = np.array(turned[:3], float) * float(spacing[1]), np.array(turned[3:], float) * float(spacing[0])
    graphic = region.value - 0.5
    return np.array(position, float) + graphic[:, :1] * across + graphic[:, 1:] * down


def expected_lps(box: Box, scan: Volume) -> np.ndarray:
    assert box.where.axis is not None
    assert box.where.slice_index is not None
    view = scan.slices([box.where.slice_index], box.where.axis)[0]
    corners = [(box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1), (box.x0, box.y0)]
    flat = np.array([[x, y, 0, 1] for x, y in corners])
    return (flat @ view.display_to_ras.T)[:, :3] * [-1, -1, 1]


@pytest.mark.parametrize("directions", [AXIAL, SAGITTAL, OBLIQUE], ids=["axial", "sagittal", "oblique"])
@pytest.mark.parametrize("frames", [False, True], ids=["files", "frames"])
def test_boxes_on_every_kind_of_slice_lie_in_place(directions: Any, frames: bool, tmp_path: Path) -> None:
    source = tmp_path / "series"
    source.mkdir()
    paths = write_series(source, directions)
    if frames:
        write_multi_frame(paths, tmp_path / "frames.dcm")
        paths = [tmp_path / "frames.dcm"]
    scan = read_volume(paths[0] if frames else source)
    axes: tuple[Axis, ...] = ("axial", "coronal", "sagittal")
    boxes = [
        place(Box(label="nodule", x0=0.4, y0=1.2, x1=3.7, y1=2.9, where=Where(axis=axis, slice_index=2)), scan)
        for axis in axes
    ]
    assert write_dicom_sr(boxes, scan, tmp_path / "sr.dcm") == 3
    report = reread(tmp_path / "sr.dcm")
    groups = report.content.get_planar_roi_measurement_groups()
    sources: dict[str, Any] = {str(d.SOPInstanceUID): d for d in map(dcmread, paths)}
    kinds = set()
    for box, group in zip(boxes, groups, strict=True):
        kinds.add(type(group.roi))
        assert np.abs(region_lps(report, group, sources) - expected_lps(box, scan)).max() <= 1e-3, "mm"
        told = {m.name.meaning: (m.value, m.unit.value) for m in group.get_measurements()}
        assert box.size_mm is not None
        assert told["Width"] == (pytest.approx(box.size_mm[0]), "mm")
    assert kinds == {highdicom.sr.ImageRegion, highdicom.sr.ImageRegion3D}, "in the stored plane, and across it"


def test_a_report_tells_sizes_numbers_and_counts_in_ucum(series: Path, tmp_path: Path) -> None:
    scan = read_volume(series)
    view = scan.slices([1])[0]
    flat = np.zeros((view.height, view.width), dtype=bool)
    flat[1:3, 2:5] = True
    solid = np.zeros(scan.shape, dtype=bool)
    solid[2:5, 2:5, 1:4] = True
    findings: list[Finding] = [
        place(Mask(label="liver", mask=solid, group=1, confidence=0.75), scan),
        place(Mask(label="肿瘤", mask=flat, where=Where(axis="axial", slice_index=1)), scan),
        place(Point(label="apex", x=2, y=3, where=Where(axis="axial", slice_index=2)), scan),
        Measurement(label="liver", name="longest diameter", value=33.5, unit="mm", group=1),
        Measurement(label="liver", name="attenuation", value=-12, unit="HU"),
        Count(label="nodules", count=4, where=Where(axis="axial", slice_index=2)),
        Report(findings="f", impression="i"),
    ]
    written = save_findings(tmp_path / "out", findings, [scan], formats=["seg", "sr"])
    assert [p.name for p in written] == ["item0_masks.dcm", "item0_report.dcm"]
    report, seg = reread(written[1]), dcmread(written[0])
    content = report.content
    (whole,) = [g for g in content.get_volumetric_roi_measurement_groups() if g.tracking_identifier == "liver 1"]
    numbers = {m.name.meaning: (m.value, m.unit.value) for m in whole.get_measurements()}
    assert numbers["Volume"] == (pytest.approx(findings[0].volume_ml), "ml")  # pyright: ignore
    assert numbers["Long axis"] == (33.5, "mm")
    assert numbers["Certainty of Finding"] == (75.0, "%")
    assert whole.finding_category == codes.SCT.Organ
    assert whole.reference_type == codes.DCM.ReferencedSegment
    text = json.dumps(report.to_json_dict(suppress_invalid_tags=True), ensure_ascii=False)
    assert seg.SOPInstanceUID in text
    assert "肿瘤 2" in text
    loose = [m for g in content.get_image_measurement_groups() for m in g.get_measurements()]
    assert {(m.name.meaning, m.value, m.unit.value) for m in loose} == {
        ("attenuation", -12.0, "[hnsf'U]"),
        ("count", 4, "1"),
    }
    assert report.VerificationFlag == "UNVERIFIED"


def test_without_a_segmentation_masks_are_outlined_and_the_outlines_enclose_them(series: Path, tmp_path: Path) -> None:
    scan = read_volume(series)
    solid = np.random.default_rng(2).random(scan.shape) < 0.3
    write_dicom_sr([place(Mask(label="mass", mask=solid), scan)], scan, tmp_path / "sr.dcm")
    (group,) = reread(tmp_path / "sr.dcm").content.get_volumetric_roi_measurement_groups()
    area: dict[str, float] = {}
    for region in group.roi:
        x, y = region.value.T
        uid = str(region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        area[uid] = area.get(uid, 0) + float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum()) / 2
    for plane in volume_sources(scan, include_patient=False):
        assert area.get(str(plane.header.SOPInstanceUID), 0) == plane.pixels(solid).sum()


def test_pictures_and_frames_of_clips_are_named(tmp_path: Path) -> None:
    write_radiograph(tmp_path / "chest.dcm")
    write_cine(tmp_path / "cine.dcm")
    photo, cine = read(tmp_path / "chest.dcm").items[0], read(tmp_path / "cine.dcm").items[0]
    assert isinstance(photo, Picture)
    assert isinstance(cine, Clip)
    write_dicom_sr([Box(label="mass", x0=1.5, y0=2.5, x1=9, y1=9)], photo, tmp_path / "a.dcm")
    (group,) = reread(tmp_path / "a.dcm").content.get_planar_roi_measurement_groups()
    assert group.roi.value.tolist() == [[1.5, 2.5], [9, 2.5], [9, 9], [1.5, 9], [1.5, 2.5]]
    write_dicom_sr([Point(label="tip", x=3, y=4, where=Where(frame=4))], cine, tmp_path / "b.dcm")
    (group,) = reread(tmp_path / "b.dcm").content.get_planar_roi_measurement_groups()
    assert int(group.roi.ContentSequence[0].ReferencedSOPSequence[0].ReferencedFrameNumber) == 5
    for where in (Where(), Where(frame=6)):
        with pytest.raises(InputError, match="frame"):
            write_dicom_sr([Point(label="tip", x=3, y=4, where=where)], cine, tmp_path / "c.dcm")


def test_every_attribute_the_standard_requires_is_there(series: Path, tmp_path: Path) -> None:
    """Type 1 attributes hold a value, type 2 attributes are present, by the tables of PS3.3 that highdicom ships."""
    scan = read_volume(series)
    box = Box(label="nodule", x0=0.4, y0=1.2, x1=3.7, y1=2.9, where=Where(axis="axial", slice_index=2))
    write_dicom_sr([box], scan, tmp_path / "sr.dcm")
    report: Any = dcmread(tmp_path / "sr.dcm")
    tables = files("highdicom").joinpath("_standard")
    modules = json.loads(tables.joinpath("iod_module_map.json").read_text("utf-8"))
    attributes = json.loads(tables.joinpath("module_attribute_map.json").read_text("utf-8"))
    checked = 0
    for module in modules["comprehensive-3d-sr"]:
        # The table of the content module lists the attributes of all value types beside one another.
        if module["usage"] != "M" or module["key"] == "sr-document-content":
            continue
        for attribute in attributes[module["key"]]:
            if attribute["path"] or attribute["type"] not in ("1", "2"):
                continue
            checked += 1
            assert attribute["keyword"] in report, attribute["keyword"]
            assert attribute["type"] == "2" or report[attribute["keyword"]].value not in (None, "", [])
    assert checked > 20
    assert report.ValueType == "CONTAINER"
    assert report.ContinuityOfContent in ("SEPARATE", "CONTINUOUS")
    assert report.ConceptNameCodeSequence[0].CodeValue == "126000"
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    named = {str(i.ReferencedSOPInstanceUID) for s in evidence for i in s.ReferencedSOPSequence}
    assert named >= {uid for _, uid in scan.origin.instances}


def test_nothing_of_the_patient_is_copied_unless_asked(series: Path, tmp_path: Path) -> None:
    scan = read_volume(series)
    point = Point(label="p", x=1, y=1, where=Where(axis="axial", slice_index=2))
    write_dicom_sr([point], scan, tmp_path / "bare.dcm")
    assert b"CANARY" not in (tmp_path / "bare.dcm").read_bytes()
    write_dicom_sr([point], scan, tmp_path / "filed.dcm", include_patient=True)
    assert dcmread(tmp_path / "filed.dcm").PatientID == CANARY


def test_what_cannot_be_written_is_refused(series: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = read_volume(series)
    out = tmp_path / "sr.dcm"
    where = Where(axis="axial", slice_index=2)
    with pytest.raises(InputError, match="no box"):
        write_dicom_sr([Report(findings="f", impression="i")], scan, out)
    with pytest.raises(InputError, match=r"where\.axis"):
        write_dicom_sr([Point(label="p", x=1, y=1)], scan, out)
    with pytest.raises(InputError, match="does not fit"):
        write_dicom_sr([Point(label="p", x=1e4, y=1, where=where)], scan, out)
    with pytest.raises(InputError, match="not finite"):
        write_dicom_sr([Measurement(label="m", name="n", value=float("inf"), unit="mm")], scan, out)
    with pytest.raises(UnsupportedError):
        write_dicom_sr([Point(label="p", x=1, y=1)], picture(), out)
    with pytest.raises(UnsupportedError, match="there are none"):
        save_findings(tmp_path / "out", [Point(label="p", x=1, y=1)], [picture()], formats=["sr"])
    monkeypatch.setitem(sys.modules, "highdicom", None)
    monkeypatch.setitem(sys.modules, "highdicom.sr", None)
    with pytest.raises(UnsupportedError, match=r"vesalius\[export\]"):
        write_dicom_sr([Point(label="p", x=1, y=1, where=where)], scan, out)
    assert not out.exists()


@pytest.mark.parametrize(
    ("unit", "code"),
    [
        ("mm", "mm"),
        ("HU", "[hnsf'U]"),
        ("mm²", "mm2"),
        ("", "1"),
        ("beats", "{beats}"),
        ("mmHg", "mm[Hg]"),
        ("次", "1"),
    ],
)
def test_units_are_ucum(unit: str, code: str) -> None:
    assert ucum(unit) == code

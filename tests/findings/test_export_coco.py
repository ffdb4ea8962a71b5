"""Findings as COCO and as a table: pycocotools reads them, and nothing is lost on the way."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO

from tests.findings.scans import clip, picture, volume
from vesalius.errors import InputError
from vesalius.findings import Box, Count, Finding, Mask, Measurement, Point, Report, Where, place
from vesalius.findings.export_coco import from_coco, to_coco
from vesalius.findings.export_csv import COLUMNS, to_csv
from vesalius.findings.pages import overlays
from vesalius.findings.save import save_findings


def found_on(scan: Any, photo: Any, cine: Any) -> list[Finding]:
    rng = np.random.default_rng(3)
    axial = scan.slices([1])[0]
    first: list[Finding] = [
        Mask(label="liver", mask=rng.random(scan.shape) < 0.3, confidence=0.5),
        Mask(label="liver", mask=rng.random(scan.shape) < 0.3, group=2),
        Mask(label="肿瘤", mask=rng.random(axial.values.shape) < 0.5, where=Where(axis="axial", slice_index=1)),
        Box(label="nodule", x0=0.1, y0=0.7, x1=2.3, y1=1.9, where=Where(axis="sagittal", slice_index=2)),
        Point(label="apex", x=1.5, y=2.25, where=Where(axis="coronal", slice_index=0), group=1),
        Box(label="mass", x0=5.3, y0=5.1, x1=30.7, y1=20.2, where=Where(item=1)),
        Box(label="polyp", x0=5, y0=5, x1=30, y1=20, where=Where(item=2, frame=4), confidence=0.25),
        Mask(label="polyp", mask=rng.random((32, 48)) < 0.5, where=Where(item=2, frame=1)),
    ]
    items = (scan, photo, cine)
    return [place(f, items[f.where.item]) for f in first]  # pyright: ignore


def same(a: Finding, b: Finding) -> bool:
    one, other = dict(vars(a)), dict(vars(b))
    if isinstance(a, Mask) and isinstance(b, Mask):
        return np.array_equal(one.pop("mask"), other.pop("mask")) and one == other
    return one == other


def loaded(document: dict[str, Any], folder: Path) -> Any:
    path = folder / "coco.json"
    path.write_text(json.dumps(document))
    return COCO(str(path))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_study_of_three_media_loads_and_comes_back(tmp_path: Path) -> None:
    items = (volume(), picture(), clip())
    findings = found_on(*items)
    document = to_coco(findings, items)
    assert all(same(a, b) for a, b in zip(findings, from_coco(json.loads(json.dumps(document))), strict=True))
    coco = loaded(document, tmp_path)
    solid = findings[0]
    assert isinstance(solid, Mask)
    total = 0
    for entry in coco.loadAnns(coco.getAnnIds()):
        image = coco.imgs[entry["image_id"]]
        drawn = coco.annToMask(entry).astype(bool)
        assert drawn.shape == (image["height"], image["width"])
        if isinstance(entry["segmentation"], dict):
            assert drawn.sum() == entry["area"]
            ys, xs = np.nonzero(drawn)
            box = [xs.min(), ys.min(), xs.max() + 1 - xs.min(), ys.max() + 1 - ys.min()]
            assert entry["bbox"] == box
        total += int(drawn.sum()) if entry["finding"] == 0 else 0
    assert total == solid.mask.sum()
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == ["liver", "肿瘤", "nodule", "apex", "mass", "polyp"]


def test_images_are_called_what_the_overlays_are() -> None:
    items = (volume(), picture(), clip())
    findings = found_on(*items)
    images = {image["file_name"] for image in to_coco(findings, items)["images"]}
    assert images >= {f"{page.name}.png" for page in overlays(findings, items) if not page.name.endswith("_more")}
    assert {"item1.png", "item2_frame_00004.png", "item0_coronal_000.png"} <= images


def test_a_picture_without_findings_stays_an_image() -> None:
    document = to_coco([], [picture(), picture(30, 20)])
    assert [(i["width"], i["height"]) for i in document["images"]] == [(60, 40), (30, 20)]
    assert document["annotations"] == []


def test_what_is_no_region_is_counted() -> None:
    other: list[Finding] = [
        Count(label="c", count=3),
        Report(findings="f", impression="i"),
        Measurement(label="m", name="diameter", value=3, unit="mm"),
        Mask(label="none", mask=np.zeros((40, 60), dtype=bool)),
        Box(label="somewhere", x0=1, y0=1, x1=2, y1=2, where=Where(item=1)),
        Box(label="some time", x0=1, y0=1, x1=2, y1=2, where=Where(item=2)),
    ]
    assert to_coco(other, [picture(), volume(), clip()])["info"]["left_out"] == 6


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_boxes_and_masks_of_any_size_come_back(data: Any) -> None:
    width, height = data.draw(st.integers(1, 90)), data.draw(st.integers(1, 90))
    x0, y0 = data.draw(st.floats(0, width - 0.5)), data.draw(st.floats(0, height - 0.5))
    x1, y1 = data.draw(st.floats(x0 + 0.01, width)), data.draw(st.floats(y0 + 0.01, height))
    mask = np.random.default_rng(data.draw(st.integers(0, 99))).random((height, width)) < data.draw(st.floats(0, 1))
    mask[0, 0] = True
    findings: list[Finding] = [Box(label="b", x0=x0, y0=y0, x1=x1, y1=y1), Mask(label="m", mask=mask)]
    back = from_coco(to_coco(findings, [picture(width, height)]))
    assert all(same(a, b) for a, b in zip(findings, back, strict=True))


def test_what_does_not_fit_is_refused() -> None:
    for bad in (
        Box(label="b", x0=1, y0=1, x1=61, y1=2),
        Box(label="b", x0=1, y0=1, x1=float("nan"), y1=2),
        Point(label="p", x=-1, y=0),
        Mask(label="m", mask=np.ones((3, 3), dtype=bool)),
        Mask(label="m", mask=np.ones((3, 3, 3), dtype=bool)),
        Box(label="b", x0=1, y0=1, x1=2, y1=2, where=Where(item=4)),
    ):
        with pytest.raises(InputError):
            to_coco([bad], [picture()])
    for damaged in ({}, {"images": 3, "annotations": [], "categories": []}):
        with pytest.raises(InputError, match="not COCO"):
            from_coco(damaged)
    document = to_coco([Box(label="b", x0=1, y0=1, x1=2, y1=2)], [picture()])
    document["annotations"][0]["image_id"] = 9
    with pytest.raises(InputError, match="annotation 0"):
        from_coco(document)


def test_coco_of_another_origin_is_read() -> None:
    document = {
        "images": [{"id": 7, "file_name": "a.png", "width": 9, "height": 9}, {"id": 3, "width": 9, "height": 9}],
        "categories": [{"id": 90, "name": "cell"}],
        "annotations": [{"id": 1, "image_id": 3, "category_id": 90, "bbox": [1, 2, 3, 4], "segmentation": []}],
    }
    assert from_coco(document) == [Box(label="cell", x0=1, y0=2, x1=4, y1=6, where=Where(item=1))]


def test_the_table_has_a_row_for_each_finding_and_loses_no_digit() -> None:
    items = (volume(), picture(), clip())
    findings = [
        *found_on(*items),
        Count(label="=cells+1", count=3, where=Where(item=1)),
        Measurement(label="'m", name="diameter", value=1 / 3, unit="mm", group=2),
        Report(findings='A "large", mass.', impression="Follow\nup."),
    ]
    table = list(csv.DictReader(io.StringIO(to_csv(findings), newline="")))
    assert tuple(table[0]) == COLUMNS
    assert [int(row["finding"]) for row in table] == list(range(len(findings)))
    for row, finding in zip(table, findings, strict=True):
        assert row["kind"] == finding.kind
        match finding:
            case Box():
                corners = tuple(float(row[f"{c}_px"]) for c in ("x0", "y0", "x1", "y1"))
                assert corners == (finding.x0, finding.y0, finding.x1, finding.y1)
                if finding.size_mm is not None:
                    assert (float(row["width_mm"]), float(row["height_mm"])) == finding.size_mm
                else:
                    assert row["width_mm"] == row["height_mm"] == ""
            case Point():
                assert tuple(float(row[f"ras_{c}_mm"]) for c in "xyz") == finding.ras_mm
            case Mask():
                assert int(row["elements"]) == finding.mask.sum()
                known = finding.volume_ml if finding.mask.ndim == 3 else finding.area_mm2
                assert float(row["volume_ml" if finding.mask.ndim == 3 else "area_mm2"]) == known
            case Count():
                assert (row["count"], row["label"]) == ("3", "'=cells+1")
            case Measurement():
                assert (float(row["value"]), row["unit"], row["label"], row["group"]) == (1 / 3, "mm", "''m", "2")
            case Report():
                assert row["text"] == 'A "large", mass.\nFollow\nup.'


def test_both_are_written_only_when_named(tmp_path: Path) -> None:
    boxes = [Box(label="b", x0=1, y0=1, x1=2, y1=2)]
    written = save_findings(tmp_path / "a", boxes, [picture()], formats=["coco", "csv"])
    assert [p.name for p in written] == ["coco.json", "findings.csv"]
    assert not {"coco.json", "findings.csv"} & {p.name for p in save_findings(tmp_path / "b", boxes, [picture()])}

"""findings.json: complete, described by its schema, and read back equal."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tests.findings.scans import clip, picture, volume
from vesalius.errors import InputError, OptionError, VesaliusError
from vesalius.findings import Box, Count, Finding, Mask, Measurement, Point, Report, Where
from vesalius.findings.export_json import from_json, schema, to_json, write_json
from vesalius.study.items import Document, Origin, Study

NUMBERS = st.floats(-1e6, 1e6)
SHARES = st.none() | st.floats(0, 1)
GROUPS = st.none() | st.integers(0, 9)
WHERES = st.builds(
    Where,
    item=st.integers(0, 5),
    axis=st.sampled_from([None, "axial", "coronal", "sagittal"]),
    slice_index=st.none() | st.integers(0, 500),
    frame=st.none() | st.integers(0, 500),
    time_s=st.none() | st.floats(0, 1e4),
)
SHARED = {"label": st.text(max_size=8), "where": WHERES, "confidence": SHARES}
XY, XYZ = st.none() | st.tuples(NUMBERS, NUMBERS), st.none() | st.tuples(NUMBERS, NUMBERS, NUMBERS)
MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=3, max_side=6))
SIZES = st.none() | st.floats(0, 1e6)
FINDINGS = st.one_of(
    st.builds(
        Box, x0=NUMBERS, y0=NUMBERS, x1=NUMBERS, y1=NUMBERS, size_mm=XY, centre_ras_mm=XYZ, group=GROUPS, **SHARED
    ),
    st.builds(Point, x=NUMBERS, y=NUMBERS, ras_mm=XYZ, group=GROUPS, **SHARED),
    st.builds(Count, count=st.integers(0, 10**6), **SHARED),
    st.builds(Mask, mask=MASKS, area_mm2=SIZES, volume_ml=SIZES, group=GROUPS, **SHARED),
    st.builds(Measurement, name=st.text(max_size=5), value=NUMBERS, unit=st.just("mm"), group=GROUPS, **SHARED),
    st.builds(Report, findings=st.text(max_size=9), impression=st.text(max_size=9), lang=st.sampled_from(["en", "zh"])),
)


def same(a: Finding, b: Finding) -> bool:
    if type(a) is not type(b):
        return False
    return all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))


@settings(max_examples=40, deadline=None)
@given(st.lists(FINDINGS, max_size=4))
def test_findings_survive_the_way_through_text(findings: list[Finding]) -> None:
    document = json.loads(json.dumps(to_json(findings)))
    jsonschema.validate(document, schema())
    assert all(same(a, b) for a, b in zip(from_json(document), findings, strict=True))


def test_the_document_tells_question_answer_and_geometry() -> None:
    study = Study(
        (volume(), picture(spacing_mm=(0.5, 0.5), pixel_to_ras=np.eye(4)), clip(), Document("t", Origin("text")))
    )
    document = to_json(
        [], study=study, model="starter", question="Where?", answer_text="Here.", notice="A demonstration."
    )
    jsonschema.validate(document, schema())
    assert document["question"] == "Where?"
    assert document["answer"] == "Here."
    assert [item["kind"] for item in document["items"]] == ["volume", "picture", "clip", "document"]
    assert document["items"][0]["affine_ras"] == volume().affine_ras.tolist()


def test_pixels_and_millimetres_stand_side_by_side() -> None:
    (entry,) = to_json([Box(label="b", x0=1, y0=2, x1=3, y1=5, size_mm=(4, 6), centre_ras_mm=(7, 8, 9))])["findings"]
    assert entry["pixels"] == {"box": [1.0, 2.0, 3.0, 5.0]}
    assert entry["mm"] == {"size": [4.0, 6.0], "centre_ras": [7.0, 8.0, 9.0]}


def test_file_names_and_uids_stay_out() -> None:
    origin = Origin("dicom", files=("CANARY.dcm",), series_uid="1.2.CANARY", instances=(("1", "CANARY"),))
    assert "CANARY" not in json.dumps(to_json([], study=[picture(origin=origin)]))


def test_the_schema_is_sound_and_refuses_what_it_does_not_know() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    document = to_json([Point(label="p", x=1, y=1)])
    document["findings"][0]["pixels"]["z"] = 3
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(InputError, match="not finite"):
        to_json([Point(label="p", x=value, y=1)])


@pytest.mark.parametrize(
    "entry",
    [
        3,
        {},
        {"kind": "sphere", "label": "x"},
        {"kind": "box", "label": "x"},
        {"kind": "box", "label": "x", "pixels": {"box": [1, 2, 3]}},
        {"kind": "box", "label": "x", "pixels": {"box": [1, 2, 3, "a"]}},
        {"kind": "point", "label": 4, "pixels": {"point": [1, 2]}},
        {"kind": "point", "label": "x", "where": {"axis": "up"}, "pixels": {"point": [1, 2]}},
        {"kind": "count", "label": "x", "count": 1.5},
        {"kind": "mask", "label": "x", "pixels": {"rle": {"size": [2, 2], "counts": "9"}}},
        {"kind": "mask", "label": "x", "pixels": []},
        {"kind": "point", "label": "x", "mm": 3, "pixels": {"point": [1, 2]}},
    ],
)
def test_a_damaged_entry_is_named_by_its_position(entry: Any) -> None:
    good = to_json([Point(label="p", x=1, y=1)])["findings"][0]
    with pytest.raises(InputError, match="finding 1 cannot be read"):
        from_json({"vesalius_findings": 1, "findings": [good, entry]})


@pytest.mark.parametrize("document", [{}, {"vesalius_findings": 2, "findings": []}, {"vesalius_findings": 1}])
def test_other_documents_are_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        from_json(document)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "findings.json"
    path.write_text("old")
    with pytest.raises((VesaliusError, ValueError)):
        write_json(path, {"x": float("nan")})
    assert path.read_text() == "old"
    write_json(path, to_json([Count(label="肿瘤", count=2)]))
    assert same(from_json(json.loads(path.read_text("utf-8")))[0], Count(label="肿瘤", count=2))
    assert [p.name for p in tmp_path.iterdir()] == ["findings.json"]
    with pytest.raises(OptionError):
        write_json(tmp_path / "no" / "findings.json", {})

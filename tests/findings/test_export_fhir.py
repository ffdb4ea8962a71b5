"""Findings as FHIR R4: what the schema says, references that resolve, text that stays text."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import numpy as np
import pytest

from tests.findings.scans import picture, volume
from vesalius.errors import InputError
from vesalius.findings import Box, Count, Finding, Mask, Measurement, Point, Report, Where, place
from vesalius.findings.export_fhir import fhir_schema, to_fhir
from vesalius.findings.save import save_findings

ISSUED = "2026-01-31T12:00:00Z"


def findings_on(scan: Any) -> list[Finding]:
    return [
        place(Mask(label="liver", mask=np.ones(scan.shape, dtype=bool), confidence=0.5), scan),
        place(Box(label="肿瘤", x0=0.5, y0=0, x1=2, y1=2, where=Where(axis="axial", slice_index=2)), scan),
        place(Point(label=" ", x=1, y=1, where=Where(axis="axial", slice_index=1)), scan),
        Count(label="nodules", count=4),
        Measurement(label="liver", name="attenuation", value=-12.5, unit="HU"),
        Report(findings="A <b>mass</b> & more.", impression="Follow\x00 up."),
    ]


def checked(bundle: dict[str, Any]) -> dict[str, Any]:
    jsonschema.Draft202012Validator(fhir_schema()).validate(bundle)
    return json.loads(json.dumps(bundle, allow_nan=False))


def of_kind(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == kind]


def test_a_bundle_has_a_report_and_an_observation_for_each_finding() -> None:
    bundle = checked(to_fhir(findings_on(volume()), issued=ISSUED, answer_text="There.", notice="Demo."))
    (report,), observations = of_kind(bundle, "DiagnosticReport"), of_kind(bundle, "Observation")
    assert [o["code"]["text"] for o in observations] == ["liver", "肿瘤", "finding", "nodules", "liver: attenuation"]
    urls = [e["fullUrl"] for e in bundle["entry"]]
    assert len(set(urls)) == len(urls)
    results = [r["reference"] for r in report["result"]]
    assert results == [e["fullUrl"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Observation"]
    for resource in [report, *observations]:
        assert resource["status"] == "preliminary"
        assert resource["subject"]["reference"] in urls
    assert observations[3]["valueInteger"] == 4
    assert observations[4]["valueQuantity"] == {
        "value": -12.5,
        "unit": "HU",
        "system": "http://unitsofmeasure.org",
        "code": "[hnsf'U]",
    }
    numbers = {c["code"]["text"]: c["valueQuantity"] for c in observations[0]["component"]}
    assert numbers["confidence"]["value"] == 50
    assert numbers["Volume"]["code"] == "ml"
    corner = {c["code"]["text"]: c["valueQuantity"] for c in observations[1]["component"]}["x0"]
    assert (corner["value"], corner["code"]) == (0.5, "{px}")


def test_the_narrative_is_well_formed_and_holds_the_text_as_text() -> None:
    bundle = checked(to_fhir(findings_on(volume()), issued=ISSUED, answer_text="<script>x</script>", notice="Demo."))
    (report,) = of_kind(bundle, "DiagnosticReport")
    tree = ElementTree.fromstring(report["text"]["div"])  # written two lines up, not read from outside
    assert {child.tag for child in tree.iter()} == {f"{{http://www.w3.org/1999/xhtml}}{t}" for t in ("div", "p")}
    lines = [child.text for child in tree]
    assert lines[:3] == ["Demo.", "<script>x</script>", "A <b>mass</b> & more."]


@pytest.mark.parametrize("given", [[], [Report(findings="", impression=" ")], [Count(label="", count=0)]])
def test_little_or_nothing_found_is_a_valid_bundle(given: list[Finding]) -> None:
    checked(to_fhir(given, issued=ISSUED, answer_text=" ", model=""))


def test_the_schema_refuses_what_fhir_refuses() -> None:
    good = to_fhir(findings_on(volume()), issued=ISSUED)
    check = jsonschema.Draft202012Validator(fhir_schema())
    for damage in (
        lambda r: r.pop("status"),
        lambda r: r.update(status="done"),
        lambda r: r.update(result=[]),
        lambda r: r.update(issued="yesterday"),
        lambda r: r.update(conclusion=""),
        lambda r: r.pop("code"),
        lambda r: r.update(extra=1),
    ):
        bad = copy.deepcopy(good)
        damage(of_kind(bad, "DiagnosticReport")[0])
        assert not check.is_valid(bad)


def test_numbers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InputError, match="not finite"):
        to_fhir([Measurement(label="m", name="n", value=float("nan"), unit="mm")], issued=ISSUED)


def test_it_is_written_when_named(tmp_path: Path) -> None:
    written = save_findings(tmp_path, [Count(label="c", count=1)], [picture()], formats=["fhir"])
    assert [p.name for p in written] == ["fhir.json"]
    checked(json.loads(written[0].read_text("utf-8")))

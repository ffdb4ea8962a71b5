"""Bundles by the model classes of FHIR R4 (4.0.1) that fhirclient carries, and their codes and references."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from fhirclient.models.bundle import Bundle
from fhirclient.models.fhirabstractbase import FHIRValidationError
from pydicom.sr._concepts_dict import concepts

from tests.findings.scans import clip, picture, volume
from vesalius.findings import Box, Count, Finding, Mask, Measurement, Point, Report, Where, place
from vesalius.findings.export_fhir import to_fhir
from vesalius.findings.sr_codes import SNOMED_NAMES

ISSUED = "2026-01-31T12:00:00Z"
WORDS = {
    "en": ("nodule", "left ribs", "Two nodules in the right lung.", "Follow up in 3 months."),
    "zh": ("结节", "肋骨", "右肺见两个结节。", "建议三个月后复查。"),
    "ar": ("عقدة", "أضلاع", "عقدتان في الرئة اليمنى.", "متابعة بعد ٣ أشهر."),
}
UNITS = {"mm", "ml", "mm2", "[hnsf'U]", "%", "1", "{px}", "{beats}"}


def findings_in(language: str) -> list[Finding]:
    """Of every kind, on a volume, a picture and a frame of a clip."""
    label, other, said, meant = WORDS[language]
    scan, photo, film = volume(), picture(), clip()
    flat = np.zeros((photo.height, photo.width), dtype=bool)
    flat[3:9, 4:12] = True
    axial = Where(axis="axial", slice_index=2)
    return [
        place(Mask(label="liver", mask=np.ones(scan.shape, dtype=bool), confidence=0.5, group=1), scan),
        place(Mask(label=label, mask=flat, where=Where(item=1)), photo),
        place(Box(label=label, x0=0.5, y0=0, x1=2, y1=2, where=axial, confidence=1.0), scan),
        place(Box(label=other, x0=3, y0=4, x1=20, y1=30, where=Where(item=2, frame=3)), film),
        place(Point(label=label, x=1, y=1, where=axial), scan),
        Count(label=other, count=0),
        Measurement(label="liver", name="attenuation", value=-12.5, unit="HU", group=1),
        Measurement(label=other, name="long axis", value=3, unit="mm"),
        Measurement(label=other, name="频率", value=72, unit="beats"),
        Report(findings=said, impression=meant),
    ]


def bundle_in(language: str) -> dict[str, Any]:
    made = to_fhir(findings_in(language), issued=ISSUED, answer_text=WORDS[language][2], notice="Not for diagnosis.")
    return json.loads(json.dumps(made, ensure_ascii=False, allow_nan=False))


def parts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from parts(one)


def snomed() -> dict[str, set[str]]:
    """The meanings the DICOM standard gives each SNOMED CT code, without SNOMED CT's own tag ("Volume (property)")."""
    meanings: dict[str, set[str]] = {}
    for named in concepts["SCT"].values():
        for code, (said, _) in named.items():
            meanings.setdefault(code, set()).add(re.sub(r" \(.*", "", said))
    return meanings


@pytest.mark.parametrize("language", WORDS)
def test_a_bundle_reads_as_r4_and_comes_back_the_same(language: str) -> None:
    made = bundle_in(language)
    read: Any = Bundle(made)
    assert read.as_json() == made
    kinds = [type(e.resource).__name__ for e in read.entry]
    assert kinds == ["DiagnosticReport", "Device", "Patient", "Provenance"] + ["Observation"] * 9
    assert read.entry[0].resource.conclusion == WORDS[language][3]


@pytest.mark.parametrize("language", WORDS)
def test_every_reference_is_an_entry_of_the_bundle_and_of_the_kind_it_must_be(language: str) -> None:
    made = bundle_in(language)
    kinds = {e["fullUrl"]: e["resource"]["resourceType"] for e in made["entry"]}
    assert len(kinds) == len(made["entry"])
    # A device may make an observation and be the agent of a provenance; R4 does not let it perform a report.
    allowed = {
        "DiagnosticReport": {"subject": "Patient", "result": "Observation"},
        "Observation": {"subject": "Patient", "device": "Device"},
        "Provenance": {"target": "DiagnosticReport", "who": "Device"},
    }
    checked = 0
    for entry in made["entry"]:
        resource = entry["resource"]
        for part in parts(resource):
            for field, given in part.items():
                for one in given if isinstance(given, list) else [given]:
                    if isinstance(one, dict) and "reference" in one:
                        checked += 1
                        assert kinds[one["reference"]] == allowed[resource["resourceType"]][field]
    assert checked == 1 + 9 + 2 * 9 + 2


@pytest.mark.parametrize("language", WORDS)
def test_codes_mean_what_their_display_says(language: str) -> None:
    meanings = snomed()
    known = {
        "http://loinc.org": {"18748-4": "Diagnostic imaging study"},
        "http://terminology.hl7.org/CodeSystem/v2-0074": {"RAD": "Radiology"},
        "http://terminology.hl7.org/CodeSystem/observation-category": {"imaging": "Imaging"},
    }
    codes = [p for p in parts(bundle_in(language)) if {"code", "display"} <= set(p)]
    assert codes
    for one in codes:
        if one["system"] == "http://snomed.info/sct":
            assert one["display"] in meanings[one["code"]]
        else:
            assert known[one["system"]][one["code"]] == one["display"]
    units = [p for p in parts(bundle_in(language)) if "unit" in p]
    assert {u["system"] for u in units} == {"http://unitsofmeasure.org"}
    assert {u["code"] for u in units} <= UNITS


def test_the_concepts_of_measured_names_are_those_of_the_standard() -> None:
    meanings = snomed()
    for code, display in SNOMED_NAMES.values():
        assert display in meanings[code]


def test_a_label_without_a_concept_is_told_in_words_alone() -> None:
    """Ribs counted are no abnormal structure: no code says more than the finding did."""
    for label in ("left ribs", "肋骨", "عقدة"):
        made = to_fhir([Count(label=label, count=12)], issued=ISSUED)
        (observation,) = (e["resource"] for e in made["entry"] if e["resource"]["resourceType"] == "Observation")
        assert observation["code"] == {"text": label}


@pytest.mark.parametrize(
    "damage",
    [
        lambda report: report.pop("status"),
        lambda report: report.pop("code"),
        lambda report: report.update(result={"reference": "urn:uuid:1"}),
        lambda report: report.update(conclusion=3),
        lambda report: report.update(colour="red"),
        lambda report: report["text"].pop("div"),
    ],
)
def test_the_classes_refuse_what_is_not_r4(damage: Callable[[dict[str, Any]], object]) -> None:
    made = bundle_in("en")
    damage(made["entry"][0]["resource"])
    with pytest.raises(FHIRValidationError):
        Bundle(made)

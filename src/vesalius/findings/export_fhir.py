"""Findings as FHIR R4: one bundle with a DiagnosticReport and an Observation for each finding, as plain dicts.

Everything is preliminary and made by a device, of an unnamed patient: no name, identifier, file name or UID of the
study goes in. `fhir.schema.json` beside this file describes the resources and fields used here.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Any, cast
from uuid import uuid4

from vesalius.errors import InputError
from vesalius.findings.export_report import where_in_words
from vesalius.findings.findings import Box, Count, Finding, Mask, Measurement, Point, Report
from vesalius.findings.segment_codes import label_code
from vesalius.findings.sr_codes import SNOMED_NAMES, ucum

__all__ = ["fhir_schema", "to_fhir"]

_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_LOINC, _SNOMED, _UCUM = "http://loinc.org", "http://snomed.info/sct", "http://unitsofmeasure.org"


def to_fhir(
    findings: Sequence[Finding],
    *,
    issued: str,
    model: str = "vesalius",
    answer_text: str | None = None,
    notice: str | None = None,
) -> dict[str, Any]:
    """A Bundle of type collection: DiagnosticReport (LOINC 18748-4, preliminary), Device, Patient, Provenance (the
    report was made by that Device), Observations.

    A finding is an Observation whose text is its label (with a SNOMED CT code where the DICOM standard lists one) and
    whose value is its count or number; sizes, places in the pixel frame (px) and in RAS mm, and confidence are
    components with UCUM units. A report's impression, or else the answer, is the conclusion; the narrative says what
    the findings say, escaped.  `issued`: the moment, as 2026-01-31T12:00:00Z.  `notice`: said first in the narrative.
    Raises InputError for a number that is not finite.
    """
    written, device, patient = _urn(), _urn(), _urn()
    observed = [(_urn(), f) for f in findings if not isinstance(f, Report)]
    reports = [f for f in findings if isinstance(f, Report)]
    conclusion = "\n".join(r.impression for r in reports if r.impression.strip()) or (answer_text or "").strip()
    said = [notice, answer_text, *(r.findings for r in reports), *(r.impression for r in reports)]
    said += [f"{f.label}: {where_in_words(f.where)}" for _, f in observed]
    report: dict[str, Any] = {
        "resourceType": "DiagnosticReport",
        "text": _narrative([t for t in said if t and t.strip()] or ["No finding."]),
        "status": "preliminary",
        "category": [_concept("http://terminology.hl7.org/CodeSystem/v2-0074", "RAD", "Radiology")],
        "code": _concept(_LOINC, "18748-4", "Diagnostic imaging study"),
        "subject": {"reference": patient},
        "issued": issued,
    }
    if observed:
        report["result"] = [{"reference": urn} for urn, _ in observed]
    if conclusion:
        report["conclusion"] = conclusion
    maker: dict[str, Any] = {
        "resourceType": "Device",
        "manufacturer": "Vesalius",
        "deviceName": [{"name": model.strip() or "vesalius", "type": "model-name"}],
    }
    # R4 lets people and organisations perform a report, not a device; who made it is told by a Provenance.
    made_by: dict[str, Any] = {
        "resourceType": "Provenance",
        "target": [{"reference": written}],
        "recorded": issued,
        "agent": [{"who": {"reference": device}}],
    }
    entries = [(written, report), (device, maker), (patient, {"resourceType": "Patient"}), (_urn(), made_by)]
    entries += [(urn, _observation(f, patient, device, issued)) for urn, f in observed]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": issued,
        "entry": [{"fullUrl": urn, "resource": resource} for urn, resource in entries],
    }


def fhir_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of what `to_fhir` returns, after the R4 definitions of the fields used."""
    text = files("vesalius.findings").joinpath("fhir.schema.json").read_text(encoding="utf-8")
    return cast("dict[str, Any]", json.loads(text))


def _urn() -> str:
    return f"urn:uuid:{uuid4()}"


def _concept(system: str | None, code: str, display: str, text: str | None = None) -> dict[str, Any]:
    coding = (
        {"code": code, "display": display} if system is None else {"system": system, "code": code, "display": display}
    )
    return {"coding": [coding], "text": text or display}


def _narrative(lines: Sequence[str]) -> dict[str, str]:
    shown = "".join(f"<p>{_escaped(line)}</p>" for line in lines)
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{shown}</div>'}


def _escaped(text: str) -> str:
    """Text for XHTML, without what XML has no place for."""
    return html.escape("".join(c for c in text if c in "\n\t" or _in_xml(ord(c))), quote=True)


def _in_xml(point: int) -> bool:
    return point >= 32 and not 0xD800 <= point < 0xE000 and point not in (0xFFFE, 0xFFFF)


def _observation(
    finding: Box | Point | Count | Mask | Measurement, patient: str, device: str, issued: str
) -> dict[str, Any]:
    label = finding.label.strip() or "finding"
    kind = label_code(label)
    observation: dict[str, Any] = {
        "resourceType": "Observation",
        "status": "preliminary",
        "category": [_concept(_CATEGORY, "imaging", "Imaging")],
        "code": {"text": label} if kind is None else _concept(_SNOMED, str(kind.value), str(kind.meaning), label),
        "subject": {"reference": patient},
        "issued": issued,
        "device": {"reference": device},
        "note": [{"text": where_in_words(finding.where)}],
    }
    if isinstance(finding, Count):
        observation["valueInteger"] = int(finding.count)
    elif isinstance(finding, Measurement):
        observation["valueQuantity"] = _quantity(finding.value, finding.unit)
        observation["code"] = _named(finding.name) | {"text": f"{label}: {finding.name.strip() or 'measurement'}"}
    components = [{"code": _named(name), "valueQuantity": _quantity(v, u)} for name, v, u in _components(finding)]
    if components:
        observation["component"] = components
    return observation


def _named(name: str) -> dict[str, Any]:
    """A measured quantity: a SNOMED CT concept where the standard lists have one, else its words."""
    key = " ".join(name.lower().split())
    if key in SNOMED_NAMES:
        return _concept(_SNOMED, *SNOMED_NAMES[key])
    return {"text": name.strip() or "measurement"}


def _quantity(value: float, unit: str) -> dict[str, Any]:
    if not math.isfinite(value):
        raise InputError("a finding holds a number that is not finite; it cannot be written as FHIR.")
    return {"value": float(value), "unit": unit.strip() or "1", "system": _UCUM, "code": ucum(unit)}


def _components(finding: Box | Point | Count | Mask | Measurement) -> Iterator[tuple[str, float, str]]:
    """(name, value, unit) of each number beside the value."""
    ras: tuple[float, ...] | None = None
    match finding:
        case Box():
            for name in ("x0", "y0", "x1", "y1"):
                yield name, getattr(finding, name), "px"
            yield from zip(("width", "height"), finding.size_mm or (), ("mm", "mm"), strict=False)
            ras = finding.centre_ras_mm
        case Point():
            yield "x", finding.x, "px"
            yield "y", finding.y, "px"
            ras = finding.ras_mm
        case Mask():
            if finding.area_mm2 is not None:
                yield "area", finding.area_mm2, "mm2"
            if finding.volume_ml is not None:
                yield "volume", finding.volume_ml, "ml"
        case Count() | Measurement():
            pass
    yield from zip(("RAS x", "RAS y", "RAS z"), ras or (), ("mm", "mm", "mm"), strict=False)
    if finding.confidence is not None:
        yield "confidence", 100 * finding.confidence, "%"

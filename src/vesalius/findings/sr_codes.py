"""Coded names and UCUM units of what is measured, for structured reports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vesalius.errors import InputError
from vesalius.findings.findings import Box, Count, Mask, Measurement, Point

__all__ = ["SNOMED_NAMES", "certainty", "numbers", "ucum"]

SNOMED_NAMES = {
    "angle": ("1483009", "Angle"),
    "area": ("42798000", "Area"),
    "circumference": ("74551000", "Circumference"),
    "depth": ("131197000", "Depth"),
    "diameter": ("81827009", "Diameter"),
    "length": ("410668003", "Length"),
    "long axis": ("103339001", "Long axis"),
    "longest diameter": ("103339001", "Long axis"),
    "short axis": ("103340004", "Short axis"),
    "volume": ("118565006", "Volume"),
    "width": ("103355008", "Width"),
}
"""SNOMED CT concepts of the DICOM standard's own lists, by the names findings use."""
_UCUM = {"hu": "[hnsf'U]", "mm²": "mm2", "mm³": "mm3", "cm²": "cm2", "cm³": "cm3", "cc": "cm3", "°": "deg", "": "1"}
_UCUM_AS_IS = frozenset(
    (
        *("mm", "cm", "m", "um", "mm2", "cm2", "mm3", "cm3", "ml", "mL", "l", "L", "%", "1", "deg", "g", "kg", "s"),
        *("ms", "mmHg", "g/cm3", "mg/ml", "g/ml", "m/s", "cm/s", "/min"),
    )
)


def ucum(unit: str) -> str:
    """The UCUM code of a unit; one that is not known becomes an annotation ("{beats}"), which UCUM counts as 1."""
    unit = unit.strip()
    if unit in _UCUM_AS_IS:
        return "mm[Hg]" if unit == "mmHg" else unit
    if unit.lower() in _UCUM:
        return _UCUM[unit.lower()]
    plain = "".join(c for c in unit if 33 <= ord(c) <= 126 and c not in "{}\\")[:14]
    return f"{{{plain}}}" if plain else "1"


def _unit(code: str) -> Any:
    from pydicom.sr.coding import Code

    return Code(code, "UCUM", "no units" if code == "1" else code)


def _name(name: str) -> Any:
    """The coded name, or a private code that keeps the words."""
    from pydicom.sr.coding import Code

    key = " ".join(name.lower().split())
    if key in SNOMED_NAMES:
        value, meaning = SNOMED_NAMES[key]
        return Code(value, "SCT", meaning)
    words = "".join(c if c.isprintable() and c != "\\" else " " for c in name).strip()[:64] or "measurement"
    value = "".join(c for c in words if c.isascii() and c.isalnum())[:16] or "measurement"
    return Code(value, "99VESALIUS", words)


def numbers(sr: Any, finding: Box | Point | Mask | Count | Measurement) -> Iterator[Any]:
    """The measurements (TID 300) a finding holds: width and height of a box, area, volume, a count, a number."""
    told: list[tuple[str, float, str]] = []
    match finding:
        case Box():
            told += zip(("width", "height"), finding.size_mm or (), ("mm", "mm"), strict=False)
        case Mask():
            told += [("area", finding.area_mm2, "mm2")] if finding.area_mm2 is not None else []
            told += [("volume", finding.volume_ml, "ml")] if finding.volume_ml is not None else []
        case Count():
            told.append(("count", float(finding.count), "1"))
        case Measurement():
            told.append((finding.name, finding.value, finding.unit))
        case Point():
            pass
    for name, value, unit in told:
        yield _measured(sr, _name(name), value, ucum(unit))


def certainty(sr: Any, finding: Box | Point | Mask | Count | Measurement) -> Iterator[Any]:
    """The confidence as Certainty of Finding, in percent."""
    from pydicom.sr.codedict import codes

    if finding.confidence is not None:
        known: Any = codes.DCM
        yield _measured(sr, known.CertaintyOfFinding, 100.0 * finding.confidence, "%")


def _measured(sr: Any, name: Any, value: float, unit: str) -> Any:
    import math

    if not math.isfinite(value):
        raise InputError("a finding holds a number that is not finite; it cannot be written as DICOM SR.")
    return sr.Measurement(name=name, value=float(value), unit=_unit(unit))

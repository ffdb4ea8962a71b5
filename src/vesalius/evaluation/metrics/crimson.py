"""CRIMSON: a report's score from a judge's list of findings and errors, weighed by clinical significance.

The judge (a model or a person) supplies the JSON; this file checks it and computes the number. Range (-1, 1].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vesalius.errors import InputError

__all__ = ["SIGNIFICANCE", "crimson"]

SIGNIFICANCE: Mapping[str, float] = {
    "urgent": 1.0,
    "actionable_not_urgent": 0.5,
    "not_actionable_not_urgent": 0.25,
    "benign_expected": 0.0,
}
SEVERITY: Mapping[str, float] = {"significant": 0.5, "negligible": 0.0}
OTHER = 0.25
"""Weight of a significance or severity the judge made up."""


def crimson(judgement: Mapping[str, Any]) -> float:
    """Score of one report, rounded to 4 digits.

    `judgement`: `reference_findings` and `predicted_findings` [{id, clinical_significance}], `matched_findings`
    [{ref_id, pred_id}], `errors` {false_findings [pred id], missing_findings [ref id], attribute_errors [{ref_id,
    error_types, severity}]}. A reference finding matched twice counts once; an id that is in neither list weighs
    nothing. Raises InputError when a key is missing or of another kind.
    """
    reference = _weights(_rows(judgement, "reference_findings"))
    predicted = _weights(_rows(judgement, "predicted_findings"))
    errors = judgement.get("errors", {})
    if not isinstance(errors, Mapping):
        raise InputError(f"the judge's errors are {type(errors).__name__}, not an object.")
    false = sum(predicted.get(one, 0.0) for one in _ids(errors, "false_findings"))
    missed = sum(reference.get(one, 0.0) for one in _ids(errors, "missing_findings"))
    matched = [_text(row, "ref_id") for row in _rows(judgement, "matched_findings")]
    severities: dict[str, float] = {}
    for row in _rows(errors, "attribute_errors"):
        found = _text(row, "ref_id")
        severities[found] = severities.get(found, 0.0) + SEVERITY.get(str(row.get("severity")), OTHER)
    correct = sum(_credit(reference.get(one, 0.0), severities.get(one, 0.0)) for one in dict.fromkeys(matched))
    listed = _rows(judgement, "reference_findings")
    total = sum(_weight(row) for row in listed) if listed else len(matched) + missed
    return round(_score(correct, false, missed, total), 4)


def _credit(weight: float, severity: float) -> float:
    return weight * weight / (weight + severity) if weight + severity else 0.0


def _score(correct: float, false: float, missed: float, total: float) -> float:
    if total == 0 and false == missed == 0:
        return 1.0
    score = (correct - false) / total if total else -(false + missed + 1.0)
    if score >= 0:
        return score
    excess = false - correct
    return -excess / (1.0 + excess) if excess > 0 else 0.0


def _rows(source: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    rows = source.get(key, [])
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise InputError(f"the judge's {key} is not a list of objects.")
    return rows


def _ids(source: Mapping[str, Any], key: str) -> list[str]:
    """The ids as listed; an entry is an id or an object that holds it."""
    rows = source.get(key, [])
    if not isinstance(rows, list):
        raise InputError(f"the judge's {key} is not a list.")
    found = [row.get("id", row.get("pred_id", row.get("ref_id"))) if isinstance(row, Mapping) else row for row in rows]
    return [str(one) for one in found]


def _text(row: Mapping[str, Any], key: str) -> str:
    if key not in row:
        raise InputError(f"an entry of the judge has no {key}.")
    return str(row[key])


def _weights(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return {_text(row, "id"): _weight(row) for row in rows}


def _weight(row: Mapping[str, Any]) -> float:
    return SIGNIFICANCE.get(str(row.get("clinical_significance")), OTHER)

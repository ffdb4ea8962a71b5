"""What one item scored: the line of `scores.jsonl`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from vesalius.evaluation.contract import Sample
from vesalius.evaluation.prediction import Prediction

__all__ = ["FAILURES", "ItemScore", "Outcome", "Pair", "outcome_of"]

Pair = tuple[Sample, Prediction]
Outcome = Literal["answered", "parse_failure", "refusal", "truncation", "error", "not_judged"]
FAILURES: tuple[Outcome, ...] = ("parse_failure", "refusal", "truncation", "error")

_OUTCOMES: dict[str, Outcome] = {
    "ok": "answered",
    "repaired": "answered",
    "partial": "answered",
    "none": "answered",
    "refused": "refusal",
    "truncated": "truncation",
    "error": "error",
    "not judged": "not_judged",
}


def outcome_of(status: str) -> Outcome:
    """What became of an answer: `ambiguous`, `empty`, `unparsed` and `malformed` are parse failures."""
    return _OUTCOMES.get(status, "parse_failure")


@dataclass(frozen=True)
class ItemScore:
    """One item. `answer`: as parsed, None where there is none. `status`, `rule`: of `parse_answer`, `parse_grounding`,
    or "error" (the model failed) and "not judged".

    `scores`: metric → value, averaged over the items that have it; a metric is left out only where it is not defined
    for the item's truth, never for what was answered.  `ratios`: metric → (numerator, denominator), summed before
    dividing.  `groups`: what sub-tables it belongs to ("lang=en").  `cluster`: patient, `images`: hashes of its media.
    """

    id: str
    kind: str
    answer: Any
    status: str
    rule: str = ""
    scores: Mapping[str, float] = field(default_factory=dict[str, float])
    ratios: Mapping[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    groups: tuple[str, ...] = ()
    cluster: str | None = None
    images: tuple[str, ...] = ()

    def row(self) -> dict[str, Any]:
        """As a JSON object."""
        told = {"id": self.id, "kind": self.kind, "answer": self.answer, "status": self.status, "rule": self.rule}
        found = told | {"scores": {key: self.scores[key] for key in sorted(self.scores)}}
        if self.ratios:
            found["ratios"] = {key: list(self.ratios[key]) for key in sorted(self.ratios)}
        return found

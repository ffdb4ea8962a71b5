"""Measurements in mm or degrees: the numbers an answer gives, and how far they lie from the truth.

The truth of a sample is a list of numbers; an answer holds as many, in that order. `extra["unit"]` is "mm" or
"degrees"; a length said in cm is taken as such.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Any, Literal

from vesalius.errors import InputError
from vesalius.evaluation.contract import Sample
from vesalius.evaluation.prediction import Prediction
from vesalius.findings.dialects.statements import answer_part, is_refusal, without_thoughts

__all__ = ["longest_mm", "measured", "score_measure", "true_measure"]

WITHIN = 0.1
"""Share of the truth by which a right measurement may be off, on average over its numbers."""

_BOXED = re.compile(r"\\boxed\s*\{([^{}]*)\}")
_NUMBER = re.compile(
    r"(?<![\w.])[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?!\d)\s*(?P<unit>cm\b|centimet(?:er|re)s?\b)?", re.IGNORECASE
)


def true_measure(sample: Sample) -> list[float]:
    """The true numbers. InputError where the sample has none."""
    gold: Any = sample.gold
    try:
        values = [float(value) for value in (gold if isinstance(gold, list | tuple) else [gold])]
    except (TypeError, ValueError) as exc:
        raise InputError(f"item {sample.id!r}: the truth is no measurement.") from exc
    if not values:
        raise InputError(f"item {sample.id!r}: the truth is no measurement.")
    return values


def measured(
    sample: Sample, prediction: Prediction, mode: Literal["strict", "tolerant"] = "strict"
) -> tuple[list[float] | None, str, str]:
    """(numbers, status, rule). Strict: the answer holds exactly as many numbers as asked; tolerant: its last ones, as
    MedVision's own rule has it. Thoughts are never searched."""
    wanted = len(true_measure(sample))
    if prediction.finish_reason == "error":
        return None, "error", "the model failed"
    text, thinking = without_thoughts(prediction.raw)
    text = unicodedata.normalize("NFKC", answer_part(text)).replace("٫", ".").replace("−", "-")
    boxed = [one for one in _BOXED.findall(text) if one.strip()]
    text = boxed[-1] if boxed else text
    lengths = sample.extra.get("unit") != "degrees"
    found = [_value(match, lengths) for match in _NUMBER.finditer(text)]
    if len(found) == wanted:
        return found, "ok", "the numbers of the answer"
    if len(found) > wanted:
        return (found[-wanted:], "ok", "last numbers") if mode == "tolerant" else (None, "ambiguous", "more numbers")
    if thinking or prediction.finish_reason == "length":
        return None, "truncated", ""
    if not text.strip():
        return None, "empty", ""
    return None, "refused" if is_refusal(text) else "unparsed", ""


_LENGTH = re.compile(
    r"(?<![\w.])(\d+(?:\.\d+)?)\s*(mm|millimet(?:er|re)s?|cm|centimet(?:er|re)s?|[uµμ]m|毫米|厘米|微米|مم|ملم|سم|ميكرون)(?![a-z])",
    re.IGNORECASE,
)
_MM_OF = {"c": 10.0, "厘": 10.0, "س": 10.0, "u": 1e-3, "µ": 1e-3, "μ": 1e-3, "微": 1e-3, "ميك": 1e-3}


def longest_mm(
    sample: Sample, prediction: Prediction, mode: Literal["strict", "tolerant"] = "strict"
) -> tuple[list[float] | None, str, str]:
    """As `measured`, of the longest length an answer gives: of the measurements the model returned beside its text,
    else of the lengths with a unit in the text (mm, cm, µm; en, zh, ar), else the text's only number, taken as mm."""
    if prediction.finish_reason == "error":
        return None, "error", "the model failed"
    found = [float(one["value"]) for one in prediction.findings if one.get("unit") == "mm" and "value" in one]
    if found:
        return [max(found)], "ok", "the longest measurement"
    text, _ = without_thoughts(prediction.raw)
    text = unicodedata.normalize("NFKC", answer_part(text)).replace("٫", ".").replace("−", "-")
    said = [
        float(one[1]) * next((mm for start, mm in _MM_OF.items() if one[2].lower().startswith(start)), 1.0)
        for one in _LENGTH.finditer(text)
    ]
    return ([max(said)], "ok", "the longest length said") if said else measured(sample, prediction, mode)


def _value(match: re.Match[str], lengths: bool) -> float:
    text = match[0][: match.start("unit") - match.start()] if match["unit"] else match[0]
    return float(text) * (10.0 if match["unit"] and lengths else 1.0)


def score_measure(
    sample: Sample, numbers: Sequence[float] | None
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """(scores, ratios): `within_10` (right to 10 % of the truth on average) and `measure_missing` of all items; mean
    absolute error `mae_mm` or `mae_degrees` and mean relative error `mre` of those that gave a number."""
    true = true_measure(sample)
    if numbers is None:
        return _within(sample, math.inf) | {"measure_missing": 1.0}, {}
    away = [abs(said - right) for said, right in zip(numbers, true, strict=True)]
    relative = sum(gap / abs(right) if right else float(gap > 0) for gap, right in zip(away, true, strict=True)) / len(
        true
    )
    unit = str(sample.extra.get("unit", "mm"))
    ratios = {f"mae_{unit}": (sum(away) / len(away), 1.0), "mre": (relative, 1.0)}
    return _within(sample, relative) | {"measure_missing": 0.0}, ratios


def _within(sample: Sample, relative: float) -> dict[str, float]:
    """Whether an error is within the tolerance, and within the item's own (`extra["within"]`, a share)."""
    shares = [WITHIN, *([float(sample.extra["within"])] if "within" in sample.extra else [])]
    return {f"within_{100 * share:g}": float(relative <= share + 1e-9) for share in shares}

"""Scoring of the starter's answers: each function returns a number per item, so every figure gets an interval."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.dialogue.words import MODALITY_NAMES, PLANE_NAMES, REGION_NAMES, SIDES
from vesalius.phantoms.reports import finding_labels

Box = Sequence[float]


def interval(values: Sequence[float], *, rounds: int = 2000, seed: int = 0) -> tuple[float, float, float]:
    """(mean, low, high): 95 % bootstrap over items."""
    items = np.asarray(values, np.float64)
    if len(items) == 0:
        return float("nan"), float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    means = items[rng.integers(0, len(items), (rounds, len(items)))].mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(items.mean()), float(low), float(high)


def summary(values: Sequence[float]) -> dict[str, Any]:
    """n, mean and 95 % interval of some items, as the tables hold them."""
    average, low, high = interval(values)
    return {"n": len(values), "mean": average, "low": low, "high": high}


def mean(values: Sequence[float]) -> float:
    """The mean; not a number for none."""
    return float(np.mean(values)) if len(values) else float("nan")


def yes_no(text: str, lang: str) -> bool | None:
    """Polarity by the leading word."""
    said = text.strip().lower()
    no = {"en": ("no",), "zh": ("没有", "否", "未"), "ar": ("لا",)}[lang]
    yes = {"en": ("yes",), "zh": ("有", "是"), "ar": ("نعم",)}[lang]
    if said.startswith(no):
        return False
    return True if said.startswith(yes) else None


def whole_number(text: str) -> int | None:
    """The first number that is not a citation."""
    found = re.search(r"\d+", re.sub(r"\[\d+\]", "", text))
    if found:
        return int(found.group())
    lowered = text.lower()
    if re.search(r"\b(one|a|an|the)\b", lowered) and not lowered.startswith("no"):
        return 1
    return 0 if re.search(r"\bno\b|没有|未见|^لا", lowered) else None


def named(text: str, kind: str, lang: str) -> str | None:
    """Which modality, plane, region or side an answer names; None for none or several."""
    names = {"modality": MODALITY_NAMES, "plane": PLANE_NAMES, "region": REGION_NAMES, "side": SIDES}[kind]
    folded = text.lower()
    hits = {
        key: max((len(form) for form in name.forms(lang) if _within(form.lower(), folded, lang)), default=0)
        for key, name in names.items()
    }
    best = max(hits.values())
    winners = [key for key, length in hits.items() if length == best]
    return winners[0] if best and len(winners) == 1 else None


def _within(form: str, text: str, lang: str) -> bool:
    return bool(re.search(rf"\b{re.escape(form)}\b", text)) if lang == "en" else form in text


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def matched_ious(truth: Sequence[Box], found: Sequence[Box]) -> list[float]:
    """For each true box the IoU of the found box assigned to it (one to one, best total); 0 where missed."""
    if not truth:
        return []
    if not found:
        return [0.0] * len(truth)
    from scipy.optimize import linear_sum_assignment

    table = np.array([[iou(t, f) for f in found] for t in truth])
    rows, columns = linear_sum_assignment(-table)
    scores = [0.0] * len(truth)
    for row, column in zip(rows, columns, strict=True):
        scores[row] = float(table[row, column])
    return scores


def points_hit(truth: Sequence[Box], found: Sequence[Box], within: float) -> list[float]:
    """For each true point 1.0 when a found point, one to one, lies within `within` pixels."""
    if not truth:
        return []
    if not found:
        return [0.0] * len(truth)
    from scipy.optimize import linear_sum_assignment

    table = np.array([[np.hypot(t[0] - f[0], t[1] - f[1]) for f in found] for t in truth])
    rows, columns = linear_sum_assignment(np.minimum(table, 10 * within))
    hits = [0.0] * len(truth)
    for row, column in zip(rows, columns, strict=True):
        hits[row] = float(table[row, column] <= within)
    return hits


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Dice of two masks; 1 when both are empty."""
    total = int(a.sum()) + int(b.sum())
    return 1.0 if total == 0 else 2.0 * int((a & b).sum()) / total


def report_f1(text: str, truth: str, lang: str = "en") -> float:
    """F1 of (label, side) pairs stated as present; 1 when both state none."""
    said, meant = finding_labels(text, lang), finding_labels(truth, lang)
    if not said and not meant:
        return 1.0
    return 2 * len(said & meant) / (len(said) + len(meant))


def auroc_interval(
    scores: Sequence[float], positive: Sequence[bool], *, rounds: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """(low, high): 95 % bootstrap over slices; draws with one class only are left out."""
    s, p = np.asarray(scores, float), np.asarray(positive, bool)
    rng = np.random.default_rng(seed)
    drawn = [rng.integers(0, len(s), len(s)) for _ in range(rounds)]
    values = [auroc(s[own].tolist(), p[own].tolist()) for own in drawn if p[own].any() and not p[own].all()]
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def auroc(scores: Sequence[float], positive: Sequence[bool]) -> float:
    """Area under the ROC curve by ranks, ties counted half."""
    s, p = np.asarray(scores, float), np.asarray(positive, bool)
    if p.all() or not p.any():
        return float("nan")
    wins = (s[p][:, None] > s[~p][None, :]).mean() + 0.5 * (s[p][:, None] == s[~p][None, :]).mean()
    return float(wins)


def calibration_error(confidence: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """Expected calibration error over equal-width bins."""
    c, r = np.asarray(confidence, float), np.asarray(right, float)
    if len(c) == 0:
        return float("nan")
    which = np.minimum((c * bins).astype(int), bins - 1)
    filled = [which == b for b in range(bins) if (which == b).any()]
    return float(sum(abs(c[own].mean() - r[own].mean()) * own.sum() for own in filled) / len(c))

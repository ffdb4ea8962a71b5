"""The errors most worth looking at, few enough to look at.

An item is an error when its leading score is below one half. Each error has points: what it lost (1 - score), the
confidence it was said with, 1 when its answer could not be read, and 1 when something that does not look (a baseline
other than chance, a pass without the pictures) did better. The errors shown are taken in turn from the sub-groups, the
one with most points first, so that a frequent kind of error does not hide the others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from vesalius.evaluation.baselines import Guess
from vesalius.evaluation.contract import Sample
from vesalius.evaluation.prediction import Prediction
from vesalius.evaluation.scoring.item import ItemScore, outcome_of

__all__ = ["ErrorCase", "informative", "leading_score", "weighed"]

FALLBACK = ("accuracy", "iou", "count_exact", "point_image_f1", "dice", "rouge_l", "token_f1")
RIGHT = 0.5
"""An item whose leading score reaches this is no error."""


@dataclass(frozen=True)
class ErrorCase:
    """One error. `score`: the leading one, 0 to 1.  `confidence`: 0 to 1, None where there is none.  `points`: how
    telling it is.  `reasons`: why, in words."""

    sample: Sample
    prediction: Prediction
    item: ItemScore
    score: float
    confidence: float | None
    points: float
    reasons: tuple[str, ...]


def leading_score(item: ItemScore, primary: str) -> float | None:
    """An item's own value of the metric the table leads with, clipped to [0, 1]; of the first known one where it lacks
    that; None for an item that was not scored."""
    for name in (primary, *FALLBACK):
        if name in item.scores:
            return min(1.0, max(0.0, item.scores[name]))
        if name in item.ratios and item.ratios[name][1] > 0:
            return min(1.0, max(0.0, item.ratios[name][0] / item.ratios[name][1]))
    return None


def weighed(
    sample: Sample,
    prediction: Prediction,
    item: ItemScore,
    primary: str,
    guesses: Mapping[str, tuple[str, Guess]],
    others: Mapping[str, ItemScore],
) -> ErrorCase | None:
    """The case of an item; None where it is no error. `guesses`: baselines. `others`: pass → the item's score there."""
    score = leading_score(item, primary)
    if score is None or score >= RIGHT:
        return None
    reasons: list[str] = []
    outcome = outcome_of(item.status)
    unread = outcome != "answered"
    if unread:
        reasons.append({"parse_failure": "could not be read", "truncation": "cut off", "error": "the model failed"}.get(
            outcome, "refused"
        ))  # fmt: skip
    confidence = None if unread else _confidence(item, prediction, others)
    if confidence is not None and confidence >= RIGHT:
        reasons.append(f"said with confidence {confidence:.2f}")
    better = [
        name
        for name, (metric, guess) in guesses.items()
        if not name.startswith("random") and _better(guess(sample), metric, item)
    ]
    without = [name for name in ("blank", "shuffle", "none") if name in others]
    better += [f"pictures: {name}" for name in without if (leading_score(others[name], primary) or 0.0) > score]
    if better:
        reasons.append(f"{better[0]} does better")
    elif not unread and any(others[name].answer == item.answer for name in without):
        reasons.append("the same without the picture")
    points = (1.0 - score) + (confidence or 0.0) + float(unread) + float(bool(better))
    return ErrorCase(sample, prediction, item, score, confidence, points, tuple(reasons))


def _better(scores: Mapping[str, float] | None, metric: str, item: ItemScore) -> bool:
    return scores is not None and scores.get(metric, 0.0) >= RIGHT and scores[metric] > item.scores.get(metric, 0.0)


def _confidence(item: ItemScore, prediction: Prediction, others: Mapping[str, ItemScore]) -> float | None:
    """What the model says of its findings; else the share of repeats and other option orders with the same answer."""
    told = [float(one["confidence"]) for one in prediction.findings if one.get("confidence") is not None]
    if told:
        return min(1.0, max(0.0, max(told)))
    again = [one for name, one in others.items() if name.startswith(("repeat", "options"))]
    return sum(one.answer == item.answer for one in again) / len(again) if again else None


def informative(cases: Sequence[ErrorCase], count: int, tables: Collection[str]) -> list[ErrorCase]:
    """At most `count` cases: sub-groups in turn, the one with the best case first; within each by points, then id.

    `tables`: names of the groups that have a table of their own; a case's sub-group is all of these it belongs to.
    """
    strata: dict[tuple[str, ...], list[ErrorCase]] = {}
    for case in sorted(cases, key=lambda case: (-case.points, case.item.id)):
        strata.setdefault(tuple(name for name in case.item.groups if name in tables), []).append(case)
    chosen: list[ErrorCase] = []
    for turn in range(max(map(len, strata.values()), default=0)):
        chosen += [found[turn] for found in strata.values() if turn < len(found)]
        if len(chosen) >= count:
            break
    return chosen[:count]

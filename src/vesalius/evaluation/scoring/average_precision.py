"""COCO mean average precision of a run's boxes, a figure of the whole run and not of its items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vesalius.evaluation.metrics.detection import FoundBoxes, coco_map
from vesalius.evaluation.scoring.item import ItemScore, Pair
from vesalius.evaluation.scoring.places import truth_of

__all__ = ["average_precision"]

THRESHOLDS = (0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
"""COCO's ten and .4, at which VinDr-CXR is scored."""
MOST_ITEMS = 20_000
"""Above this the reference implementation takes longer than everything else."""


def average_precision(pairs: Sequence[Pair], items: Sequence[ItemScore]) -> dict[str, dict[str, float]]:
    """`mAP` over .50 to .95, `mAP@0.4`, `@0.5` and `@0.75`; nothing without true boxes or with too many items.

    Classes are the labels asked for (`extra["label"]`), one class where none is told. Answers name no confidence: all
    boxes weigh the same, in order of image, as published evaluations of such answers have it.
    """
    said: list[FoundBoxes] = []
    true: list[FoundBoxes] = []
    classes: dict[str, int] = {}
    for (sample, _), item in zip(pairs, items, strict=True):
        answer: Any = item.answer
        if sample.kind not in ("box", "count_box") or not isinstance(answer, dict):
            continue
        label = classes.setdefault(str(sample.extra.get("label", "")), len(classes))
        for rows, found in ((answer["places"], said), (truth_of(sample).rows, true)):
            found.append(FoundBoxes(rows or [], [label] * len(rows or [])))
    if not 0 < len(true) <= MOST_ITEMS or not any(len(one.classes) for one in true):
        return {}
    found = coco_map(said, true, THRESHOLDS)
    mean = sum(found[f"map@{t:g}"] for t in THRESHOLDS[1:]) / len(THRESHOLDS[1:])
    return {"detection": {"mAP": round(mean, 12)} | {f"mAP@{t:g}": found[f"map@{t:g}"] for t in (0.4, 0.5, 0.75)}}

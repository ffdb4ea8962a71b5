"""A warning when a run's boxes seem to be in another frame than the truth: an IoU of 0 then tells of coordinates."""

from __future__ import annotations

from collections.abc import Sequence

from vesalius.evaluation.metrics.detection import check_frame
from vesalius.evaluation.scoring.item import ItemScore, Pair
from vesalius.evaluation.scoring.places import truth_of
from vesalius.findings.dialects.statements import answer_part, without_thoughts
from vesalius.findings.dialects.table import detect, read_named

__all__ = ["frame_warnings"]


def frame_warnings(pairs: Sequence[Pair], items: Sequence[ItemScore]) -> list[str]:
    """The warning, or nothing. Boxes are looked at before they are clipped to their picture."""
    boxes, truth, sizes = [], [], []
    for (sample, prediction), item in zip(pairs, items, strict=True):
        if sample.kind not in ("box", "count_box") or not sample.size or not isinstance(item.answer, dict):
            continue
        placed = item.answer.get("tolerant") or item.answer.get("places") or []
        boxes.append(placed or _as_written(prediction.raw))
        truth.append(truth_of(sample).rows)
        sizes.append(sample.size)
    if not boxes:
        return []
    warning = check_frame(boxes, truth, sizes).warning
    return [f"Warning: {warning}"] if warning else []


def _as_written(raw: str) -> list[list[float]]:
    """Boxes that were dropped because nothing of them lies in the picture, as the text has them."""
    text = answer_part(without_thoughts(raw)[0])
    named = read_named(text, detect(text), strict=False, expect="box").named
    rows = [list(map(float, one.numbers)) for one in named if len(one.numbers) == 4]
    return [row for row in rows if all(abs(value) < 1e9 for value in row)]

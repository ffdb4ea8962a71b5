"""Uni-Med (MedM-VL 2D) as published: referring boxes with one pixel added per side, averages over answered captions."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.evaluation.metrics.aligned import aligned
from vesalius.findings.box_overlap import as_boxes, iou_pairs

__all__ = ["mean_of_answered", "percent_box", "refer_ious"]

BOX = re.compile(r"\{<(\d{1,3})><(\d{1,3})><(\d{1,3})><(\d{1,3})>\}")


def percent_box(answer: str | None, image_size: tuple[float, float]) -> tuple[float, float, float, float] | None:
    """`{<x0><y0><x1><y1>}` (percent of width and height) at the start of an answer → pixels; None when it is not."""
    found = BOX.match(re.sub(r"<unk>| ", "", answer or ""))
    if not found:
        return None
    x0, y0, x1, y1 = (int(value) / 100 for value in found.groups())
    return x0 * image_size[0], y0 * image_size[1], x1 * image_size[0], y1 * image_size[1]


def refer_ious(
    answers: Sequence[str | None], true_xywh: ArrayLike, image_sizes: Sequence[tuple[float, float]]
) -> NDArray[np.float64]:
    """IoU per item with a pixel added to every extent; true boxes [n, 4] are x, y, width, height in pixels. An answer
    without a box scores 0; accuracy counts IoU > 0.5."""
    corner = as_boxes(true_xywh).copy()
    corner[:, 2:] += corner[:, :2]
    aligned(answers, image_sizes)
    aligned(answers, corner.tolist())
    boxes = [percent_box(answer, size) for answer, size in zip(answers, image_sizes, strict=True)]
    known = np.array([box or (0.0, 0.0, -1.0, -1.0) for box in boxes])
    grown = [np.concatenate([side[:, :2], side[:, 2:] + 1.0], axis=1) for side in (known, corner)]
    return iou_pairs(*grown)


def mean_of_answered(scores: ArrayLike, answers: Sequence[str | None], reference: Sequence[str]) -> float | None:
    """Mean score over the items whose answer and reference are not empty: the published average, which rises when hard
    items go unanswered. None when no item is left."""
    aligned(answers, reference)
    kept = [bool((a or "").strip()) and bool(b.strip()) for a, b in zip(answers, reference, strict=True)]
    values = np.asarray(scores, dtype=np.float64)[kept]
    return float(values.mean()) if values.size else None

"""MedSG-Bench as published: the first box an answer names, in the frame of the image the model saw, plain IoU.

Patterns are tried in the published order and the first match of the first pattern counts. Nothing is rescaled, clipped
or put in order; corners the wrong way round overlap nothing; an answer without a box scores 0. Thresholds include their
value. Whether the answers' frame is the image's is not known (some coordinates lie far outside): `outside` counts them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.evaluation.metrics.aligned import aligned
from vesalius.evaluation.metrics.detection import share_at_iou
from vesalius.findings.box_overlap import as_boxes, iou_pairs

__all__ = ["MedsgScores", "constant_box", "first_box", "score_answers"]

_I, _F, _S = r"(\d+)", r"(-?\d*\.?\d+)", r"\s*,\s*"
PATTERNS = (
    re.compile(rf"\(\s*{_I}{_S}{_I}\s*\){_S}\(\s*{_I}{_S}{_I}\s*\)"),
    re.compile(rf"\[\s*{_F}{_S}{_F}{_S}{_F}{_S}{_F}\s*\]"),
    re.compile(rf"\(\s*{_F}{_S}{_F}\s*\){_S}\(\s*{_F}{_S}{_F}\s*\)"),
    re.compile(rf"\(\s*{_F}{_S}{_F}{_S}{_F}{_S}{_F}\s*\)"),
    re.compile(rf"\[\s*{_I}{_S}{_I}{_S}{_I}{_S}{_I}\s*\]"),
    re.compile(rf"<box>\s*{_I}\s+{_I}\s+{_I}\s+{_I}\s*</box>"),
)
"""`(x,y),(x,y)` whole numbers; `[x,y,x,y]`; `(x,y),(x,y)`; `(x,y,x,y)`; `[x,y,x,y]` whole; `<box>x y x y</box>`."""


def first_box(answer: str | None) -> tuple[float, float, float, float] | None:
    """The box an answer is taken to mean, pixels of the image the model saw; None when no pattern fits."""
    for pattern in PATTERNS:
        found = pattern.search(answer or "")
        if found:
            x0, y0, x1, y1 = map(float, found.groups())
            return x0, y0, x1, y1
    return None


@dataclass(frozen=True)
class MedsgScores:
    """Shares in [0, 1]; the published tables print them as percentages."""

    ious: NDArray[np.float64]
    unparsed: int
    outside: int | None
    """Answers whose box leaves the image; None when no size was given."""

    @property
    def mean_iou(self) -> float:
        """AVE_IOU."""
        return float(self.ious.mean())

    def accuracy(self, threshold: float) -> float:
        """IOU@threshold, threshold included."""
        return share_at_iou(self.ious, threshold)


def score_answers(
    answers: Sequence[str | None], true: ArrayLike, image_size: tuple[float, float] | None = None
) -> MedsgScores:
    """Scores of raw answers [n] against true boxes [n, 4] in pixels of the image the model saw (width, height)."""
    truth = as_boxes(true)
    aligned(answers, truth.tolist())
    boxes = [first_box(answer) for answer in answers]
    known = np.array([box or (0.0, 0.0, 0.0, 0.0) for box in boxes])
    outside = None if image_size is None else int(((known < 0) | (known > [*image_size, *image_size])).any(1).sum())
    return MedsgScores(iou_pairs(known, truth), boxes.count(None), outside)


def constant_box(box: ArrayLike, true: ArrayLike) -> MedsgScores:
    """Scores of one and the same box for every item: the whole image, or its centre."""
    truth = as_boxes(true)
    row = np.reshape(np.asarray(box, dtype=np.float64), (1, 4))
    return MedsgScores(iou_pairs(np.tile(row, (len(truth), 1)), truth), 0, None)

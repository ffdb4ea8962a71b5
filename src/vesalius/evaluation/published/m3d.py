"""M3D-Bench and its relatives as published: closed answers by substring, box positions in the unit cube."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import OptionError
from vesalius.evaluation.metrics.aligned import aligned
from vesalius.findings.box_overlap import as_boxes, iou_pairs

__all__ = ["closed_right", "ct_rate_choice_right", "position_ious"]


def closed_right(predicted: Sequence[str | None], letters: Sequence[str]) -> NDArray[np.bool_]:
    """[n]: "X." occurs anywhere in the answer. "A. or B." is therefore right whichever is meant: a known defect."""
    said, truth = aligned(predicted, letters)
    return np.array([f"{letter}." in (answer or "") for answer, letter in zip(said, truth, strict=True)], dtype=bool)


def ct_rate_choice_right(predicted: Sequence[str | None], reference: Sequence[str]) -> list[bool | None]:
    """CT-RATE's rule per item: the first "(x)" of the true answer occurs in the prediction. None: the truth holds no
    "(x)"; the published script skips the item."""
    said, truth = aligned(predicted, reference)
    marks = [re.search(r"\([a-z]\)", text) for text in truth]
    return [None if mark is None else mark[0] in (answer or "") for answer, mark in zip(said, marks, strict=True)]


def position_ious(
    predicted: Sequence[ArrayLike | None], true: ArrayLike, *, missing: Literal[0, -1] = 0
) -> NDArray[np.float64]:
    """IoU of 3D boxes [n, 6] (x0, y0, z0, x1, y1, z1). `missing`: what an answer without a box scores; the published
    script lets -1 into the mean."""
    if missing not in (0, -1):
        raise OptionError(f"missing is {missing!r}, not 0 or -1.")
    truth = as_boxes(true)
    aligned(predicted, truth.tolist())
    given = [None if box is None else as_boxes(np.asarray(box)[None]) for box in predicted]
    known = np.concatenate([np.zeros((1, truth.shape[1])) if box is None else box for box in given])
    scores = iou_pairs(known, truth)
    scores[[k for k, box in enumerate(given) if box is None]] = missing
    return scores

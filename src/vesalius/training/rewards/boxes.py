"""Rewards of boxes: MedMO's and its variants, and the plain figures that are read beside them."""

from __future__ import annotations

import numpy as np

from vesalius.errors import InputError
from vesalius.findings.box_reward import box_reward, chance_of_box_reward
from vesalius.findings.matching import match_boxes
from vesalius.training.rewards.truth import Completion, Truth, completion_of

__all__ = ["box_chance_corrected", "box_f1", "box_iou_threshold", "box_mean_iou", "box_medmo", "box_penalised"]


def box_medmo(
    completion: Completion | str,
    truth: Truth,
    *,
    miss_penalty: float = 0.0,
    surplus_penalty: float = 0.0,
    exponent: float = 1.0,
    min_iou: float = 0.0,
) -> float | None:
    """MedMO's box reward as published, in [0, 1]: nothing is charged for boxes that are missed or too many.

    Chance is about 0.54 for one box, and surplus boxes are free; `box_penalised` is the one to train with. Settings as
    `findings.box_reward.box_reward`. None without true boxes.
    """
    if truth.boxes is None:
        return None
    said, real = _both(completion, truth)
    return box_reward(
        said,
        real,
        _frame(truth),
        miss_penalty=miss_penalty,
        surplus_penalty=surplus_penalty,
        exponent=exponent,
        min_iou=min_iou,
    )


def box_penalised(
    completion: Completion | str,
    truth: Truth,
    *,
    miss_penalty: float = 0.25,
    surplus_penalty: float = 0.25,
    exponent: float = 1.0,
) -> float | None:
    """`box_medmo` less a quarter for every box missed or too many, over the number of true boxes."""
    return box_medmo(
        completion, truth, miss_penalty=miss_penalty, surplus_penalty=surplus_penalty, exponent=exponent
    )  # fmt: skip


def box_iou_threshold(
    completion: Completion | str,
    truth: Truth,
    *,
    iou: float = 0.5,
    miss_penalty: float = 0.25,
    surplus_penalty: float = 0.25,
) -> float | None:
    """`box_penalised` in which a pair below `iou` scores nothing, so near misses are not paid."""
    return box_medmo(completion, truth, miss_penalty=miss_penalty, surplus_penalty=surplus_penalty, min_iou=iou)


def box_chance_corrected(
    completion: Completion | str, truth: Truth, *, miss_penalty: float = 0.25, surplus_penalty: float = 0.25
) -> float | None:
    """`box_penalised` less what as many random boxes earn on this very truth, rescaled to [0, 1]."""
    if truth.boxes is None:
        return None
    said, real = _both(completion, truth)
    chance = chance_of_box_reward(real, _frame(truth)) if len(real) else 0.0
    return box_reward(
        said, real, _frame(truth), miss_penalty=miss_penalty, surplus_penalty=surplus_penalty, chance=chance
    )


def box_mean_iou(completion: Completion | str, truth: Truth) -> float | None:
    """Mean IoU over the true boxes after the best one-to-one matching, a missed one being 0; with nothing to find 1
    for no box, else 0. Surplus boxes are free: it is read beside a reward rather than trained on."""
    if truth.boxes is None:
        return None
    said, real = _both(completion, truth)
    if not len(real):
        return float(not len(said))
    return float(match_boxes(said, real, 1e-9).values.sum()) / len(real)


def box_f1(completion: Completion | str, truth: Truth, *, iou: float = 0.5) -> float | None:
    """F1 of one-to-one matched boxes at an IoU."""
    if truth.boxes is None:
        return None
    said, real = _both(completion, truth)
    return match_boxes(said, real, iou).f1


def _both(completion: Completion | str, truth: Truth) -> tuple[np.ndarray, np.ndarray]:
    said = [box for _, box in completion_of(completion).boxes(truth)]
    real = [box for _, box in truth.boxes or ()]
    return np.array(said, dtype=np.float64).reshape(-1, 4), np.array(real, dtype=np.float64).reshape(-1, 4)


def _frame(truth: Truth) -> tuple[float, float]:
    if truth.size is None:
        raise InputError("the truth names no picture size.", fix="Give size=(width, height).")
    return truth.size

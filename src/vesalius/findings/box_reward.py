"""The box reward of MedMO: how well a set of predicted boxes agrees with the true ones, as one number in [0, 1].

Boxes are matched one to one at least cost 5 L1 + 2 (1 - GIoU); a pair scores (5 (1 - L1) + (GIoU + 1)) / 7, where L1 is
the sum of corner differences over twice the frame's diagonal. Missed and surplus boxes cost, because without a cost
surplus boxes raise the reward. Chance is far above 0 (about 0.54 for one box): read it beside mean IoU and F1.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from vesalius.errors import InputError, OptionError
from vesalius.findings.box_overlap import as_boxes, box_sizes, giou_matrix, iou_matrix
from vesalius.findings.matching import assign, row_order

__all__ = ["box_reward", "chance_of_box_reward"]

L1_WEIGHT, GIOU_WEIGHT = 5.0, 2.0


def box_reward(
    predicted: ArrayLike,
    true: ArrayLike,
    frame: tuple[float, float],
    *,
    miss_penalty: float = 0.25,
    surplus_penalty: float = 0.25,
    exponent: float = 1.0,
    min_iou: float = 0.0,
    chance: float | None = None,
) -> float:
    """Reward of predicted boxes [P, 4] against true boxes [G, 4], both in one frame (width, height).

    Swapped corners are put in order first; predicted boxes without area match nothing and count as surplus.
    `miss_penalty`, `surplus_penalty`: cost of a missed or surplus box, over max(1, G); the published default is 0.
    `min_iou`: pairs below score 0. `chance`: reward of a guess (see `chance_of_box_reward`), subtracted and rescaled.
    Nothing to find: 1 for no box, else max(0, 1 - surplus_penalty * P). Raises OptionError, InputError.
    """
    if not (frame[0] > 0 and frame[1] > 0 and math.isfinite(frame[0] + frame[1])):
        raise OptionError(f"the frame is {frame[0]} x {frame[1]}; both sides have to be finite and > 0.")
    if chance is not None and not 0 <= chance < 1:
        raise OptionError(f"chance is {chance}, not in [0, 1).")
    said, truth = _in_order(predicted), _in_order(true)
    surplus, said = len(said), said[box_sizes(said) > 0]
    surplus -= len(said)
    if not len(truth):
        reward = max(0.0, 1.0 - surplus_penalty * (len(said) + surplus))
    else:
        matched = min(len(said), len(truth))
        penalty = miss_penalty * (len(truth) - matched) + surplus_penalty * (len(said) + surplus - matched)
        reward = _matched_score(said, truth, frame, min_iou) / len(truth) - penalty / len(truth)
    reward = min(max(reward, 0.0), 1.0) ** exponent
    return reward if chance is None else max(0.0, (reward - chance) / (1.0 - chance))


def _in_order(boxes: ArrayLike) -> np.ndarray:
    found = as_boxes(boxes)
    if found.shape[1] != 4:
        raise InputError(f"the box reward is for 4 numbers a box, not {found.shape[1]}.")
    boxes = np.concatenate([np.minimum(found[:, :2], found[:, 2:]), np.maximum(found[:, :2], found[:, 2:])], axis=1)
    return boxes[row_order(boxes)]  # ties of the assignment break the same way in whatever order boxes are said


def _matched_score(said: np.ndarray, truth: np.ndarray, frame: tuple[float, float], min_iou: float) -> float:
    x0, y0, x1, y1 = (np.abs(said[:, k, None] - truth[None, :, k]) for k in range(4))
    distance = (x0 + y0 + x1 + y1) / (2.0 * math.hypot(*frame))
    giou = giou_matrix(said, truth)
    pairs = tuple(assign(L1_WEIGHT * distance + GIOU_WEIGHT * (1.0 - giou)).T)
    score = L1_WEIGHT * (1.0 - np.clip(distance, 0.0, 1.0)) + GIOU_WEIGHT * (giou + 1.0) / 2.0
    score /= L1_WEIGHT + GIOU_WEIGHT
    if min_iou > 0:
        score = np.where(iou_matrix(said, truth) >= min_iou, score, 0.0)
    return float(score[pairs].sum())


def chance_of_box_reward(true: ArrayLike, frame: tuple[float, float], *, trials: int = 200, seed: int = 0) -> float:
    """Mean reward of as many random boxes as there are true ones [G, 4]; corners uniform over the frame, seeded."""
    truth = as_boxes(true)
    draws = np.random.default_rng(seed).random((trials, len(truth), 2, 2)) * np.asarray(frame, dtype=np.float64)
    boxes = draws.reshape(trials, len(truth), 4)
    return float(np.mean([box_reward(some, truth, frame) for some in boxes])) if len(truth) else 1.0

"""Rewards of points, counts and masks."""

from __future__ import annotations

import numpy as np

from vesalius.findings.mask_overlap import dice
from vesalius.findings.matching import assign, match_points
from vesalius.training.rewards.truth import Completion, Truth, completion_of

__all__ = ["count", "mask_dice", "point_f1"]


def point_f1(completion: Completion | str, truth: Truth, *, radius_px: float = 10.0) -> float | None:
    """F1 of points matched one to one that lie nearer than `radius_px` pixels of the original. None without truth."""
    if truth.points is None:
        return None
    said = [point for _, point in completion_of(completion).points(truth)]
    return match_points(said, [point for _, point in truth.points], radius_px).f1


def count(completion: Completion | str, truth: Truth) -> float | None:
    """max(0, 1 - |said - true| / max(1, true)); 0 where no number is said, None without truth."""
    if truth.count is None:
        return None
    said = completion_of(completion).count(truth)
    return 0.0 if said is None else max(0.0, 1.0 - abs(said - truth.count) / max(1, truth.count))


def mask_dice(completion: Completion | str, truth: Truth) -> float | None:
    """Sum of Dice after the best one-to-one matching over the larger number of masks; 1 where there are none on either
    side. Masks of another shape match nothing. None without truth."""
    if truth.masks is None:
        return None
    said, real = completion_of(completion).masks(), list(truth.masks)
    if not said or not real:
        return float(not said and not real)
    overlap = np.array([[dice(a, b) if a.shape == b.shape else 0.0 for b in real] for a in said])
    pairs = assign(1.0 - overlap)
    return float(overlap[pairs[:, 0], pairs[:, 1]].sum()) / max(len(said), len(real))

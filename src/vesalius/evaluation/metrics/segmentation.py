"""Scores of masks in two or three dimensions: Dice, IoU, soft Dice, HD95 and NSD in millimetres.

Two empty masks agree (1); against an empty one everything is wrong (0), and no distance exists (None).
HD95 and NSD are those of the surface-distance package: weighted by surface area, both directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import GeometryError, InputError
from vesalius.evaluation.packages import package

__all__ = ["SurfaceScores", "dice", "mask_iou", "soft_dice", "surface_scores"]

Masks = tuple[NDArray[np.bool_], NDArray[np.bool_]]


def _masks(predicted: ArrayLike, true: ArrayLike) -> Masks:
    said, truth = np.asarray(predicted), np.asarray(true)
    if said.shape != truth.shape or said.ndim not in (2, 3):
        raise InputError(f"masks of shape {said.shape} and {truth.shape} cannot be compared.")
    return said.astype(bool), truth.astype(bool)


def dice(predicted: ArrayLike, true: ArrayLike) -> float:
    """2 |A ∩ B| / (|A| + |B|) of masks [H, W] or [X, Y, Z], non-zero = inside. Raises InputError for other shapes."""
    said, truth = _masks(predicted, true)
    both = int(said.sum()) + int(truth.sum())
    return 2.0 * int((said & truth).sum()) / both if both else 1.0


def mask_iou(predicted: ArrayLike, true: ArrayLike) -> float:
    """|A ∩ B| / |A ∪ B| of masks [H, W] or [X, Y, Z]. Raises InputError for other shapes."""
    said, truth = _masks(predicted, true)
    union = int((said | truth).sum())
    return int((said & truth).sum()) / union if union else 1.0


def soft_dice(probabilities: ArrayLike, true: ArrayLike, smooth: float = 1.0) -> float:
    """(2 Σ p t + smooth) / (Σ p + Σ t + smooth) of probabilities in [0, 1] and a mask of equal shape."""
    p, t = np.asarray(probabilities, dtype=np.float64), np.asarray(true).astype(np.float64)
    if p.shape != t.shape or not np.isfinite(p).all() or p.min(initial=0) < 0 or p.max(initial=0) > 1:
        raise InputError(f"probabilities {p.shape} for a mask {t.shape} differ in shape or leave [0, 1].")
    whole = float(p.sum() + t.sum() + smooth)
    return float(2.0 * (p * t).sum() + smooth) / whole if whole else 1.0


@dataclass(frozen=True)
class SurfaceScores:
    """`hd95_mm`: robust Hausdorff distance, None when a mask is empty; `nsd`: surface Dice at the tolerance."""

    hd95_mm: float | None
    nsd: float


def surface_scores(
    predicted: ArrayLike, true: ArrayLike, spacing_mm: Sequence[float], *, tolerance_mm: float = 1.0
) -> SurfaceScores:
    """Surface distances of masks [H, W] or [X, Y, Z]; `spacing_mm` per axis, in the masks' order of axes.

    Raises InputError for other shapes, GeometryError for a spacing that is not positive.
    """
    said, truth = _masks(predicted, true)
    if len(spacing_mm) != said.ndim or not all(np.isfinite(mm) and mm > 0 for mm in spacing_mm):
        raise GeometryError(f"spacing {tuple(spacing_mm)} mm does not fit {said.ndim} axes, each > 0.")
    if not said.any() or not truth.any():
        return SurfaceScores(None, float(not said.any() and not truth.any()))
    if (said == truth).all():
        return SurfaceScores(0.0, 1.0)
    tools = package("surface_distance", "HD95 and NSD")
    distances: Any = tools.compute_surface_distances(truth, said, tuple(map(float, spacing_mm)))
    hd95 = float(tools.compute_robust_hausdorff(distances, 95))
    return SurfaceScores(hd95, float(tools.compute_surface_dice_at_tolerance(distances, tolerance_mm)))

"""Scores of masks in two or three dimensions: Dice, IoU, soft Dice, HD95 and NSD in millimetres.

Two empty masks agree (1); against an empty one everything is wrong (0), and no distance exists (None).
The surface of a mask is its voxels with a face to the outside, or to the edge of the array; every one weighs the same
(as in MONAI; packages that weigh by surface area differ in the second digit).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import GeometryError, InputError
from vesalius.evaluation.packages import package
from vesalius.findings.mask_overlap import dice, mask_iou, same_masks

__all__ = ["SurfaceScores", "dice", "mask_iou", "soft_dice", "surface_scores"]


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

    HD95 is the larger of the two directed 95th percentiles, NSD the share of both surfaces within the tolerance.
    Raises InputError for other shapes, GeometryError for a spacing that is not positive.
    """
    said, truth = same_masks(predicted, true)
    if len(spacing_mm) != said.ndim or not all(np.isfinite(mm) and mm > 0 for mm in spacing_mm):
        raise GeometryError(f"spacing {tuple(spacing_mm)} mm does not fit {said.ndim} axes, each > 0.")
    if not said.any() or not truth.any():
        return SurfaceScores(None, float(not said.any() and not truth.any()))
    if (said == truth).all():
        return SurfaceScores(0.0, 1.0)
    box = tuple(slice(int(k.min()), int(k.max()) + 1) for k in np.nonzero(said | truth))
    ours, theirs = _surface_distances(said[box], truth[box], spacing_mm)
    near = int((ours <= tolerance_mm).sum()) + int((theirs <= tolerance_mm).sum())
    hd95 = max(float(np.percentile(ours, 95)), float(np.percentile(theirs, 95)))
    return SurfaceScores(hd95, near / (len(ours) + len(theirs)))


def _surface_distances(
    said: NDArray[np.bool_], truth: NDArray[np.bool_], spacing_mm: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Millimetres from each surface voxel of one mask to the nearest of the other, both ways."""
    ndimage = package("scipy.ndimage", "HD95 and NSD")
    surfaces = [mask & ~ndimage.binary_erosion(mask) for mask in (said, truth)]
    away = [ndimage.distance_transform_edt(~surface, sampling=tuple(spacing_mm)) for surface in surfaces]
    return away[1][surfaces[0]], away[0][surfaces[1]]

"""How far two masks overlap: Dice and IoU. Two empty masks agree (1); against an empty one everything is wrong (0)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import InputError

__all__ = ["dice", "mask_iou", "same_masks"]

Masks = tuple[NDArray[np.bool_], NDArray[np.bool_]]


def same_masks(predicted: ArrayLike, true: ArrayLike) -> Masks:
    """Both as bool [H, W] or [X, Y, Z]. Raises InputError for other or differing shapes."""
    said, truth = np.asarray(predicted), np.asarray(true)
    if said.shape != truth.shape or said.ndim not in (2, 3):
        raise InputError(f"masks of shape {said.shape} and {truth.shape} cannot be compared.")
    return said.astype(bool), truth.astype(bool)


def dice(predicted: ArrayLike, true: ArrayLike) -> float:
    """2 |A ∩ B| / (|A| + |B|) of masks [H, W] or [X, Y, Z], non-zero = inside. Raises InputError for other shapes."""
    said, truth = same_masks(predicted, true)
    both = int(said.sum()) + int(truth.sum())
    return 2.0 * int((said & truth).sum()) / both if both else 1.0


def mask_iou(predicted: ArrayLike, true: ArrayLike) -> float:
    """|A ∩ B| / |A ∪ B| of masks [H, W] or [X, Y, Z]. Raises InputError for other shapes."""
    said, truth = same_masks(predicted, true)
    union = int((said | truth).sum())
    return int((said & truth).sum()) / union if union else 1.0

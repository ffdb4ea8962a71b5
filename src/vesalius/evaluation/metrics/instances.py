"""Panoptic quality and aggregated Jaccard index of instance maps (cells, nuclei, lesions)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import InputError

__all__ = ["PanopticQuality", "aggregated_jaccard", "panoptic_quality"]


@dataclass(frozen=True)
class PanopticQuality:
    """PQ = SQ x RQ; `segmentation`: mean IoU of the matched instances, `recognition`: their F1."""

    pq: float
    segmentation: float
    recognition: float
    matched: int
    num_predicted: int
    num_true: int


def _overlaps(predicted: ArrayLike, true: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Shared pixels [P, G], sizes [P] and [G] of the instances of two label maps; 0 is background."""
    said, truth = np.asarray(predicted), np.asarray(true)
    whole = all(np.issubdtype(m.dtype, np.integer) for m in (said, truth))
    if said.shape != truth.shape or not said.size or not whole:
        raise InputError(f"instance maps {said.dtype} {said.shape} and {truth.dtype} {truth.shape} do not fit.")
    labels = [np.unique(np.concatenate([[0], m.ravel()]), return_inverse=True) for m in (said, truth)]
    (p_names, p), (g_names, g) = labels
    zeros = [int(np.flatnonzero(names == 0)[0]) for names in (p_names, g_names)]
    shape = (len(p_names), len(g_names))
    table = np.bincount(p[1:] * shape[1] + g[1:], minlength=shape[0] * shape[1]).reshape(shape)
    sizes_p, sizes_g = np.delete(table.sum(1), zeros[0]), np.delete(table.sum(0), zeros[1])
    return np.delete(np.delete(table, zeros[0], 0), zeros[1], 1), sizes_p, sizes_g


def panoptic_quality(predicted: ArrayLike, true: ArrayLike) -> PanopticQuality:
    """PQ of integer label maps of equal shape. Instances match when their IoU is above .5, which no two can share.

    Nothing on either side scores 1. Raises InputError for other shapes or types.
    """
    shared, p, g = _overlaps(predicted, true)
    iou = shared / np.maximum(p[:, None] + g[None] - shared, 1)
    found = iou[iou > 0.5]
    if not len(p) and not len(g):
        return PanopticQuality(1.0, 1.0, 1.0, 0, 0, 0)
    recognition = 2.0 * len(found) / (len(p) + len(g))
    segmentation = float(found.mean()) if len(found) else 0.0
    return PanopticQuality(segmentation * recognition, segmentation, recognition, len(found), len(p), len(g))


def aggregated_jaccard(predicted: ArrayLike, true: ArrayLike) -> float:
    """AJI of integer label maps: every true instance takes the predicted one of greatest IoU (one may be taken twice),
    predicted instances never taken add to the divisor. Nothing on either side scores 1."""
    shared, p, g = _overlaps(predicted, true)
    if not len(g) or not len(p):
        return float(len(g) == len(p))
    union = p[:, None] + g[None] - shared
    best = (shared / union).argmax(axis=0)
    columns = np.arange(len(g))
    touched = shared[best, columns] > 0
    taken = np.zeros(len(p), dtype=bool)
    taken[best[touched]] = True
    divisor = union[best, columns][touched].sum() + g[~touched].sum() + p[~taken].sum()
    return float(shared[best, columns][touched].sum() / divisor)

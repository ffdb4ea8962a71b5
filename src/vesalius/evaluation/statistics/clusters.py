"""Which items belong together: a patient, else an image, else the item itself.

Items of one patient are not independent; an interval that resamples items pretends they are and comes out too narrow.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import InputError

__all__ = ["Clusters", "cluster_items", "clustered_standard_error", "scores_array"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Clusters:
    """`codes` [n]: cluster of each item, 0 to num - 1 in order of first appearance. `unit`: what a cluster is."""

    codes: NDArray[np.intp]
    num: int
    unit: str

    def sums(self, values: ArrayLike) -> Floats:
        """Sum of an item's values [n] per cluster → [num]."""
        weights = np.asarray(values, dtype=np.float64)
        return np.bincount(self.codes, weights=weights, minlength=self.num).astype(np.float64)

    @property
    def sizes(self) -> Floats:
        """Items per cluster [num]."""
        return np.bincount(self.codes, minlength=self.num).astype(np.float64)


def cluster_items(
    n: int,
    patients: Sequence[Hashable | None] | None = None,
    images: Sequence[Hashable | None] | None = None,
) -> Clusters:
    """Clusters of `n` items by patient id, else image hash, else one item each; an item that lacks both is its own.

    Raises InputError when a list has another length or there is no item.
    """
    if n < 1:
        raise InputError("there is no item; no interval exists for nothing.")
    for name, given in (("patient", patients), ("image", images)):
        if given is not None and len(given) != n:
            raise InputError(f"{len(given)} {name} ids for {n} items.")
    codes: dict[Hashable, int] = {}
    found = np.empty(n, dtype=np.intp)
    for k in range(n):
        patient = None if patients is None else patients[k]
        image = None if images is None else images[k]
        key = ("patient", patient) if patient is not None else ("image", image) if image is not None else ("item", k)
        found[k] = codes.setdefault(key, len(codes))
    kinds = {key[0] for key in codes if isinstance(key, tuple)}
    return Clusters(found, len(codes), next((unit for unit in ("patient", "image") if unit in kinds), "item"))


def scores_array(scores: ArrayLike) -> Floats:
    """Scores [n] as float64. Raises InputError when there are none, they are not one row, or one is not finite."""
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or not values.size:
        raise InputError(f"scores of shape {values.shape} are not one row of at least one item.")
    if not np.isfinite(values).all():
        raise InputError(f"score {int(np.flatnonzero(~np.isfinite(values))[0])} is not finite; an unscored item is 0.")
    return values


def clustered_standard_error(scores: ArrayLike, clusters: Clusters | None = None) -> float:
    """sqrt(Σ_c (Σ_{i in c} (x_i - mean))²) / n; with one item per cluster the usual standard error (divisor n)."""
    values = scores_array(scores)
    found = clusters or cluster_items(len(values))
    return float(np.sqrt((found.sums(values - values.mean()) ** 2).sum()) / len(values))

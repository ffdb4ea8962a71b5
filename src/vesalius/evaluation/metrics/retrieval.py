"""Retrieval: hit rate (R@k of image-text retrieval), recall, precision, mean average precision, median rank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import InputError

__all__ = ["Ranking", "rank_candidates"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ranking:
    """`relevant` [Q, N]: for each query, whether the candidate at rank 1, 2, … is relevant. Left-out candidates stand
    at the end as irrelevant."""

    relevant: NDArray[np.bool_]

    def hit_rate(self, k: int) -> Floats:
        """[Q]: 1 when a relevant candidate is among the first k (R@k where one is relevant)."""
        return np.asarray(self._first(k).any(axis=1), dtype=np.float64)

    def recall(self, k: int) -> Floats:
        """[Q]: share of the relevant candidates among the first k."""
        return np.asarray(self._first(k).sum(axis=1) / self.relevant.sum(axis=1))

    def precision(self, k: int) -> Floats:
        """[Q]: share of the first k that are relevant; the divisor is k."""
        return np.asarray(self._first(k).sum(axis=1) / k)

    def average_precision(self) -> Floats:
        """[Q]: mean of the precision at each relevant candidate; its mean over queries is mAP."""
        precision = np.cumsum(self.relevant, axis=1) / np.arange(1, self.relevant.shape[1] + 1)
        return np.asarray((precision * self.relevant).sum(axis=1) / self.relevant.sum(axis=1))

    def first_rank(self) -> NDArray[np.int64]:
        """[Q]: rank of the first relevant candidate, from 1."""
        return np.asarray(self.relevant.argmax(axis=1) + 1)

    def median_rank(self) -> float:
        """Median over queries of `first_rank`."""
        return float(np.median(self.first_rank()))

    def _first(self, k: int) -> NDArray[np.bool_]:
        if k < 1:
            raise InputError(f"k is {k}, not >= 1.")
        return self.relevant[:, :k]


def rank_candidates(similarity: ArrayLike, relevant: ArrayLike, leave_out: ArrayLike | None = None) -> Ranking:
    """Candidates by falling similarity [Q, N]. `relevant` [Q, N] bool; `leave_out` [Q, N] bool: the query itself.

    Among equally similar candidates the irrelevant come first: a tie never helps, and order does not matter. Raises
    InputError for other shapes, NaN, or a query without a relevant candidate.
    """
    s, r = np.array(similarity, dtype=np.float64), np.array(relevant, dtype=bool)
    out = np.zeros_like(r) if leave_out is None else np.asarray(leave_out, dtype=bool)
    if s.ndim != 2 or not s.size or not s.shape == r.shape == out.shape:
        raise InputError(f"similarity {s.shape}, relevance {r.shape} and left-out {out.shape} are not one [Q, N].")
    if np.isnan(s).any():
        raise InputError("a similarity is NaN.")
    r &= ~out
    s[out] = -np.inf
    if not r.any(axis=1).all():
        raise InputError(f"query {int(np.flatnonzero(~r.any(axis=1))[0])} has no relevant candidate.")
    order = np.lexsort((r, -s), axis=1)
    return Ranking(np.take_along_axis(r, order, axis=1))

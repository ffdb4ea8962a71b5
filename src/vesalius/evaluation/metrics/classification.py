"""Accuracy, precision, recall and F1 of answers that are classes.

A prediction of None (unparsed, refused, empty) is wrong: it is a miss of the true class and a claim of none.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import InputError
from vesalius.evaluation.metrics.aligned import aligned

__all__ = [
    "ClassScores",
    "accuracy",
    "area_under_roc",
    "average_precision",
    "class_scores",
    "correct",
    "multilabel_scores",
]

Floats = NDArray[np.float64]


def correct(predicted: Sequence[Hashable | None], true: Sequence[Hashable]) -> NDArray[np.bool_]:
    """[n] bool: the answer equals the true one."""
    said, truth = aligned(predicted, true)
    return np.array([a is not None and a == b for a, b in zip(said, truth, strict=True)], dtype=bool)


def accuracy(predicted: Sequence[Hashable | None], true: Sequence[Hashable]) -> float:
    """Share of items answered right; the divisor is the number of items."""
    return float(correct(predicted, true).mean())


@dataclass(frozen=True)
class ClassScores:
    """Counts by class and the averages made of them. Arrays are [C] in the order of `labels`."""

    labels: tuple[Hashable, ...]
    hits: NDArray[np.int64]
    predicted: NDArray[np.int64]
    support: NDArray[np.int64]

    @property
    def precision(self) -> Floats:
        """Hits / predicted; a class neither predicted nor true scores 1, one only true scores 0."""
        return _share(self.hits, self.predicted, self.support)

    @property
    def recall(self) -> Floats:
        """Hits / support; a class neither predicted nor true scores 1, one only predicted scores 0."""
        return _share(self.hits, self.support, self.predicted)

    @property
    def f1(self) -> Floats:
        """2 hits / (predicted + support); a class neither predicted nor true scores 1."""
        return _share(2 * self.hits, self.predicted + self.support, self.hits)

    @property
    def macro_f1(self) -> float:
        """Mean F1 over all `labels`."""
        return float(self.f1.mean())

    @property
    def weighted_f1(self) -> float:
        """Mean F1 weighted by support."""
        total = self.support.sum()
        return float((self.f1 * self.support).sum() / total) if total else self.macro_f1

    @property
    def micro_f1(self) -> float:
        """F1 of all classes' counts together."""
        both = int(self.predicted.sum() + self.support.sum())
        return 2 * int(self.hits.sum()) / both if both else 1.0

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall over the classes with support."""
        return float(self.recall[self.support > 0].mean()) if self.support.any() else 1.0


def _share(part: NDArray[np.int64], whole: NDArray[np.int64], other: NDArray[np.int64]) -> Floats:
    return np.divide(part, whole, out=(other == 0).astype(np.float64), where=whole > 0)


def class_scores(
    predicted: Sequence[Hashable | None], true: Sequence[Hashable], labels: Sequence[Hashable] | None = None
) -> ClassScores:
    """Counts by class of single-class answers. `labels`: the classes; default all that occur on either side, sorted by
    their text. Raises InputError when a true class is not among `labels`."""
    said, truth = aligned(predicted, true)
    found = {label for label in (*said, *truth) if label is not None}
    names = tuple(labels) if labels is not None else tuple(sorted(found, key=lambda label: (str(label), repr(label))))
    index = {label: k for k, label in enumerate(names)}
    if len(index) < len(names) or any(label not in index for label in truth):
        raise InputError(f"the {len(names)} classes given repeat one or lack a true class.")
    t = np.array([index[label] for label in truth], dtype=np.int64)
    # One more slot takes what is no class: None, and answers outside the given classes.
    p = np.array([index.get(label, len(names)) for label in said], dtype=np.int64)
    counts = [np.bincount(rows, minlength=len(names) + 1)[: len(names)] for rows in (t[t == p], p, t)]
    return ClassScores(names, counts[0], counts[1], counts[2])


def multilabel_scores(predicted: ArrayLike, true: ArrayLike, labels: Sequence[Hashable]) -> ClassScores:
    """Counts by label of yes/no vectors [n, C] (bool, True = present). Raises InputError for other shapes."""
    said, truth = np.asarray(predicted, dtype=bool), np.asarray(true, dtype=bool)
    if said.shape != truth.shape or said.ndim != 2 or said.shape[1] != len(labels) or not len(said):
        raise InputError(f"label vectors of shape {said.shape} and {truth.shape} for {len(labels)} labels.")
    return ClassScores(tuple(labels), (said & truth).sum(0), said.sum(0), truth.sum(0))


def area_under_roc(scores: ArrayLike, true: ArrayLike) -> float | None:
    """Area under the ROC curve of scores [n] for bool truth [n], ties half; None when one class is absent."""
    values, truth = _scored(scores, true)
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        return None
    _, code, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[code]
    return float((ranks[truth].sum() - positives * (positives + 1) / 2.0) / (positives * negatives))


def average_precision(scores: ArrayLike, true: ArrayLike) -> float | None:
    """Area under the precision-recall steps of scores [n] for bool truth [n]; equal scores enter together. None when
    nothing is true."""
    values, truth = _scored(scores, true)
    if not truth.any():
        return None
    _, code = np.unique(-values, return_inverse=True)
    hits = np.cumsum(np.bincount(code, weights=truth))
    precision = hits / np.cumsum(np.bincount(code))
    return float((precision * np.diff(hits, prepend=0.0)).sum() / hits[-1])


def _scored(scores: ArrayLike, true: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(true, dtype=bool)
    if values.shape != truth.shape or values.ndim != 1 or not len(values):
        raise InputError(f"scores {values.shape} and truth {truth.shape} are not two rows of one length.")
    if not np.isfinite(values).all():
        raise InputError(f"score {int(np.flatnonzero(~np.isfinite(values))[0])} is not finite.")
    return values, truth

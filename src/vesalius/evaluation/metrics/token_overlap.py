"""Token precision, recall and F1 of open answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vesalius.evaluation.metrics.aligned import aligned_texts
from vesalius.findings.normal_text import words

__all__ = ["OverlapScores", "token_overlap"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class OverlapScores:
    """Per item, [n] in [0, 1]."""

    precision: Floats
    recall: Floats
    f1: Floats

    @classmethod
    def from_counts(cls, shared: Floats, predicted: Floats, reference: Floats) -> OverlapScores:
        """Numbers of shared, predicted and reference tokens [n] → scores; an empty side scores 0."""
        zero = np.zeros_like(shared)
        precision = np.divide(shared, predicted, out=zero.copy(), where=predicted > 0)
        recall = np.divide(shared, reference, out=zero.copy(), where=reference > 0)
        both = precision + recall
        return cls(precision, recall, np.divide(2 * precision * recall, both, out=zero, where=both > 0))


def token_overlap(predicted: Sequence[str | None], reference: Sequence[str]) -> OverlapScores:
    """Overlap of the multisets of normalised tokens. An empty prediction scores 0 in all three; two texts without any
    token score 0, too: they hold nothing to agree on."""
    said, truth = aligned_texts(predicted, reference)
    counts = np.array([_counts(words(a), words(b)) for a, b in zip(said, truth, strict=True)], dtype=np.float64)
    return OverlapScores.from_counts(counts[:, 0], counts[:, 1], counts[:, 2])


def _counts(said: list[str], truth: list[str]) -> tuple[int, int, int]:
    return (Counter(said) & Counter(truth)).total(), len(said), len(truth)

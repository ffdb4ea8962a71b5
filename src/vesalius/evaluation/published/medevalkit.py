"""Open-answer scores as MedEvalKit (state 9b12e3b) prints them, its defects included.

Tokens are lower-case, parted by white space, and a repeated token counts once. The printed columns are permuted: what
stands under precision is F1, under recall is precision, under F1 is recall. Exact match compares untouched text.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vesalius.evaluation.metrics.aligned import aligned_texts
from vesalius.evaluation.metrics.token_overlap import OverlapScores

__all__ = ["exact_matches", "printed_columns", "token_sets"]


def token_sets(predicted: Sequence[str | None], reference: Sequence[str]) -> OverlapScores:
    """Overlap of the sets of lower-case tokens, columns in their right places."""
    said, truth = aligned_texts(predicted, reference)
    pairs = [(set(a.lower().split()), set(b.lower().split())) for a, b in zip(said, truth, strict=True)]
    counts = np.array([(len(a & b), len(a), len(b)) for a, b in pairs], dtype=np.float64)
    return OverlapScores.from_counts(counts[:, 0], counts[:, 1], counts[:, 2])


def printed_columns(scores: OverlapScores) -> OverlapScores:
    """The scores under the names the published tables print them."""
    return OverlapScores(precision=scores.f1, recall=scores.precision, f1=scores.recall)


def exact_matches(predicted: Sequence[str | None], reference: Sequence[str]) -> list[bool]:
    """Untouched texts are equal: "MRI." is not "mri"."""
    said, truth = aligned_texts(predicted, reference)
    return [a == b for a, b in zip(said, truth, strict=True)]

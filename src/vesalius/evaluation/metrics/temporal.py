"""Temporal F1 of radiology reports (Libra): do prediction and reference speak of the same kinds of change?"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vesalius.evaluation.metrics.aligned import aligned

__all__ = ["KEYWORDS", "temporal_f1", "temporal_keywords"]

KEYWORDS = frozenset(
    "bigger change cleared constant decrease decreased decreasing elevated elevation enlarged enlargement enlarging "
    "expanded greater growing improved improvement improving increase increased increasing larger new persistence "
    "persistent persisting progression progressive reduced removal resolution resolved resolving smaller stability "
    "stable stably unchanged unfolded worse worsen worsened worsening unaltered".split()
)
EPSILON = 1e-10


def temporal_keywords(text: str) -> frozenset[str]:
    """The keywords of change that stand in a report as whole words."""
    plain = re.sub(r"[\n\r]+|_+|-+", " ", text)
    plain = re.sub(r"[^\w\s.,:;()\-]", "", plain).lower()
    return KEYWORDS.intersection(re.findall(r"\b\w+\b", plain))


def temporal_f1(predicted: Sequence[str | None], reference: Sequence[str | Sequence[str]]) -> NDArray[np.float64]:
    """F1 of keyword sets per item [n]; several references of an item are united; the corpus score is the mean.

    Nothing on either side scores 1. As published, 1e-10 is added to every count: a reference without keywords scores
    1e-10 against a prediction with some.
    """
    said, truth = aligned(predicted, reference)
    return np.array([_f1(temporal_keywords(a or ""), _united(b)) for a, b in zip(said, truth, strict=True)])


def _united(reference: str | Sequence[str]) -> frozenset[str]:
    texts = [reference] if isinstance(reference, str) else reference
    return frozenset().union(*map(temporal_keywords, texts))


def _f1(said: frozenset[str], truth: frozenset[str]) -> float:
    if said == truth:
        return 1.0  # the published epsilons cancel to 1 up to rounding
    if not truth:
        return EPSILON
    shared = len(said & truth) + EPSILON
    precision, recall = shared / (len(said) + EPSILON), shared / (len(truth) + EPSILON)
    return 2 * precision * recall / (precision + recall + EPSILON)

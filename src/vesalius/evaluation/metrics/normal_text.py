"""Exact agreement of open answers in their comparable form."""

from __future__ import annotations

from collections.abc import Sequence

from vesalius.evaluation.metrics.aligned import aligned_texts
from vesalius.findings.normal_text import normalise

__all__ = ["exact_matches"]


def exact_matches(predicted: Sequence[str | None], reference: Sequence[str]) -> list[bool]:
    """Per item: both texts are equal after `normalise`; an empty answer matches nothing."""
    said, truth = aligned_texts(predicted, reference)
    return [bool(normalise(a)) and normalise(a) == normalise(b) for a, b in zip(said, truth, strict=True)]

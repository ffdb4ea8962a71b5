"""METEOR of exact and stemmed matches (nltk's scorer without WordNet): variant "METEOR exact+stem".

Neither Java nor WordNet data is needed, and figures do not compare with METEOR 1.5 or with synonyms. alpha 0.9, beta 3,
gamma 0.5: a perfect answer of m words scores 1 - 0.5 / m^3, not 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.evaluation.metrics.aligned import aligned_texts
from vesalius.evaluation.packages import package
from vesalius.findings.normal_text import words

__all__ = ["meteor"]


class _NoSynonyms:
    """Stands where nltk asks its WordNet."""

    def synsets(self, word: str) -> list[Any]:
        return []


class _CachedStems:
    """Porter stems, each made once."""

    def __init__(self) -> None:
        self.stem = lru_cache(maxsize=65536)(package("nltk.stem.porter", "METEOR").PorterStemmer().stem)


def meteor(predicted: Sequence[str | None], reference: Sequence[str]) -> NDArray[np.float64]:
    """Score per pair [n] in [0, 1); an empty prediction scores 0."""
    said, truth = aligned_texts(predicted, reference)
    score = package("nltk.translate.meteor_score", "METEOR").single_meteor_score
    stems, synonyms = _CachedStems(), _NoSynonyms()
    return np.array(
        [
            score(b, a, stemmer=stems, wordnet=synonyms) if a and b else 0.0
            for a, b in zip(map(words, said), map(words, truth), strict=True)
        ]
    )

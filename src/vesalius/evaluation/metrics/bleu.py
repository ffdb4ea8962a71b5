"""BLEU in its named variants; they are not comparable with one another.

| variant | counts | smoothing | brevity |
|---|---|---|---|
| sentence | per pair, then averaged | none, or add one to orders above 1 | against the reference |
| corpus | summed over pairs, as the COCO captions scorer | none | of the summed lengths |
| sacrebleu | summed, sacrebleu's tokens (13a, zh) | exp | of the summed lengths |

All are shares in [0, 1]. Tokens of the first two are `normal_text.words` unless `split=True` (white space, as nltk is
usually fed). BLEU-n of a reference shorter than n tokens does not exist and is None: a right one-word answer has
BLEU-1 = 1 and no BLEU-4.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import OptionError
from vesalius.evaluation.metrics.aligned import aligned_texts
from vesalius.evaluation.packages import package
from vesalius.findings.normal_text import words

__all__ = ["SentenceBleu", "corpus_bleu", "sacre_bleu", "sentence_bleu"]

Smoothing = Literal["none", "add-one"]


@dataclass(frozen=True)
class SentenceBleu:
    """BLEU-1 to BLEU-`order` per pair, [n, order]; NaN where the reference is too short for the order."""

    scores: NDArray[np.float64]

    def mean(self, order: int) -> float | None:
        """Mean BLEU-`order` over the pairs that have one; None when none has."""
        column = self.scores[:, order - 1]
        return float(column[~np.isnan(column)].mean()) if not np.isnan(column).all() else None

    def num_defined(self, order: int) -> int:
        """Pairs whose reference is long enough for the order."""
        return int((~np.isnan(self.scores[:, order - 1])).sum())


def _check(order: int) -> None:
    if not 1 <= order <= 9:
        raise OptionError(f"BLEU order is {order}, not 1 to 9.")


def _statistics(predicted: list[str], reference: list[str], order: int, split: bool) -> NDArray[np.float64]:
    """[n, 2 order + 2]: shared n-grams, predicted n-grams, predicted and reference length."""
    cut = str.split if split else words
    return np.array([_pair(cut(a), cut(b), order) for a, b in zip(predicted, reference, strict=True)], dtype=np.float64)


def _pair(said: list[str], truth: list[str], order: int) -> list[int]:
    shared: list[int] = []
    for n in range(1, order + 1):
        grams, true_grams = (Counter(zip(*(t[k:] for k in range(n)), strict=False)) for t in (said, truth))
        shared.append(sum(min(count, true_grams[gram]) for gram, count in grams.items() if gram in true_grams))
    return [*shared, *(max(0, len(said) - n) for n in range(order)), len(said), len(truth)]


def _bleu(shared: Sequence[float], total: Sequence[float], said: float, truth: float, smoothing: Smoothing) -> float:
    """Geometric mean of the precisions times the brevity penalty; 0 as soon as one precision is 0."""
    logs: list[float] = []
    for n, (hit, all_) in enumerate(zip(shared, total, strict=True)):
        extra = float(smoothing == "add-one" and n > 0)
        if hit + extra <= 0 or all_ + extra <= 0 or shared[0] <= 0:
            return 0.0
        logs.append(math.log((hit + extra) / (all_ + extra)))
    brevity = min(0.0, 1.0 - truth / said)
    return math.exp(sum(logs) / len(logs) + brevity)


def sentence_bleu(
    predicted: Sequence[str | None],
    reference: Sequence[str],
    order: int = 4,
    *,
    smoothing: Smoothing = "none",
    split: bool = False,
) -> SentenceBleu:
    """BLEU-1 to BLEU-`order` of each pair. `smoothing="none"`: a missing n-gram makes the score 0 (nltk prints about
    1e-231 there); "add-one": 1 is added to both counts of orders above 1. An empty prediction scores 0."""
    _check(order)
    rows = _statistics(*aligned_texts(predicted, reference), order, split)
    scores = np.full((len(rows), order), np.nan)
    for k, row in enumerate(rows):
        for n in range(1, min(order, int(row[-1])) + 1):
            scores[k, n - 1] = _bleu(row[:n].tolist(), row[order : order + n].tolist(), row[-2], row[-1], smoothing)
    return SentenceBleu(scores)


def corpus_bleu(
    predicted: Sequence[str | None], reference: Sequence[str], order: int = 4, *, split: bool = False
) -> tuple[float, ...]:
    """BLEU-1 to BLEU-`order` of summed counts, as the COCO captions scorer adds them up (without the 1e-9 that keeps it
    from dividing by zero, so that equal texts score exactly 1). An order no prediction reaches scores 0."""
    _check(order)
    row = _statistics(*aligned_texts(predicted, reference), order, split).sum(axis=0)
    return tuple(
        _bleu(row[:n].tolist(), row[order : order + n].tolist(), row[-2], row[-1], "none") if row[-2] else 0.0
        for n in range(1, order + 1)
    )


def sacre_bleu(
    predicted: Sequence[str | None], reference: Sequence[str], *, language: Literal["en", "zh", "ar"] = "en"
) -> tuple[float, str]:
    """Corpus BLEU-4 of sacrebleu and its signature, which names version, tokens and smoothing."""
    said, truth = aligned_texts(predicted, reference)
    bleu = package("sacrebleu.metrics", "corpus BLEU").BLEU(tokenize="zh" if language == "zh" else "13a")
    found = bleu.corpus_score(said, [truth])
    # sacrebleu multiplies percentages; a perfect corpus comes out as 100.00000000000004.
    perfect = found.bp == 1 and all(value == 100 for value in found.precisions)
    return (1.0 if perfect else found.score / 100.0), str(bleu.get_signature())

"""CIDEr and CIDEr-D: cosine of tf-idf weighted n-grams (orders 1 to 4), times 10.

Document frequencies come from the whole set of references, so a score depends on the set it was computed in, and a set
of one item scores 0. CIDEr-D (what "CIDEr" means in most tables) clips repeated n-grams and damps length differences
with a Gaussian of sigma 6. A perfect answer reaches 10 when its reference has four tokens and no n-gram order that
every reference shares completely.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import OptionError
from vesalius.evaluation.metrics.aligned import aligned_texts
from vesalius.findings.normal_text import words

__all__ = ["cider"]

ORDER = 4
Grams = list[Counter[tuple[str, ...]]]


def cider(
    predicted: Sequence[str | None],
    reference: Sequence[str],
    *,
    variant: Literal["CIDEr-D", "CIDEr"] = "CIDEr-D",
    sigma: float = 6.0,
    split: bool = False,
) -> NDArray[np.float64]:
    """Score per pair [n] in [0, 10]; the corpus score is the mean. `split`: white-space tokens instead of
    `normal_text.words`. Raises OptionError for another variant."""
    if variant not in ("CIDEr-D", "CIDEr"):
        raise OptionError(f"variant is {variant!r}, not CIDEr-D or CIDEr.")
    said, truth = aligned_texts(predicted, reference)
    cut = str.split if split else words
    grams = [[_grams(cut(text)) for text in side] for side in (said, truth)]
    frequency: Counter[tuple[str, ...]] = Counter(gram for item in grams[1] for order in item for gram in order)
    log_items = math.log(len(truth))
    rare = {gram: log_items - math.log(count) for gram, count in frequency.items()}
    pairs = zip(*grams, strict=True)
    return np.array([_score(a, b, rare, log_items, sigma if variant == "CIDEr-D" else None) for a, b in pairs])


def _grams(tokens: list[str]) -> Grams:
    return [Counter(zip(*(tokens[k:] for k in range(n)), strict=False)) for n in range(1, ORDER + 1)]


def _score(said: Grams, truth: Grams, rare: dict[tuple[str, ...], float], unseen: float, sigma: float | None) -> float:
    total = 0.0
    for a, b in zip(said, truth, strict=True):
        va = {gram: count * rare.get(gram, unseen) for gram, count in a.items()}
        vb = {gram: count * rare[gram] for gram, count in b.items()}
        norms = math.sqrt(sum(v * v for v in va.values())) * math.sqrt(sum(v * v for v in vb.values()))
        if norms:
            clipped = sigma is not None
            total += sum((min(v, vb[g]) if clipped else v) * vb[g] for g, v in va.items() if g in vb) / norms
    if sigma is not None:
        # The published scorer measures length in bigrams.
        total *= math.exp(-((said[1].total() - truth[1].total()) ** 2) / (2 * sigma**2))
    return 10.0 * total / ORDER

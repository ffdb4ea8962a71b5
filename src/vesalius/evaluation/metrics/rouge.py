"""ROUGE-1, ROUGE-2 and ROUGE-L, equal to rouge-score 0.1.2 and far faster.

Tokens are numbered, each text becomes a string of one character per token, and the longest common subsequence is found
bit-parallel by rapidfuzz. With `language="en"` tokens are those of rouge-score: runs of a-z and 0-9, longer than three
letters stemmed (Porter) on request. "zh" and "ar" use the tokens of `normal_text.words`, which rouge-score would drop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np

from vesalius.errors import OptionError
from vesalius.evaluation.metrics.aligned import aligned_texts
from vesalius.evaluation.metrics.token_numbers import token_strings
from vesalius.evaluation.metrics.token_overlap import Floats, OverlapScores
from vesalius.evaluation.packages import package
from vesalius.findings.normal_text import words

__all__ = ["Kind", "rouge"]

Kind = Literal["rouge1", "rouge2", "rougeL"]
KINDS: tuple[Kind, ...] = ("rouge1", "rouge2", "rougeL")
_TOGETHER = 1000
"""Pairs whose tokens are numbered together: few enough for the arrays to stay in the processor's own memory. Equal
characters are equal tokens within them alone, which is all that a pair needs."""
_STEMS: dict[bytes, bytes] = {}


def rouge(
    predicted: Sequence[str | None],
    reference: Sequence[str],
    kinds: Sequence[Kind] = KINDS,
    *,
    stemmer: bool = True,
    language: Literal["en", "zh", "ar"] = "en",
) -> dict[Kind, OverlapScores]:
    """ROUGE of each pair, [n] per score. An empty prediction scores 0. Raises OptionError for an unknown kind."""
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise OptionError(f"ROUGE variant {unknown[0]!r} is not one of {', '.join(KINDS)}.")
    said, truth = aligned_texts(predicted, reference)
    stem = _stem() if stemmer and language == "en" else None
    sides: tuple[list[str], list[str]] = ([], [])
    for first in range(0, len(said), _TOGETHER):
        texts = [*said[first : first + _TOGETHER], *truth[first : first + _TOGETHER]]
        texts = token_strings(texts, stem) if language == "en" else _numbered_words(texts)
        sides[0].extend(texts[: len(texts) // 2])
        sides[1].extend(texts[len(texts) // 2 :])
    return {kind: _scores(kind, *sides) for kind in kinds}


def _scores(kind: Kind, said: list[str], truth: list[str]) -> OverlapScores:
    if kind == "rougeL":
        shared = _common_subsequences(said, truth)
        shorter = 0
    else:
        n = int(kind[-1])
        shared = np.array([_shared(a, b, n) for a, b in zip(said, truth, strict=True)], dtype=np.float64)
        shorter = n - 1
    lengths = (np.maximum(np.fromiter(map(len, texts), float, len(texts)) - shorter, 0) for texts in (said, truth))
    return OverlapScores.from_counts(shared, *lengths)


def _common_subsequences(said: list[str], truth: list[str]) -> Floats:
    process = package("rapidfuzz.process", "ROUGE-L")
    scorer = package("rapidfuzz.distance", "ROUGE-L").LCSseq.similarity
    return process.cpdist(said, truth, scorer=scorer, dtype=np.int64).astype(np.float64)


def _shared(said: str, truth: str, n: int) -> int:
    a, b = (Counter(text if n == 1 else pairwise(text)) for text in (said, truth))
    return sum(min(count, b[gram]) for gram, count in a.items() if gram in b)


def _numbered_words(texts: Iterable[str]) -> list[str]:
    numbers: dict[str, int] = {}
    codes = ([numbers.setdefault(word, len(numbers) + 1) for word in words(text)] for text in texts)
    return ["".join(chr(code if code < 0xD800 else code + 0x800) for code in row) for row in codes]


def _stem() -> Callable[[bytes], bytes]:
    porter = package("nltk.stem.porter", "ROUGE with stemming").PorterStemmer()

    def stem(token: bytes) -> bytes:
        if len(token) <= 3:
            return token
        found = _STEMS.get(token)
        if found is None:
            found = _STEMS[token] = porter.stem(token.decode("ascii")).encode("ascii")
        return found

    return stem

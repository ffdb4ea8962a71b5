"""ROUGE-1, ROUGE-2 and ROUGE-L, equal to rouge-score 0.1.2 and far faster.

Tokens are numbered, each text becomes a string of one character per token, and the longest common subsequence is found
bit-parallel by rapidfuzz. With `language="en"` tokens are those of rouge-score: runs of a-z and 0-9, longer than three
letters stemmed (Porter) on request. "zh" and "ar" use the tokens of `normal_text.words`, which rouge-score would drop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from vesalius.errors import OptionError
from vesalius.evaluation.metrics.aligned import aligned_texts
from vesalius.evaluation.metrics.normal_text import words
from vesalius.evaluation.metrics.token_overlap import Floats, OverlapScores
from vesalius.evaluation.packages import package

__all__ = ["Kind", "rouge"]

Kind = Literal["rouge1", "rouge2", "rougeL"]
KINDS: tuple[Kind, ...] = ("rouge1", "rouge2", "rougeL")
_ALPHABET = bytes(c if chr(c) in "abcdefghijklmnopqrstuvwxyz0123456789\n" else 32 for c in range(256))
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
    texts = _numbered([*said, *truth], stemmer) if language == "en" else _numbered_words([*said, *truth])
    said, truth = texts[: len(said)], texts[len(said) :]
    return {kind: _scores(kind, said, truth) for kind in kinds}


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


class _Numbers(dict[Any, str]):
    """Token → character, numbered as they come; surrogates are no characters and are left out."""

    def __init__(self, spelling: Callable[[Any], Any]) -> None:
        self.spelling = spelling
        self.spelled: dict[Any, str] = {}

    def __missing__(self, token: Any) -> str:
        spelled = self.spelling(token)
        character = self.spelled.get(spelled)
        if character is None:
            number = len(self.spelled) + 1
            character = self.spelled[spelled] = chr(number if number < 0xD800 else number + 0x800)
        self[token] = character
        return character


def _numbered(texts: list[str], stemmer: bool) -> list[str]:
    """Texts → one character per token. The corpus is cleaned as one text; a line break parts the texts."""
    joined = "\n".join(text.replace("\n", " ") for text in texts).lower()
    # One byte per character: what is not ASCII becomes "?" and, like all that is no letter or digit, a space.
    lines = joined.encode("ascii", "replace").translate(_ALPHABET).split(b"\n")
    numbers = _Numbers(_stem() if stemmer else _as_it_is)
    return ["".join(map(numbers.__getitem__, line.split())) for line in lines]


def _numbered_words(texts: Iterable[str]) -> list[str]:
    numbers = _Numbers(_as_it_is)
    return ["".join(map(numbers.__getitem__, words(text))) for text in texts]


def _as_it_is(token: Any) -> Any:
    return token


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

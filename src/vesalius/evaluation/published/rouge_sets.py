"""ROUGE as the `rouge` package (1.0.1) has it: over sets, so that a repeated word counts once, and not ROUGE's F1.

N-grams are a set of the whole text. ROUGE-L is the package's summary level: the words of the longest common
subsequences of all pairs of sentences (parted by points), united, over the numbers of different words. F1 has 1e-8 in
its divisor: equal texts score 0.999999995.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["NoSentenceError", "rouge_set_f1"]


class NoSentenceError(ValueError):
    """A text holds nothing but points: the package raises here."""


def rouge_set_f1(predicted: str, reference: str) -> tuple[float, float, float]:
    """F1 of ROUGE-1, ROUGE-2 and ROUGE-L of one pair. Raises NoSentenceError where the package raises."""
    said, truth = _sentences(predicted), _sentences(reference)
    words = [[word for sentence in side for word in sentence] for side in (said, truth)]
    scores: list[float] = []
    for n in (1, 2):
        a, b = ({tuple(side[k : k + n]) for k in range(len(side) - n + 1)} for side in words)
        scores.append(_f1(len(a & b), len(a), len(b)))
    united = {word for sentence in truth for other in said for word in _common(sentence, other)}
    scores.append(_f1(len(united), len(set(words[0])), len(set(words[1]))))
    return scores[0], scores[1], scores[2]


def _sentences(text: str) -> list[list[str]]:
    found = [" ".join(part.split()).split(" ") for part in text.split(".") if part]
    if not found:
        raise NoSentenceError("no sentence")
    return found


def _f1(shared: int, predicted: int, reference: int) -> float:
    precision = shared / predicted if predicted else 0.0
    recall = shared / reference if reference else 0.0
    return 2.0 * (precision * recall / (precision + recall + 1e-8))


def _common(x: Sequence[str], y: Sequence[str]) -> list[str]:
    """The words of a longest common subsequence: of several the one the package walks back to."""
    table = [[0] * (len(y) + 1) for _ in range(len(x) + 1)]
    for i, a in enumerate(x, 1):
        row, above = table[i], table[i - 1]
        for j, b in enumerate(y, 1):
            row[j] = above[j - 1] + 1 if a == b else max(above[j], row[j - 1])
    i, j = len(x), len(y)
    kept: list[str] = []
    while i and j:
        if x[i - 1] == y[j - 1]:
            kept.append(x[i - 1])
            i, j = i - 1, j - 1
        elif table[i - 1][j] > table[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return kept

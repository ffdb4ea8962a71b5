"""Word n-grams two sets of texts share; Chinese counts by character. Only the smaller set is held in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vesalius.findings.normal_text import words

__all__ = ["Overlap", "ngrams", "overlaps"]

Gram = tuple[str, ...]


@dataclass(frozen=True)
class Overlap:
    """Of one text: how many of its n-grams occur in the other set, and whether the whole text does."""

    shared: int
    grams: int
    whole: bool

    @property
    def share(self) -> float:
        """0 to 1; 0 for a text without words."""
        return self.shared / self.grams if self.grams else 0.0


def ngrams(text: str, n: int) -> list[Gram]:
    """All runs of `n` words of the text in its comparable form; none where it is shorter."""
    tokens = words(text)
    return [tuple(tokens[k : k + n]) for k in range(len(tokens) - n + 1)]


def overlaps(texts: Sequence[str], others: Iterable[str], n: int) -> list[Overlap]:
    """The overlap of each text with all `others`, which are read once. A text of fewer than `n` words has one gram, all
    of it, and shares it with an equal text alone: "What is this?" inside a longer sentence says nothing."""
    wanted: dict[Gram, bool] = {}
    wholes: dict[Gram, bool] = {}
    own: list[tuple[list[Gram], Gram]] = []
    for text in texts:
        whole = tuple(words(text))
        grams = ngrams(text, n)
        own.append((grams, whole))
        wanted.update(dict.fromkeys(grams, False))
        if whole:
            wholes[whole] = False
    for text in others:
        whole = tuple(words(text))
        if whole in wholes:
            wholes[whole] = True
        for k in range(len(whole) - n + 1):
            if (gram := whole[k : k + n]) in wanted:
                wanted[gram] = True
    found: list[Overlap] = []
    for grams, whole in own:
        equal = wholes.get(whole, False)
        shared = sum(wanted[gram] for gram in grams) if grams else int(equal)
        found.append(Overlap(shared, len(grams) or int(bool(whole)), equal))
    return found

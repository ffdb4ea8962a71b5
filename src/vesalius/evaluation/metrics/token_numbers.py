"""English tokens of many texts as numbers, in a handful of passes over one array of bytes.

Splitting into a Python string per token costs more than everything ROUGE does with them; here a token is seen as
machine words of eight bytes, and equal words get equal numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["token_strings"]

_ALPHABET = bytes(ord(chr(c).lower()) if c < 128 and chr(c).isalnum() else 32 for c in range(256))
_KEPT = np.array([(1 << 8 * k) - 1 for k in range(8)] + [2**64 - 1], dtype=np.uint64)
"""Mask that leaves the first k bytes of a little-endian word."""
_SLOTS_LOG2 = 15
"""A table of this size stays in the processor's nearest memory; keys that find no free slot are ranked."""
_ODD, _OTHER_ODD = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
Words = NDArray[np.uint64]
Numbers = NDArray[np.int64]


def token_strings(texts: list[str], spell: Callable[[bytes], bytes] | None = None) -> list[str]:
    """Texts → strings of one character per token; equal characters are equal tokens across all texts.

    Tokens are runs of a-z and 0-9 after lowering. `spell` maps a token to what it counts as, its stem.
    """
    content, ends_of_texts = _content(texts)
    spaces = np.flatnonzero(np.frombuffer(content, dtype=np.uint8) == 32)
    starts, ends = spaces[:-1] + 1, spaces[1:]
    tokens = ends > starts  # two spaces in a row part nothing
    if not tokens.all():
        starts, ends = starts[tokens], ends[tokens]
    numbers = _token_numbers(content, starts, ends - starts)
    characters = _characters(content, starts, ends, numbers, spell)
    whole = characters[numbers].tobytes().decode("utf-32-le")
    breaks = [0, *np.searchsorted(starts, ends_of_texts).tolist()]
    return [whole[first:last] for first, last in pairwise(breaks)]


def _content(texts: list[str]) -> tuple[bytes, Numbers]:
    """(one byte per character, where each text ends). What is no letter or digit is a space. One stands before the
    first text, and nine behind the last let eight bytes be read from anywhere."""
    joined = " ".join(["", *texts, " " * 8])
    if not joined.isascii():
        # Lowering may change how many characters there are, and make letters of what was none (the Kelvin sign).
        texts = [text.lower() for text in texts]
        joined = " ".join(["", *texts, " " * 8])
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1)
    return joined.encode("ascii", "replace").translate(_ALPHABET), ends


def _token_numbers(content: bytes, starts: Numbers, lengths: Numbers) -> Numbers:
    words: Words = np.ndarray((len(content) - 7,), dtype="<u8", buffer=content, strides=(1,))
    numbers = _numbers(words[starts] & _KEPT[np.minimum(lengths, 8)])
    longer, done = np.flatnonzero(lengths > 8), 8
    while longer.size:  # eight more bytes of the tokens that have them
        first = int(numbers.max()) + 1  # tokens of another length are other tokens
        more = words[starts[longer] + done] & _KEPT[np.minimum(lengths[longer] - done, 8)]
        numbers[longer] = _numbers(more, numbers[longer].view(np.uint64)) + first
        done += 8
        longer = longer[lengths[longer] > done]
    return numbers


def _numbers(keys: Words, before: Words | None = None) -> Numbers:
    """Equal keys (behind equal numbers `before`), equal numbers: a key's slot in a table, or, where another key took
    the slot, its rank behind the slots."""
    mixed = keys if before is None else keys ^ (before * _OTHER_ODD)
    slots = ((mixed * _ODD) >> np.uint64(64 - _SLOTS_LOG2)).view(np.int64)
    crowded = _taken_by_another(slots, keys)
    if before is not None:
        crowded |= _taken_by_another(slots, before)
    places = np.flatnonzero(crowded)
    if places.size:
        ranks = _ranks(keys[places])
        if before is not None:
            ranks = _ranks(_ranks(before[places]) << 32 | ranks)
        slots[places] = ranks + (1 << _SLOTS_LOG2)
    return slots


def _ranks(keys: NDArray[Any]) -> Numbers:
    return np.unique(keys, return_inverse=True)[1].astype(np.int64)


def _taken_by_another(slots: Numbers, keys: Words) -> NDArray[np.bool_]:
    """Whether a key's slot ends up with another key: the last one to come holds it."""
    table = np.zeros(1 << _SLOTS_LOG2, dtype=np.uint64)
    table[slots] = keys
    return np.asarray(table[slots] != keys)


def _characters(
    content: bytes, starts: Numbers, ends: Numbers, numbers: Numbers, spell: Callable[[bytes], bytes] | None
) -> NDArray[np.uint32]:
    """The character of each number that occurs; tokens spelled alike share one. Surrogates are no characters and are
    left out."""
    example = np.full(int(numbers.max(initial=0)) + 1, -1, dtype=np.int64)
    example[numbers] = np.arange(len(numbers))
    present = np.flatnonzero(example >= 0)
    codes = np.arange(1, len(present) + 1)
    if spell is not None:
        known: dict[bytes, int] = {}
        spans = zip(starts[example[present]].tolist(), ends[example[present]].tolist(), strict=True)
        codes = np.array([known.setdefault(spell(content[a:b]), len(known) + 1) for a, b in spans], dtype=np.int64)
    characters = np.zeros(len(example), dtype="<u4")
    characters[present] = np.where(codes < 0xD800, codes, codes + 0x800)
    return characters

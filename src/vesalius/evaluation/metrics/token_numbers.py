"""English tokens of many texts as numbers, in a handful of passes over one array of bytes.

Splitting into a Python string per token costs more than everything ROUGE does with them; here a token is seen as
machine words of eight bytes, and equal words get equal numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["token_strings"]

_ALPHABET = bytes(c if chr(c) in "abcdefghijklmnopqrstuvwxyz0123456789\n" else 32 for c in range(256))
_KEPT = np.array([(1 << 8 * k) - 1 for k in range(8)] + [2**64 - 1], dtype=np.uint64)
"""Mask that leaves the first k bytes of a little-endian word."""
_SLOTS_LOG2 = 17
_ODD = np.uint64(0x9E3779B97F4A7C15)
Words = NDArray[np.uint64]
Numbers = NDArray[np.int64]


def token_strings(texts: list[str], spell: Callable[[bytes], bytes] | None = None) -> list[str]:
    """Texts → strings of one character per token; equal characters are equal tokens across all texts.

    Tokens are runs of a-z and 0-9 after lowering. `spell` maps a token to what it counts as, its stem.
    """
    joined = "\n".join(text.replace("\n", " ") for text in texts).lower()
    # One byte per character: what is not ASCII becomes "?" and, like all that is no letter or digit, a space. Line
    # breaks part the texts, and nine of them at the end let eight bytes be read from anywhere.
    content = b"\n" + joined.encode("ascii", "replace").translate(_ALPHABET) + b"\n" * 9
    data = np.frombuffer(content, dtype=np.uint8)
    inside = data > 32
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    starts, ends = edges[::2], edges[1::2]
    numbers = _compact(_token_numbers(content, starts, ends - starts))
    characters = _characters(content, starts, ends, numbers, spell)
    whole = characters[numbers].astype("<u4").tobytes().decode("utf-32-le")
    breaks = np.searchsorted(starts, np.flatnonzero(data == 10)[: len(texts) + 1]).tolist()
    return [whole[breaks[k] : breaks[k + 1]] for k in range(len(texts))]


def _token_numbers(content: bytes, starts: Numbers, lengths: Numbers) -> Numbers:
    words: Words = np.ndarray((len(content) - 7,), dtype="<u8", buffer=content, strides=(1,))
    numbers = _numbers(words[starts] & _KEPT[np.minimum(lengths, 8)])
    longer, done, offset = np.flatnonzero(lengths > 8), 8, 0
    while longer.size:  # eight more bytes of the tokens that have them
        more = _numbers(words[starts[longer] + done] & _KEPT[np.minimum(lengths[longer] - done, 8)])
        offset += 1 << 32  # tokens of another length are other tokens
        pairs = (_compact(numbers[longer]) << 32 | more).astype(np.uint64)
        numbers[longer] = _numbers(pairs) + offset
        done += 8
        longer = longer[lengths[longer] > done]
    return numbers


def _numbers(keys: Words) -> Numbers:
    """Equal keys, equal numbers: a key's slot in a table, or, where another key took the slot, its rank."""
    slots = ((keys * _ODD) >> np.uint64(64 - _SLOTS_LOG2)).astype(np.int64)
    table = np.zeros(1 << _SLOTS_LOG2, dtype=np.uint64)
    table[slots] = keys
    crowded = np.flatnonzero(table[slots] != keys)
    if crowded.size:
        slots[crowded] = np.unique(keys[crowded], return_inverse=True)[1] + (1 << _SLOTS_LOG2)
    return slots


def _compact(numbers: Numbers) -> Numbers:
    """Numbers → 0, 1, 2, … without gaps."""
    if not numbers.size:
        return numbers
    top = int(numbers.max())
    if top > 1 << 24:
        return np.unique(numbers, return_inverse=True)[1].astype(np.int64)
    used = np.zeros(top + 1, dtype=np.int64)
    used[numbers] = 1
    return (np.cumsum(used) - 1)[numbers]


def _characters(
    content: bytes, starts: Numbers, ends: Numbers, numbers: Numbers, spell: Callable[[bytes], bytes] | None
) -> Numbers:
    """The character of each number; tokens spelled alike share one. Surrogates are no characters and are left out."""
    count = int(numbers.max()) + 1 if numbers.size else 0
    codes = np.arange(1, count + 1)
    if spell is not None and count:
        example = np.zeros(count, dtype=np.int64)
        example[numbers] = np.arange(len(numbers))
        known: dict[bytes, int] = {}
        spans = zip(starts[example].tolist(), ends[example].tolist(), strict=True)
        codes = np.array([known.setdefault(spell(content[a:b]), len(known) + 1) for a, b in spans])
    return np.where(codes < 0xD800, codes, codes + 0x800)

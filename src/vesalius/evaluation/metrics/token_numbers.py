"""English tokens of many texts as characters, in a handful of passes over one array of bytes.

Splitting into a Python string per token costs more than everything ROUGE does with them; here tokens stay where they
are, each seen with the space behind it, and Arrow numbers them.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.evaluation.packages import package

__all__ = ["token_strings"]

_ALPHABET = bytes(ord(chr(c).lower()) if c < 128 and chr(c).isalnum() else 32 for c in range(256))
_NOTHING = "\x01"
"""Stands between two spaces in a row, until it is taken out."""
Numbers = NDArray[np.int64]


def token_strings(texts: list[str], spell: Callable[[bytes], bytes] | None = None) -> list[str]:
    """Texts → strings of one character per token; equal characters are equal tokens across all texts.

    Tokens are runs of a-z and 0-9 after lowering. `spell` maps a token to what it counts as, its stem.
    """
    content, ends_of_texts = _content(texts)
    spaces = np.flatnonzero(np.frombuffer(content, dtype=np.uint8) == 32)
    numbers, tokens = _numbered(content, spaces)
    whole = _characters(tokens, spell)[numbers].tobytes().decode("utf-32-le")
    breaks = [0, *np.searchsorted(spaces, ends_of_texts).tolist()]
    found = [whole[first:last] for first, last in pairwise(breaks)]
    return [text.replace(_NOTHING, "") for text in found] if b" " in tokens else found


def _content(texts: list[str]) -> tuple[bytes, Numbers]:
    """(one byte per character, where each text ends). What is no letter or digit is a space; one stands before the
    first text and one behind each."""
    joined = " ".join(["", *texts, ""])
    if not joined.isascii():
        # Lowering may change how many characters there are, and make letters of what was none (the Kelvin sign).
        texts = [text.lower() for text in texts]
        joined = " ".join(["", *texts, ""])
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1)
    return joined.encode("ascii", "replace").translate(_ALPHABET), ends


def _numbered(content: bytes, spaces: Numbers) -> tuple[NDArray[Any], list[bytes]]:
    """(the number of what stands behind each space up to the next, what each number stands for with its space)."""
    arrow: Any = package("pyarrow", "ROUGE")
    parts = [None, arrow.py_buffer(spaces + 1), arrow.py_buffer(content)]
    encoded = arrow.Array.from_buffers(arrow.large_binary(), len(spaces) - 1, parts).dictionary_encode()
    return encoded.indices.to_numpy(), encoded.dictionary.to_pylist()


def _characters(tokens: list[bytes], spell: Callable[[bytes], bytes] | None) -> NDArray[np.uint32]:
    """The character of each token; those spelled alike share one. Surrogates are no characters and are left out."""
    first = ord(_NOTHING) + 1
    codes: Numbers = np.arange(first, first + len(tokens))
    if spell is not None:
        known: dict[bytes, int] = {}
        codes = np.array([known.setdefault(spell(token[:-1]), len(known) + first) for token in tokens], dtype=np.int64)
    if b" " in tokens:
        codes[tokens.index(b" ")] = ord(_NOTHING)
    return np.where(codes < 0xD800, codes, codes + 0x800).astype("<u4")

"""Characters of other scripts that stand for the ASCII of a grammar: full-width marks, Arabic digits, curly quotes."""

from __future__ import annotations

import math
import re
import unicodedata

__all__ = ["ascii_twin", "clean_label", "number_of", "without_marks", "without_vowel_marks"]

_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_VOWELS = re.compile("[\u064b-\u0652\u0670\u0640]")
_TWINS = {
    "\u3000": " ", "\u3001": ",", "\u3002": ".", "\u3010": "[", "\u3011": "]", "\u3014": "[", "\u3015": "]",
    "\u060c": ",", "\u061b": ";", "\u066b": ".", "\u2212": "-",
    "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201b": "'",
    "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u201f": '"',
}  # fmt: skip
_LONGEST_NUMBER = 400
"""More digits than this are out of every frame; they are not worth converting."""


def without_marks(text: str) -> str:
    """The text without zero-width and writing-direction marks."""
    return text if text.isascii() else _INVISIBLE.sub("", text)


def without_vowel_marks(text: str) -> str:
    """The text without Arabic vowel marks and lengthening strokes, which change no word."""
    return text if text.isascii() else _VOWELS.sub("", text)


def ascii_twin(text: str) -> str:
    """A text of equal length in which each mark or digit that has an ASCII counterpart is that counterpart."""
    if text.isascii():
        return text
    table = {ord(one): twin for one in set(text) if not one.isascii() and (twin := _twin(one)) is not None}
    return text.translate(table) if table else text


def _twin(one: str) -> str | None:
    if "\uff01" <= one <= "\uff5e":
        return chr(ord(one) - 0xFEE0)
    digit = unicodedata.decimal(one, None)
    return str(digit) if digit is not None else _TWINS.get(one)


def number_of(text: str) -> float:
    """A number written in ASCII; not-a-number when it is none, infinite when it has hundreds of digits."""
    if len(text) > _LONGEST_NUMBER:
        return math.inf
    try:
        return float(text)
    except ValueError:
        return math.nan


def clean_label(text: str) -> str:
    """A label as written, trimmed, in NFC."""
    text = text.strip()
    return text if text.isascii() else unicodedata.normalize("NFC", text)

"""Open answers made comparable, and cut into the tokens that text metrics count.

Chinese is compared character by character, English and Arabic word by word.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

__all__ = ["normalise", "words"]

INVISIBLE = dict.fromkeys([*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF])
ARABIC = {
    **dict.fromkeys(
        [*range(0x0610, 0x061B), *range(0x064B, 0x0660), 0x0670, *range(0x06D6, 0x06EE), 0x0640]
    ),  # diacritics, tatweel
    **{ord(mark): "ا" for mark in "أإآ"},
    ord("ى"): "ي",
    ord("ة"): "ه",
}
ARTICLES = frozenset(("a", "an", "the"))
CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


@lru_cache(maxsize=65536)
def normalise(text: str) -> str:
    """An open answer in its comparable form: NFKC, lower case, digits in ASCII, no punctuation (a point inside a number
    stays), no English article, one space between words; Arabic without diacritics and with unified letters, Chinese
    without spaces. What would vanish altogether ("A", a blood group) keeps its words."""
    plain = unicodedata.normalize("NFKC", text).translate(INVISIBLE).lower().translate(ARABIC)
    letters = [str(unicodedata.digit(c)) if c.isdigit() else _letter(plain, k, c) for k, c in enumerate(plain)]
    kept = "".join(letters).split()
    kept = [word for word in kept if word not in ARTICLES] or kept
    return re.sub(rf"(?<={CJK.pattern}) | (?={CJK.pattern})", "", " ".join(kept))


def _letter(text: str, k: int, c: str) -> str:
    if not unicodedata.category(c).startswith("P"):
        return c
    inside_number = c in ".٫" and 0 < k < len(text) - 1 and text[k - 1].isdigit() and text[k + 1].isdigit()
    return "." if inside_number else "" if c in "'’" else " "


def words(text: str) -> list[str]:
    """Tokens of a text in its comparable form: words, and every Chinese character for itself."""
    return CJK.sub(lambda found: f" {found[0]} ", normalise(text)).split()

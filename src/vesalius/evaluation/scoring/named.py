"""Closed answers in whole sentences: which of a few known things a text names, or that it says none is there.

"This is an axial CT of the chest." names the modality ct, the plane axial and the region chest, in en, zh and ar. The
names are those of `dialogue.words`. An item's `extra["names"]` says which vocabulary its answer is of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from vesalius.dialogue.words import LANGUAGES, MODALITY_NAMES, PLANE_NAMES, REGION_NAMES, SIDES, Name
from vesalius.findings.dialects.statements import is_absence, is_refusal
from vesalius.findings.parse_answer import AnswerStatus, ParsedAnswer

__all__ = ["ABSENT", "DECLINED", "VOCABULARIES", "key_of", "parse_named"]

ABSENT, DECLINED = "absent", "declined"
"""Gold of items whose right answer is that nothing is there, or that it cannot be told."""
_MOTIONS = {
    "moving": Name(("moving", "moves"), ("移动", "运动"), ("حركة", "متحرك")),
    "still": Name(("still", "not moving", "does not move", "motionless"), ("静止", "不动"), ("ثبات", "ثابت")),
}
VOCABULARIES: Mapping[str, Mapping[str, Name]] = {
    "modality": MODALITY_NAMES,
    "plane": PLANE_NAMES,
    "region": REGION_NAMES,
    "side": SIDES,
    "motion": _MOTIONS,
}
"""Vocabulary → what it names. Of sides an answer may name several, of motions one; else the longest name counts."""


def key_of(said: str, vocabulary: str) -> str | None:
    """The key of what is named by `said` alone, a key or one of its names in any language; None where it is none."""
    plain = said.strip().lower()
    for key, name in VOCABULARIES[vocabulary].items():
        if plain == key or any(plain == form.lower() for lang in LANGUAGES for form in name.forms(lang)):
            return key
    return None


def parse_named(text: str, vocabulary: str, lang: str) -> ParsedAnswer:
    """What a text names: a key, several sides as "left, right"; `ABSENT` or `DECLINED` where that is asked.

    `ambiguous` where two things are named by names of equal length, `unparsed` where nothing is.
    """
    if not text.strip():
        return ParsedAnswer(None, "empty", "no text")
    if vocabulary in (ABSENT, DECLINED):
        says = is_absence if vocabulary == ABSENT else _declines
        return ParsedAnswer(vocabulary, "ok", vocabulary) if says(text) else _nothing(text)
    spans = _spans(text.lower(), VOCABULARIES[vocabulary], lang)
    if not spans:
        return _nothing(text)
    if vocabulary == "side":
        return ParsedAnswer(", ".join(sorted({key for _, _, key in spans})), "ok", "sides named")
    if vocabulary != "motion":
        longest = max(end - start for start, end, _ in spans)
        spans = [one for one in spans if one[1] - one[0] == longest]
    keys = {key for _, _, key in spans}
    if len(keys) > 1:
        return ParsedAnswer(None, "ambiguous", "several are named")
    return ParsedAnswer(keys.pop(), "ok", "the name said")


def _spans(text: str, names: Mapping[str, Name], lang: str) -> list[tuple[int, int, str]]:
    """(start, end, key) of every name said, those inside longer ones left out: "not moving" is not "moving"."""
    found: list[tuple[int, int, str]] = []
    for key, name in names.items():
        for form in name.forms(lang):
            plain = re.escape(form.lower())
            found += [
                (one.start(), one.end(), key)
                for one in re.finditer(plain if lang in ("zh", "ar") else rf"\b{plain}\b", text)
            ]
    return [
        (start, end, key)
        for start, end, key in found
        if not any(a <= start and end <= b and b - a > end - start for a, b, _ in found)
    ]


def _nothing(text: str) -> ParsedAnswer:
    status: AnswerStatus = "refused" if is_refusal(text) else "unparsed"
    return ParsedAnswer(None, status, "none is named")


_NO_PICTURE = re.compile(
    r"\bno (?:image|picture|scan|photo|file|video|volume)s?\b[^.]{0,40}\b(?:given|provided|attached|shown|uploaded)\b"
    r"|\b(?:image|picture|scan) is missing\b|(?:没有|未)(?:提供|上传|附上)[^。]{0,6}(?:图|影像)|لا (?:توجد|يوجد) صورة"
    r"|\bnot possible\b",
    re.IGNORECASE,
)


def _declines(text: str) -> bool:
    """Whether the text says that it cannot be told, or that there is no picture to tell it from."""
    return is_refusal(text) or _NO_PICTURE.search(text) is not None

"""What an answer says around its places: thoughts, tags, refusal, absence, which image it speaks of."""

from __future__ import annotations

import re
from bisect import bisect_right

__all__ = ["ImagesNamed", "answer_part", "is_absence", "is_refusal", "only_integer", "without_thoughts"]

_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)
_THOUGHT_BEGINS = re.compile(r"<think(?:ing)?>", re.IGNORECASE)
_THOUGHT_ENDS = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_HEAD = 4000
"""Refusals and statements of absence are short; no more than this is searched for them."""
_REFUSAL = re.compile(
    r"\b(?:cannot|can\s?not|can['’]?t|could\s?not|couldn['’]?t|unable\s+to|not\s+able\s+to|"
    r"not\s+possible\s+to|impossible\s+to|i\s*['’]?\s*a?m\s+sorry|i\s+apologi[sz]e|i\s+(?:must\s+)?decline|i\s+won['’]?t)\b"
    r"|无法|不能(?:确定|判断|回答|提供|识别)|抱歉|对不起"
    r"|لا\s*(?:أستطيع|استطيع|يمكنني|يمكن|أعرف|اعرف)|تعذر|عذر[اًا]|آسف|غير\s+قادر",
    re.IGNORECASE,
)
_SEEN = "seen|found|visible|present|detected|identified|evident|visuali[sz]ed|noted|observed|shown|apparent|here"
_ABSENCE = re.compile(
    r"\bthere\s+(?:is|are|was|were)\s+(?:no|none|not\s+any|nothing)\b|\bthere\s+(?:isn['’]?t|aren['’]?t)\b"
    r"|^[\W_]*(?:no|none|nothing|zero)\b"
    rf"|\b(?:no|none|nothing)\b[^.\n]{{0,60}}\b(?:{_SEEN})\b|\bnot\s+(?:{_SEEN})\b"
    r"|\b(?:does|do|did)(?:\s+not|n['’]?t)\s+(?:see|show|contain|find|detect|have)\b|\babsent\b"
    r"|没有|未见|未发现|未检出|未检测到|不存在|^\W*(?:无|没)"
    r"|لا\s*(?:يوجد|توجد|شيء|أرى|دليل)|ليس\s+هناك|لم\s+(?:يتم|يُعثر|أجد|يظهر|تظهر)|غير\s+(?:موجود|مرئي)",
    re.IGNORECASE,
)
_INTEGER = re.compile(r"(?<![\w.,\-])\d{1,9}(?![\w]|[.,\-]\d)", re.ASCII)  # "3-5" states no number
_ARABIC_ORDINALS = "الأولى الثانية الثالثة الرابعة الخامسة السادسة السابعة الثامنة التاسعة العاشرة"
_ORDINALS = {
    **{word: i for i, word in enumerate("first second third fourth fifth sixth seventh eighth ninth tenth".split())},
    **{word: i for i, word in enumerate("一 二 三 四 五 六 七 八 九 十".split())},
    **{word: i for i, word in enumerate(_ARABIC_ORDINALS.split())},
}  # fmt: skip
_IMAGE = re.compile(
    r"\b(?P<word>first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|\d{1,2}(?=st|nd|rd|th))(?:st|nd|rd|th)?"
    r"\s+(?:image|picture|photo|scan|figure)\b"
    r"|\b(?:image|picture|figure)[\s_#-]{0,2}(?P<number>\d{1,2})\b(?!\.\d)"
    r"|第\s?(?P<zh>[一二三四五六七八九十]|\d{1,2})\s?[张幅个]?\s?(?:图像|图片|影像|图)"
    r"|(?:الصورة|صورة)\s+(?P<ar>الأولى|الثانية|الثالثة|الرابعة|الخامسة|السادسة|السابعة|الثامنة|التاسعة|العاشرة|\d{1,2})",
    re.IGNORECASE,
)


def without_thoughts(text: str) -> tuple[str, bool]:
    """(the text after the last `</think>`, whether a thought was left open). Thoughts are never searched."""
    if "<" not in text:
        return text, False
    closed = [match.end() for match in _THOUGHT_ENDS.finditer(text)]
    if closed:
        text = text[closed[-1] :]
    opened = _THOUGHT_BEGINS.search(text)
    return (text, False) if opened is None else (text[: opened.start()], True)


def answer_part(text: str) -> str:
    """What the last `<answer>…</answer>` holds, or the whole text; a lone `<answer>` is taken off."""
    found = [one for one in _ANSWER.findall(text) if one.strip()] if "</answer>" in text.lower() else []
    if found:
        return found[-1]
    at = text.lower().rfind("<answer>")
    return text[at + len("<answer>") :] if at >= 0 and text[at + len("<answer>") :].strip() else text


def is_refusal(text: str) -> bool:
    """Whether the text says that the question cannot be answered (en, zh, ar)."""
    return _REFUSAL.search(text[:_HEAD]) is not None


def is_absence(text: str) -> bool:
    """Whether the text says that there is nothing (en, zh, ar)."""
    return _ABSENCE.search(text[:_HEAD].strip()) is not None


def only_integer(text: str) -> int | None:
    """The only whole number of the text (ASCII digits), or None where there is none or several."""
    found = _INTEGER.findall(text)
    return int(found[0]) if len(found) == 1 else None


class ImagesNamed:
    """Which image (0-based) the text speaks of at a position, or None."""

    def __init__(self, text: str) -> None:
        self.starts: list[int] = []
        self.images: list[int] = []
        for match in _IMAGE.finditer(text):
            word = next(one for one in match.groups() if one is not None).lower()
            number = int(word) - 1 if word.isdecimal() else _ORDINALS[word]
            if number >= 0:
                self.starts.append(match.start())
                self.images.append(number)

    def __call__(self, position: int) -> int | None:
        if not self.images:
            return None
        at = bisect_right(self.starts, position)
        if at:
            return self.images[at - 1]
        return self.images[0] if len(set(self.images)) == 1 else None

"""Yes or no, where an answer says it in a word; a statement without one is not interpreted."""

from __future__ import annotations

import re
from typing import Literal

from vesalius.findings.answer_text import Prepared
from vesalius.findings.dialects.statements import is_refusal

__all__ = ["find_polarity"]

Found = tuple[str | None, Literal["ok", "ambiguous", "refused", "truncated", "unparsed"], str]

_QUOTE = r"[\"'“”‘’(\[]?"
_ECHO = re.compile(
    rf"{_QUOTE}\b(?:yes{_QUOTE}[\"')\]]?\s{{0,3}}(?:\bor\b|/|\||,)\s{{0,3}}{_QUOTE}no|no{_QUOTE}[\"')\]]?\s{{0,3}}(?:\bor\b|/)\s{{0,3}}{_QUOTE}yes)\b[\"')\]]?"
    r"|[\"']?(?:是|有)[\"']?\s?(?:或者?|/|还是)\s?[\"']?(?:否|不是|没有|无)[\"']?|(?:是否|是不是|有没有|有无)[^?:,，、。.;；!！\s]{0,60}[?:,，、。.;；!！]?|对不对"
    r"|\(no extra output\)|\(不要有任何其它输出\)"
    r"|[\"']?نعم[\"']?\s?(?:أو|/|أم)\s?[\"']?لا[\"']?(?![\u0621-\u0652])|هل",
    re.IGNORECASE,
)
_EN = r"(?<![\w\-])(?:yes|no)(?!\w|-\w)"
_ZH_END = r"(?=$|[\s,，。.;；!！?？、:)\]的])"
_ZH = (
    r"不是|不存在|不会|不对|没有(?!办法)|没(?=$|[\s,，。.;；!！])|否(?!则|定|认)|无(?!法|论|需|关)|"
    rf"不{_ZH_END}|是的|是(?!非|指)|(?<![没具所只还含])有(?!时|可能|关|助|待|限|些)|对{_ZH_END}"
)
_ZH_INSIDE = (
    r"不是|不存在|没有(?!办法)|否(?!则|定|认)(?=$|[\s,，。.;；!！?？])|(?<![\u4e00-\u9fff])(?:是的?|对|不)(?=$|[\s,，。.;；!！?？])|"
    r"无(?!法|论|需|关)|(?<![没具所只还含])有(?!时|可能|关|助|待|限|些|没有)"
)
_AR = r"(?<![\u0621-\u0652])(?:نعم|لا(?!\s*(?:أستطيع|استطيع|يمكن|أعرف|اعرف)))(?![\u0621-\u0652])"
_NOT_TOKEN = re.compile(r"\bnot\s+(?:an?\s+)?[\"']?(?:yes|no)\b", re.IGNORECASE)
_BOTH = re.compile(
    r"\W*(?:(?:yes\s+and\s+no|no\s+and\s+yes)\b|نعم\s+و\s?لا(?![\u0621-\u0652])|لا\s+و\s?نعم(?![\u0621-\u0652])"
    r"|(?:并非|不是|并不是)(?:没有|无(?!法))|有也没有|是也不是)",
    re.IGNORECASE,
)
"""Both at once, or the denial of a denial."""
_TOKENS = re.compile(f"{_EN}|{_AR}|{_ZH_INSIDE}", re.IGNORECASE)
_LEADING = re.compile(rf"[^\w]*(?:{_EN}|{_AR}|{_ZH})", re.IGNORECASE)
_PHRASE = re.compile(
    rf"(?:\banswer\b|\bfinal\s+answer\b|\bresponse\b)\s{{0,3}}(?:(?:is|would\s+be)\b|[:=\-])?\s{{0,3}}:?[\s\"'(\[]{{0,4}}(?P<en>{_EN})"
    r"|(?:答案|回答)\s{0,3}(?:应该是|应为|是|为|:)?\s{0,3}:?[\s\"'(\[]{0,4}(?P<zh>是的|是|否|不是|没有|有|无|对|不)(?=$|[\s,，。.;；!！\"')\]])"
    rf"|(?:ال[إا]جابة|الجواب)(?:\s+(?:الصحيحة|الصحيح|النهائية))?(?:\s+(?:هي|هو))?\s{{0,3}}:?[\s\"'(\[]{{0,4}}(?P<ar>{_AR})",
    re.IGNORECASE,
)
_YES = ("yes", "是", "是的", "有", "对", "نعم")


def find_polarity(said: Prepared, finish_reason: str | None) -> Found:
    """Rules in order: box or tag, explicit phrase, leading word, the only polarity mentioned."""
    if said.explicit is not None:
        content = said.explicit.content
        found = _denied(content) or _leading(content) or _mentioned(_ECHO.sub(" ", content))
        if found is None:
            return None, "unparsed", "an explicit place holds neither yes nor no"
        return found if found[1] != "ok" else (found[0], "ok", said.explicit.place)
    phrases = list(_PHRASE.finditer(said.text))
    text = _ECHO.sub(" ", said.text).strip()
    phrases = [
        one for one in phrases if not _ECHO.match(said.text, one.start(str(one.lastgroup))) or one.lastgroup == "zh"
    ]
    if phrases:
        return _polarity(phrases[-1][str(phrases[-1].lastgroup)]), "ok", "explicit phrase"
    found = _leading(text)
    if found is not None:
        return found
    if finish_reason == "length":
        return None, "truncated", "the text was cut off before an answer"
    found = _denied(text) or _mentioned(text)
    if found is not None:
        return found
    if is_refusal(said.text):
        return None, "refused", "refusal"
    return None, "unparsed", "no yes or no"


def _polarity(token: str) -> str:
    return "yes" if token.strip().lower() in _YES else "no"


def _denied(text: str) -> Found | None:
    return (None, "ambiguous", "a negated yes or no") if _NOT_TOKEN.search(text) else None


def _leading(text: str) -> Found | None:
    if _BOTH.match(text):
        return None, "ambiguous", "yes and no, or a no denied"
    match = _LEADING.match(text)
    if match is None:
        return None
    token = re.sub(r"^[^\w]+", "", match[0])
    return _polarity(token), "ok", "leading word"


def _mentioned(text: str) -> Found | None:
    seen = {_polarity(match[0]) for match in _TOKENS.finditer(text)}
    if len(seen) > 1:
        return None, "ambiguous", "yes and no are both mentioned"
    return (seen.pop(), "ok", "only polarity mentioned") if seen else None

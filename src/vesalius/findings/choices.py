"""The option letter an answer to a multiple-choice question gives."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from vesalius.errors import OptionError
from vesalius.findings.answer_text import Prepared
from vesalius.findings.dialects.characters import without_vowel_marks
from vesalius.findings.dialects.statements import is_refusal

__all__ = ["Choices", "find_choice"]

Found = tuple[str | None, Literal["ok", "ambiguous", "refused", "truncated", "unparsed"], str]

_ARABIC = {"أ": "A", "ا": "A", "ب": "B", "ج": "C", "د": "D", "ه": "E"}
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NO_LETTER_AFTER = r"(?![A-Za-z0-9\u0621-\u064a]|['\-][A-Za-z])"
_OPEN, _CLOSE = r"[\s(\[{<\"'$]{0,6}", r"[\s)\]}>\"'$]{0,6}"
_SEPARATOR = r"\s{0,4}(?:(?:is|was|would\s+be|should\s+be)\b|[:=\-])?\s{0,4}:?\s{0,4}"
_KIND = r"(?:(?:option|choice|letter|answer)\s{1,4})?"
_PHRASE = re.compile(
    rf"(?:\b(?:final|correct|right|best)\s+(?:answer|option|choice)|\banswer\b|\bcorrect\s+(?:one|letter)\b){_SEPARATOR}"
    rf"{_KIND}{_OPEN}(?P<en>[A-Za-zأابجده]){_NO_LETTER_AFTER}"
    rf"|\b(?:i|we|i'd|i'll)\s+(?:(?:would|will|must|should|therefore)\s+)?(?:choose|pick|select|go\s+with)\s+{_KIND}{_OPEN}"
    rf"(?P<choose>[A-Za-z]){_NO_LETTER_AFTER}"
    rf"|\b(?:option|choice|answer)\s{{1,4}}{_OPEN}(?P<right>[A-Za-z]){_CLOSE}\s{{0,4}}is\s+(?:the\s+)?(?:correct|right|best)\b"
    r"|(?:正确)?(?:答案|选项|回答)\s{0,4}(?:应该是|应该为|应为|应选|选择?|是|为|:)?\s{0,4}:?\s{0,4}(?:选项\s{0,4})?"
    rf"{_OPEN}(?P<zh>[A-Za-z]){_NO_LETTER_AFTER}"
    rf"|(?:应?选择?项?|选定)\s{{0,4}}:?\s{{0,4}}{_OPEN}(?P<xuan>[A-Za-z]){_NO_LETTER_AFTER}"
    r"|(?:ال[إا]جابة|الجواب|الخيار|الاختيار)(?:\s+(?:الصحيحة|الصحيح|النهائية|النهائي|الأنسب))?(?:\s+(?:هي|هو))?"
    rf"(?:\s+الخيار)?\s{{0,4}}:?\s{{0,4}}{_OPEN}(?P<ar>[A-Za-zأابجده]){_NO_LETTER_AFTER}",
    re.IGNORECASE,
)
_NEXT_LETTER = re.compile(
    rf"{_CLOSE}\s{{0,4}}(?:,|;|/|&|\+|[\-\u2010-\u2015]|~|\band\b|\bor\b|\bto\b|\bthrough\b|和|或|与|及|还是|至|到|、|\bأو\b|\bو)\s{{0,4}}(?:(?:option|choice)\s{{1,4}})?{_OPEN}"
    # "B超" (ultrasound) is a word, not an option.
    rf"(?P<next>[A-Zأابجده]){_NO_LETTER_AFTER}(?!(?![和或与及都均项还])[\u4e00-\u9fff])",
)
_LEADING = re.compile(
    rf"[\s(\[{{\"']{{0,6}}(?:(?:option|choice|选项|الخيار)\s{{0,4}})?{_OPEN}(?P<letter>[A-Za-zأابجده])(?P<mark>[)\]}}\"']?\s{{0,2}}[.):、,]|[)\]}}\"'])?"
    rf"(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_ARTICLE = re.compile(r"\s+(?!(?:or|and|is|was|because|since|as|seems|looks)\b)[a-z]")
_TOKEN = re.compile(r"(?<![A-Za-z0-9'\-])(?<!\b[A-Za-z]\.)([A-Z])(?![A-Za-z0-9]|['\-][A-Za-z]|\.[A-Za-z]\b)")
_ARABIC_TOKEN = re.compile(r"(?<![\u0621-\u0652])([أابجده])(?![\u0621-\u0652])")
_NOT_BEFORE = re.compile(
    r"\b(?:not|isn't|never|neither|nor|except|than|excluding)\s+(?:option\s+|choice\s+)?[\s(\[\"']{0,3}\Z|(?:不|不是|不选|不能选|不应选|不该选|并非)\s?\Z"
    r"|(?:ليس|ليست|ليس\s+هو|غير)\s+(?:الخيار\s+)?[\s(]{0,3}\Z",
    re.IGNORECASE,
)
_RULED_OUT = re.compile(r"(?:不|不能|不应|不该|不应该|不要|不可|无法|لا|لن|ليس|ليست)\s{0,2}\Z")
_NEGATION = re.compile(
    r"(?:\b(?:no|not|without|never|neither|nor|non|isn't|excludes?|denies)(?:\s+(?:a|an|the|any))?[\s\-]+|(?:不是|没有|未见|无|不|非)\s?"
    r"|(?:لا|ليس|ليست|بدون|غير|لا\s+يوجد|لا\s+توجد)\s+)\Z",
    re.IGNORECASE,
)
_PREFIX = re.compile(r"\s*\(?([A-Za-z])\s{0,2}(?:[.):、]|：)\s*(.+)", re.DOTALL)


@dataclass(frozen=True)
class Choices:
    """`letters`: of the options, in order. `texts`: letter → text folded for matching, where there is one."""

    letters: tuple[str, ...]
    texts: dict[str, str]
    is_arabic: bool = False

    @classmethod
    def read(cls, options: Mapping[str, str] | Sequence[str] | int | None, lang: str | None) -> Choices:
        """Options as a caller gives them; OptionError for what cannot be read."""
        arabic = lang == "ar"
        if options is None:
            return cls(tuple("ABCD"), {}, arabic)
        if isinstance(options, int):
            if not 1 <= options <= 26:
                raise OptionError(f"{options} options.", fix="Give 1 to 26.")
            return cls(tuple(_LETTERS[:options]), {}, arabic)
        if isinstance(options, Mapping):
            pairs = [
                (_ARABIC.get(str(key).strip(), str(key).strip().upper()), str(text)) for key, text in options.items()
            ]
        else:
            given = [str(one).strip() for one in options]
            if given and given[0] in ("A", "أ", "ا") and all(one in _LETTERS or one in _ARABIC for one in given):
                pairs = [(_ARABIC.get(one, one.upper()), "") for one in given]
            else:
                pairs = [_lettered(one, number) for number, one in enumerate(given)]
        if not pairs or any(len(letter) != 1 or letter not in _LETTERS for letter, _ in pairs):
            raise OptionError("the options have no letters A to Z.", fix="Give a mapping letter → text, or the texts.")
        texts = {letter: folded for letter, text in pairs if (folded := _fold(_without_prefix(text, letter)))}
        return cls(tuple(letter for letter, _ in pairs), texts, arabic)

    def letter_of(self, written: str) -> str | None:
        """A letter as written → the option's; None for an Arabic letter where the language is not Arabic."""
        if written in _ARABIC:
            return _ARABIC[written] if self.is_arabic else None
        return written.upper()

    def named_by(self, text: str) -> str | None:
        """The option whose text this is."""
        folded = _fold(text)
        found = [letter for letter, one in self.texts.items() if one == folded]
        return found[0] if folded and len(found) == 1 else None


def _lettered(one: str, number: int) -> tuple[str, str]:
    match = _PREFIX.match(one)
    if match and match[1].upper() == _LETTERS[number % 26]:
        return _LETTERS[number % 26], match[2]
    return _LETTERS[number] if number < 26 else "?", one


def _without_prefix(text: str, letter: str) -> str:
    match = _PREFIX.match(text)
    return match[2] if match and match[1].upper() == letter else text


@lru_cache(maxsize=4096)  # options come again and again
def _fold(text: str) -> str:
    plain = text.lower() if text.isascii() else without_vowel_marks(unicodedata.normalize("NFKC", text)).casefold()
    return " ".join(plain.split()).strip(" .,;:!?。\"'`*()[]")


def find_choice(said: Prepared, choices: Choices, finish_reason: str | None) -> Found:
    """Rules in order: box or tag, explicit phrase, the whole answer or its first or last line, an option's text, a
    letter or a text mentioned alone."""
    if said.explicit is not None:
        found = _from_place(said.explicit.content, choices)
        return found if found[1] != "ok" else (found[0], "ok", said.explicit.place)
    text = said.text
    found = _from_phrases(text, choices) or _from_whole(text, choices) or _from_lines(text, choices)
    if found is not None:
        return found
    if finish_reason == "length":
        return None, "truncated", "the text was cut off before an answer"
    found = _from_mention(text, choices) or _from_option_text(text, choices)
    if found is not None:
        return found
    if is_refusal(text):
        return None, "refused", "refusal"
    return None, "unparsed", "no option found"


def _from_place(content: str, choices: Choices) -> Found:
    named = choices.named_by(content)
    if named is not None and len(content) > 1:
        return named, "ok", "option text"
    found = _leading(content, choices, "explicit place")
    if found is None and (phrased := _from_phrases(content, choices)):
        found = phrased
    if found is None:
        letters = [one for one in content.replace(",", " ").split() if one.upper() in choices.letters]
        if len(content) <= 12 and len(set(letters)) > 1:
            return None, "ambiguous", "several letters in an explicit place"
        return None, "unparsed", "an explicit place holds no option"
    return found


def _judged(written: str, after: str, choices: Choices, rule: str, *, is_marked: bool = False) -> Found | None:
    """A letter and what follows it → the answer, unless it is an article or one of several. `is_marked`: a mark behind
    the letter ("A. mass") says that it is no article."""
    letter = choices.letter_of(written)
    if letter is None:
        return None
    following = _NEXT_LETTER.match(after)
    if letter in "AI" and not is_marked and _ARTICLE.match(after) and not following:
        return None
    if following:
        other = choices.letter_of(following["next"])
        is_article = other in ("A", "I") and _ARTICLE.match(after, following.end())
        if other in choices.letters and other != letter and not is_article:
            return None, "ambiguous", f"{rule}: several letters"
    if letter not in choices.letters:
        return None, "unparsed", f"{rule}: {letter} is no option"
    named = choices.named_by(after.lstrip(" .):、,-\"'")) if after.strip() else None
    if named is not None and named != letter:
        return letter, "ok", f"{rule}; its text names {named}, the letter wins"
    return letter, "ok", rule


def _from_phrases(text: str, choices: Choices) -> Found | None:
    last: Found | None = None
    for match in _PHRASE.finditer(text):
        name = str(match.lastgroup)
        written = match[name]
        after = text[match.end(name) : match.end(name) + 200]
        if _RULED_OUT.search(text[max(0, match.start() - 8) : match.start()]):
            continue  # "不选A"
        if written.islower() and written.isascii() and re.match(r"\s+[a-z]", after):
            continue  # "the answer is a mass"
        found = _judged(written, after.split("\n", 1)[0], choices, "explicit phrase")
        last = found or last
    return last


def _from_whole(text: str, choices: Choices) -> Found | None:
    named = choices.named_by(text) if len(text) > 1 else None
    return None if named is None else (named, "ok", "whole answer is an option's text")


def _from_lines(text: str, choices: Choices) -> Found | None:
    lines = [one for one in text.splitlines() if one.strip()]
    candidates = [lines[0], lines[-1]] if len(lines) > 1 else lines[:1]
    found = [one for line in candidates if (one := _leading(line, choices, "leading letter"))]
    right = {one[0] for one in found if one[1] == "ok"}
    if len(right) > 1:
        return None, "ambiguous", "first and last line name different letters"
    return next((one for one in found if one[1] == "ok"), found[0] if found else None)


def _leading(line: str, choices: Choices, rule: str) -> Found | None:
    match = _LEADING.match(line)
    if match is None:
        return None
    written, mark, rest = match["letter"], match["mark"] or "", match["rest"]
    if not mark and rest and (rest[0].isalnum() or (rest[0] in "'-_" and not _NEXT_LETTER.match(rest))):
        several = re.fullmatch(r"\W*([A-Z]{2,6})\W*", line)
        if several and len(set(several[1])) > 1 and set(several[1]) <= set(choices.letters):
            return None, "ambiguous", f"{rule}: several letters"
        return None  # the first letter of a word
    if written.islower() and written.isascii():
        if not mark and rest.strip():
            return None
        if mark and rest[:1].isalnum():
            return None
    if mark.endswith(".") and re.match(r"[A-Za-z]\.", rest):
        return None  # an abbreviation
    letter = choices.letter_of(written)
    if letter not in choices.letters and not mark and rest.strip():
        return None
    after = (mark if mark.endswith((",", "、")) else "") + rest
    return _judged(written, after, choices, rule, is_marked=bool(mark))


def _from_mention(text: str, choices: Choices) -> Found | None:
    seen: set[str] = set()
    denied = False
    for match in _TOKEN.finditer(text):
        letter = match[1]
        if letter not in choices.letters or (
            letter in "AI" and _ARTICLE.match(text, match.end()) and not _NEXT_LETTER.match(text, match.end())
        ):
            continue
        if _NOT_BEFORE.search(text[max(0, match.start() - 24) : match.start()]):
            denied = True
            continue
        seen.add(letter)
    if choices.is_arabic:
        for match in _ARABIC_TOKEN.finditer(text):
            if _NOT_BEFORE.search(text[max(0, match.start() - 24) : match.start()]):
                denied = True
            elif _ARABIC[match[1]] in choices.letters:
                seen.add(_ARABIC[match[1]])
    if len(seen) > 1:
        return None, "ambiguous", "several letters mentioned"
    if seen:
        return seen.pop(), "ok", "only letter mentioned"
    return (None, "unparsed", "a letter is only ruled out") if denied else None


def _from_option_text(text: str, choices: Choices) -> Found | None:
    folded = " ".join(text.casefold().split())
    spans: list[tuple[int, int, str]] = []
    for letter, option in choices.texts.items():
        before = r"(?<!\w)" if option[0].isascii() else ""
        after = r"(?!\w)" if option[-1].isascii() else ""
        for match in re.finditer(before + re.escape(option) + after, folded):
            if not _NEGATION.search(folded[max(0, match.start() - 24) : match.start()]):
                spans.append((match.start(), match.end(), letter))
            else:
                spans.append((match.start(), match.end(), ""))
    kept = {
        letter
        for start, end, letter in spans
        if letter and not any(a <= start and end <= b and b - a > end - start for a, b, _ in spans)
    }
    if len(kept) > 1:
        return None, "ambiguous", "several options' texts"
    return (kept.pop(), "ok", "only option text mentioned") if kept else None

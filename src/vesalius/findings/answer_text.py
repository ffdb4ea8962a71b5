"""An answer's text made ready: one script for marks and digits, thoughts dropped, the explicit place found."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from vesalius.findings.dialects.characters import without_marks, without_vowel_marks
from vesalius.findings.dialects.statements import without_thoughts
from vesalius.limits import current

__all__ = ["Explicit", "Prepared", "prepare"]

_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201b": "'",
                         "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u201f": '"'})  # fmt: skip
_EMPHASIS = re.compile(r"\*\*|__|`+")
_STAR = re.compile(r"(?<![\w*])\*(?=\S)([^*\n]{1,200})(?<=\S)\*(?![\w*])")
_TAG = re.compile(r"<answer>((?:(?!<answer>|</answer>).)*+)</answer>", re.IGNORECASE | re.DOTALL)
_OPEN_TAG = re.compile(r"<answer>", re.IGNORECASE)
_COMMAND = re.compile(r"\\(?:text|textbf|mathrm|mathbf|textrm|mathit|boldsymbol|rm|bf)\b\s?")
_EMPTY_PLACE = re.compile(r"\\boxed\s{0,4}\{[\s.$]{0,20}\}|</?answer>", re.IGNORECASE)
_EDGES = " \t\r\n.。,，;；:!！?？$"
_MOST_BOXES = 2000


@dataclass(frozen=True)
class Explicit:
    """An answer in a box or tag. `content`: for matching; `shown`: as written, stripped of its wrapper."""

    content: str
    shown: str
    place: str


@dataclass(frozen=True)
class Prepared:
    """`text`: for matching (NFKC, ASCII digits, straight quotes, no emphasis). `shown`: the same answer as written."""

    text: str
    shown: str
    explicit: Explicit | None
    is_open: bool
    is_empty: bool


def prepare(text: str) -> Prepared:
    """See `Prepared`. A thought that is left open makes the rest unusable: `is_open`."""
    kept, is_open = without_thoughts(text)
    if is_open:
        return Prepared("", "", None, True, False)
    cap = current().max_answer_chars
    if len(kept) > cap:  # an answer stands at an end of so long a text
        kept = kept[: cap // 2] + "\n" + kept[-cap // 2 :]
    kept = without_marks(kept)
    plain = _for_matching(kept)
    is_empty = not any(one.isalnum() for one in _EMPTY_PLACE.sub("", plain))
    explicit = None if is_empty else _explicit(kept)
    body = _without_wrappers(plain)
    return Prepared(body, _trimmed(_without_wrappers(kept)), explicit, False, is_empty)


def _for_matching(text: str) -> str:
    if text.isascii():
        plain = text
    else:
        plain = without_vowel_marks(unicodedata.normalize("NFKC", text)).translate(_QUOTES)
        plain = "".join(
            str(unicodedata.decimal(one)) if one.isdecimal() and not one.isascii() else one for one in plain
        )
    plain = _EMPHASIS.sub("", plain)
    return _STAR.sub(r"\1", plain).strip()


def _without_wrappers(text: str) -> str:
    """The text without answer tags (their content stays)."""
    if "<" in text:
        text = re.sub(r"</?answer>", " ", text, flags=re.IGNORECASE)
    return text.strip()


def _trimmed(text: str) -> str:
    return text.strip()


def _explicit(text: str) -> Explicit | None:
    """The last box that is not empty, else the last answer tag that is not empty."""
    for content in reversed(_boxes(text)):
        if found := _made(content, "boxed"):
            return found
    for content in reversed(_TAG.findall(text)):
        inner = _boxes(content)
        if found := _made(inner[-1] if inner else content, "answer tag"):
            return found
    opened = [match.end() for match in _OPEN_TAG.finditer(text)]
    if opened and "</answer>" not in text[opened[-1] :].lower():
        return _made(text[opened[-1] :], "answer tag")
    return None


def _made(content: str, place: str) -> Explicit | None:
    shown = _stripped(_COMMAND.sub("", content))
    plain = _stripped(_for_matching(shown))
    if not any(one.isalnum() for one in plain):
        return None
    return Explicit(plain, shown, place)


def _stripped(text: str) -> str:
    """Without dollar signs, outer brackets, emphasis and final punctuation."""
    text = text.replace("\\(", "").replace("\\)", "").replace("\\ ", " ").replace("\\,", " ")
    for _ in range(4):
        before = text
        text = text.strip(_EDGES + "*`'\"")
        if len(text) > 1 and (text[0], text[-1]) in (("(", ")"), ("[", "]"), ("{", "}"), ("（", "）"), ("【", "】")):
            text = text[1:-1]
        elif text.startswith("{") and text.endswith("}") is False and text.count("{") == 1 and "}" in text:
            text = text.replace("{", "").replace("}", "")
        if text == before:
            break
    if "{" in text or "}" in text:
        text = text.replace("{", "").replace("}", "")
    return text.strip(_EDGES)


def _boxes(text: str) -> list[str]:
    r"""What stands in every `\boxed{…}`, braces counted; an unclosed one holds the rest of its line."""
    found: list[str] = []
    at = text.find("\\boxed")
    while at >= 0 and len(found) < _MOST_BOXES:
        start = at + len("\\boxed")
        while start < len(text) and text[start] == " ":
            start += 1
        end = start
        if start < len(text) and text[start] == "{":
            end = _closing(text, start)
            found.append(text[start + 1 : end])
        at = text.find("\\boxed", max(end, start))
    return found


def _closing(text: str, start: int) -> int:
    depth = 0
    line = text.find("\n", start)
    stop = min(len(text), start + 4000)
    for at in range(start, stop):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if not depth:
            return at
    return line if 0 <= line < stop else stop

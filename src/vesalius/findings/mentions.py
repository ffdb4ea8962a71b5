"""Which picture, frame or time the words around a place name: `Image 2: …`, `<image 2>`, "in the third image",
`"image": 2` or `"time": 1.5` beside the coordinates, 第二张图, الصورة الثانية. Pure text; knows no model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

__all__ = ["Mention", "mentions_of", "named_where", "without_mention"]

T = TypeVar("T")


@dataclass(frozen=True)
class Mention:
    """`kind`: "picture", "frame" or "time". `number`: pictures and frames from 0 (-1: the last), or seconds.
    `start`, `end`: the characters that say so."""

    kind: Literal["picture", "frame", "time"]
    number: float
    start: int
    end: int

    @property
    def what(self) -> tuple[str, float]:
        """Kind and number alone."""
        return self.kind, self.number


_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_CHINESE = "一二三四五六七八九十"
_ARABIC = ("الأولى", "الثانية", "الثالثة", "الرابعة", "الخامسة", "السادسة", "السابعة", "الثامنة", "التاسعة", "العاشرة")
_NOUN = r"(?P<noun>image|img|picture|pic|photo|figure|fig\.?|view|slice|scan|frame)"
_SECONDS = r"(?P<seconds>\d+(?:\.\d+)?)\s*(?:seconds?|secs?|s)\b"
_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"<?\b{_NOUN}[ _\-#]*(?:(?:no\.?|number)\s*)?(?P<count>\d{{1,4}})(?!\d|[x×]|\.\d)>?",
        rf"\b(?:(?P<word>{'|'.join(_ORDINALS)}|last)|(?P<nth>\d{{1,4}})(?:st|nd|rd|th))\s+{_NOUN}\b",
        rf'"{_NOUN}(?:(?P<base>[_ ]?(?:index|idx|id))|[_ ]?(?:number|no))?"\s*:\s*'
        r'"?(?:[a-z]+[ _-]?)?(?P<key>\d{1,4})\b',
        rf"第(?P<han>[{_CHINESE}两]|\d{{1,4}})\s*(?:张|幅|个)?(?P<hannoun>图|影像|照片|切片|帧)",
        r"(?P<hannoun2>图像|图片|图|影像|切片)\s*(?P<hancount>\d{1,4})(?!\d)",
        rf"الصورة\s+(?:(?P<arword>{'|'.join(_ARABIC)}|الأخيرة)|(?:رقم\s*)?(?P<arcount>\d{{1,4}}))",
        rf"<\s*{_SECONDS}\s*>|\b(?:at|time|t\s*=)\s*{_SECONDS.replace('seconds', 'seconds2', 1)}",
        r'"(?:time|timestamp|time_s|seconds)"\s*:\s*"?(?P<seconds3>\d+(?:\.\d+)?)',
    )
)

_PLACE = re.compile(
    r"<box>.*?(?:</box>|(?=<box>)|\Z)|<\|box_start\|>.*?(?:<\|box_end\|>|(?=<\|box_start\|>)|\Z)"
    r"|<bbox>.*?(?:</bbox>|\Z)|\{[^{}]*\}|\[[^\[\]{}<>]*\d[^\[\]{}<>]*\]|\(\s*[\d.]+\s*,[^()]*\)",
    re.DOTALL,
)
"""Whatever may hold coordinates, in any dialect."""


def mentions_of(text: str) -> list[Mention]:
    """Every mention, in order. Numbers count from 1, unless the key says index or a 0 occurs among them."""
    found: list[Mention] = []
    keyed: list[int] = []
    for form in _FORMS:
        for match in form.finditer(text):
            made = _mention(match)
            if any(made.start < other.end and other.start < made.end for other in found):
                continue
            if match.groupdict().get("key") is not None and match["base"] is None:
                keyed.append(len(found))
            found.append(made)
    if any(found[at].number == -1 for at in keyed):  # a key that counts from 0
        for at in keyed:
            one = found[at]
            found[at] = Mention(one.kind, one.number + 1, one.start, one.end)
    return sorted(found, key=lambda one: one.start)


def _mention(match: re.Match[str]) -> Mention:
    said = {name: value for name, value in match.groupdict().items() if value is not None}
    seconds = next((value for name, value in said.items() if name.startswith("seconds")), None)
    if seconds is not None:
        return Mention("time", float(seconds), match.start(), match.end())
    noun = said.get("noun") or said.get("hannoun") or said.get("hannoun2") or ""
    kind: Literal["picture", "frame"] = "frame" if noun.lower() in ("frame", "帧") else "picture"
    return Mention(kind, _count(said), match.start(), match.end())


def _count(said: dict[str, str]) -> int:
    """From 0; the last is -1, as is a 0 that should have been a 1."""
    word = said.get("word", "").lower()
    if word == "last" or said.get("arword") == "الأخيرة":
        return -1
    if word:
        return _ORDINALS.index(word)
    if "arword" in said:
        return _ARABIC.index(said["arword"])
    han = said.get("han", "")
    if han and not han.isdigit():
        return 1 if han == "两" else _CHINESE.index(han)
    number = next(int(said[name]) for name in ("count", "nth", "key", "han", "hancount", "arcount") if name in said)
    return number if "base" in said else number - 1


def named_where(text: str, read: Callable[[str], Sequence[T]]) -> list[tuple[T, Mention | None]]:
    """What `read` finds in an answer, each with the mention it belongs to, None where the text names nothing.

    A mention inside the place's own brackets wins; then one on its line, before it (or behind it, on a line whose
    first mention comes after its first place: "nodule [..] in image 2"); then the last one on an earlier line; then
    the only one of the text.
    """
    found = list(read(text))
    mentions = mentions_of(text) if found else []
    if not mentions:
        return [(one, None) for one in found]
    spans = [match.span() for match in _PLACE.finditer(text)]
    owners: list[Mention | None] = []
    for start, end in spans:
        # Reading the text up to the end of this place tells how many of the findings it completes.
        so_far = len(read(text[:end]))
        owners += [_owner(text, (start, end), spans, mentions)] * (so_far - len(owners))
    owners += [None] * (len(found) - len(owners))
    return list(zip(found, owners, strict=False))


def without_mention(label: str) -> str:
    """A label without the mention it begins with: "Image 2: cyst" → "cyst", "in the first image, mass" → "mass"."""
    first = next(iter(mentions_of(label)), None)
    if first is None or not re.fullmatch(
        r"\s*(?:(?:in|on|at|from|of)\s+)?(?:the\s+)?", label[: first.start], re.IGNORECASE
    ):
        return label
    return label[first.end :].lstrip(" \t:：,，.;-–—的中里")


def _owner(
    text: str, span: tuple[int, int], spans: Sequence[tuple[int, int]], mentions: list[Mention]
) -> Mention | None:
    inside = [one for one in mentions if span[0] <= one.start < span[1]]
    if inside:
        return inside[0]
    # What other places hold of mentions is theirs alone.
    free = [one for one in mentions if not any(start <= one.start < end for start, end in spans)]
    low = text.rfind("\n", 0, span[0]) + 1
    high = text.find("\n", span[1])
    high = len(text) if high < 0 else high
    line = [one for one in free if low <= one.start < high]
    before = [one for one in line if one.start < span[0]]
    first_place = min(start for start, _ in spans if start >= low)
    if line and line[0].start > first_place:
        after = [one for one in line if one.start >= span[1]]
        if after:
            return after[0]
    if before:
        return before[-1]
    earlier = [one for one in free if one.start < low]
    if earlier:
        return earlier[-1]
    return free[0] if len({one.what for one in free}) == 1 else None

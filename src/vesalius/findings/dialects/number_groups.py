"""Numbers in brackets: `[x1, y1, x2, y2]` (unit), `(x1,y1),(x2,y2)` with or without Qwen's tags (parens),
`[x1, y1, z1, x2, y2, z2]` of a volume (m3d), and any such group in prose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vesalius.findings.dialects.characters import ascii_twin, clean_label, number_of
from vesalius.findings.dialects.named import Reading

__all__ = ["read_groups", "read_pairs", "read_prose"]

_GROUP = re.compile(r"([\[(])([^\[\](){}<>]++)([\])]|\Z)")
_NUMBER = re.compile(r"[-+]?(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][-+]?\d{1,4})?", re.ASCII)
_SEPARATOR = re.compile(r"\s*[,;]\s*|\s+")
_COMMA = re.compile(r"\s*,\s*")
_LOOSE_COMMA = re.compile(r"\s*(?:[,;\-\u2013]|to\b)?\s*")
_TAG = re.compile(r"<\|(object_ref_start|object_ref_end|box_start|box_end)\|>")
_LONGEST = 4000
_MOST = 5_000


@dataclass(frozen=True)
class _Group:
    """Numbers between brackets; `closer` "" where the text ended first."""

    numbers: tuple[float, ...]
    opener: str
    closer: str
    start: int
    end: int

    @property
    def is_mixed(self) -> bool:
        return (self.opener + self.closer) not in ("()", "[]")


def _scan(twin: str) -> Iterator[_Group]:
    """Every group of numbers, in order; an unclosed one only at the end of the text."""
    left = _MOST
    for match in _GROUP.finditer(twin):
        closer, content = match[3], match[2]
        numbers = _numbers(content) if len(content) <= _LONGEST else None
        if numbers is None or (not numbers and closer):
            continue
        yield _Group(numbers, match[1], closer, match.start(), match.end())
        left -= 1
        if not left:
            return


def _numbers(content: str) -> tuple[float, ...] | None:
    """The numbers, or None when anything else stands there. A comma at the end is passed over."""
    content = content.strip().rstrip(",;").rstrip()
    if not content:
        return ()
    values: list[float] = []
    for part in _SEPARATOR.split(content):
        if part.casefold() in ("nan", "inf", "-inf", "infinity"):
            values.append(float(part))
        elif _NUMBER.fullmatch(part):
            values.append(number_of(part))
        else:
            return None
    return tuple(values)


def read_groups(text: str, size: int, *, strict: bool = False, expect: str = "any") -> Reading:
    """Bracket groups of `size` numbers (4 or 6), one a place; without labels."""
    reading = Reading(text)
    _take(reading, text, text if strict else ascii_twin(text), size=size, own="[]", strict=strict, expect=expect)
    return reading


def read_pairs(text: str, *, strict: bool = False, expect: str = "any") -> Reading:
    """`(x1,y1),(x2,y2)`, each with the name in `<|object_ref_start|>…<|object_ref_end|>` before it if there is one."""
    reading = Reading(text)
    twin = text if strict else ascii_twin(text)
    _take(reading, text, twin, size=4, own="()", strict=strict, expect=expect)
    tags = [(match[1], match.start(), match.end()) for match in _TAG.finditer(twin)]
    if tags:
        _name(reading, text, tags, strict)
    return reading


def read_prose(text: str, *, expect: str = "any") -> Reading:
    """Any group of four numbers (of two, with `expect` "point") in a text without other structure."""
    reading = Reading(text)
    _take(reading, text, ascii_twin(text), size=4, own="", strict=False, expect=expect)
    return reading


def _take(reading: Reading, text: str, twin: str, *, size: int, own: str, strict: bool, expect: str) -> None:
    groups = list(_scan(twin))
    at = 0
    loose = own == "()" and not strict  # where boxes are pairs, two groups side by side are one
    if own and twin[-1:] in ("[", "("):
        _cut(reading, _Group((), twin[-1], "", len(twin) - 1, len(twin)), own, strict)
    while at < len(groups):
        one = groups[at]
        after = groups[at + 1] if at + 1 < len(groups) else None
        at += 1
        if not one.closer:
            _cut(reading, one, own, strict)
            continue
        count = len(one.numbers)
        if count == 2 and expect == "point" and not strict:
            reading.repairs.add("prose")
            _note(reading, text, twin, one.numbers, one.start, one.end)
        elif (
            size == 4 and count == 2 and after and not after.closer and _joined(twin, one, after, loose) and not strict
        ):
            continue  # the first half of a pair that was cut off
        elif size == 4 and count == 2 and after and len(after.numbers) == 2 and _joined(twin, one, after, loose):
            if not _joined(twin, one, after):
                reading.repairs.add("mixed_form")
            form = one.opener + one.closer + after.opener + after.closer
            if not after.closer:
                _cut(reading, after, own, strict)
            elif own == "()" and form == "()()":
                _note(reading, text, twin, one.numbers + after.numbers, one.start, after.end)
            elif strict:
                reading.drop("a place is not in the published form")
            else:
                reading.repairs.add("prose" if form == "()()" else "mixed_form")
                _note(reading, text, twin, one.numbers + after.numbers, one.start, after.end)
            at += 1
        elif count % size == 0 and not (strict and (count != size or own != "[]" or one.opener + one.closer != "[]")):
            if one.is_mixed:
                reading.repairs.add("mixed_form")
            elif own != "[]" or one.opener != "[":
                reading.repairs.add("prose")
            if count > size:
                reading.repairs.add("nesting")
            for first in range(0, count, size):
                _note(reading, text, twin, one.numbers[first : first + size], one.start, one.end)
        elif own and count >= 2:
            if own == "()" and count == 2 and not strict and not twin[one.end :].strip(" ,\n") and after is None:
                reading.is_cut = reading.is_form = True
                reading.repairs.add("truncated")
            else:
                reading.drop(
                    f"a place has {count} numbers, not {size}"
                    if count % size
                    else "a place is not in the published form"
                )


def _joined(twin: str, one: _Group, after: _Group, loose: bool = False) -> bool:
    between = (_LOOSE_COMMA if loose else _COMMA).match(twin, one.end)
    return between is not None and between.end() == after.start


def _cut(reading: Reading, one: _Group, own: str, strict: bool) -> None:
    if strict:
        reading.drop("the text ends inside a place")
    elif own or one.numbers:
        reading.is_cut = reading.is_form = True
        reading.repairs.add("truncated")


def _note(reading: Reading, text: str, twin: str, numbers: tuple[float, ...], start: int, end: int) -> None:
    if text[start:end] != twin[start:end]:
        reading.repairs.add("chars")
    reading.add("", numbers, start, end)


def _name(reading: Reading, text: str, tags: list[tuple[str, int, int]], strict: bool) -> None:
    """Give places the names in the tags before them, and note tags that were left open."""
    from dataclasses import replace

    label, opened, box_open = "", None, False
    named = reading.named
    events = sorted(
        [(start, 0, kind, end) for kind, start, end in tags] + [(one.start, 1, "", i) for i, one in enumerate(named)]
    )
    kept = list(named)
    dropped: set[int] = set()
    inside: list[int] = []
    for start, _, kind, value in events:
        if kind == "object_ref_start":
            opened = value
        elif kind in ("object_ref_end", "box_start") and opened is not None:
            label, opened = clean_label(text[opened:start]), None
            if kind == "box_start":
                reading.repairs.add("close_tag")
        if kind in ("object_ref_start", "box_start") and box_open:
            dropped |= set(inside)
            reading.repairs.add("close_tag")
        if kind == "box_start":
            box_open, inside = True, []
        elif kind == "box_end" or kind == "object_ref_start":
            box_open, inside = False, []
        elif not kind:
            kept[value] = replace(kept[value], label=label)
            inside.append(value)
    if box_open:
        dropped |= set(inside)
        if not reading.is_cut:
            reading.repairs.add("close_tag")
    if strict:
        reading.repairs.clear()
        if dropped:
            reading.named = [one for i, one in enumerate(kept) if i not in dropped]
            reading.errors += ["a tag is not closed"] * len(dropped)
            return
    reading.named = kept

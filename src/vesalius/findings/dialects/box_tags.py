"""Boxes in tags: `<ref>liver</ref><box>[[x1, y1, x2, y2]]</box>` (thousandths, or 0–999) and MedMO's
`Fractures <box>[[156, 516, 231, 607], [240, 529, 296, 581]]</box>`, one line per label or several."""

from __future__ import annotations

import json
import re
from typing import Any

from vesalius.findings.dialects.characters import ascii_twin, clean_label, number_of
from vesalius.findings.dialects.named import Reading
from vesalius.findings.dialects.number_groups import read_prose
from vesalius.findings.dialects.qwen_json import groups_of
from vesalius.findings.repair_json import JsonObject, read_json

__all__ = ["read_box_tags"]

_TAG = re.compile(r"<(/?)(ref|box)>", re.IGNORECASE)
_HALF_TAG = re.compile(r"</?[a-z]{0,3}\Z", re.IGNORECASE)
_MARKS = re.compile(r"^(?:\s*(?:[-*•#]|\d+[.)])\s+)+|^[\s,;:.،؛，；：、。]+|[\s,;:，；：、،؛]+$")
_AND = re.compile(r"and\s+", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?(?:\d++(?:\.\d*+)?+|\.\d++)", re.ASCII)
_BARE = re.compile(r"[\s\d.,;+\-]+", re.ASCII)
_BETWEEN = re.compile(r"[\s,;，；、،]*")
_LONGEST_NAME = 400
_MOST = 6_000


def read_box_tags(text: str, *, strict: bool = False, named_before: bool = False) -> Reading:
    """Every box with its name. `named_before`: the name is the text before the tag (MedMO), else what `<ref>` holds."""
    reading = Reading(text)
    twin = text if strict else ascii_twin(text)
    tags = [(match[1] + match[2].lower(), match.start(), match.end()) for match in _TAG.finditer(twin)][:_MOST]
    label, opened, zone = "", None, 0
    for number, (tag, start, end) in enumerate(tags):
        following = tags[number + 1] if number + 1 < len(tags) else ("", len(text), len(text))
        if text[start:end] != twin[start:end]:
            reading.repairs.add("chars")
        if tag == "ref":
            opened = end
        elif tag == "/ref" and opened is not None:
            label, opened = clean_label(text[opened:start]), None
        elif tag == "box":
            if opened is not None:
                label, opened = "" if strict else clean_label(text[opened:start]), None
                if strict:
                    reading.drop("<ref> is not closed")
                reading.repairs.add("close_tag")
            elif named_before and (said := _name_before(text[zone:start])):
                label = said
            elif not _BETWEEN.fullmatch(text, min(zone, start), start) and not (
                number and tags[number - 1][0] == "/ref"
            ):
                label = ""
            is_closed = following[0] == "/box"
            content = (end, following[1])
            if strict:
                _take_strict(reading, text, content, label, is_closed)
            else:
                _take(reading, text, twin, content, label, is_closed)
            zone = (
                following[2]
                if is_closed
                else end + max(twin.rfind("]", *content), twin.rfind(")", *content), end - 1) + 1 - end
            )
            if named_before:
                label = ""
    if opened is not None or (not strict and _HALF_TAG.search(text, max(0, len(text) - 6))):
        reading.is_cut = reading.is_form = True
        reading.repairs.add("truncated")
    if strict:
        reading.repairs.clear()
        reading.is_cut = False
    return reading


def _take_strict(reading: Reading, text: str, content: tuple[int, int], label: str, is_closed: bool) -> None:
    if not is_closed:
        reading.drop("<box> is not closed")
        return
    try:
        boxes: Any = json.loads(text[slice(*content)], parse_int=number_of, parse_float=number_of)
    except (ValueError, RecursionError):
        boxes = None
    if not isinstance(boxes, list) or not all(isinstance(one, list) for one in boxes):  # pyright: ignore[reportUnknownVariableType]
        reading.drop("<box> holds no list of boxes")
        return
    if not boxes:
        reading.is_empty_form = True
    for one in boxes:  # pyright: ignore[reportUnknownVariableType]
        _add(reading, one, label, content)


def _take(reading: Reading, text: str, twin: str, content: tuple[int, int], label: str, is_closed: bool) -> None:
    raw, plain = text[slice(*content)], twin[slice(*content)]
    nested: set[str] = set()
    groups: list[Any] = []
    read = read_json(raw, twin=plain, ends_open=not is_closed and content[1] == len(text))
    for value in read.values:
        flat = isinstance(value, list) and not any(isinstance(one, list | JsonObject) for one in value)  # pyright: ignore[reportUnknownVariableType]
        if flat and value:
            nested.add("nesting")
        groups += groups_of(value, 4, nested) if value or not isinstance(value, list) else []
    if not read.values:
        groups = _loose(plain, nested)
        if not groups and not raw.strip() and not is_closed and content[1] == len(text):
            read.is_cut = True
            nested.add("truncated")
    for one in groups:
        _add(reading, one, label, content)
    if not groups:
        if [] in read.values:
            reading.is_empty_form = True
        elif not read.is_cut:
            reading.drop("<box> holds no box")
    if read.values or groups or read.is_cut:
        reading.repairs |= read.repairs | nested
    if read.is_cut:
        reading.is_cut = reading.is_form = True
    elif not is_closed:
        reading.repairs.add("close_tag")
    if read.error:
        reading.drop(f"reading stopped: {read.error}")


def _loose(plain: str, nested: set[str]) -> list[Any]:
    """Boxes in round brackets, or numbers without any."""
    prose = read_prose(plain)
    if prose.named:
        nested.add("mixed_form")
        return [list(one.numbers) for one in prose.named]
    if _BARE.fullmatch(plain) and (numbers := [number_of(one) for one in _NUMBER.findall(plain)]):
        nested.add("nesting")
        return [numbers[at : at + 4] for at in range(0, len(numbers), 4)]
    return []


def _add(reading: Reading, one: Any, label: str, content: tuple[int, int]) -> None:
    if not isinstance(one, list) or not all(type(value) in (float, int) for value in one):  # pyright: ignore[reportUnknownVariableType]
        reading.drop("a box is no list of numbers")
    elif len(one) != 4:  # pyright: ignore[reportUnknownArgumentType]
        reading.drop(f"a box has {len(one)} numbers, not 4")  # pyright: ignore[reportUnknownArgumentType]
    else:
        reading.add(label, tuple(float(value) for value in one), *content)  # pyright: ignore[reportUnknownVariableType]


def _name_before(before: str) -> str:
    """The words since the last box or line start, without list marks, punctuation and a leading "and"."""
    label = before.rsplit("\n", 1)[-1][-_LONGEST_NAME:]
    for tag in ("<ref>", "</ref>", "</box>"):
        label = label.replace(tag, "")
    for _ in range(3):
        label = _MARKS.sub("", label).strip()
    return clean_label(_AND.sub("", label, count=1) if _AND.match(label) else label)

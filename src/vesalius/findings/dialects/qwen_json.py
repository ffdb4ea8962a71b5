"""Qwen's JSON of places: `[{"bbox_2d": [x1, y1, x2, y2], "label": "a"}]`, `point_2d` likewise, and
`{"counts": 2, "point_2d": [[x, y], [x, y]], "label": "a"}`, in a fence marked `json`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vesalius.findings.dialects.characters import ascii_twin, clean_label, number_of
from vesalius.findings.dialects.named import Reading
from vesalius.findings.repair_json import JsonObject, JsonRead, read_json

__all__ = ["QWEN_NAMES", "as_count", "groups_of", "read_qwen_json", "take_json"]

_FENCE_TAG = re.compile(r"[ \t]*([A-Za-z0-9_+-]*)[ \t]*\r?\n?")
_BOX, _POINT, _COUNT, _LABEL = "bbox_2d", "point_2d", "counts", "label"
QWEN_NAMES = {one: one for one in (_BOX, _POINT, _COUNT, _LABEL)}
"""Published name → what it means."""
_ALIASES = {
    **dict.fromkeys(("bbox", "box", "box_2d", "boxes", "bboxes"), _BOX),
    **dict.fromkeys(("point", "points", "points_2d"), _POINT),
    **dict.fromkeys(("name", "class", "part", "ref"), _LABEL),
}
_CORNERS = (("x1", "y1", "x2", "y2"), ("x", "y"))
_NUMBERS = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,4})?", re.ASCII)
_NUMBERS_ONLY = re.compile(r"[\s\d.,;eE+\-()\[\]]*", re.ASCII)
_WHOLE = re.compile(r"[-+]?\d{1,15}(?:\.0*)?", re.ASCII)
_DEEPEST = 64


@dataclass(frozen=True)
class _Region:
    """A piece of the text that may hold JSON: where it stands, its fence's tag (None: no fence), whether that fence is
    closed."""

    start: int
    end: int
    tag: str | None
    is_closed: bool


def read_qwen_json(text: str, *, strict: bool = False, expect: str = "any") -> Reading:
    """Every place the text names, in order, and the count it states. `strict`: the first fence marked `json` must hold
    valid JSON with the published names."""
    del expect
    reading = Reading(text)
    fences = _fences(text)
    if strict:
        marked = next((one for one in fences if one.tag == "json" and one.is_closed), None)
        if marked is None:
            reading.errors.append("no fence marked json")
            return reading
        read = read_json(text[marked.start : marked.end], strict=True)
        take_json(reading, read, marked.start, strict=True)
        reading.is_closed = True
        return reading
    fences.sort(key=lambda one: (one.tag != "json", one.start))
    for region in [*fences, _Region(0, len(text), None, False)]:
        if _read_region(reading, text, region):
            break
    return reading


def _read_region(reading: Reading, text: str, region: _Region) -> bool:
    """Whether the region holds a place, a count or an empty form."""
    content = text[region.start : region.end]
    read = read_json(content, ends_open=not region.is_closed and region.end == len(text))
    if not take_json(reading, read, region.start, strict=False):
        return False
    if not read.is_cut and (region.tag != "json" or not region.is_closed):
        reading.repairs.add("fence")
    if read.is_cut and region.tag is None:
        reading.repairs.add("fence")
    reading.is_closed = not read.is_cut and "missing_bracket" not in read.repairs
    return True


def _fences(text: str) -> list[_Region]:
    found: list[_Region] = []
    at = text.find("```")
    while at >= 0:
        tag = _FENCE_TAG.match(text, at + 3)
        start = tag.end() if tag else at + 3
        close = text.find("```", start)
        word = tag[1].lower() if tag else ""
        found.append(_Region(start, len(text) if close < 0 else close, word, close >= 0))
        at = -1 if close < 0 else text.find("```", close + 3)
    return found


def take_json(
    reading: Reading, read: JsonRead, offset: int, *, strict: bool, names: Mapping[str, str] = QWEN_NAMES
) -> bool:
    """Add what a piece of JSON at `offset` names, under the published `names`. Returns whether it is such JSON."""
    taker = _Taker(reading, offset, strict, names)
    for value in read.values:
        taker.walk(value, 0, alone=True)
    if not taker.seen:
        if taker.is_empty and not read.is_cut:
            reading.is_empty_form = True
            reading.repairs |= read.repairs - {"json_syntax"}
            return True
        if read.is_cut and taker.has_object:
            reading.is_cut = reading.is_form = True
            reading.repairs |= read.repairs
            return True
        if strict:
            reading.errors.append(read.error or "no place and no count")
        return False
    reading.is_form = True
    reading.is_cut = read.is_cut
    reading.repairs |= read.repairs
    if len(read.values) > 1:
        reading.repairs.add("json_syntax")
    if read.error:
        reading.errors.append(f"reading stopped: {read.error}")
    return True


class _Taker:
    """Collects the places of JSON values."""

    def __init__(self, reading: Reading, offset: int, strict: bool, names: Mapping[str, str]) -> None:
        self.reading, self.offset, self.strict, self.names = reading, offset, strict, names
        self.seen = self.has_object = False
        self.is_empty = False

    def walk(self, value: Any, depth: int, *, alone: bool = False, listed: bool = False) -> None:
        """Look for objects, at most 64 deep. `alone`: the value stands by itself; `listed`: in a list of objects."""
        if depth > _DEEPEST:
            return
        if isinstance(value, list):
            self.is_empty = self.is_empty or (alone and not value)
            for one in value:  # pyright: ignore[reportUnknownVariableType]
                if isinstance(one, list) and (self.strict or _is_numeric(one)):
                    continue
                self.walk(one, depth + 1, listed=True)
        elif isinstance(value, JsonObject):
            self.has_object = True
            if alone and not value.pairs and not value.is_cut:
                self.is_empty = True
            self.take(value, depth, listed)

    def take(self, one: JsonObject, depth: int, listed: bool) -> None:
        keyed = [(self._meaning(key), key, value) for key, value in one.pairs]
        meanings = {meaning for meaning, _, _ in keyed}
        label = self._label(keyed)
        start, end = one.start + self.offset, one.end + self.offset
        counted = _COUNT in meanings
        for meaning, key, value in keyed:
            if meaning in (_BOX, _POINT):
                self._note_alias(key)
                self.seen = True
                self._places(value, 4 if meaning == _BOX else 2, label, (start, end), one.is_cut, counted, listed)
            elif meaning == _COUNT:
                self._count(key, value)
            elif meaning is None and not self.strict and isinstance(value, JsonObject | list):
                before = self.seen
                self.seen = False
                self.walk(value, depth + 1)
                if self.seen:
                    self.reading.repairs.add("nesting")
                self.seen = self.seen or before

    def _meaning(self, key: str) -> str | None:
        if key in self.names:
            return self.names[key]
        if self.strict:
            return None
        folded = ascii_twin(key).strip().casefold()
        if folded in QWEN_NAMES:
            return folded
        return _COUNT if "count" in folded else _ALIASES.get(folded)

    def _note_alias(self, key: str) -> None:
        if key not in self.names:
            self.reading.repairs.add("key_alias")

    def _label(self, keyed: list[tuple[str | None, str, Any]]) -> str:
        named = [
            (key not in self.names, key, value)
            for meaning, key, value in keyed
            if meaning == _LABEL and value is not None
        ]
        if not named:
            return ""
        aliased, key, value = min(named, key=lambda one: one[0])
        if not isinstance(value, str):
            return f"{value:g}" if isinstance(value, float) and math.isfinite(value) else ""
        if aliased and any(meaning in (_BOX, _POINT, _COUNT) for meaning, _, _ in keyed):
            self._note_alias(key)
        return clean_label(value)

    def _count(self, key: str, value: Any) -> None:
        number, wide = as_count(value, strict=self.strict)
        if number is None and not self.strict and isinstance(value, list) and len(value) == 1:  # pyright: ignore[reportUnknownArgumentType]
            number, wide = as_count(value[0], strict=False)  # pyright: ignore[reportUnknownArgumentType]
            if number is not None:
                self.reading.repairs.add("nesting")
        if number is None:
            if key in self.names:
                self.seen = True
                self.reading.drop("the count is no whole number")
            return
        self.seen = True
        self.reading.count = number
        self._note_alias(key)
        if wide:
            self.reading.repairs.add("chars")

    def _places(
        self, value: Any, size: int, label: str, span: tuple[int, int], is_cut: bool, counted: bool, listed: bool
    ) -> None:
        if isinstance(value, list) and not value:
            self.is_empty = True
            self.reading.is_empty_form = True
            return
        if self.strict:
            groups: list[Any] = value if isinstance(value, list) and value and isinstance(value[0], list) else [value]
            for group in groups:
                self._group(group, size, label, span)
            return
        nested: set[str] = set()
        groups = groups_of(value, size, nested)
        flat = not isinstance(value, list) or not any(isinstance(one, list | JsonObject | str) for one in value)  # pyright: ignore[reportUnknownVariableType]
        if is_cut and flat:  # its label may be cut off
            return
        if not nested and ((counted and flat) or (listed and not counted and not flat)):
            nested.add("nesting")
        self.reading.repairs |= nested
        for group in groups:
            self._group(group, size, label, span)

    def _group(self, group: Any, size: int, label: str, span: tuple[int, int]) -> None:
        if not isinstance(group, list) or not all(type(one) in (float, int) for one in group):  # pyright: ignore[reportUnknownVariableType]
            self.reading.drop("a place is no list of numbers")
        elif len(group) != size:  # pyright: ignore[reportUnknownArgumentType]
            self.reading.drop(f"a place has {len(group)} numbers, not {size}")  # pyright: ignore[reportUnknownArgumentType]
        else:
            self.reading.add(label, tuple(float(one) for one in group), *span)  # pyright: ignore[reportUnknownVariableType]


def as_count(value: Any, *, strict: bool) -> tuple[int | None, bool]:
    """(a whole number ≥ 0 or None, whether other scripts' digits were read). `"3"` and 3.0 are 3."""
    if isinstance(value, bool) or value is None:
        return None, False
    if isinstance(value, str):
        text = value.strip()
        plain = text if strict else ascii_twin(text)
        return (int(float(plain)), plain != text) if _WHOLE.fullmatch(plain) and float(plain) >= 0 else (None, False)
    if isinstance(value, int | float) and math.isfinite(value) and value >= 0 and float(value).is_integer():
        return int(value), False
    return None, False


def _is_numeric(values: list[Any]) -> bool:
    return all(isinstance(one, float) for one in values)


def groups_of(value: Any, size: int, nested: set[str], depth: int = 0) -> list[Any]:
    """Groups of `size` numbers, one a place; what is no such group stays as it is, for the error."""
    if isinstance(value, str):
        return _from_text(value, size, nested)
    if isinstance(value, JsonObject):
        return [_from_corners(value, nested)]
    if not isinstance(value, list):
        return [value]
    values: list[Any] = value
    if all(isinstance(one, str) for one in values) and all(
        _NUMBERS.fullmatch(ascii_twin(one).strip()) for one in values
    ):
        nested.add("nesting")
        if any(not one.isascii() for one in values):
            nested.add("chars")
        values = [number_of(ascii_twin(one).strip()) for one in values]
    if all(type(one) in (float, int) for one in values):
        return _from_run(values, size, nested)
    if size == 4 and len(values) == 2 and all(isinstance(one, list) and len(one) == 2 for one in values):
        nested.add("mixed_form")
        return [[*values[0], *values[1]]]
    if depth >= _DEEPEST:
        return [None]
    if depth:
        nested.add("nesting")
    return [group for one in values for group in groups_of(one, size, nested, depth + 1)]


def _from_run(values: list[Any], size: int, nested: set[str]) -> list[Any]:
    if len(values) <= size or len(values) % size:
        return [values]
    nested.add("nesting")
    return [values[at : at + size] for at in range(0, len(values), size)]


def _from_text(value: str, size: int, nested: set[str]) -> list[Any]:
    """`"1,2,3,4"` or `"[1,2,3,4]"`."""
    plain = ascii_twin(value)
    if not _NUMBERS_ONLY.fullmatch(plain):
        return [None]
    nested.add("nesting")
    if plain != value:
        nested.add("chars")
    return _from_run([number_of(one) for one in _NUMBERS.findall(plain)], size, nested)


def _from_corners(value: JsonObject, nested: set[str]) -> Any:
    """`{"x1": …, "y1": …, "x2": …, "y2": …}` or `{"x": …, "y": …}`."""
    given = {key.strip().casefold(): one for key, one in value.pairs}
    for names in _CORNERS:
        if all(isinstance(given.get(name), float | int | str) for name in names):
            nested.add("nesting")
            return [
                one if not isinstance(one, str) else number_of(ascii_twin(one).strip()) for one in map(given.get, names)
            ]
    return None

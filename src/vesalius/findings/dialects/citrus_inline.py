"""Boxes inside a Citrus-V report: `<bbox>{"Part": "right_lung", "bbox": [x1, y1, x2, y2]}</bbox>`, its fenced JSON, and
loose forms (`'lung' with bbox [..]`, `heart bbox [..]`, the list as a string, full-width punctuation)."""

from __future__ import annotations

import re

from vesalius.findings.dialects.characters import ascii_twin, clean_label, number_of
from vesalius.findings.dialects.named import Reading
from vesalius.findings.dialects.qwen_json import QWEN_NAMES, read_qwen_json, take_json
from vesalius.findings.repair_json import read_json

__all__ = ["read_citrus_inline"]

_NAMES = {"Part": "label", "bbox": "bbox_2d"}
_TAG = re.compile(r"</?bbox>", re.IGNORECASE)
_OBJECT = re.compile(r"\{[^{}]*+\}?")
_NUMBER = r"\s*+([-+]?\d{1,12}(?:\.\d{1,12})?)\s*+"
_LOOSE = re.compile(
    r"""(?:["'](?P<quoted>[^"'\n]{1,80})["']|(?<![A-Za-z_])(?P<word>[A-Za-z_]{1,80}))\s{1,8}(?:with\s{1,8})?bbox\s{0,8}:?\s{0,8}\["""
    + ",".join([_NUMBER] * 4)
    + r"\]"
)
_NOT_NAMES = ("with", "a", "the", "and")


def read_citrus_inline(text: str, *, strict: bool = False) -> Reading:
    """Every box with its part's name as written, in order."""
    reading = Reading(text)
    twin = text if strict else ascii_twin(text)
    tags = [(match[0][1] == "/", match.start(), match.end()) for match in _TAG.finditer(twin)]
    outside = 0
    for number, (is_end, start, end) in enumerate(tags):
        if is_end:
            continue
        _around(reading, text, twin, outside, start, strict)
        following = tags[number + 1] if number + 1 < len(tags) else (False, len(text), len(text))
        _inside(reading, text, twin, (end, following[1]), following[0], strict)
        outside = following[2] if following[0] else following[1]
    _around(reading, text, twin, outside, len(text), strict)
    if strict:
        reading.repairs.clear()
        reading.is_cut = False
    return reading


def _inside(reading: Reading, text: str, twin: str, content: tuple[int, int], is_closed: bool, strict: bool) -> None:
    open_end = not is_closed and content[1] == len(text)
    piece = slice(*content)
    if strict and not is_closed:
        reading.drop("<bbox> is not closed")
        return
    read = read_json(text[piece], strict=strict, twin=None if strict else twin[piece], ends_open=open_end)
    if not take_json(reading, read, content[0], strict=strict, names=_NAMES):
        if open_end and not text[piece].strip():
            reading.is_cut = reading.is_form = True
            reading.repairs.add("truncated")
        else:
            reading.drop("<bbox> holds no box")
    elif not is_closed and not read.is_cut:
        reading.repairs.add("close_tag")


def _around(reading: Reading, text: str, twin: str, start: int, end: int, strict: bool) -> None:
    """What stands outside the tags: fenced JSON, loose objects, names followed by `bbox`."""
    if start >= end:
        return
    piece = text[start:end]
    if "```" in piece:
        other = read_qwen_json(piece, strict=strict)
        if other.named or other.is_empty_form or other.is_cut or other.count is not None:
            for one in other.named:
                reading.add(one.label, one.numbers, one.start + start, one.end + start)
            reading.repairs |= other.repairs
            reading.errors += other.errors
            reading.count = other.count if reading.count is None else reading.count
            reading.is_cut = reading.is_cut or other.is_cut
            reading.is_empty_form = reading.is_empty_form or other.is_empty_form
            return
    if strict:
        return
    plain = twin[start:end]
    for match in _OBJECT.finditer(plain):
        if "bbox" in match[0]:
            names = _NAMES if "bbox_2d" not in match[0] else QWEN_NAMES
            read = read_json(piece[match.start() : match.end()], ends_open=start + match.end() == len(text))
            if take_json(reading, read, start + match.start(), strict=False, names=names):
                reading.repairs.add("fence")
    for match in _LOOSE.finditer(plain):
        name = "quoted" if match["quoted"] is not None else "word"
        if match[name].casefold() in _NOT_NAMES:
            continue
        label = clean_label(piece[match.start(name) : match.end(name)])
        numbers = tuple(number_of(one) for one in match.groups()[2:])
        reading.repairs.add("prose")
        if piece[match.start() : match.end()] != match[0]:
            reading.repairs.add("chars")
        reading.add(label, numbers, start + match.start(), start + match.end())
    reading.named.sort(key=lambda one: one.start)

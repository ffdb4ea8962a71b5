"""`{<x0><y0><x1><y1>}`: whole per cent of the picture's width and height, origin top left (MedM-VL, Uni-Med data)."""

from __future__ import annotations

import re

from vesalius.findings.dialects.characters import ascii_twin, number_of
from vesalius.findings.dialects.named import Reading

__all__ = ["name_before", "read_percent_braces"]

_GROUP = re.compile(r"(\{?)\s*+((?:<\s*+[-+]?\d{1,6}(?:\.\d{1,6})?\s*+>[\s,]*+)+)(\}?)(<\s*+\d{0,6}\s*+\Z)?", re.ASCII)
_OPEN = re.compile(r"\{\s*<?\s*\d{0,6}\s*\Z", re.ASCII)
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?", re.ASCII)
_LONGEST_LABEL = 80


def read_percent_braces(text: str, *, strict: bool = False) -> Reading:
    """Every box of an answer, in order, without labels.

    Some tokenizers say `<unk>` for a brace they lack; outside `strict` it is passed over, as the published evaluation
    does.
    """
    reading = Reading(text if strict else text.replace("<unk>", ""))
    if reading.text != text:
        reading.repairs.add("chars")
    raw = reading.text
    twin = raw if strict else ascii_twin(raw)
    for match in _GROUP.finditer(twin):
        numbers = tuple(number_of(one) for one in _NUMBER.findall(match[2]))
        whole = bool(match[1]) and bool(match[3])
        at_end = not match[3] and len(numbers) < 4 and not twin[match.end() :].strip()
        if match[4] is not None or at_end:
            _cut(reading, strict)
            continue
        if strict and (not whole or any(not one.is_integer() for one in numbers)):
            reading.drop("a box is not in the published form")
            continue
        if len(numbers) % 4 or not numbers or (strict and len(numbers) != 4):
            reading.drop(f"a box has {len(numbers)} numbers, not 4")
            continue
        if not whole:
            reading.repairs.add("missing_bracket")
        if len(numbers) > 4:
            reading.repairs.add("nesting")
        if raw[match.start() : match.end()] != match[0]:
            reading.repairs.add("chars")
        for first in range(0, len(numbers), 4):
            reading.add("", numbers[first : first + 4], match.start(), match.end())
    if not reading.is_cut and _OPEN.search(twin, max(0, len(twin) - 24)):
        _cut(reading, strict)
    return reading


def _cut(reading: Reading, strict: bool) -> None:
    if strict:
        reading.drop("the text ends inside a box")
        return
    reading.is_cut = reading.is_form = True
    reading.repairs.add("truncated")


def name_before(reading: Reading, number: int) -> str:
    """The words of the same line before place `number`, which this dialect has no field for; or ""."""
    here = reading.named[number]
    after = reading.named[number - 1].end if number else 0
    lines = reading.text[after : here.start].splitlines()[-1:] or [""]
    return lines[0].strip(" \t:;,.-")[-_LONGEST_LABEL:]

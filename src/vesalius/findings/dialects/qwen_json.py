"""Qwen's JSON of places: `[{"bbox_2d": [x1, y1, x2, y2], "label": "a"}]`, `point_2d` likewise, fenced or bare.

Also `<|box_start|>(x1,y1),(x2,y2)<|box_end|>` and the malformed mix of both that Qwen2.5-VL models sometimes write.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from vesalius.findings.dialects.named import Named

__all__ = ["as_named", "read_qwen_json"]

_FENCE = re.compile(r"```[a-zA-Z]*\s*(.*?)(?:```|\Z)", re.DOTALL)
_NUMBER = r"\s*([-+]?\d+(?:\.\d+)?)\s*"
_PAIRS = re.compile(
    r"(?:<\|object_ref_start\|>(?P<label>[^<]*)<\|object_ref_end\|>\s*)?<\|box_start\|>"
    rf"\({_NUMBER},{_NUMBER}\)\s*,\s*\({_NUMBER},{_NUMBER}\)(?:<\|box_end\|>)?"
)
_MIXED = re.compile(rf'"bbox_2d"\s*:\s*\[{_NUMBER},{_NUMBER}[\])]\s*,\s*[\[(]{_NUMBER},{_NUMBER}[\])]')
_KEYS = ("bbox_2d", "point_2d")


def read_qwen_json(text: str) -> list[Named]:
    """Every box and point the text names, in order; nothing when it names none. Items cut off in the middle are left
    out, complete ones before them stay."""
    pairs = [_from_match(match, match["label"]) for match in _PAIRS.finditer(text)]
    if pairs:
        return [one for one in pairs if one is not None]
    body = "\n".join(_FENCE.findall(text)) if "```" in text else text
    found = [one for part in _objects(body) for one in _named(part)]
    return found or [one for match in _MIXED.finditer(body) if (one := _from_match(match, "")) is not None]


def _objects(body: str) -> list[dict[str, Any]]:
    """Every JSON object of the text that names a place, whatever stands around it."""
    decoder = json.JSONDecoder()
    found: list[dict[str, Any]] = []
    at = body.find("{")
    while at >= 0:
        end = at + 1
        try:
            value, end = decoder.raw_decode(body, at)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict) and any(key in value for key in _KEYS):
            found.append(value)  # pyright: ignore[reportUnknownArgumentType]
        else:
            end = at + 1  # an object around others, or none: look inside
        at = body.find("{", end)
    return found


def _named(part: dict[str, Any]) -> list[Named]:
    label = part.get("label")
    label = label.strip() if isinstance(label, str) else ""
    made: list[Named] = []
    for key, size in zip(_KEYS, (4, 2), strict=True):
        given = part.get(key)
        several = isinstance(given, list) and given and isinstance(given[0], list)
        for numbers in given if several else [given]:  # pyright: ignore[reportOptionalIterable, reportUnknownVariableType]
            one = as_named(label, numbers, size)
            if one is not None:
                made.append(one)
    return made


def as_named(label: str, numbers: Any, size: int) -> Named | None:
    """A box (`size` 4, corners put in order) or point (2); None unless it is that many finite numbers."""
    if not isinstance(numbers, list | tuple) or len(numbers) != size:  # pyright: ignore[reportUnknownArgumentType]
        return None
    values: list[float] = []
    for one in numbers:  # pyright: ignore[reportUnknownVariableType]
        if isinstance(one, bool) or not isinstance(one, int | float) or not math.isfinite(one):
            return None
        values.append(float(one))
    if size == 4:
        x0, y0, x1, y1 = values
        values = [min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)]
    return Named(label, tuple(values))


def _from_match(match: re.Match[str], label: str | None) -> Named | None:
    numbers = [float(one) for one in match.groups() if one is not None and re.fullmatch(_NUMBER, one)]
    return as_named((label or "").strip(), numbers[-4:], 4)

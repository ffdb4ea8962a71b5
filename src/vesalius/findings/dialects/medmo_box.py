"""MedMO's boxes: `Fractures <box>[[156, 516, 231, 607], [240, 529, 296, 581]]</box>`, one line per label or several."""

from __future__ import annotations

import json
import re
from typing import Any

from vesalius.findings.dialects.named import Named
from vesalius.findings.dialects.qwen_json import as_named, read_qwen_json

__all__ = ["read_medmo_boxes"]

_BOX = re.compile(r"<box>(.*?)(?:</box>|(?=<box>)|\Z)", re.DOTALL)
_GROUP = re.compile(r"\[\s*(-?\d[^\[\]]*)\]")
_MARKS = re.compile(r"^(?:\s*(?:[-*•]|\d+[.)])\s+)+|^[\s,;:.]+|[\s,;:]+$")


def read_medmo_boxes(text: str) -> list[Named]:
    """Every box with the label before its tag, in order. A flat list is one box, a missing close tag is forgiven; a
    text without the tag is read as Qwen's JSON."""
    if "<box>" not in text:
        return read_qwen_json(text)
    found: list[Named] = []
    before = 0
    for match in _BOX.finditer(text):
        label = _label(text[before : match.start()])
        before = match.end()
        found += [one for numbers in _groups(match[1]) if (one := as_named(label, numbers, 4)) is not None]
    return found


def _groups(content: str) -> list[Any]:
    """The four-number lists of a tag's content."""
    groups: list[Any] = []
    for one in _GROUP.findall(content):
        try:
            numbers: list[Any] = json.loads(f"[{one}]")
        except ValueError:
            continue
        if len(numbers) % 4 == 0:
            groups += [numbers[at : at + 4] for at in range(0, len(numbers), 4)]
    return groups


def _label(before: str) -> str:
    """The words since the last box or line start, without list marks, punctuation and a leading "and"."""
    label = before.rsplit("\n", 1)[-1].replace("</box>", "")
    for _ in range(3):
        label = _MARKS.sub("", label).strip()
    return re.sub(r"^and\s+", "", label, flags=re.IGNORECASE)

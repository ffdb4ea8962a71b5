"""Boxes inside a Citrus-V report: `<bbox>{"Part": "right_lung", "bbox": [x1, y1, x2, y2]}</bbox>` and its loose forms
(`'lung' with bbox [..]`, `heart bbox [..]`, the list as a string, full-width punctuation)."""

from __future__ import annotations

import re

from vesalius.findings.dialects.named import Named
from vesalius.findings.dialects.qwen_json import as_named

__all__ = ["read_citrus_inline"]

_WIDE = str.maketrans("，：；［］（）｛｝“”‘’＜＞", ",:;[](){}\"\"''<>")
_FOUR = r"\[\s*" + r"\s*,\s*".join([r"([-+]?\d+(?:\.\d+)?)"] * 4) + r"\s*\]"
_FORMS = re.compile(
    rf"""["']Part["']\s*:\s*["'](?P<part>[^"']*)["']\s*,\s*["']bbox["']\s*:\s*["']?{_FOUR}"""
    rf"""|["'](?P<quoted>[^"']+)["']\s+(?:with\s+)?bbox\s*:?\s*{_FOUR}"""
    rf"""|(?P<word>[A-Za-z_]+)\s+(?:with\s+)?bbox\s*:?\s*{_FOUR}"""
)


def read_citrus_inline(text: str) -> list[Named]:
    """Every box with its part's name (underscores become spaces), in order."""
    found: list[Named] = []
    for match in _FORMS.finditer(text.translate(_WIDE)):
        label = next(match[name] for name in ("part", "quoted", "word") if match[name] is not None)
        names = ("part", "quoted", "word")
        texts = {match[name] for name in names if match[name] is not None}
        numbers = [float(one) for one in match.groups() if one is not None and one not in texts]
        one = as_named(label.replace("_", " ").strip(), numbers, 4)
        if one is not None:
            found.append(one)
    return found

"""Masks in text: `The heart is [SEG]`, `<SEG>`, `<SEG><mask>PATH</mask>`, or `[SEG]{"size": [H, W], "counts": "…"}`
with COCO run lengths. The pixels of a bare token come from the model's mask decoder."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from vesalius.findings.dialects.characters import clean_label

__all__ = ["SegToken", "names_of_tokens", "read_seg_tokens"]

_TOKEN = re.compile(r"\[SEG\]|<SEG>")
_PATH = re.compile(r"\s{0,8}<mask>([^<>\n]{1,4096})</mask>")
_NAMED = re.compile(
    r"(?:^|[,.;:]|\band\b)\s*+(?:the\s{1,8})?([^\[\].,;:<>]{1,60}?)\s{1,8}is\s{0,8}(?:\[SEG\]|<SEG>)", re.IGNORECASE
)
_LABELLED = re.compile(r"([^\[\].,;:<>\n]{1,60}?)\s{0,8}:?\s{0,8}\Z")
_NOTHING = ("it", "this", "here", "that", "there", "sure")
_MOST = 1000


@dataclass(frozen=True)
class SegToken:
    """One mask token. `label`: what the sentence says it is of, or "". `path`: the file named after it, or "". `runs`:
    run lengths written after it, or None."""

    label: str
    start: int
    end: int
    path: str = ""
    runs: dict[str, Any] | None = None


def read_seg_tokens(text: str) -> list[SegToken]:
    """Every mask token, in order (at most 1,000)."""
    said = {match.end(): match[1].strip() for match in _NAMED.finditer(text)}
    found: list[SegToken] = []
    for token in _TOKEN.finditer(text):
        if len(found) == _MOST:
            break
        label = clean_label(said.get(token.end(), ""))
        path = _PATH.match(text, token.end())
        runs, end = (None, path.end()) if path else _runs(text, token.end())
        label = "" if label.lower() in _NOTHING else label
        found.append(SegToken(label, token.start(), end, path[1].strip() if path else "", runs))
    return found


def _runs(text: str, at: int) -> tuple[dict[str, Any] | None, int]:
    if not text.startswith("{", at):
        return None, at
    close = text.find("}", at)
    try:
        given = json.loads(text[at : close + 1]) if close > 0 else None
    except (ValueError, RecursionError):
        given = None
    if isinstance(given, dict) and "counts" in given and "size" in given:
        return given, close + 1  # pyright: ignore[reportUnknownVariableType]
    return None, at


def names_of_tokens(text: str, count: int) -> list[str]:
    """What each of `count` tokens is of, where the sentence says so ("The heart is [SEG]"), else "segment"."""
    labels = [one.label or "segment" for one in read_seg_tokens(text)]
    return (labels + ["segment"] * count)[:count]

"""Separating what a model thought from what it answers."""

from __future__ import annotations

import re

__all__ = ["split_thinking", "strip_thinking"]

_CLOSED = re.compile(r"<think>(.*?)</think>", re.DOTALL)


def strip_thinking(text: str) -> str:
    """The published rule: closed thoughts removed, blank lines reduced to one, trimmed. An open thought stays."""
    return re.sub(r"\n\s*\n", "\n\n", _CLOSED.sub("", text)).strip()


def split_thinking(text: str) -> tuple[str, str]:
    """(thinking, answer). A thought that was cut off before its end is thinking, too, not an answer."""
    thoughts = [thought.strip() for thought in _CLOSED.findall(text)]
    rest = _CLOSED.sub("", text)
    before, opened, cut = rest.partition("<think>")
    if opened:
        thoughts.append(cut.strip())
    return "\n".join(thoughts), strip_thinking(before)

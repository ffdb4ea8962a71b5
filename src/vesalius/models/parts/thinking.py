"""What a reasoning model thought, apart from what it answered."""

from __future__ import annotations

import re

__all__ = ["split_thinking"]

_OPEN, _CLOSE = "<think>", "</think>"


def split_thinking(text: str) -> tuple[str, str]:
    """(thinking, answer), both trimmed. An unclosed `<think>` is thinking to the end; a lone `</think>` (the template
    opened it) ends thinking that began with the text. `<answer>…</answer>` around the whole answer is taken off."""
    before, opened, rest = text.partition(_OPEN)
    if not opened:
        thought, closed, after = text.partition(_CLOSE)
        if not closed:
            return "", text
        return thought.strip(), _unwrapped(after)
    if before.strip():
        return "", text
    thought, _, after = rest.partition(_CLOSE)
    return thought.strip(), _unwrapped(after)


def _unwrapped(text: str) -> str:
    whole = re.fullmatch(r"\s*<answer>(.*?)(?:</answer>)?\s*", text, re.DOTALL)
    return (whole[1] if whole else text).strip()

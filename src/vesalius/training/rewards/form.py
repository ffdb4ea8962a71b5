"""Rewards of how an answer is written: tags, thoughts, length."""

from __future__ import annotations

import json
import re
from typing import Any, cast

from vesalius.errors import OptionError
from vesalius.findings.parse import parse_grounding
from vesalius.training.rewards.truth import Completion, Truth, completion_of

__all__ = ["box_tags", "grammar", "length", "soft_overlong", "think_format"]

_BOX = re.compile(r"<box>(.*?)</box>", re.DOTALL)
_THOUGHT = re.compile(r"\s*<think>(.*?)</think>(.*)", re.DOTALL)


def box_tags(completion: Completion | str, truth: Truth) -> float | None:
    """1 where the answer holds exactly as many balanced `<box>…</box>` pairs as the truth has names of boxes (each pair
    holds all boxes of a name), and each pair a JSON list of lists of four numbers; else 0. None without true boxes."""
    if truth.boxes is None:
        return None
    names = len({name for name, _ in truth.boxes})
    text = completion_of(completion).answer
    pairs = _BOX.findall(text)
    balanced = text.count("<box>") == text.count("</box>") == len(pairs) == names
    return float(balanced and all(_is_boxes(pair) for pair in pairs))


def _is_boxes(text: str) -> bool:
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, list) and bool(value) and all(map(_is_box, cast("list[Any]", value)))


def _is_box(value: Any) -> bool:
    if not isinstance(value, list):
        return False
    numbers = cast("list[Any]", value)
    return len(numbers) == 4 and all(type(one) in (int, float) and abs(one) < 1e9 for one in numbers)


def grammar(completion: Completion | str, truth: Truth) -> float | None:
    """1 where every place of the answer is written in the dialect's published grammar, 0.5 where something had to be
    mended and is there, else 0. Where the truth has neither boxes nor points: 1 unless the answer is empty or cut
    off. None where the truth names no dialect."""
    said = completion_of(completion)
    if truth.boxes is None and truth.points is None:
        return float(bool(said.answer.strip()) and said.finish != "length")
    if truth.size is None or truth.dialect is None:
        return None
    expect = "point" if truth.boxes is None else "any"
    strict = parse_grounding(said.text, truth.dialect, truth.size, coord=truth.coord, strict=True, expect=expect)
    if strict.status in ("ok", "none"):
        return 1.0
    mended = parse_grounding(said.text, truth.dialect, truth.size, coord=truth.coord, expect=expect)
    return 0.5 if mended.items else 0.0


def think_format(completion: Completion | str, truth: Truth) -> float:
    """1 for exactly one `<think>…</think>` at the start, neither it nor the answer behind it empty; else 0."""
    del truth
    text = completion_of(completion).text
    found = _THOUGHT.fullmatch(text)
    once = text.count("<think>") == text.count("</think>") == 1
    return float(once and found is not None and bool(found[1].strip()) and bool(found[2].strip()))


def soft_overlong(
    completion: Completion | str, truth: Truth, *, max_tokens: int = 512, cache_tokens: int = 128
) -> float | None:
    """0 for up to `max_tokens - cache_tokens` tokens, falling in a line to -1 at `max_tokens` and staying there. None
    where the number of tokens is not known. OptionError unless 0 < cache_tokens <= max_tokens."""
    del truth
    if not 0 < cache_tokens <= max_tokens:
        raise OptionError(f"cache_tokens is {cache_tokens}, max_tokens {max_tokens}.", fix="Use 0 < cache <= max.")
    said = completion_of(completion)
    if said.num_tokens is None:
        return None
    over = said.num_tokens - (max_tokens - cache_tokens)
    return -min(1.0, max(0, over) / cache_tokens)


def length(completion: Completion | str, truth: Truth, *, tokens: int = 64) -> float | None:
    """1 up to `tokens` tokens, falling in a line to 0 at twice as many. None where the number is not known."""
    del truth
    if tokens < 1:
        raise OptionError(f"tokens is {tokens}; it must be at least 1.")
    said = completion_of(completion)
    if said.num_tokens is None:
        return None
    return min(1.0, max(0.0, 2.0 - said.num_tokens / tokens))

"""What an OpenAI-compatible server replied: an answer, or why it is none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

__all__ = ["Reply", "read_reply"]


@dataclass(frozen=True)
class Reply:
    """`finish`: "stop" | "length" | "error". `problem`: why it is an error. `model`: what the server says it used."""

    text: str = ""
    thinking: str = ""
    finish: str = "stop"
    prompt_tokens: int = 0
    new_tokens: int = 0
    problem: str = ""
    model: str = ""


def read_reply(body: bytes) -> Reply:
    """The first choice of a chat completion. What is none becomes a reply with finish "error"; nothing is raised."""
    try:
        given: Any = json.loads(body)
    except (ValueError, RecursionError):
        return _garbage("is not JSON")
    choices = _get(given, "choices")
    if not isinstance(choices, list) or not choices:
        return _garbage("has no choices")
    choice: Any = cast("list[Any]", choices)[0]
    message = _get(choice, "message")
    if not isinstance(message, Mapping):
        return _garbage("has no message")
    text = _text(_get(message, "content"))
    if text is None:
        text = _text(_get(message, "refusal"))
    thinking = _text(_get(message, "reasoning_content")) or _text(_get(message, "reasoning")) or ""
    if text is None and not thinking:
        return _garbage("has no content")
    usage = _get(given, "usage")
    cut = _get(choice, "finish_reason") in ("length", "max_tokens")
    return Reply(
        text or "",
        thinking,
        "length" if cut else "stop",
        _count(_get(usage, "prompt_tokens")),
        _count(_get(usage, "completion_tokens")),
        model=served if isinstance(served := _get(given, "model"), str) else "",
    )


def _garbage(what: str) -> Reply:
    return Reply(finish="error", problem=f"the reply {what}: it is no chat completion.")


def _get(given: Any, key: str) -> Any:
    return cast("Mapping[str, Any]", given).get(key) if isinstance(given, Mapping) else None


def _text(content: Any) -> str | None:
    """A string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [_get(part, "text") for part in cast("list[Any]", content)]
        return "".join(part for part in parts if isinstance(part, str))
    return None


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0

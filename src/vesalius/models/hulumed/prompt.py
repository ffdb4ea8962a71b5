"""The prompt, built in code: what is a special token and what is text is decided here, never by looking at the text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vesalius.errors import OptionError
from vesalius.models.weights import read_json

__all__ = ["TEMPLATE_FILES", "MediaPart", "Piece", "Said", "render", "rendered_text", "system_sentence", "time_text"]

TEMPLATE_FILES = ("chat_template.json", "chat_template.jinja", "tokenizer_config.json")


@dataclass(frozen=True)
class MediaPart:
    """A picture (`frames` 1) or a clip or volume of `frames` frames; `times`: seconds the prompt names, or None."""

    kind: Literal["image", "video"]
    frames: int = 1
    times: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Said:
    """One message. `role` is written as it is; "stream" has its own start and end token."""

    role: str
    parts: tuple[str | MediaPart, ...]


@dataclass(frozen=True)
class Piece:
    """A stretch of the prompt. `special`: the name of one special token; else plain text, whatever it looks like.
    `learnt`: whether training learns it. `by_model`: said by the assistant, whose `<think>` is a token."""

    text: str
    special: bool = False
    learnt: bool = False
    by_model: bool = False


def render(
    messages: Sequence[Said],
    *,
    generation: bool,
    system: str | None = None,
    stream_newline: bool = True,
) -> list[Piece]:
    """Pieces of the prompt. `generation`: end with the assistant's header. `system`: a sentence put before a first
    message that is not the system's. `stream_newline`: the original's newline behind a stream's end."""
    pieces: list[Piece] = []
    if system is not None and messages and messages[0].role != "system":
        messages = [Said("system", (system,)), *messages]
    for message in messages:
        stream, model = message.role == "stream", message.role == "assistant"
        start, end = ("<|stream_start|>", "<|stream_end|>") if stream else ("<|im_start|>", "<|im_end|>")
        pieces += [Piece(start, special=True), Piece(f"{message.role}\n")]
        for part in message.parts:
            pieces += [Piece(part, learnt=model, by_model=model)] if isinstance(part, str) else _media(part)
        pieces.append(Piece(end, special=True, learnt=model))
        if not stream or stream_newline:
            pieces.append(Piece("\n"))
    if generation:
        pieces += [Piece("<|im_start|>", special=True), Piece("assistant\n")]
    return pieces


def rendered_text(pieces: Sequence[Piece]) -> str:
    """The prompt as one reads it, before `<image>` is expanded."""
    return "".join(piece.text for piece in pieces)


def time_text(seconds: float) -> str:
    """One decimal as Python rounds: 3.25 → "3.2"."""
    return str(round(float(seconds), 1))


def _media(part: MediaPart) -> list[Piece]:
    image = Piece("<image>", special=True)
    if part.kind == "image":
        before = [Piece(f"Time {time_text(part.times[0])}s: ")] if part.times else []
        return [*before, image, Piece("\n")]
    pieces: list[Piece] = []
    for frame in range(part.frames):
        if part.times is not None:
            pieces.append(Piece(f"Time {time_text(part.times[frame])}s:"))
        pieces += [image, Piece("\n" if frame == part.frames - 1 else ",")]
    return pieces


def system_sentence(folder: Path) -> str:
    """The sentence of the checkpoint's chat template, read as text. OptionError where it has none."""
    for name in TEMPLATE_FILES:
        path = folder / name
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8") if path.suffix == ".jinja" else read_json(path).get("chat_template")
        # The template writes newlines as \n inside a Jinja string, or as they are.
        found = re.search(r"<\|im_start\|>system(?:\\n|\n)(.+?)<\|im_end\|>", str(text), re.DOTALL)
        if found and "{{" not in found[1] and "{%" not in found[1]:
            return found[1].replace("\\n", "\n").replace("\\'", "'")
    raise OptionError(
        "add_system_prompt is asked for, but the checkpoint's chat template holds no system sentence.",
        fix="Write a system message instead.",
    )

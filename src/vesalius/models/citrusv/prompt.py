"""Citrus-V's prompt: Qwen2.5-VL's, with `<image>` as a place for pictures, [SEG] as a token, and answers tokenized on
their own."""

from __future__ import annotations

import re
from dataclasses import replace

from vesalius.errors import InputError
from vesalius.models.contract import Conversation, Shown, Spoken
from vesalius.models.parts.chat_pieces import Control, Text
from vesalius.models.qwen_vl.prompt import Pieces

__all__ = ["ADDED", "prompt_and_answer", "with_pictures_placed", "with_tokens"]

ADDED = ("[SEG]", "<bbox>", "</bbox>")
"""Tokens the published loader adds to Qwen's, in this order."""

_MARK = re.compile("(" + "|".join(map(re.escape, ADDED)) + ")")
_PLACE = "<image>"


def with_pictures_placed(conversation: Conversation) -> list[Spoken]:
    """Move each message's pictures to where its text says `<image>`; without the word they stay where they are.

    InputError when a message has more places than pictures or the reverse.
    """
    return [_placed(spoken) if spoken.role == "user" else spoken for spoken in conversation]


def _placed(spoken: Spoken) -> Spoken:
    places = sum(part.count(_PLACE) for part in spoken.parts if isinstance(part, str))
    if not places:
        return spoken
    pictures = [part for part in spoken.parts if isinstance(part, Shown)]
    if places != len(pictures):
        raise InputError(
            f"the message has {places} {_PLACE} and {len(pictures)} pictures.", fix="Give one picture for each."
        )
    waiting = iter(pictures)
    parts: list[str | Shown] = []
    for part in spoken.parts:
        if isinstance(part, Shown):
            continue
        first, *rest = part.split(_PLACE)
        parts.append(first)
        for text in rest:
            parts += [next(waiting), text]
    return replace(spoken, parts=tuple(part for part in parts if part != ""))


def with_tokens(pieces: Pieces, *, typed: bool) -> Pieces:
    """Turn [SEG], <bbox> and </bbox> of answers into tokens; `typed`: those of anyone, as the published tokenizer does.
    Answers are tokenized apart from the template around them."""
    made: Pieces = []
    for piece in pieces:
        if not isinstance(piece, Text) or not (piece.learned or typed):
            made.append(piece)
            continue
        parts = [part for part in _MARK.split(piece.text) if part]
        for part in parts:
            token = part in ADDED
            made.append(Control(part, piece.learned) if token else replace(piece, text=part, alone=piece.learned))
    return made


def prompt_and_answer(pieces: Pieces, *, answered: bool) -> tuple[Pieces, Pieces]:
    """(the prompt up to and with "assistant", the last answer with its end token); no newline follows the latter."""
    if not answered:
        return pieces, []
    start = max(at for at, piece in enumerate(pieces) if isinstance(piece, Control) and piece.token == "<|im_start|>")
    return pieces[: start + 2], pieces[start + 2 : -1]

"""The Vicuna-like template every MedM-VL language model was tuned with, and its ids.

`SYSTEM USER: question ASSISTANT: answer<end>USER: …`, one space between the pieces, nothing after an end. Placeholders
are no vocabulary entries: text is cut at them, each chunk is tokenised on its own, and they become -200 (picture) and
-201 (volume). Text cannot become a placeholder, because pictures come as parts, never as words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vesalius.dialogue.messages import escape_special
from vesalius.errors import InputError, OptionError
from vesalius.models.contract import Conversation, Shown
from vesalius.models.medmvl.tokens import TERMINATORS, MedmvlTokenizer
from vesalius.study.items import Volume

__all__ = ["IGNORE", "PICTURE", "TEMPLATES", "VOLUME", "Prompt", "Turn", "build_prompt", "turns_of"]

IGNORE, PICTURE, VOLUME = -100, -200, -201
WORDS = {PICTURE: "<image>", VOLUME: "<image3d>"}
TEMPLATES = (*TERMINATORS, "pretrain", "pretrain_image3d")
SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)

Parts = tuple[str | int, ...]
"""Text and placeholders in order."""


@dataclass(frozen=True)
class Turn:
    """A question and its answer, None where one is awaited."""

    question: Parts
    answer: str | None


@dataclass(frozen=True)
class Prompt:
    """`ids`: what is fed, placeholders negative. `labels`: the same ids where they are learned, else -100. `text`: the
    rendered prompt."""

    ids: list[int]
    labels: list[int]
    text: str


def turns_of(conversation: Conversation, special: Sequence[str]) -> tuple[str, list[Turn]]:
    """(system text, turns). A system message takes the place of the usual system text.

    Raises InputError when roles do not alternate from the user on.
    """
    if not conversation:
        raise InputError("the conversation is empty.", fix="Add a user message.")
    system, spoken = SYSTEM, list(conversation)
    if spoken[0].role == "system":
        system = escape_special(spoken.pop(0).text.strip(), special)
    turns: list[Turn] = []
    for number, one in enumerate(spoken):
        if one.role != ("assistant" if number % 2 else "user"):
            raise InputError(
                f"message {number + 1} is of the {one.role}; MedM-VL needs user and assistant in turn.",
                fix="Join messages of the same role.",
            )
        if one.role == "user":
            turns.append(Turn(_parts(one.parts, special), None))
        else:
            text = "".join(part for part in one.parts if isinstance(part, str))
            turns[-1] = Turn(turns[-1].question, escape_special(text, special))
    if not turns:
        raise InputError("the conversation has no user message.", fix="Add one with the question.")
    return system, turns


def _parts(parts: Sequence[str | Shown], special: Sequence[str]) -> Parts:
    """Neighbouring texts joined, ends stripped as one string with its placeholders would be."""
    made: list[str | int] = []
    for part in parts:
        if isinstance(part, Shown):
            made.append(VOLUME if isinstance(part.item, Volume) else PICTURE)
        elif made and isinstance(made[-1], str):
            made[-1] += escape_special(part, special)
        else:
            made.append(escape_special(part, special))
    if made and isinstance(made[0], str):
        made[0] = made[0].lstrip()
    if made and isinstance(made[-1], str):
        made[-1] = made[-1].rstrip()
    return tuple(made)


def build_prompt(tokenizer: MedmvlTokenizer, system: str, turns: Sequence[Turn], template: str) -> Prompt:
    """Render and tokenise. `template`: a language model's name, or "pretrain", "pretrain_image3d" (placeholder and
    answer only). Raises OptionError for another template, CheckpointError when its end token is unknown."""
    if template not in TEMPLATES:
        raise OptionError(f"conv_version is {template!r}; use {', '.join(TEMPLATES)}.")
    pieces: list[str | int | tuple[str, bool]] = []
    if template.startswith("pretrain"):
        for turn in turns:
            pieces.append(VOLUME if template == "pretrain_image3d" else PICTURE)
            if turn.answer is not None:
                pieces.append((turn.answer, True))
    else:
        end = TERMINATORS[template]
        tokenizer.id_of(end)
        pieces.append(system + " ")
        for number, turn in enumerate(turns, 1):
            pieces += ["USER: ", *turn.question, " ", "ASSISTANT:"]
            if turn.answer or (turn.answer is not None and number < len(turns)):
                pieces.append((f" {turn.answer.strip()}{end}", True))
    return _tokenised(tokenizer, pieces)


def _tokenised(tokenizer: MedmvlTokenizer, pieces: Sequence[str | int | tuple[str, bool]]) -> Prompt:
    ids: list[int] = []
    labels: list[int] = []
    text = ""
    chunk, learned = "", list[tuple[int, int]]()

    def flush() -> None:
        nonlocal chunk, learned
        if chunk and not ids and tokenizer.bos_id is not None:
            ids.append(tokenizer.bos_id)
            labels.append(IGNORE)
        for piece in tokenizer.pieces(chunk):
            ids.append(piece.id)
            # A token is learned when it says any of the answer: none straddles `ASSISTANT:` and what follows.
            inside = any(piece.end > start and piece.start < end for start, end in learned)
            labels.append(piece.id if inside else IGNORE)
        chunk, learned = "", []

    for piece in pieces:
        if isinstance(piece, int):
            flush()
            ids.append(piece)
            labels.append(IGNORE)
            text += WORDS[piece]
            continue
        said, learn = piece if isinstance(piece, tuple) else (piece, False)
        if learn:
            learned.append((len(chunk), len(chunk) + len(said)))
        chunk += said
        text += said
    flush()
    return Prompt(ids, labels, text)

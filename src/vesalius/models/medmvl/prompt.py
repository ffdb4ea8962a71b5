"""The Vicuna-like template every MedM-VL language model was tuned with, and its ids.

`SYSTEM USER: question ASSISTANT: answer<end>USER: …`, one space between the pieces, nothing after an end. Placeholders
are no vocabulary entries: text is cut at them, each chunk is tokenised on its own, and they become -200 (picture) and
-201 (volume). Text cannot become a placeholder, because pictures come as parts, never as words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


def turns_of(conversation: Conversation) -> tuple[str, list[Turn]]:
    """(system text, turns). A system message takes the place of the usual system text.

    Raises InputError when roles do not alternate from the user on.
    """
    if not conversation:
        raise InputError("the conversation is empty.", fix="Add a user message.")
    system, spoken = SYSTEM, list(conversation)
    if spoken[0].role == "system":
        system = spoken.pop(0).text.strip()
    turns: list[Turn] = []
    for number, one in enumerate(spoken):
        if one.role != ("assistant" if number % 2 else "user"):
            raise InputError(
                f"message {number + 1} is of the {one.role}; MedM-VL needs user and assistant in turn.",
                fix="Join messages of the same role.",
            )
        if one.role == "user":
            turns.append(Turn(_parts(one.parts), None))
        else:
            turns[-1] = Turn(turns[-1].question, "".join(part for part in one.parts if isinstance(part, str)))
    if not turns:
        raise InputError("the conversation has no user message.", fix="Add one with the question.")
    return system, turns


def _parts(parts: Sequence[str | Shown]) -> Parts:
    """Neighbouring texts joined, ends stripped as one string with its placeholders would be."""
    made: list[str | int] = []
    for part in parts:
        if isinstance(part, Shown):
            made.append(VOLUME if isinstance(part.item, Volume) else PICTURE)
        elif made and isinstance(made[-1], str):
            made[-1] += part
        else:
            made.append(part)
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
    made = _Writer(tokenizer)
    if template.startswith("pretrain"):
        for turn in turns:
            made.placeholder(VOLUME if template == "pretrain_image3d" else PICTURE)
            if turn.answer is not None:
                made.text(turn.answer, learn=True)
        return made.prompt()
    end = TERMINATORS[template]
    end_id = tokenizer.id_of(end)
    made.text(system + " ")
    for number, turn in enumerate(turns, 1):
        made.text("USER: ")
        for part in turn.question:
            made.placeholder(part) if isinstance(part, int) else made.text(part)
        made.text(" ASSISTANT:")
        if turn.answer or (turn.answer is not None and number < len(turns)):
            made.text(f" {turn.answer.strip()}", learn=True)
            made.end(end, end_id)
    return made.prompt()


class _Writer:
    """Grows a prompt. A text runs from one placeholder or end token to the next and is tokenised whole."""

    def __init__(self, tokenizer: MedmvlTokenizer) -> None:
        self.tokenizer = tokenizer
        self.ids: list[int] = []
        self.labels: list[int] = []
        self.rendered = ""
        self.waiting, self.learn_from = "", -1
        self.first_of_chunk = True

    def text(self, said: str, *, learn: bool = False) -> None:
        if learn:
            self.learn_from = len(self.waiting)
        self.waiting += said

    def placeholder(self, kind: int) -> None:
        self._flush()
        self._add(kind, IGNORE)
        self.rendered += WORDS[kind]
        self.first_of_chunk = True

    def end(self, said: str, number: int) -> None:
        self._flush()
        self._add(number, number)
        self.rendered += said
        self.first_of_chunk = False

    def prompt(self) -> Prompt:
        self._flush()
        return Prompt(self.ids, self.labels, self.rendered)

    def _flush(self) -> None:
        if self.waiting and not self.ids and self.tokenizer.bos_id is not None:
            self._add(self.tokenizer.bos_id, IGNORE)
        for piece in self.tokenizer.pieces(self.waiting, first=self.first_of_chunk):
            # A token is learned when it says any of the answer: none straddles `ASSISTANT:` and what follows.
            learned = 0 <= self.learn_from < piece.end
            self._add(piece.id, piece.id if learned else IGNORE)
        self.first_of_chunk = self.first_of_chunk and not self.waiting
        self.rendered += self.waiting
        self.waiting, self.learn_from = "", -1

    def _add(self, number: int, label: int) -> None:
        self.ids.append(number)
        self.labels.append(label)

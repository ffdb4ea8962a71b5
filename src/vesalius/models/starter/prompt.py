"""The starter's one prompt: system line, visual tokens, scene text, question. Training and answering both use it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vesalius.errors import CheckpointError
from vesalius.models.starter.config import IMAGE_TOKEN
from vesalius.models.starter_base.tokenizer import BOS, EOS, SYSTEM_TEXT

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["Prompt", "build_prompt", "end_token"]


@dataclass(frozen=True)
class Prompt:
    """Token ids, the label of each (−100 where nothing is learnt), and where the visual tokens go."""

    ids: list[int]
    labels: list[int]
    visual: list[int]


def end_token(tokenizer: Tokenizer) -> int:
    """Id of the token that closes every turn."""
    return _special(tokenizer, EOS)


def _special(tokenizer: Tokenizer, token: str) -> int:
    number: int | None = tokenizer.token_to_id(token)
    if number is None:
        raise CheckpointError(f"the tokenizer has no token {token}.", fix="Run vesalius starter install again.")
    return number


def build_prompt(tokenizer: Tokenizer, scene: str, turns: Sequence[tuple[str, str | None]], num_visual: int) -> Prompt:
    """`turns`: (question, answer); the last answer None leaves the prompt open for the model to go on.

    The picture and its scene text open the first question. Ids are built span by span, never re-tokenised as a whole,
    so what was learnt is what is asked. No text becomes a control token, whatever a file or a question spells out.
    """
    tokenizer.encode_special_tokens = True  # as ordinary text, that is
    image = _special(tokenizer, IMAGE_TOKEN)
    end = end_token(tokenizer)
    prompt = Prompt([], [], [])

    def add(text: str, *, learn: bool = False) -> None:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        prompt.ids.extend(ids)
        prompt.labels.extend(ids if learn else [-100] * len(ids))

    def mark(token: int, *, learn: bool = False) -> None:
        prompt.ids.append(token)
        prompt.labels.append(token if learn else -100)

    start = _special(tokenizer, BOS)
    mark(start)
    add(f"system\n{SYSTEM_TEXT}")
    mark(end)
    add("\n")
    for number, (question, answer) in enumerate(turns):
        mark(start)
        add("user\n")
        if number == 0:
            prompt.visual.extend(range(len(prompt.ids), len(prompt.ids) + num_visual))
            prompt.ids.extend([image] * num_visual)
            prompt.labels.extend([-100] * num_visual)
            add(f"{scene}\n")
        add(question)
        mark(end)
        add("\n")
        mark(start)
        add("assistant\n")
        if answer is None:
            break
        add(answer, learn=True)
        mark(end, learn=True)
        add("\n")
    return prompt

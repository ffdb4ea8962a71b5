"""Completions of prepared prompts, sampled by the family itself: pictures, volumes and clips by the one `prepare`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from vesalius.models.contract import Trainable
from vesalius.models.parts.token_stream import Sampling
from vesalius.training.rewards.truth import Completion, Truth

__all__ = ["Rollout", "roll_out"]


@dataclass(frozen=True)
class Rollout:
    """`ids`: of the completion, the end token among them."""

    ids: tuple[int, ...] = field(repr=False)
    completion: Completion


def roll_out(
    family: Trainable,
    batches: Sequence[Any],
    truths: Sequence[Truth],
    *,
    max_new_tokens: int,
    sampling: Sampling,
    seeds: Sequence[int] | None = None,
    at_once: int = 32,
) -> list[Rollout]:
    """One completion of each prepared prompt, in order; the same prompt may stand there several times.

    `seeds`: of each row's own draws. Places are read by the family where the truth names no dialect. Dropout and
    activation checkpointing are off meanwhile.
    """
    training = family.model.training
    family.model.eval()
    made: list[Rollout] = []
    try:
        for first in range(0, len(batches), at_once):
            part = slice(first, first + at_once)
            # What is said is noted in the batch: rows of one prompt each need their own.
            rows = [_apart(batch) for batch in batches[part]]
            chosen = sampling if seeds is None else replace(sampling, seed=tuple(seeds[part]))
            said = family.say_batch(rows, max_new_tokens=max_new_tokens, sampling=chosen)
            for row, truth, (text, finish, _) in zip(rows, truths[part], said, strict=True):
                ids = tuple(row.new_tokens[0])
                found = tuple(family.findings(row, text.strip())) if truth.dialect is None else None
                made.append(Rollout(ids, Completion(text.strip(), len(ids), finish, found)))
    finally:
        family.model.train(training)
    return made


def _apart(batch: Any) -> Any:
    fresh = {"new_tokens": []} if any(one.name == "new_tokens" for one in fields(batch)) else {}
    return replace(batch, **fresh)

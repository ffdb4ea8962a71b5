"""From a prompt's embeddings to text: one answer piece by piece, or several answers together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from vesalius.models.parts.token_stream import Decoder, Sampling, stream_tokens

__all__ = ["pad_left", "speak", "speak_batch"]

Decode = Callable[[Sequence[int]], str]


def speak(
    decoder: Decoder,
    prompt_1LD: Tensor,
    decode: Decode,
    *,
    stop_ids: Sequence[int],
    max_new_tokens: int,
    sampling: Sampling,
    guard: bool = True,
    said: list[list[int]] | None = None,
) -> Iterator[tuple[str, str | None]]:
    """Yield (new text, finish reason or None) per token; half a character waits for its other half. `said`: receives
    the ids of the answer, the end token among them."""
    ids: list[int] = []
    if said is not None:
        said[:] = [ids]
    told = ""
    steps = stream_tokens(
        decoder, prompt_1LD, max_new_tokens=max_new_tokens, stop_ids=stop_ids, sampling=sampling, guard=guard
    )
    for step in steps:
        if step.ids[0] is not None:
            ids.append(step.ids[0])
        reason = step.finished[0]
        text = decode(ids)
        if reason is None and text.endswith("\ufffd"):
            yield "", None
            continue
        yield text[len(told) :], reason
        told = text


def speak_batch(
    decoder: Decoder,
    prompts: Sequence[Tensor],
    decode: Decode,
    *,
    stop_ids: Sequence[int],
    max_new_tokens: int,
    sampling: Sampling,
    guard: bool = True,
    told: Sequence[list[list[int]]] = (),
    rows_of: Sequence[int] | None = None,
) -> list[tuple[str, str, int]]:
    """(text, finish reason, new tokens) of each prompt `[1, L, D]`, read together, padded on the left. `told`: one list
    for each answer, which receives its ids as `speak` gives them. `rows_of`: which prompt each answer continues, where
    one is answered several times, though read once (None: each once)."""
    rows_BLD, mask_BL = pad_left([prompt[0] for prompt in prompts])
    answers = len(prompts) if rows_of is None else len(rows_of)
    said: list[list[int]] = [[] for _ in range(answers)]
    reasons = ["length"] * answers
    steps = stream_tokens(
        decoder,
        rows_BLD,
        mask_BL=mask_BL,
        max_new_tokens=max_new_tokens,
        stop_ids=stop_ids,
        sampling=sampling,
        guard=guard,
        rows_of=rows_of,
    )
    for step in steps:
        for row, (token, reason) in enumerate(zip(step.ids, step.finished, strict=True)):
            if token is not None:
                said[row].append(token)
                reasons[row] = reason or reasons[row]
    for one, ids in zip(told, said, strict=False):
        one[:] = [ids]
    return [(decode(ids), reason, len(ids)) for ids, reason in zip(said, reasons, strict=True)]


def pad_left(rows: Sequence[Tensor], fill: float = 0) -> tuple[Tensor, Tensor]:
    """Rows `[L, …]` of different lengths → (`[B, L, …]` padded on the left, mask `[B, L]`, True = real)."""
    longest = max(len(row) for row in rows)
    padded = rows[0].new_full((len(rows), longest, *rows[0].shape[1:]), fill)
    mask = torch.zeros(len(rows), longest, dtype=torch.bool)
    for number, row in enumerate(rows):
        padded[number, longest - len(row) :] = row
        mask[number, longest - len(row) :] = True
    return padded, mask

"""From a prompt's embeddings to text: one answer piece by piece, or several answers together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from vesalius.models.parts.token_stream import Decoder, Sampling, stream_tokens

__all__ = ["speak", "speak_batch"]

Decode = Callable[[Sequence[int]], str]


def speak(
    decoder: Decoder,
    prompt_1LD: Tensor,
    decode: Decode,
    *,
    stop_ids: Sequence[int],
    max_new_tokens: int,
    sampling: Sampling,
) -> Iterator[tuple[str, str | None]]:
    """Yield (new text, finish reason or None) per token; half a character waits for its other half."""
    ids: list[int] = []
    told = ""
    steps = stream_tokens(decoder, prompt_1LD, max_new_tokens=max_new_tokens, stop_ids=stop_ids, sampling=sampling)
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
) -> list[tuple[str, str, int]]:
    """(text, finish reason, new tokens) of each prompt `[1, L, D]`, read together, padded on the left."""
    longest = max(prompt.shape[1] for prompt in prompts)
    rows_BLD = prompts[0].new_zeros(len(prompts), longest, prompts[0].shape[2])
    mask_BL = torch.zeros(len(prompts), longest, dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        rows_BLD[row, longest - prompt.shape[1] :] = prompt[0]
        mask_BL[row, longest - prompt.shape[1] :] = True
    said: list[list[int]] = [[] for _ in prompts]
    reasons = ["length"] * len(prompts)
    steps = stream_tokens(
        decoder, rows_BLD, mask_BL=mask_BL, max_new_tokens=max_new_tokens, stop_ids=stop_ids, sampling=sampling
    )
    for step in steps:
        for row, (token, reason) in enumerate(zip(step.ids, step.finished, strict=True)):
            if token is not None:
                said[row].append(token)
                reasons[row] = reason or reasons[row]
    return [(decode(ids), reason, len(ids)) for ids, reason in zip(said, reasons, strict=True)]

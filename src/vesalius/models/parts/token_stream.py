"""Token after token out of a decoder: greedy or sampled, one row or a left-padded batch, with a repetition guard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
from torch import Tensor

from vesalius.errors import OptionError

if TYPE_CHECKING:
    from vesalius.models.parts.constrained import Constraint

__all__ = ["Decoder", "FinishReason", "Sampling", "TokenStep", "repeats_itself", "stream_tokens"]

FinishReason = Literal["stop", "length", "repetition"]

_MAX_PERIOD, _MIN_REPEATS, _MIN_TOKENS = 32, 4, 16


class Decoder(Protocol):
    """What `stream_tokens` drives: `LlamaDecoder` (torch alone) or `HfDecoder` (any transformers text model)."""

    max_positions: int

    def embed(self, ids_BL: Tensor) -> Tensor:
        """Token embeddings [B, L, D]."""
        ...

    def start(self, batch: int = 1, capacity: int = 256, mask_BL: Tensor | None = None) -> Any:
        """An empty state; `mask_BL` marks the real positions of a left-padded first read."""
        ...

    def read(self, embeds_BLD: Tensor, state: Any) -> Tensor:
        """Read L more positions; hidden states [B, L, D] after the final norm."""
        ...

    def keep(self, state: Any, rows: Sequence[int]) -> None:
        """Go on with these rows of the batch alone."""
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits [..., V]."""
        ...


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 cut nothing off."""

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    """Above 1: logits of tokens said already are divided (if positive) or multiplied (if negative) by it."""
    seed: int | Sequence[int] | None = None
    """Of every row's own draws; a sequence holds one for each row."""
    constraint: Constraint | None = None
    """The form every answer must have; it replaces the repetition guard."""

    def __post_init__(self) -> None:
        """Raise OptionError for a value out of range."""
        if not 0 <= self.temperature <= 100:
            raise OptionError(f"temperature is {self.temperature}, 0 to 100 allowed.")
        if not 0 < self.top_p <= 1:
            raise OptionError(f"top_p is {self.top_p}, more than 0 and at most 1 allowed.")
        if self.top_k < 0:
            raise OptionError(f"top_k is {self.top_k}, 0 or more allowed.")
        if not 0 < self.repetition_penalty <= 10:
            raise OptionError(f"repetition_penalty is {self.repetition_penalty}, more than 0 and at most 10 allowed.")


@dataclass(frozen=True)
class TokenStep:
    """One new token per row.

    `ids`: the token of each row, None for a row that ended earlier. `finished`: why a row has ended (its last token
    included), None while it goes on. `logits` [B, V]: what the tokens were chosen from. `hidden` [B, D]: the state
    (after the final norm) those logits were computed from. Both hold nothing of use in rows that ended earlier.
    """

    ids: list[int | None]
    finished: list[FinishReason | None]
    logits: Tensor
    hidden: Tensor


def stream_tokens(
    decoder: Decoder,
    prompt_BLD: Tensor,
    *,
    mask_BL: Tensor | None = None,
    max_new_tokens: int = 256,
    stop_ids: Sequence[int] = (),
    sampling: Sampling | None = None,
    guard: bool = True,
    rows_of: Sequence[int] | None = None,
) -> Iterator[TokenStep]:
    """Continue a prompt given as embeddings [B, L, D]; `mask_BL` (True = real) if rows are padded on the left.
    `rows_of`: which prompt each answer continues, where one prompt is answered several times (None: each once).

    A row ends at a token of `stop_ids` ("stop"), at `max_new_tokens` ("length"), or, with `guard`, when it only says
    the same thing again ("repetition"). Raises LimitError if prompt and answer exceed the context length.
    """
    if max_new_tokens < 1:
        raise OptionError(f"max_new_tokens is {max_new_tokens}, 1 or more allowed.")
    sampling = sampling or Sampling()
    prompts, length, _ = prompt_BLD.shape
    batch = prompts if rows_of is None else len(rows_of)
    bound = None if sampling.constraint is None else sampling.constraint.start(batch, stop_ids)
    guard = guard and bound is None
    # Each row draws its own numbers, so it says what it would say alone.
    random = _randoms(sampling.seed, batch)
    state = decoder.start(prompts, length + min(max_new_tokens, 256), mask_BL)
    said: list[list[int]] = [[] for _ in range(batch)]
    finished: list[FinishReason | None] = [None] * batch
    going = list(range(batch))
    hidden_GD = decoder.read(prompt_BLD, state)[:, -1]
    if rows_of is not None:
        decoder.keep(state, rows_of)
        hidden_GD = hidden_GD[list(rows_of)]
    while True:
        logits_GV = decoder.logits(hidden_GD)
        if bound is not None:
            logits_GV = bound.masked(logits_GV, going)
        chosen = _choose(logits_GV, [said[row] for row in going], sampling, [random[row] for row in going])
        ids: list[int | None] = [None] * batch
        for row, token in zip(going, chosen, strict=True):
            ids[row] = token
            said[row].append(token)
            if bound is not None:
                bound.take(row, token)
            finished[row] = _why_end(said[row], stop_ids, max_new_tokens, guard)
        yield TokenStep(ids, list(finished), _in_all(logits_GV, going, batch), _in_all(hidden_GD, going, batch))
        kept = [at for at, row in enumerate(going) if finished[row] is None]
        if not kept:
            return
        if len(kept) < len(going):
            decoder.keep(state, kept)
            going = [going[at] for at in kept]
        next_ids = torch.tensor([[said[row][-1]] for row in going])
        hidden_GD = decoder.read(decoder.embed(next_ids), state)[:, -1]


def _randoms(seed: int | Sequence[int] | None, batch: int) -> list[torch.Generator]:
    seeds = [seed] * batch if seed is None or isinstance(seed, int) else list(seed)
    if len(seeds) != batch:
        raise OptionError(f"there are {len(seeds)} seeds for {batch} rows.")
    return [_random(one) for one in seeds]


def _random(seed: int | None) -> torch.Generator:
    random = torch.Generator()
    random.seed() if seed is None else random.manual_seed(seed)
    return random


def _in_all(part_GX: Tensor, going: Sequence[int], batch: int) -> Tensor:
    """The rows that go on, put where they are among all rows [B, X]; 0 in the others."""
    if len(going) == batch:
        return part_GX
    whole = part_GX.new_zeros(batch, part_GX.shape[1])
    whole[list(going)] = part_GX
    return whole


def repeats_itself(ids: Sequence[int]) -> bool:
    """True if the end of `ids` is one phrase (up to 32 tokens) said at least 4 times over at least 16 tokens."""
    for period in range(1, _MAX_PERIOD + 1):
        span = max(period * _MIN_REPEATS, _MIN_TOKENS)
        if span > len(ids):
            if period * _MIN_REPEATS > len(ids):
                return False
            continue
        tail = ids[-span:]
        if tail[period:] == tail[:-period]:
            return True
    return False


def _why_end(said: Sequence[int], stop_ids: Sequence[int], limit: int, guard: bool) -> FinishReason | None:
    if said[-1] in stop_ids:
        return "stop"
    if guard and repeats_itself(said):
        return "repetition"
    return "length" if len(said) >= limit else None


def _choose(
    logits_BV: Tensor, said: Sequence[Sequence[int]], sampling: Sampling, random: Sequence[torch.Generator]
) -> list[int]:
    if sampling.repetition_penalty != 1:
        logits_BV = logits_BV.clone()
        for row, ids in zip(logits_BV, said, strict=True):
            seen = torch.tensor(sorted(set(ids)), dtype=torch.long)
            row[seen] = torch.where(
                row[seen] > 0, row[seen] / sampling.repetition_penalty, row[seen] * sampling.repetition_penalty
            )
    if sampling.temperature == 0:
        return logits_BV.argmax(-1).tolist()
    scaled = logits_BV / sampling.temperature
    if sampling.top_k:
        lowest = scaled.topk(min(sampling.top_k, scaled.shape[1])).values[:, -1:]
        scaled = scaled.masked_fill(scaled < lowest, float("-inf"))
    chances = scaled.softmax(-1)
    if sampling.top_p < 1:
        ordered, order = chances.sort(-1, descending=True)
        ordered = ordered.masked_fill(ordered.cumsum(-1) - ordered >= sampling.top_p, 0.0)  # the first one stays
        chances = torch.zeros_like(chances).scatter(1, order, ordered)
    return [int(torch.multinomial(row, 1, generator=own)) for row, own in zip(chances, random, strict=True)]

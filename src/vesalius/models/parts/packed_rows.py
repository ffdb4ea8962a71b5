"""Several training samples in one row: positions that restart, next-token labels that do not cross, losses per sample.

What keeps the samples apart in the network is `segment_attention`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vesalius.errors import InputError, OptionError
from vesalius.models.contract import RowLoss
from vesalius.models.parts.chunked_loss import summed_loss, token_losses, token_scores

__all__ = ["next_labels", "packed_positions", "reduced_loss", "row_loss", "row_scores"]


def packed_positions(positions: Sequence[Tensor]) -> Tensor:
    """M-RoPE positions `[3, 1, L]` of each sample → `[4, 1, sum of L]`, row 0 counting from 0 in every sample. Rows
    packed before (`[4, 1, L]`) are taken as they are."""
    rows = [p if len(p) == 4 else torch.cat([torch.arange(p.shape[-1]).view(1, 1, -1), p]) for p in positions]
    return torch.cat(rows, -1)


def next_labels(labels: Tensor, lengths: Sequence[int]) -> Tensor:
    """Labels `[1, L]` → what each position has to predict `[L]`; the last position of a sample predicts nothing."""
    following = torch.full_like(labels[0], -100)
    following[:-1] = labels[0, 1:]
    ends = torch.tensor(list(lengths)).cumsum(0) - 1
    following[ends] = -100
    return following


def row_loss(hidden_LD: Tensor, head: nn.Module, labels_1L: Tensor, lengths: Sequence[int]) -> RowLoss:
    """The cross entropy of a row given its hidden states; the head runs at positions that predict something only.

    InputError where nothing is learned."""
    at, sample = _places(labels_1L, lengths)
    wanted = labels_1L[0, at + 1].to(hidden_LD.device)
    summed, losses = summed_loss(hidden_LD.index_select(0, at.to(hidden_LD.device)), head, wanted)
    counts = torch.bincount(sample, minlength=len(lengths)).tolist()
    return RowLoss(summed, len(at), _by_sample(losses, sample, len(lengths)), tuple(counts))


def reduced_loss(
    hidden_LD: Tensor, head: nn.Module, labels_1L: Tensor, lengths: Sequence[int], reduction: str = "mean"
) -> Tensor:
    """The cross entropy with gradient: its "mean" over learned tokens, their "sum", or the sum of each sample
    ("per_sample" `[S]`). InputError where nothing is learned, OptionError for another reduction."""
    if reduction not in ("mean", "sum", "per_sample"):
        raise OptionError(f"reduction is {reduction!r}.", fix="Use mean, sum or per_sample.")
    at, sample = _places(labels_1L, lengths)
    states, wanted = hidden_LD.index_select(0, at.to(hidden_LD.device)), labels_1L[0, at + 1].to(hidden_LD.device)
    if reduction == "per_sample":
        return _by_sample(token_losses(states, head, wanted), sample, len(lengths))
    summed, _ = summed_loss(states, head, wanted)
    return summed / len(at) if reduction == "mean" else summed


def row_scores(
    hidden_LD: Tensor, head: nn.Module, labels_1L: Tensor, lengths: Sequence[int], temperature: float = 1.0
) -> list[tuple[Tensor, Tensor]]:
    """(log-probability with gradient, entropy without) `[n]` float32 of each sample's learned tokens, in order; logits
    are divided by `temperature`. InputError where nothing is learned."""
    at, sample = _places(labels_1L, lengths)
    states, wanted = hidden_LD.index_select(0, at.to(hidden_LD.device)), labels_1L[0, at + 1].to(hidden_LD.device)
    logps, entropies = token_scores(states, head, wanted, temperature)
    counts: list[int] = torch.bincount(sample, minlength=len(lengths)).tolist()
    return list(zip(logps.split(counts), entropies.split(counts), strict=True))


def _places(labels_1L: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
    """(positions that predict something `[N]`, the sample of each)."""
    at = torch.nonzero(next_labels(labels_1L.cpu(), lengths) != -100)[:, 0]
    if not len(at):
        raise InputError("the batch has no answer to learn.", fix="End the conversation with an answer.")
    return at, torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(list(lengths)))[at]


def _by_sample(losses: Tensor, sample: Tensor, count: int) -> Tensor:
    return torch.zeros(count, device=losses.device).index_add(0, sample.to(losses.device), losses)

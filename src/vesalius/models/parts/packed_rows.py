"""Several training samples in one row: positions that restart, next-token labels that do not cross, losses per sample.

A packed row keeps its samples apart only if the network gets FOUR rows of positions (plain ones first), no mask and no
cache; with anything less, transformers reads the row as one long text without a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["next_labels", "packed_positions", "token_losses"]


def packed_positions(positions: Sequence[Tensor]) -> Tensor:
    """M-RoPE positions `[3, 1, L]` of each sample → `[4, 1, sum of L]`, row 0 counting from 0 in every sample."""
    rows = [torch.cat([torch.arange(p.shape[-1]).view(1, 1, -1), p]) for p in positions]
    return torch.cat(rows, -1)


def next_labels(labels: Tensor, lengths: Sequence[int]) -> Tensor:
    """Labels `[1, L]` → what each position has to predict `[L]`; the last position of a sample predicts nothing."""
    following = torch.full_like(labels[0], -100)
    following[:-1] = labels[0, 1:]
    ends = torch.tensor(list(lengths)).cumsum(0) - 1
    following[ends] = -100
    return following


def token_losses(hidden_LD: Tensor, head: Callable[[Tensor], Tensor], wanted_L: Tensor, chunk: int = 1024) -> Tensor:
    """Cross entropy `[N]` float32 of the N positions that predict something; logits exist for `chunk` rows at a time
    and only for those positions."""
    at = torch.nonzero(wanted_L != -100)[:, 0]
    losses = [
        torch.nn.functional.cross_entropy(head(hidden_LD[some]).float(), wanted_L[some], reduction="none")
        for some in at.split(chunk)
    ]
    return torch.cat(losses) if losses else hidden_LD.new_zeros(0, dtype=torch.float32)

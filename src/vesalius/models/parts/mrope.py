"""Positions in time, height and width (M-RoPE) by the rule the Qwen-VL models were trained with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vesalius.models.parts.chat_pieces import Media, Span

__all__ = ["mrope_positions"]


def mrope_positions(spans: Sequence[Span]) -> Tensor:
    """`[3, 1, L]` int64. Text counts on in all three axes; a media run lays its grid out from the next free position,
    and what follows continues at the largest position of any axis + 1 (current transformers ignores the temporal axis
    there; the weights were trained with it)."""
    parts: list[Tensor] = []
    free = 0
    for span in spans:
        laid = torch.arange(span.length).expand(3, -1) if span.media is None else _grid(span.media)
        part = laid + free
        if span.length:
            free = int(part.max()) + 1
        parts.append(part)
    return torch.cat(parts, 1)[:, None] if parts else torch.zeros(3, 1, 0, dtype=torch.long)


def _grid(media: Media) -> Tensor:
    t, h, w = media.grid
    # float32 and this order of factors are part of the rule: floor(t * seconds * rate) falls between two integers.
    steps = (torch.arange(t) * torch.tensor(media.seconds, dtype=torch.float32) * media.per_second).long()
    axes = torch.meshgrid(steps, torch.arange(h), torch.arange(w), indexing="ij")
    return torch.stack([axis.reshape(-1) for axis in axes])

"""The vision tower and projector: patches of any picture size, 2D rotary positions, attention inside one frame.

Shape letters: T frames, N patches of a frame, D tower width, H heads, E width of a head, M merge (pooling) factor.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from vesalius.models.hulumed.config import VisionShape

__all__ = ["Projector", "VisionTower", "rotary_table"]

_PATCHES_AT_ONCE = 16384
"""Frames do not see each other, so passing them in portions changes nothing but the peak memory."""


def rotary_table(rows: int, columns: int, merge: int, head_dim: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine `[N, E]` float32 of every patch of a frame, in merge-block order.

    Half of the head's angles turn with the row, half with the column; the whole is repeated, not interleaved.
    """
    quarter = head_dim // 4
    inverse = 10000.0 ** (-torch.arange(0, 2 * quarter, 2, dtype=torch.float32) / (2 * quarter))
    grid = torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij"), -1)
    blocks = grid.view(rows // merge, merge, columns // merge, merge, 2).transpose(1, 2).reshape(-1, 2)
    angles = (blocks[:, :, None].float() * inverse).flatten(1)
    angles = torch.cat([angles, angles], -1)
    return angles.cos(), angles.sin()


def _turned(x: Tensor, cos_NE: Tensor, sin_NE: Tensor) -> Tensor:
    """Rotate `[T, H, N, E]` by halves, in float32."""
    wide = x.float()
    first, second = wide.chunk(2, -1)
    return (wide * cos_NE + torch.cat([-second, first], -1) * sin_NE).to(x.dtype)


class Attention(nn.Module):
    """Every patch sees all patches of its frame."""

    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        width = shape.hidden_size
        self.heads = shape.num_attention_heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x_TND: Tensor, cos_NE: Tensor, sin_NE: Tensor) -> Tensor:
        """`[T, N, D]` → `[T, N, D]`."""
        q, k, v = (
            project(x_TND).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        seen = functional.scaled_dot_product_attention(_turned(q, cos_NE, sin_NE), _turned(k, cos_NE, sin_NE), v)
        return self.out_proj(seen.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Two layers around a tanh-approximated GELU (the projector's is exact)."""

    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.fc1 = nn.Linear(shape.hidden_size, shape.intermediate_size)
        self.fc2 = nn.Linear(shape.intermediate_size, shape.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x), approximate="tanh"))


class Block(nn.Module):
    """Pre-norm attention and MLP."""

    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(shape.hidden_size, shape.layer_norm_eps)
        self.self_attn = Attention(shape)
        self.layer_norm2 = nn.LayerNorm(shape.hidden_size, shape.layer_norm_eps)
        self.mlp = Mlp(shape)

    def forward(self, x_TND: Tensor, cos_NE: Tensor, sin_NE: Tensor) -> Tensor:
        x_TND = x_TND + self.self_attn(self.layer_norm1(x_TND), cos_NE, sin_NE)
        return x_TND + self.mlp(self.layer_norm2(x_TND))


class _Embeddings(nn.Module):
    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.patch_embedding = nn.Conv2d(
            shape.num_channels, shape.hidden_size, shape.patch_size, stride=shape.patch_size
        )


class _Encoder(nn.Module):
    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block(shape) for _ in range(shape.num_hidden_layers))


class VisionTower(nn.Module):
    """Patch rows → pooled features. Names of its parameters are those of the published checkpoints."""

    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.shape = shape
        self.embeddings = _Embeddings(shape)
        self.encoder = _Encoder(shape)
        self.post_layernorm = nn.LayerNorm(shape.hidden_size, shape.layer_norm_eps)

    def forward(self, pixels: Tensor, grids: Tensor, merges: Tensor) -> Tensor:
        """`pixels` `[Σ t·h·w, 3·patch²]`, `grids` `[n, 3]` (t frames, h rows, w columns of patches), `merges` `[n]` →
        `[Σ t·h·w/m², D]`."""
        pooled: list[Tensor] = []
        start = 0
        for (frames, rows, columns), merge in zip(grids.tolist(), merges.tolist(), strict=True):
            count = rows * columns
            item = pixels[start : start + frames * count].view(frames, count, -1)
            start += frames * count
            turn = rotary_table(rows, columns, merge, self.shape.hidden_size // self.shape.num_attention_heads)
            cos_NE, sin_NE = (table.to(pixels.device) for table in turn)
            step = max(1, _PATCHES_AT_ONCE // count)
            for first in range(0, frames, step):
                seen_TND = self._frames(item[first : first + step], cos_NE, sin_NE)
                pooled.append(seen_TND.flatten(0, 1).unflatten(0, (-1, merge * merge)).mean(1))
        return torch.cat(pooled)

    def _frames(self, patches_TNP: Tensor, cos_NE: Tensor, sin_NE: Tensor) -> Tensor:
        embedding = self.embeddings.patch_embedding
        # A convolution whose stride is its size is a linear map of each patch, read as (channel, y, x).
        x_TND = functional.linear(patches_TNP.to(embedding.weight.dtype), embedding.weight.flatten(1), embedding.bias)
        for block in self.encoder.layers:
            x_TND = block(x_TND, cos_NE, sin_NE)
        return self.post_layernorm(x_TND)


class Projector(nn.Module):
    """Tower width → language width: linear, exact GELU, linear."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.readout = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden))

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(x)

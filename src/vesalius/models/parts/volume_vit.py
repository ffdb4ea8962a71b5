"""The two 3D vision transformers of the CT towers: M3D-CLIP (pre-norm, GELU) and MedM-CLIP (post-norm, ReLU).

Both read `[B, 1, D, H, W]` float32 and give the outputs of a block, class token first, without any final norm.
Parameter names are those of the published checkpoints.
Shape letters: B volumes, T tokens without the class token, D width, V voxels of a patch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["M3dClipVit", "MedmClipVit", "VolumeVitShape", "volume_patches"]

Size = tuple[int, int, int]


@dataclass(frozen=True)
class VolumeVitShape:
    """Sizes of a volume transformer. `image`, `patch`: (slices, rows, columns); the patch divides the image."""

    image: Size
    patch: Size
    hidden: int
    mlp: int
    layers: int
    heads: int
    channels: int = 1

    @property
    def grid(self) -> Size:
        """Patches along (slices, rows, columns)."""
        d, h, w = (whole // part for whole, part in zip(self.image, self.patch, strict=True))
        return d, h, w

    @property
    def num_tokens(self) -> int:
        d, h, w = self.grid
        return d * h * w

    @property
    def patch_voxels(self) -> int:
        d, h, w = self.patch
        return d * h * w * self.channels


def volume_patches(volumes_BCDHW: Tensor, patch: Size, *, slices_last: bool) -> Tensor:
    """Cut into patches `[B, T, V]`, tokens in (slice, row, column) order.

    Inside a patch the voxels run (slice, row, column, channel), or, with `slices_last`, (row, column, slice, channel).
    """
    batch, channels, *sides = volumes_BCDHW.shape
    (d, h, w), (pd, ph, pw) = (side // part for side, part in zip(sides, patch, strict=True)), patch
    cut = volumes_BCDHW.reshape(batch, channels, d, pd, h, ph, w, pw)
    inside = (5, 7, 3, 1) if slices_last else (3, 5, 7, 1)
    return cut.permute(0, 2, 4, 6, *inside).reshape(batch, d * h * w, -1)


class _Attention(nn.Module):
    """Self-attention with one bias-free matrix for queries, keys and values."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(hidden, 3 * hidden, bias=False)
        self.out_proj = nn.Linear(hidden, hidden)

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.qkv(tokens).chunk(3, dim=2)
        )
        return self.out_proj(functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class _Mlp(nn.Module):
    def __init__(self, hidden: int, mlp: int) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(hidden, mlp), nn.Linear(mlp, hidden)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.linear2(functional.gelu(self.linear1(tokens)))


class _PreNormBlock(nn.Module):
    def __init__(self, shape: VolumeVitShape) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(shape.hidden), nn.LayerNorm(shape.hidden)
        self.attn, self.mlp = _Attention(shape.hidden, shape.heads), _Mlp(shape.hidden, shape.mlp)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class _Placed(nn.Module):
    """Patch vectors → tokens with positions; index 0 of the sequence only keeps the published numbering."""

    def __init__(self, shape: VolumeVitShape) -> None:
        super().__init__()
        self.patch_embeddings = nn.Sequential(nn.Identity(), nn.Linear(shape.patch_voxels, shape.hidden))
        self.position_embeddings = nn.Parameter(torch.zeros(1, shape.num_tokens, shape.hidden))


class M3dClipVit(nn.Module):
    """M3D-CLIP's vision tower. The stored final norm is not part of it."""

    def __init__(self, shape: VolumeVitShape) -> None:
        super().__init__()
        self.shape = shape
        self.cls_token = nn.Parameter(torch.zeros(1, 1, shape.hidden))
        self.patch_embedding = _Placed(shape)
        self.blocks = nn.ModuleList(_PreNormBlock(shape) for _ in range(shape.layers))

    def embed(self, volumes_BCDHW: Tensor) -> Tensor:
        """`[B, T, D]`: patch embeddings with positions, before the class token (which has none)."""
        patches = volume_patches(volumes_BCDHW, self.shape.patch, slices_last=False)
        return self.patch_embedding.patch_embeddings(patches) + self.patch_embedding.position_embeddings

    def forward(self, embedded_BTD: Tensor, num_blocks: int) -> Tensor:
        """`[B, 1 + T, D]`: the output of block `num_blocks` (1 = the first)."""
        tokens = torch.cat([self.cls_token.expand(len(embedded_BTD), -1, -1), embedded_BTD], dim=1)
        for block in self.blocks[:num_blocks]:
            tokens = block(tokens)
        return tokens


class MedmClipVit(nn.Module):
    """MedM-CLIP's vision tower. Unlike the published code, block outputs keep their gradient."""

    def __init__(self, shape: VolumeVitShape) -> None:
        super().__init__()
        self.shape = shape
        self.to_patch_embedding = nn.Sequential(
            nn.Identity(),
            nn.LayerNorm(shape.patch_voxels),
            nn.Linear(shape.patch_voxels, shape.hidden),
            nn.LayerNorm(shape.hidden),
        )
        self.cls_token = nn.Parameter(torch.zeros(1, 1, shape.hidden))
        self.pos_embedding = nn.Parameter(torch.zeros(1, 1 + shape.num_tokens, shape.hidden))
        self.transformer_layers = nn.ModuleList(
            nn.TransformerEncoderLayer(shape.hidden, shape.heads, shape.mlp, dropout=0.0, batch_first=True)
            for _ in range(shape.layers)
        )

    def embed(self, volumes_BCDHW: Tensor) -> Tensor:
        """`[B, T, D]`: patch embeddings before class token and positions."""
        return self.to_patch_embedding(volume_patches(volumes_BCDHW, self.shape.patch, slices_last=True))

    def forward(self, embedded_BTD: Tensor, num_blocks: int) -> Tensor:
        """`[B, 1 + T, D]`: the output of layer `num_blocks` (1 = the first)."""
        tokens = torch.cat([self.cls_token.expand(len(embedded_BTD), -1, -1), embedded_BTD], dim=1)
        tokens = tokens + self.pos_embedding
        for layer in self.transformer_layers[:num_blocks]:
            tokens = layer(tokens)
        return tokens

"""A DINOv2 forward pass for inference that needs torch alone.

Why beside transformers' class: importing that costs three to six seconds, more than the whole aim for the first word
of an answer. Training and conversion use `Dinov2Model`; a test holds this file to it.
Shape letters: B pictures, T tokens (CLS first), D width, G patch grid height or width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vesalius.errors import CheckpointError

__all__ = ["Dinov2Encoder", "Dinov2Features"]


@dataclass(frozen=True)
class Dinov2Features:
    """`last`: [B, T, D] after the final LayerNorm. `layers`: number of layers passed -> [B, T, D] before that norm."""

    last: Tensor
    layers: dict[int, Tensor]


class Dinov2Encoder:
    """DINOv2 (without SwiGLU or registers) over tensors with published checkpoint keys, used without a copy."""

    def __init__(self, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> None:
        """`tensors`: float32, published keys. `config`: the checkpoint's config.json.

        Raises CheckpointError if a tensor is missing.
        """
        self.patch_px = int(config["patch_size"])
        self.num_layers = int(config["num_hidden_layers"])
        self.num_heads = int(config["num_attention_heads"])
        self.eps = float(config["layer_norm_eps"])
        try:
            self.cls_11D = tensors["embeddings.cls_token"]
            self.positions_1TD = tensors["embeddings.position_embeddings"]
            self.projection = _pair(tensors, "embeddings.patch_embeddings.projection")
            self.final_norm = _pair(tensors, "layernorm")
            self.layers = [_Layer(tensors, f"encoder.layer.{layer}.") for layer in range(self.num_layers)]
        except KeyError as exc:
            raise CheckpointError(f"the encoder's weights hold no {exc.args[0]!r}.") from exc
        self._tables: dict[tuple[int, int], Tensor] = {}

    @torch.inference_mode()
    def encode(self, pixels_B3HW: Tensor, layers: Sequence[int] = ()) -> Dinov2Features:
        """Features of normalised RGB float32 pictures [B, 3, H, W]; H and W are multiples of the patch size.

        `layers`: which intermediate states to return (0 = embeddings, n = after the n-th layer).
        """
        states = {}
        tokens_BTD = self._embed(pixels_B3HW)
        for number, layer in enumerate(self.layers):
            if number in layers:
                states[number] = tokens_BTD
            tokens_BTD = layer(tokens_BTD, self.num_heads, self.eps)
        if self.num_layers in layers:
            states[self.num_layers] = tokens_BTD
        return Dinov2Features(_norm(tokens_BTD, self.final_norm, self.eps), states)

    def _embed(self, pixels_B3HW: Tensor) -> Tensor:
        patches_BDGG = functional.conv2d(pixels_B3HW, *self.projection, stride=self.patch_px)
        grid = (patches_BDGG.shape[2], patches_BDGG.shape[3])
        cls_B1D = self.cls_11D.expand(len(pixels_B3HW), -1, -1)
        return torch.cat([cls_B1D, patches_BDGG.flatten(2).transpose(1, 2)], dim=1) + self._position_table(grid)

    def _position_table(self, grid: tuple[int, int]) -> Tensor:
        """Position embeddings [1, 1 + G*G, D], the trained square grid resized bicubically to `grid`; kept per grid."""
        if grid not in self._tables:
            width = self.positions_1TD.shape[2]
            side = round((self.positions_1TD.shape[1] - 1) ** 0.5)
            table = self.positions_1TD[:, 1:].reshape(1, side, side, width).permute(0, 3, 1, 2)
            if grid != (side, side):
                table = functional.interpolate(table, size=grid, mode="bicubic", align_corners=False)
            self._tables[grid] = torch.cat([self.positions_1TD[:, :1], table.flatten(2).transpose(1, 2)], dim=1)
        return self._tables[grid]


Pair = tuple[Tensor, Tensor]


class _Layer:
    """One pre-norm transformer layer: attention and MLP, each scaled by its own learned vector."""

    def __init__(self, tensors: Mapping[str, Tensor], at: str) -> None:
        self.norm1, self.norm2 = _pair(tensors, at + "norm1"), _pair(tensors, at + "norm2")
        self.query = _pair(tensors, at + "attention.attention.query")
        self.key = _pair(tensors, at + "attention.attention.key")
        self.value = _pair(tensors, at + "attention.attention.value")
        self.output = _pair(tensors, at + "attention.output.dense")
        self.scale1, self.scale2 = tensors[at + "layer_scale1.lambda1"], tensors[at + "layer_scale2.lambda1"]
        self.fc1, self.fc2 = _pair(tensors, at + "mlp.fc1"), _pair(tensors, at + "mlp.fc2")

    def __call__(self, tokens_BTD: Tensor, num_heads: int, eps: float) -> Tensor:
        normed = _norm(tokens_BTD, self.norm1, eps)
        query, key, value = (
            functional.linear(normed, *part).unflatten(2, (num_heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        tokens_BTD = tokens_BTD + functional.linear(mixed, *self.output) * self.scale1
        normed = _norm(tokens_BTD, self.norm2, eps)
        return (
            tokens_BTD
            + functional.linear(functional.gelu(functional.linear(normed, *self.fc1)), *self.fc2) * self.scale2
        )


def _pair(tensors: Mapping[str, Tensor], at: str) -> Pair:
    return tensors[at + ".weight"], tensors[at + ".bias"]


def _norm(tokens: Tensor, pair: Pair, eps: float) -> Tensor:
    return functional.layer_norm(tokens, pair[0].shape, *pair, eps)

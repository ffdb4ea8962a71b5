"""A Llama decoder forward pass for inference that needs torch alone (RMSNorm, rotary, grouped attention, SwiGLU).

Qwen2's biases and Qwen3's norms of each head are taken where the tensors hold them.

Why beside transformers' class: importing that costs three to six seconds, more than the whole aim for the first word
of an answer. Training uses `LlamaForCausalLM`; a test holds this file to it, logits and greedy ids.
Shape letters: B rows, L new positions, S all positions so far, D width, H heads, K key-value heads, C head width,
V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vesalius.errors import CheckpointError, LimitError
from vesalius.models.parts.narrow_linear import narrow_linear

__all__ = ["LlamaDecoder", "LlamaState", "Lora", "merge_lora"]


@dataclass(frozen=True)
class Lora:
    """A low-rank addition to one matrix: y += scale * (x @ down.T) @ up.T; `down` [r, in], `up` [out, r]."""

    down: Tensor
    up: Tensor
    scale: float


@dataclass
class LlamaState:
    """What the decoder remembers of the positions it has read.

    `keys`, `values`: per layer [B, K, capacity, C], the first `length` filled. `visible`: bool [B, S], False at left
    padding; None if no row is padded. `next_positions`: rotary position [B] of the next token.
    """

    keys: list[Tensor]
    values: list[Tensor]
    length: int
    visible: Tensor | None
    next_positions: Tensor


def merge_lora(tensors: Mapping[str, Tensor], lora: Mapping[str, Lora]) -> dict[str, Tensor]:
    """The same tensors with each low-rank addition folded in (new tensors for those keys, the others as they are)."""
    added = {name: torch.addmm(tensors[name], part.up, part.down, alpha=part.scale) for name, part in lora.items()}
    return {**tensors, **added}


class LlamaDecoder:
    """A Llama over tensors with published keys (`model.layers.0.self_attn.q_proj.weight` ...), used without a copy."""

    def __init__(
        self, tensors: Mapping[str, Tensor], config: Mapping[str, Any], lora: Mapping[str, Lora] | None = None
    ) -> None:
        """`tensors`: float32, published keys; without `lm_head.weight` the embeddings are tied. `config`: config.json.

        `lora`: matrix key -> low-rank addition, applied on the fly (starts faster than merging).
        Raises CheckpointError if a tensor is missing or an addition names no matrix.
        """
        self.num_layers = int(config["num_hidden_layers"])
        self.num_heads = int(config["num_attention_heads"])
        self.num_kv_heads = int(config["num_key_value_heads"])
        self.head_dim = int(config.get("head_dim") or config["hidden_size"] // self.num_heads)
        self.max_positions = int(config["max_position_embeddings"])
        self.eps = float(config["rms_norm_eps"])
        theta = float(config["rope_parameters"]["rope_theta"])
        unknown = (lora or {}).keys() - tensors.keys()
        if unknown:
            raise CheckpointError(f"a low-rank addition names {min(unknown)!r}, which the decoder does not have.")
        try:
            self.embedding_VD = tensors["model.embed_tokens.weight"]
            self.norm_D = tensors["model.norm.weight"]
            self.head_VD = tensors.get("lm_head.weight", self.embedding_VD)
            self.layers = [_Layer(tensors, f"model.layers.{n}.", lora or {}) for n in range(self.num_layers)]
        except KeyError as exc:
            raise CheckpointError(f"the decoder's weights hold no {exc.args[0]!r}.") from exc
        self.frequencies_C = theta ** -(torch.arange(0, self.head_dim, 2, dtype=torch.float32) / self.head_dim)

    def embed(self, ids_BL: Tensor) -> Tensor:
        """Token embeddings [B, L, D]: splice picture tokens into these and pass the result to `read`."""
        return functional.embedding(ids_BL, self.embedding_VD)

    def start(self, batch: int = 1, capacity: int = 256, mask_BL: Tensor | None = None) -> LlamaState:
        """An empty state. `mask_BL` marks the real positions of a left-padded first read (True = real)."""
        shape = (batch, self.num_kv_heads, capacity, self.head_dim)
        like = self.embedding_VD
        keys, values = ([like.new_empty(shape) for _ in range(self.num_layers)] for _ in range(2))
        visible = None if mask_BL is None or bool(mask_BL.all()) else mask_BL.bool()
        return LlamaState(keys, values, 0, visible, torch.zeros(batch, dtype=torch.long))

    @torch.inference_mode()
    def read(self, embeds_BLD: Tensor, state: LlamaState) -> Tensor:
        """Read L more positions; returns hidden states [B, L, D] after the final norm and moves `state` on.

        Raises LimitError if the context length would be exceeded.
        """
        batch, num_new, _ = embeds_BLD.shape
        total = state.length + num_new
        if total > self.max_positions:
            raise LimitError(
                f"{total} tokens, the model reads at most {self.max_positions}.", fix="Give fewer slices or less text."
            )
        _make_room(state, total)
        rotation = self._rotation(self._positions(batch, num_new, state))
        mask = _attention_mask(state, num_new)
        hidden = embeds_BLD
        for number, layer in enumerate(self.layers):
            hidden = hidden + self._attend(layer, number, _rms(hidden, layer.norm1_D, self.eps), state, rotation, mask)
            normed = _rms(hidden, layer.norm2_D, self.eps)
            hidden = hidden + layer.down(functional.silu(layer.gate(normed), inplace=True).mul_(layer.up(normed)))
        state.length = total
        return _rms(hidden, self.norm_D, self.eps)

    @torch.inference_mode()
    def keep(self, state: LlamaState, rows: Sequence[int]) -> None:
        """Go on with these rows of the batch alone."""
        at = torch.tensor(rows)
        for stored in (state.keys, state.values):
            stored[:] = [part[at] for part in stored]
        state.visible = None if state.visible is None else state.visible[at]
        state.next_positions = state.next_positions[at]

    @torch.inference_mode()
    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits [..., V] of hidden states [..., D]."""
        return narrow_linear(hidden, self.head_VD)

    def _positions(self, batch: int, num_new: int, state: LlamaState) -> Tensor:
        """Rotary positions [B, L]: padding counts for nothing. Moves `state.next_positions` on."""
        if state.visible is not None and state.length == 0:
            positions_BL = (state.visible.long().cumsum(1) - 1).clamp_min(0)
        else:
            positions_BL = state.next_positions[:, None] + torch.arange(num_new)
        if state.visible is not None and state.length:
            new_BL = torch.ones(batch, num_new, dtype=torch.bool)
            state.visible = torch.cat([state.visible, new_BL], dim=1)
        state.next_positions = positions_BL[:, -1] + 1
        return positions_BL

    def _rotation(self, positions_BL: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine [B, 1, L, C] of the rotary angles; the two halves of a head share their angles, and the sign
        of the turn stands in the sine."""
        angles = positions_BL[:, None, :, None].float() * self.frequencies_C
        cosine, sine = angles.cos(), angles.sin()
        return torch.cat([cosine, cosine], dim=-1), torch.cat([-sine, sine], dim=-1)

    def _attend(
        self,
        layer: _Layer,
        number: int,
        normed_BLD: Tensor,
        state: LlamaState,
        rotation: tuple[Tensor, Tensor],
        mask: Tensor | None,
    ) -> Tensor:
        num_new = normed_BLD.shape[1]
        end = state.length + num_new
        split = (-1, self.head_dim)
        query, new_keys, new_values = (
            matrix(normed_BLD).unflatten(2, split).transpose(1, 2) for matrix in (layer.query, layer.key, layer.value)
        )
        if layer.query_norm_C is not None and layer.key_norm_C is not None:
            query, new_keys = _rms(query, layer.query_norm_C, self.eps), _rms(new_keys, layer.key_norm_C, self.eps)
        query = _rotate(query, *rotation)
        keys, values = state.keys[number], state.values[number]
        keys[:, :, state.length : end] = _rotate(new_keys, *rotation)
        values[:, :, state.length : end] = new_values
        keys, values = keys[:, :, :end], values[:, :, :end]
        group = self.num_heads // self.num_kv_heads
        if num_new == 1:  # the heads that share a key act as its queries: no repeated copy of the keys
            query = query.reshape(len(query), self.num_kv_heads, group, self.head_dim)
            mixed = functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
            return layer.output(mixed.reshape(len(query), 1, -1))
        keys, values = keys.repeat_interleave(group, dim=1), values.repeat_interleave(group, dim=1)
        causal = mask is None and state.length == 0
        mixed = functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask, is_causal=causal)
        return layer.output(mixed.transpose(1, 2).flatten(2))


class _Layer:
    """The tensors of one decoder layer."""

    def __init__(self, tensors: Mapping[str, Tensor], at: str, lora: Mapping[str, Lora]) -> None:
        self.norm1_D = tensors[at + "input_layernorm.weight"]
        self.norm2_D = tensors[at + "post_attention_layernorm.weight"]
        self.query_norm_C = tensors.get(at + "self_attn.q_norm.weight")
        self.key_norm_C = tensors.get(at + "self_attn.k_norm.weight")
        attention = (_Linear(tensors, at + f"self_attn.{part}_proj.weight", lora) for part in "qkvo")
        self.query, self.key, self.value, self.output = attention
        self.gate = _Linear(tensors, at + "mlp.gate_proj.weight", lora)
        self.up = _Linear(tensors, at + "mlp.up_proj.weight", lora)
        self.down = _Linear(tensors, at + "mlp.down_proj.weight", lora)


class _Linear:
    """A matrix, its bias and its low-rank addition if there are such."""

    def __init__(self, tensors: Mapping[str, Tensor], name: str, lora: Mapping[str, Lora]) -> None:
        self.weight = tensors[name]
        self.bias = tensors.get(name.removesuffix("weight") + "bias")
        self.lora = lora.get(name)

    def __call__(self, x: Tensor) -> Tensor:
        y = narrow_linear(x, self.weight, self.bias)
        if self.lora is None:
            return y
        return y + narrow_linear(narrow_linear(x, self.lora.down), self.lora.up) * self.lora.scale


def _rms(x: Tensor, weight_D: Tensor, eps: float) -> Tensor:
    return weight_D * (x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps))


def _rotate(heads_BHLC: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    swapped = heads_BHLC.roll(heads_BHLC.shape[-1] // 2, -1)
    return torch.addcmul(heads_BHLC * cosine, swapped, sine)


def _make_room(state: LlamaState, total: int) -> None:
    """Enlarge the memory (to at least twice what it was) when `total` positions do not fit."""
    capacity = state.keys[0].shape[2]
    if total <= capacity:
        return
    extra = max(total, 2 * capacity) - capacity
    for stored in (state.keys, state.values):
        stored[:] = [functional.pad(part, (0, 0, 0, extra)) for part in stored]


def _attention_mask(state: LlamaState, num_new: int) -> Tensor | None:
    """What is added to the scores of the S positions, 0 or -inf [B, 1, L, S]; None where plain causal attention says
    it."""
    if state.visible is None and (num_new == 1 or state.length == 0):
        return None
    total = state.length + num_new
    steps = torch.arange(total)
    causal_LS = steps[None, :] <= steps[state.length :, None]
    if state.visible is None:
        return _added(causal_LS[None, None], state)
    mask_BLS = causal_LS[None] & state.visible[:, None, :]
    own_LS = steps[None, :] == steps[state.length :, None]  # a padded position sees itself, or its softmax is 0/0
    return _added((mask_BLS | own_LS[None])[:, None], state)


def _added(allowed: Tensor, state: LlamaState) -> Tensor:
    """Made once for all layers: attention would turn a boolean mask into this in each."""
    zeros = torch.zeros(allowed.shape, dtype=state.keys[0].dtype)
    return zeros.masked_fill_(~allowed, float("-inf"))

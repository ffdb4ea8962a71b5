"""A transformers text model behind the interface `stream_tokens` drives, so every family decodes by one loop.

Shape letters: B rows, L new positions, S all positions so far, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vesalius.errors import LimitError
from vesalius.models.parts.lean_decode import is_plain, lean_decoder
from vesalius.models.parts.llama_decode import LlamaState
from vesalius.models.parts.narrow_linear import narrow_linear
from vesalius.models.placement import computing_device

__all__ = ["HfDecoder", "HfState"]


@dataclass
class HfState:
    """What has been read: transformers' cache, `visible` [B, S] (1 = real), the next position [B]; or, once the prompt
    has been read and our own pass goes on, `lean`. `capacity`: positions to make room for."""

    cache: Any
    visible: Tensor
    length: int
    next_positions: Tensor
    capacity: int
    lean: LlamaState | None = None


class HfDecoder:
    """`text`: a transformers decoder without head (`…Model`) that takes `inputs_embeds`; `head`: D → V.

    `positions`: positions of the first read, `[B, L]` or, for M-RoPE, `[3, B, L]`; later tokens continue at the
    largest position of their row + 1 in every axis. None counts the real tokens. `first`: further keywords of the first
    read only (deep visual features and the like).

    The prompt is read by transformers; where `lean_decoder` knows the network, the tokens after it are read by our own
    pass over the same weights, which is what most of the time of an answer goes into.
    """

    def __init__(
        self,
        text: Any,
        head: nn.Module,
        *,
        max_positions: int,
        positions: Tensor | None = None,
        first: Mapping[str, Any] | None = None,
    ) -> None:
        self.text, self.head = text, head
        self.max_positions, self.positions, self.first = max_positions, positions, dict(first or {})
        self.lean = lean_decoder(text, max_positions)

    def embed(self, ids_BL: Tensor) -> Tensor:
        """Token embeddings [B, L, D]."""
        table: Any = self.text.get_input_embeddings()
        return table(ids_BL.to(computing_device(self.text)))

    def start(self, batch: int = 1, capacity: int = 256, mask_BL: Tensor | None = None) -> HfState:
        """An empty state. `mask_BL` marks the real positions of a left-padded first read (True = real)."""
        from transformers import DynamicCache

        visible = torch.ones(batch, 0, dtype=torch.long) if mask_BL is None else mask_BL.long()
        return HfState(DynamicCache(), visible, 0, torch.zeros(batch, dtype=torch.long), capacity)

    @torch.inference_mode()
    def read(self, embeds_BLD: Tensor, state: HfState) -> Tensor:
        """Read L more positions; hidden states [B, L, D] after the final norm. LimitError past the context length."""
        if state.lean is not None and self.lean is not None:
            return self.lean.read(embeds_BLD, state.lean)
        batch, num_new, _ = embeds_BLD.shape
        total = state.length + num_new
        if total > self.max_positions:
            raise LimitError(
                f"{total} tokens, the model reads at most {self.max_positions}.", fix="Give fewer slices or less text."
            )
        if state.visible.shape[1] < total:
            more = torch.ones(batch, total - state.visible.shape[1], dtype=torch.long)
            state.visible = torch.cat([state.visible, more], 1)
        positions = self._positions(state, num_new)
        state.next_positions = positions.reshape(-1, batch, num_new).amax((0, 2)) + 1
        device = embeds_BLD.device
        hidden = self.text(
            inputs_embeds=embeds_BLD,
            attention_mask=state.visible.to(device),
            position_ids=positions.to(device),
            past_key_values=state.cache,
            use_cache=True,
            **(self.first if state.length == 0 else {}),
        ).last_hidden_state
        state.length = total
        if self.lean is not None:
            state.lean, state.cache = _handed_over(state), None
        return hidden

    def keep(self, state: HfState, rows: Sequence[int]) -> None:
        """Go on with these rows of the batch alone."""
        if state.lean is not None and self.lean is not None:
            self.lean.keep(state.lean, rows)
            return
        at = torch.tensor(rows)
        state.cache.batch_select_indices(at)
        state.visible, state.next_positions = state.visible[at], state.next_positions[at]

    @torch.inference_mode()
    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits [..., V], float32."""
        head: Any = self.head
        if type(head) is nn.Linear and is_plain(head):
            return narrow_linear(hidden, head.weight, head.bias).float()
        return head(hidden).float()

    def _positions(self, state: HfState, num_new: int) -> Tensor:
        if state.length:
            row = state.next_positions[:, None] + torch.arange(num_new)
            return row if self.positions is None or self.positions.dim() == 2 else row.expand(3, -1, -1)
        if self.positions is not None:
            return self.positions
        return (state.visible.cumsum(1) - 1).clamp_min(0)


def _handed_over(state: HfState) -> LlamaState:
    """transformers' cache as the memory of our own pass, with room for more."""
    layers = state.cache.layers
    made: list[list[Tensor]] = []
    for read in ([layer.keys for layer in layers], [layer.values for layer in layers]):
        stored: list[Tensor] = []
        for part_BKSC in read:
            room = part_BKSC.new_empty(*part_BKSC.shape[:2], max(state.capacity, state.length), part_BKSC.shape[3])
            room[:, :, : state.length] = part_BKSC
            stored.append(room)
        made.append(stored)
    visible = None if bool(state.visible.all()) else state.visible.bool()
    return LlamaState(made[0], made[1], state.length, visible, state.next_positions)

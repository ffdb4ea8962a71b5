"""Causal attention inside each sample of a packed row, as an attention function of transformers' text models.

Nothing as large as the row squared is ever built. On the CPU every segment is one call of torch's fused attention; on
a GPU that has it, all segments are one call of torch's variable-length kernel (half precision), else one call each.
Models loaded with a flash attention of transformers keep it: it reads segments by itself.

Shape letters: H heads, G key/value heads, T positions of the row, N positions of a segment, E width of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["NAME", "segment_attention", "segment_keywords"]

NAME = "vesalius_segments"
"""Under which transformers knows the function."""


def segment_keywords(text: Any, lengths: Sequence[int]) -> dict[str, Any]:
    """Keywords of the forward pass of `text` (a transformers text model) that keep the samples of a row apart.

    `lengths`: positions of each sample, in order; their sum is the row's length. The model is told once to use our
    attention function, which without these keywords is the one it had (so prompts, caches and padding go on as before);
    it stays, because recomputation in a backward pass has to find it, too.
    """
    device = text.get_input_embeddings().weight.device
    ends = torch.tensor([0, *lengths]).cumsum(0).to(device, torch.int32)
    keywords = {
        "cu_seq_lens_q": ends,
        "cu_seq_lens_k": ends,
        "max_length_q": max(lengths),
        "max_length_k": max(lengths),
    }
    if "flash" in (text.config._attn_implementation or ""):
        return {**keywords, "attention_mask": None}
    _register()
    if text.config._attn_implementation != NAME:
        text.set_attn_implementation(NAME)
    # A mask of four axes is taken as it is, so none is built; one without entries fails loudly anywhere but here.
    mask = torch.empty(1, 1, 0, 0, dtype=torch.bool, device=device)
    return {**keywords, "attention_mask": mask, "segment_lengths": tuple(lengths)}


def _register() -> None:
    from transformers import AttentionInterface
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface

    if NAME not in AttentionInterface().valid_keys():
        AttentionInterface.register(NAME, segment_attention)
        AttentionMaskInterface.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])


def segment_attention(
    module: Any,
    query_1HTE: Tensor,
    key_1GTE: Tensor,
    value_1GTE: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    segment_lengths: tuple[int, ...] | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """`[1, T, H, E]`: every position attends to its own segment up to itself (and no further back than
    `sliding_window`, where a layer has one). Without `segment_lengths`: transformers' SDPA attention."""
    if segment_lengths is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(
            module, query_1HTE, key_1GTE, value_1GTE, attention_mask, dropout, scaling, is_causal, **others
        )
    window: int | None = others.get("sliding_window")
    if _has_varlen(query_1HTE) and not dropout:
        ends = others["cu_seq_lens_q"]
        rows = [x[0].transpose(0, 1) for x in (query_1HTE, key_1GTE, value_1GTE)]
        return _varlen(rows, ends, max(segment_lengths), scaling, window)[None], None
    # torch's fused attention on a CPU is slower, forth and back, in bfloat16 than in float32.
    widened = query_1HTE.device.type == "cpu" and query_1HTE.dtype == torch.bfloat16
    dtype = torch.float32 if widened else query_1HTE.dtype
    with torch.autocast("cpu", enabled=False) if widened else nullcontext():
        pieces = [x.to(dtype).split(segment_lengths, 2) for x in (query_1HTE, key_1GTE, value_1GTE)]
        # Split and joined as a whole: a slice each would cost a row of zeros each in the backward pass.
        seen = [_causal(q, k, v, dropout, scaling, window).transpose(1, 2) for q, k, v in zip(*pieces, strict=True)]
        return torch.cat(seen, 1).to(query_1HTE.dtype), None


def _has_varlen(query: Tensor) -> bool:
    """Whether torch's variable-length kernel runs here: half precision on a GPU of compute capability 8 or above."""
    if query.device.type != "cuda" or query.dtype not in (torch.float16, torch.bfloat16) or query.shape[-1] > 256:
        return False
    return torch.cuda.get_device_capability(query.device) >= (8, 0)


def _varlen(
    rows_TXE: Sequence[Tensor], ends: Tensor, longest: int, scaling: float | None, window: int | None
) -> Tensor:
    """All segments at once: query `[T, H, E]`, key and value `[T, G, E]` → `[T, H, E]`."""
    from torch.nn.attention.varlen import varlen_attn

    query, key, value = rows_TXE
    behind = -1 if window is None else window - 1
    seen: Any = varlen_attn(
        query, key, value, ends, ends, longest, longest,
        scale=scaling, window_size=(behind, 0), enable_gqa=query.shape[1] != key.shape[1],
    )  # fmt: skip
    return seen


def _causal(q: Tensor, k: Tensor, v: Tensor, dropout: float, scaling: float | None, window: int | None) -> Tensor:
    """One segment: `[1, H, N, E]`."""
    shared = q.shape[1] != k.shape[1]
    length = q.shape[2]
    if window is None or length <= window:
        return functional.scaled_dot_product_attention(
            q, k, v, dropout_p=dropout, is_causal=length > 1, scale=scaling, enable_gqa=shared
        )
    # A band: queries in blocks of one window see at most two windows of keys.
    blocks: list[Tensor] = []
    for first in range(0, length, window):
        last, start = min(first + window, length), max(0, first - window + 1)
        back = torch.arange(first, last, device=q.device)[:, None] - torch.arange(start, last, device=q.device)
        blocks.append(
            functional.scaled_dot_product_attention(
                q[:, :, first:last], k[:, :, start:last], v[:, :, start:last],
                attn_mask=(back >= 0) & (back < window), dropout_p=dropout, scale=scaling, enable_gqa=shared,
            )
        )  # fmt: skip
    return torch.cat(blocks, 2)

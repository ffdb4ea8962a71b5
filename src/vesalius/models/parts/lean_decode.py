"""Which transformers text models our own pass can decode, over their own weights.

After the prompt a text model of the Llama kind does the same few things for every token; transformers' modules also
repeat keys for grouped heads, join caches and build masks each time. Anything unusual (adapters, quantised weights,
hooks, sliding windows, other rotary rules, other dtypes and devices) is left to transformers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from vesalius.models.parts.llama_decode import LlamaDecoder

__all__ = ["is_plain", "lean_decoder"]

_KNOWN = ("LlamaModel", "Qwen2Model", "Qwen3Model", "Qwen2_5_VLTextModel", "Qwen3VLTextModel")


def lean_decoder(text: Any, max_positions: int) -> LlamaDecoder | None:
    """Our pass over the weights of a transformers text model, not copied; None for a model it does not know.

    Its positions are plain ones [B, L]: after the prompt the three axes of M-RoPE agree.
    """
    if type(text).__name__ not in _KNOWN or not _usual(text.config) or text.rotary_emb.rope_type != "default":
        return None
    if not all(is_plain(module) for module in text.modules()):
        return None
    config = text.config
    tensors = {f"model.{name}": tensor for name, tensor in text.named_parameters()}
    return LlamaDecoder(
        tensors,
        {
            "num_hidden_layers": config.num_hidden_layers,
            "num_attention_heads": config.num_attention_heads,
            "num_key_value_heads": config.num_key_value_heads,
            "head_dim": getattr(config, "head_dim", None),
            "hidden_size": config.hidden_size,
            "max_position_embeddings": max_positions,
            "rms_norm_eps": config.rms_norm_eps,
            "rope_parameters": config.rope_parameters,
        },
    )


def is_plain(module: nn.Module) -> bool:
    """Whether a module is transformers' or torch's own, without hooks, over plain float32 tensors on the CPU."""
    ours = type(module).__module__.startswith(("transformers.", "torch.nn."))
    hooked = module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module)  # pyright: ignore[reportPrivateUsage]
    return (
        ours
        and not hooked
        and all(
            type(tensor) is nn.Parameter and tensor.dtype == torch.float32 and tensor.device.type == "cpu"
            for tensor in module.parameters(recurse=False)
        )
    )


def _usual(config: Any) -> bool:
    windows = getattr(config, "layer_types", None) or ()
    return config.hidden_act == "silu" and all(kind == "full_attention" for kind in windows)

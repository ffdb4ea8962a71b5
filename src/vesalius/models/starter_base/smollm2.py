"""The language model: transformers' own Llama class with the converted weights, and its tokenizer in both forms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vesalius.errors import CheckpointError

from .dinov2 import assign, read_config, read_tensors
from .place import find_base

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor
    from transformers.models.llama.modeling_llama import LlamaForCausalLM
    from transformers.tokenization_utils_tokenizers import PreTrainedTokenizerFast

__all__ = ["language_tensors", "load_language", "load_tokenizer", "load_transformers_tokenizer"]


def load_language(base: Path | None = None) -> LlamaForCausalLM:
    """SmolLM2-135M-Instruct: float32, eval mode, no gradients, SDPA attention, tied embeddings, weights mapped.

    Raises WeightsMissingError or CheckpointError.
    """
    import torch
    from transformers.models.llama.configuration_llama import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaForCausalLM, LlamaRotaryEmbedding

    folder = (base or find_base()) / "language"
    config = LlamaConfig(**read_config(folder))
    config._attn_implementation = "sdpa"  # pyright: ignore[reportPrivateUsage]
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    assign(model, language_tensors(base), folder)
    model.tie_weights()
    model.model.rotary_emb = LlamaRotaryEmbedding(config)  # its frequencies are computed, not stored
    return model.eval().requires_grad_(False)


def language_tensors(base: Path | None = None) -> dict[str, Tensor]:
    """The decoder's float32 tensors under their published Llama keys, mapped from the file (no `lm_head.weight`)."""
    return read_tensors((base or find_base()) / "language" / "model.safetensors")


def load_tokenizer(base: Path | None = None) -> Tokenizer:
    """SmolLM2's tokenizer (adds no token by itself; 49152 tokens). Raises WeightsMissingError or CheckpointError."""
    from tokenizers import Tokenizer

    file = (base or find_base()) / "language" / "tokenizer.json"
    try:
        return Tokenizer.from_file(str(file))
    except Exception as exc:  # the Rust side raises plain Exception
        raise CheckpointError(f"not a readable tokenizer: {exc}.", file=file, fix="vesalius starter install") from exc


def load_transformers_tokenizer(base: Path | None = None) -> PreTrainedTokenizerFast:
    """The same tokenizer as transformers' class, with the starter's chat template and padding on the left."""
    from transformers.tokenization_utils_tokenizers import PreTrainedTokenizerFast

    from . import tokenizer as ours

    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=load_tokenizer(base),
        bos_token=ours.BOS,
        eos_token=ours.EOS,
        unk_token=ours.UNK,
        pad_token=ours.PAD,
        padding_side="left",
        model_max_length=8192,
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = ours.CHAT_TEMPLATE
    return wrapped

"""SmolLM2's tokenizer, built from a GGUF file's metadata, and the starter's own chat template.

Every digit is one token: `tokenizer.ggml.pre = smollm` means digits are split off one by one before the byte-level
split. (transformers' own GGUF route ignores that and splits runs of spaces before digits differently.)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vesalius.errors import CheckpointError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from .gguf_weights import Gguf

__all__ = ["BOS", "CHAT_TEMPLATE", "EOS", "PAD", "SYSTEM_TEXT", "UNK", "build_tokenizer"]

BOS, EOS, UNK, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|im_end|>"
_CONTROL = 3
"""GGUF token type of the tokens that are never made from ordinary text."""

SYSTEM_TEXT = "Vesalius starter: answer from what was seen."
"""Short, because every prompt pays for it."""

CHAT_TEMPLATE = (
    "{%- if not messages or messages[0]['role'] != 'system' -%}"
    "{{ '<|im_start|>system\n" + SYSTEM_TEXT + "<|im_end|>\n' }}"
    "{%- endif -%}"
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)
"""ChatML; without a system turn the starter's own system text is put first. `content` is text."""


def build_tokenizer(gguf: Gguf, *, file: str | Path | None = None) -> Tokenizer:
    """Byte-level BPE over the file's tokens and merges, with SmolLM2's pre-tokenizer; no token is added by itself.

    Raises CheckpointError if the metadata lacks the vocabulary or is of another tokenizer.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokens = _texts(gguf, "tokenizer.ggml.tokens", file)
    merges = _texts(gguf, "tokenizer.ggml.merges", file)
    kinds = gguf.metadata.get("tokenizer.ggml.token_type")
    if not isinstance(kinds, list) or len(kinds) != len(tokens):
        raise CheckpointError(f"the GGUF file does not give a type for each of its {len(tokens)} tokens.", file=file)
    if gguf.metadata.get("tokenizer.ggml.pre") != "smollm":
        raise CheckpointError("the GGUF file's pre-tokenizer is not 'smollm'.", file=file)
    pairs = [tuple(merge.split(" ")) for merge in merges]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    try:
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=pairs))  # pyright: ignore[reportArgumentType]
    except Exception as exc:  # the Rust side raises plain Exception for a merge that makes no token
        raise CheckpointError(f"the GGUF file's merges do not fit its tokens: {exc}.", file=file) from exc
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [
        AddedToken(token, special=True, normalized=False)
        for token, kind in zip(tokens, kinds, strict=True)
        if kind == _CONTROL
    ]
    tokenizer.add_special_tokens(special)
    return tokenizer


def _texts(gguf: Gguf, key: str, file: str | Path | None) -> list[str]:
    value = gguf.metadata.get(key)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise CheckpointError(f"the GGUF file holds no list {key!r}.", file=file)
    return value

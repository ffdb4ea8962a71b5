"""What of the starter learns to say: its projector and its language model, as modules whose parameters take gradients.

Answering uses the lean decoder until somebody asks for these; see `Starter.model`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vesalius.errors import InputError
from vesalius.models.contract import NamedTensors
from vesalius.models.parts.projector import Projector
from vesalius.models.parts.segment_attention import segment_keywords
from vesalius.models.starter.checkpoint import load_language_changes, load_speech
from vesalius.models.starter.config import StarterConfig

__all__ = ["Row", "StarterSpeech", "lengths_of", "load_trainable", "pack"]


@dataclass(frozen=True)
class Row(NamedTensors):
    """Samples in one row: `input_ids`, `labels` `[1, L]`, `visual_positions` `[V]` in the row, `visual_features`
    `[V, F]`. `lengths`: positions of each sample."""

    tensors: dict[str, Tensor]
    lengths: tuple[int, ...]


def lengths_of(batch: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Positions of each sample of a batch or row."""
    return getattr(batch, "lengths", ()) or (batch["input_ids"].shape[1],)


def pack(batches: Sequence[Mapping[str, Tensor]]) -> Row:
    """Prepared conversations or rows of them as one row. InputError for none."""
    if not batches:
        raise InputError("there is no sample to pack.")
    labels = [one.get("labels", torch.full_like(one["input_ids"], -100)) for one in batches]
    lengths = tuple(length for one in batches for length in lengths_of(one))
    widths = torch.tensor([0, *(one["input_ids"].shape[1] for one in batches)]).cumsum(0).tolist()
    tensors = {
        "input_ids": torch.cat([one["input_ids"] for one in batches], 1),
        "labels": torch.cat(labels, 1),
        "visual_positions": torch.cat(
            [one["visual_positions"] + start for one, start in zip(batches, widths, strict=False)]
        ),
        "visual_features": torch.cat([one["visual_features"] for one in batches]),
    }
    tensors["labels"][0, torch.tensor((0, *lengths[:-1])).cumsum(0)] = -100
    return Row(tensors, lengths)


class StarterSpeech(nn.Module):
    """`projector`: features of a picture → language width; `language`: transformers' Llama with our additions merged
    into its matrices."""

    def __init__(self, language: Any, projector: Projector) -> None:
        super().__init__()
        self.language, self.projector = language, projector

    def hidden(self, batch: Mapping[str, Tensor]) -> Tensor:
        """`[L, D]` after the final norm; each sample of a row attends to itself."""
        text, lengths = self.language.model, lengths_of(batch)
        device = text.embed_tokens.weight.device
        embedded = text.embed_tokens(batch["input_ids"].to(device))
        if len(batch["visual_positions"]):
            seen = self.projector(batch["visual_features"].to(device))
            embedded = embedded.index_copy(1, batch["visual_positions"].to(device), seen[None].to(embedded.dtype))
        positions = torch.cat([torch.arange(length, device=device) for length in lengths])[None]
        apart = segment_keywords(text, lengths) if len(lengths) > 1 else {}
        read = text(inputs_embeds=embedded, position_ids=positions, use_cache=False, **apart)
        return read.last_hidden_state[0]


def load_trainable(folder: Path, config: StarterConfig, projector: Projector) -> StarterSpeech:
    """The language model with the additions of `folder` merged in, and this very projector; both take gradients.

    Raises WeightsMissingError (base weights absent) or CheckpointError.
    """
    from vesalius.models.parts.llama_decode import merge_lora
    from vesalius.models.starter_base.smollm2 import language_tensors, load_language

    language = load_language()
    _, lora = load_speech(folder, config, hidden=language.config.hidden_size)
    with torch.no_grad():
        merged = {**merge_lora(language_tensors(), lora), **load_language_changes(folder)}
        for name, parameter in language.named_parameters():
            # A copy each: the base is mapped from its file, which training must not write to.
            parameter.data = merged[name].clone()
    return StarterSpeech(language.requires_grad_(True), projector.requires_grad_(True))

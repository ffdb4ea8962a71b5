"""The whole network under the names of the HF layout: a stock Qwen2 or Qwen3 with the tower and projector in it."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn

from vesalius.errors import CheckpointError
from vesalius.models.contract import Loading
from vesalius.models.hulumed.config import HuluMedConfig
from vesalius.models.hulumed.vision import Projector, VisionTower
from vesalius.models.placement import LanguageTower, computing_device
from vesalius.models.weights import CheckpointTensors, building, chosen_dtype, fill

__all__ = ["HuluMedNetwork", "build_network", "load_network", "renamed"]


class HuluMedNetwork(nn.Module):
    """`model`: the text model with `vision_encoder` and `mm_projector`; `lm_head`: hidden states → vocabulary."""

    def __init__(self, config: HuluMedConfig) -> None:
        super().__init__()
        text = _text_model(config)
        text.vision_encoder = VisionTower(config.vision)
        text.mm_projector = Projector(config.vision.hidden_size, config.hidden_size)
        self.model: Any = text
        self.lm_head = nn.Linear(config.hidden_size, int(text.config.vocab_size), bias=False)
        if config.language.get("tie_word_embeddings", False):
            self.lm_head.weight = text.get_input_embeddings().weight

    def look(self, pixels: Tensor, grids: Tensor, merges: Tensor) -> tuple[Tensor, Tensor]:
        """(features after pooling `[K, D]`, the same projected to the language width `[K, H]`)."""
        features = self.model.vision_encoder(pixels.to(self.device), grids, merges)
        return features, self.model.mm_projector(features)

    @property
    def device(self) -> torch.device:
        """Where tensors are sent to and come back from."""
        return computing_device(self.model)


def _text_model(config: HuluMedConfig) -> Any:
    from transformers import Qwen2Config, Qwen2Model, Qwen3Config, Qwen3Model

    kind, model = (Qwen3Config, Qwen3Model) if config.qwen3 else (Qwen2Config, Qwen2Model)
    try:
        made: Any = kind(**config.language)
        made._attn_implementation = "sdpa"
        return model(made)
    except (TypeError, ValueError, KeyError) as exc:
        raise CheckpointError(f"the language model's config cannot be used ({type(exc).__name__}: {exc}).") from exc


def build_network(config: HuluMedConfig, dtype: torch.dtype) -> HuluMedNetwork:
    """The network, its parameters on the meta device."""
    with building(dtype):
        return HuluMedNetwork(config).eval()


def load_network(config: HuluMedConfig, tensors: CheckpointTensors, how: Loading) -> HuluMedNetwork:
    """Build and fill; errors as `fill`."""
    network = build_network(config, chosen_dtype(how.dtype, config.stored_dtype))
    fill(network, tensors, renamed, how=how, tower=LanguageTower("model", "lm_head"), file=tensors.folder)
    return network


def renamed(name: str) -> str | None:
    """Checkpoint name → ours: the original layout doubles the tower's prefix; rotary tables are computed, not read."""
    if re.search(r"rotary\w*\.inv_freq$", name):
        return None
    return name.replace("vision_encoder.vision_encoder.", "vision_encoder.")

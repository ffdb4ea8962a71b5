"""A checkpoint folder → network, tokenizer and pixels, every tensor accounted for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vesalius.errors import CheckpointError
from vesalius.models.contract import Loading
from vesalius.models.medmvl.config import MedmvlConfig, load_config
from vesalius.models.medmvl.connector_files import with_connectors
from vesalius.models.medmvl.network import MedmvlNetwork
from vesalius.models.medmvl.pixels import MedmvlPixels
from vesalius.models.medmvl.quirks import MedmvlQuirks
from vesalius.models.medmvl.tokens import TERMINATORS, MedmvlTokenizer, load_tokenizer
from vesalius.models.placement import LanguageTower
from vesalius.models.weights import CheckpointTensors, building, chosen_dtype, fill, find_json
from vesalius.vision.clip_pixels import PixelRule, pixel_rule

__all__ = ["UNUSED", "Loaded", "build_network", "load_checkpoint"]

_HEAD, _EMBEDDINGS = "llm.lm_head.weight", "llm.model.embed_tokens.weight"

UNUSED = {
    r"encoder_image\.encoder\.vision_model\.post_layernorm\.": "hidden states are read before the final norm",
    r"encoder_image\.encoder\.vision_model\.head\.": "SigLIP's pooling head",
    r"encoder_image\.encoder\.vision_model\.embeddings\.position_ids$": "a buffer of older releases",
    r"encoder_image3d\.encoder\.vision_encoder\.norm\.": "M3D-CLIP's final norm, which MedM-VL never applied",
    r"encoder_image3d\.encoder\.vision_encoder\.mlp_head\.": "MedM-CLIP's contrastive head",
    r"encoder_image3d\.encoder\.(language_encoder|text_encoder)\.": "the text tower of contrastive training",
    r"encoder_image3d\.encoder\.(mm_vision_proj|mm_language_proj)\.": "projections of contrastive training",
    r"encoder_image3d\.encoder\.logit_scale$": "the scale of contrastive training",
    r"llm\.model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq$": "a buffer of older releases",
}
"""Stored tensors no forward pass reads, by pattern, and what they are."""


@dataclass(frozen=True)
class Loaded:
    """`unused`: names of stored tensors that are deliberately not loaded."""

    config: MedmvlConfig
    network: MedmvlNetwork
    tokenizer: MedmvlTokenizer
    pixels: MedmvlPixels
    unused: tuple[str, ...]


def load_checkpoint(how: Loading) -> Loaded:
    """Raises CheckpointError (layout, sizes, tensors, tokenizer), WeightsMissingError, OptionError (device, dtype)."""
    if how.folder is None:
        raise CheckpointError("MedM-VL has no weights in the package.", fix="Give a checkpoint folder.")
    config = load_config(how.folder)
    tensors = with_connectors(CheckpointTensors(how.folder), config.connector_files, how.folder)
    tokenizer = load_tokenizer(how.folder, config.llm_type, int(config.llm["vocab_size"]))
    _check_ids(config, tokenizer, how.folder)
    network = build_network(config, tensors, chosen_dtype(how.dtype, config.stored_dtype))
    tower = LanguageTower("llm.model", "llm.lm_head")
    unused = fill(network, tensors, _place, how=how, tower=tower, file=how.folder)
    network.eval()
    pixels = MedmvlPixels(config, _rule(how.folder, config), MedmvlQuirks.chosen(how.quirks))
    return Loaded(config, network, tokenizer, pixels, tuple(unused))


def _check_ids(config: MedmvlConfig, tokenizer: MedmvlTokenizer, folder: Path) -> None:
    """CheckpointError where the language model's config ends answers with ids this tokenizer has for other tokens.
    Phi-2 configs hold an id of their class there, which says nothing."""
    stated: Any = config.llm.get("eos_token_id")
    if stated is None or config.llm_type == "phi":
        return
    ids = {int(one) for one in (stated if isinstance(stated, list) else [stated])}
    own = {tokenizer.eos_id, tokenizer.pad_id, tokenizer.id_of(TERMINATORS[config.llm_type])}
    if not ids & own:
        raise CheckpointError(
            f"eos_token_id in the language model's config is {stated}, the tokenizer's ends are {sorted(own)}.",
            file=folder,
            fix="Use the checkpoint's own tokenizer.",
        )


def build_network(config: MedmvlConfig, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> MedmvlNetwork:
    """The network, its parameters on the meta device.

    A head that is stored is its own tensor, whatever the config says (some savers write clones);
    one that is not stored is tied, or refused where the config does not tie.
    """
    stored = _HEAD in tensors
    if not stored and not config.llm.get("tie_word_embeddings", False):
        raise CheckpointError(f"{_HEAD} is missing and the language model's config does not tie it to the embeddings.")
    queries = {
        name.removesuffix(".query"): len(tensors[name])
        for name in ("connector_image.query", "connector_image3d.query")
        if name in tensors
    }
    with building(dtype):
        return MedmvlNetwork(config, queries, tied=not stored)


def _place(name: str) -> str | None:
    return None if any(re.match(pattern, name) for pattern in UNUSED) else name


def _rule(folder: Path, config: MedmvlConfig) -> PixelRule | None:
    if config.encoder is None:
        return None
    given = find_json(folder / "preprocessor_config.json")
    return pixel_rule(config.encoder.kind, config.encoder.image_px, given)

"""The transformers network of a Qwen-VL checkpoint: built from its config, filled strictly, run with our positions.

Shape letters: L positions, D width, V vocabulary, N visual tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from vesalius.errors import CheckpointError, InputError
from vesalius.models.parts.hf_decode import HfDecoder
from vesalius.models.parts.segment_attention import segment_keywords
from vesalius.models.placement import LanguageTower, computing_device
from vesalius.models.qwen_vl.config import Generation
from vesalius.models.weights import building

__all__ = ["TOWER", "Seen", "VlNetwork", "build_network", "published_to_ours", "vl_places", "without_dtypes"]


TOWER = LanguageTower("model.language_model", "lm_head")
"""What of the network quantization and device_map are about."""


def build_network(raw: Mapping[str, Any], generation: Generation, dtype: torch.dtype = torch.float32) -> Any:
    """`Qwen3VLForConditionalGeneration` or `Qwen2_5_VL…` of config.json, its parameters on the meta device.

    Flat configs of early Qwen2.5-VL files are taken as they are. CheckpointError for a config transformers refuses.
    """
    import transformers
    from transformers.initialization import no_init_weights

    kinds: dict[Generation, tuple[Any, Any]] = {
        "qwen3_vl": (transformers.Qwen3VLConfig, transformers.Qwen3VLForConditionalGeneration),
        "qwen2_5_vl": (transformers.Qwen2_5_VLConfig, transformers.Qwen2_5_VLForConditionalGeneration),
    }
    config_kind, model_kind = kinds[generation]
    left = ("architectures", "model_type", "transformers_version")
    try:
        config = config_kind(**{name: value for name, value in without_dtypes(raw).items() if name not in left})
        with building(dtype), no_init_weights():
            return model_kind(config).eval()
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError, RuntimeError) as exc:
        raise CheckpointError(f"config.json describes no {generation} network ({type(exc).__name__}).") from exc


def vl_places(prefix: str = "") -> dict[str, tuple[str, ...]]:
    """Where the parts of a network are; `prefix`: of its names inside a larger one."""
    places = {
        "vision": ("model.visual.patch_embed", "model.visual.pos_embed", "model.visual.blocks"),
        "projector": ("model.visual.merger", "model.visual.deepstack_merger_list"),
        "language": ("model.language_model", "lm_head"),
    }
    return {part: tuple(prefix + name for name in names) for part, names in places.items()}


def without_dtypes(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config without the dtypes it was stored in, nested ones too: they would overrule the dtype asked for."""
    kept: dict[str, Any] = {name: value for name, value in config.items() if name not in ("dtype", "torch_dtype")}
    for name, value in kept.items():
        if isinstance(value, dict):
            kept[name] = without_dtypes(cast(dict[str, Any], value))
    return kept


def published_to_ours(name: str) -> str:
    """A published tensor name → the module's: early files say `visual.*` and `model.layers.*`."""
    if name.startswith("visual."):
        return f"model.{name}"
    if name.startswith("model.") and not name.startswith(("model.visual.", "model.language_model.")):
        return f"model.language_model.{name.removeprefix('model.')}"
    return name


@dataclass(frozen=True)
class Seen:
    """`features` [N, D] after the merger, pictures then clips; `deep`: the same of deeper layers (Qwen3-VL), in order
    of the prompt; `embeds` [1, L, D]: token embeddings with the features spliced in; `mask` [1, L]: where."""

    features: Tensor | None
    deep: tuple[Tensor, ...]
    embeds: Tensor
    mask: Tensor

    @property
    def first(self) -> dict[str, Any]:
        """Keywords of the text model's first read."""
        return {"visual_pos_masks": self.mask, "deepstack_visual_embeds": list(self.deep)} if self.deep else {}


class VlNetwork:
    """A filled network. `model`: the transformers class; gradients flow through `hidden`."""

    def __init__(self, model: Any, image_id: int, video_id: int) -> None:
        self.model = model
        self.image_id, self.video_id = image_id, video_id
        self.text: Any = model.model.language_model
        self.head: nn.Module = model.lm_head

    @property
    def device(self) -> torch.device:
        """Where tensors are sent to and come back from."""
        return computing_device(self.text)

    def see(self, batch: Mapping[str, Tensor]) -> Seen:
        """Encode the media and splice them in. InputError when placeholders and features do not match in number."""
        ids = batch["input_ids"].to(self.device)
        embeds = self.text.get_input_embeddings()(ids)
        everywhere = torch.zeros_like(ids, dtype=torch.bool)
        features: list[Tensor] = []
        deep: list[tuple[Tensor, list[Tensor]]] = []
        types = batch["mm_token_type_ids"].to(self.device)
        for pixels, grid, token, kind in (
            ("pixel_values", "image_grid_thw", self.image_id, 1),
            ("pixel_values_videos", "video_grid_thw", self.video_id, 2),
        ):
            # A sampled answer may spell a placeholder; there it stands for no features.
            mask = (ids == token) & (types == kind)
            count = int(mask.sum())
            merged, deeper = self._encode(batch, pixels, grid)
            if count != (0 if merged is None else len(merged)):
                given = 0 if merged is None else len(merged)
                raise InputError(
                    f"the prompt has {count} visual tokens, the media give {given}.", fix="Prepare the batch again."
                )
            if merged is None:
                continue
            features.append(merged)
            deep.append((mask, deeper))
            embeds = embeds.masked_scatter(mask[..., None], merged.to(embeds.dtype))
            everywhere |= mask
        joined = tuple(_in_order(layers, everywhere) for layers in _by_layer(deep))
        return Seen(torch.cat(features) if features else None, joined, embeds, everywhere)

    def _encode(self, batch: Mapping[str, Tensor], pixels: str, grid: str) -> tuple[Tensor | None, list[Tensor]]:
        if pixels not in batch:
            return None, []
        tower: Any = self.model.model.visual
        seen = tower(batch[pixels].to(self.device, tower.dtype), grid_thw=batch[grid].to(self.device), return_dict=True)
        return seen.pooler_output, list(getattr(seen, "deepstack_features", None) or ())

    def hidden(self, batch: Mapping[str, Tensor], seen: Seen | None = None) -> Tensor:
        """`[B, L, D]` after the final norm. Samples of a packed row are kept apart by segments, padding by the mask."""
        seen = seen or self.see(batch)
        mask = batch.get("attention_mask")
        apart: dict[str, Any] = {"attention_mask": None if mask is None or bool(mask.all()) else mask.to(self.device)}
        lengths: tuple[int, ...] = getattr(batch, "lengths", ())
        if len(lengths) > len(seen.embeds):
            apart = segment_keywords(self.text, lengths)
        positions = batch["position_ids"].to(self.device)
        return self.text(
            inputs_embeds=seen.embeds, position_ids=positions, use_cache=False, **apart, **seen.first
        ).last_hidden_state

    def decoder(self, positions: Tensor, seen: Mapping[str, Any], max_positions: int) -> HfDecoder:
        """A decoder whose first read has these positions and visual features."""
        return HfDecoder(self.text, self.head, max_positions=max_positions, positions=positions, first=seen)


def _by_layer(deep: list[tuple[Tensor, list[Tensor]]]) -> Iterator[list[tuple[Tensor, Tensor]]]:
    for layers in zip(*[[(mask, layer) for layer in layers] for mask, layers in deep], strict=True):
        yield list(layers)


def _in_order(parts: list[tuple[Tensor, Tensor]], everywhere: Tensor) -> Tensor:
    """Features of pictures and of clips → one tensor in the order of the prompt."""
    if len(parts) == 1:
        return parts[0][1]
    joint = parts[0][1].new_zeros(int(everywhere.sum()), parts[0][1].shape[1])
    for mask, layer in parts:
        joint[mask[everywhere]] = layer
    return joint

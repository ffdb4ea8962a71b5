"""A MedM-VL checkpoint's config.json, of either published layout, as one typed description.

The same hub names were uploaded anew across generations, so only the content decides: `lvlm_llm_type` means the layout
of 2025-10 (g2), `llm_type` the older one (g0 with Llama, g1 with Qwen2.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from vesalius.errors import CheckpointError
from vesalius.models.medmvl.sizes import sizes_of
from vesalius.models.parts.connectors import mlp_depth
from vesalius.models.parts.volume_vit import VolumeVitShape
from vesalius.models.weights import read_json

__all__ = ["ConnectorPlan", "Encoder3dPlan", "EncoderPlan", "MedmvlConfig", "load_config"]

LlmType = Literal["qwen2", "llama3", "phi", "phi3", "llama"]
LLM_TYPES: dict[str, str] = {"qwen2": "qwen2", "llama3": "llama", "phi": "phi", "phi3": "phi3", "llama": "llama"}
"""MedM-VL's name of a language model → transformers' `model_type`."""


@dataclass(frozen=True)
class ConnectorPlan:
    """`kind`: "mlp", "spatial_pooling" or "attn_pooling"; `depth`: linear layers of its MLP."""

    kind: str
    depth: int


@dataclass(frozen=True)
class EncoderPlan:
    """The 2D tower: `kind` "clip" or "siglip", which hidden state is read, whether the class token is dropped."""

    kind: str
    select_layer: int
    drop_first: bool
    sizes: dict[str, Any]

    @property
    def image_px(self) -> int:
        return int(self.sizes["image_size"])


@dataclass(frozen=True)
class Encoder3dPlan:
    """The 3D tower: `kind` "m3dclip" or "medmclip", which block's output is read."""

    kind: str
    select_layer: int
    drop_first: bool
    shape: VolumeVitShape


@dataclass(frozen=True)
class MedmvlConfig:
    """Everything the network and its inputs are built from. `generation`: "g0", "g1" or "g2". `connector_files`: by
    module, the file a connector was trained in before (`connector_X_path`)."""

    generation: Literal["g0", "g1", "g2"]
    llm_type: LlmType
    llm: dict[str, Any]
    max_length: int
    encoder: EncoderPlan | None
    connector: ConnectorPlan | None
    encoder_3d: Encoder3dPlan | None
    connector_3d: ConnectorPlan | None
    stored_dtype: str | None
    connector_files: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def reads_volumes_as_slices(self) -> bool:
        """A 2D tower takes precedence over a 3D one, as published."""
        return self.encoder is not None


def load_config(folder: Path) -> MedmvlConfig:
    """Read and check a checkpoint's config. CheckpointError for another layout or parts we do not know."""
    file = folder / "config.json"
    config = read_json(file)
    prefix = next((prefix for prefix in ("lvlm_", "") if f"{prefix}llm_type" in config), None)
    if prefix is None:
        raise CheckpointError(
            "this is no MedM-VL config.", file=file, fix="It must hold lvlm_llm_type, or llm_type (the older layout)."
        )
    llm_type: Any = config[f"{prefix}llm_type"]
    if llm_type not in LLM_TYPES:
        raise CheckpointError(f"language model {llm_type!r} is unknown; known: {', '.join(LLM_TYPES)}.", file=file)
    encoder = _encoder(folder, config, prefix)
    encoder_3d = _encoder_3d(folder, config, prefix)
    connector = _connector(config, prefix, "image") if encoder else None
    if encoder is None and encoder_3d is None:
        raise CheckpointError("the config names no encoder.", file=file)
    llm = sizes_of("llm", folder, config, prefix)
    llm["model_type"] = LLM_TYPES[llm_type]
    generation = "g2" if prefix else "g0" if llm_type == "llama3" or (encoder_3d and not encoder) else "g1"
    stored: Any = config.get("dtype", config.get("torch_dtype"))
    return MedmvlConfig(
        generation,
        cast(LlmType, llm_type),
        llm,
        int(config.get(f"{prefix}llm_max_length") or 2048),
        encoder,
        connector,
        encoder_3d,
        _connector(config, prefix, "image3d") if encoder_3d else None,
        stored if isinstance(stored, str) else None,
        {
            f"connector_{group}": str(path)
            for group in ("image", "image3d")
            if (path := config.get(f"{prefix}connector_{group}_path")) and config.get(f"{prefix}encoder_{group}_type")
        },
    )


def _selection(config: Mapping[str, Any], prefix: str, group: str) -> tuple[int, bool]:
    layer: Any = config.get(f"{prefix}encoder_{group}_select_layer")
    feature: Any = config.get(f"{prefix}encoder_{group}_select_feature")
    if not isinstance(layer, int) or feature not in ("patch", "cls_patch"):
        raise CheckpointError(
            f"encoder_{group} selects layer {layer!r} and feature {feature!r}; a whole number and patch or cls_patch "
            "are needed."
        )
    return layer, feature == "patch"


def _encoder(folder: Path, config: Mapping[str, Any], prefix: str) -> EncoderPlan | None:
    kind: Any = config.get(f"{prefix}encoder_image_type")
    if kind is None:
        return None
    if kind not in ("clip", "siglip"):
        raise CheckpointError(f"image encoder {kind!r} is unknown; clip and siglip are supported.")
    sizes = sizes_of("encoder_image", folder, config, prefix)
    sizes.pop("model_type", None)
    return EncoderPlan(kind, *_selection(config, prefix, "image"), sizes)


def _encoder_3d(folder: Path, config: Mapping[str, Any], prefix: str) -> Encoder3dPlan | None:
    kind: Any = config.get(f"{prefix}encoder_image3d_type")
    if kind is None:
        return None
    if kind not in ("m3dclip", "medmclip"):
        raise CheckpointError(f"volume encoder {kind!r} is unknown; m3dclip and medmclip are supported.")
    sizes = sizes_of("encoder_image3d", folder, config, prefix)
    try:
        shape = _m3d_shape(sizes) if kind == "m3dclip" else _medm_shape(sizes)
    except (KeyError, TypeError, ValueError) as exc:
        raise CheckpointError(f"the sizes of encoder_image3d ({kind}) are incomplete: {exc}.") from exc
    if any(whole % part for whole, part in zip(shape.image, shape.patch, strict=True)):
        raise CheckpointError(f"patches of {shape.patch} do not divide volumes of {shape.image}.")
    return Encoder3dPlan(kind, *_selection(config, prefix, "image3d"), shape)


def _m3d_shape(sizes: Mapping[str, Any]) -> VolumeVitShape:
    d, h, w = (int(side) for side in sizes["img_size"])
    pd, ph, pw = (int(side) for side in sizes["patch_size"])
    if sizes.get("pos_embed", "perceptron") != "perceptron":
        raise ValueError(f"pos_embed {sizes['pos_embed']}")
    return VolumeVitShape(
        (d, h, w),
        (pd, ph, pw),
        int(sizes["hidden_size"]),
        int(sizes["mlp_dim"]),
        int(sizes["num_layers"]),
        int(sizes["num_heads"]),
        int(sizes.get("in_channels", 1)),
    )


def _medm_shape(sizes: Mapping[str, Any]) -> VolumeVitShape:
    side, patch = int(sizes["image_size"]), int(sizes["image_patch_size"])
    return VolumeVitShape(
        (int(sizes["frame_size"]), side, side),
        (int(sizes["frame_patch_size"]), patch, patch),
        int(sizes["hidden_size"]),
        int(sizes["image_mlp_dim"]),
        int(sizes["image_num_layers"]),
        int(sizes["image_num_heads"]),
    )


def _connector(config: Mapping[str, Any], prefix: str, group: str) -> ConnectorPlan:
    kind: Any = config.get(f"{prefix}connector_{group}_type")
    allowed = ("mlp", "attn_pooling") if group == "image" else ("mlp", "spatial_pooling", "attn_pooling")
    if kind not in allowed:
        raise CheckpointError(f"connector_{group} of type {kind!r} is unknown; {', '.join(allowed)} are supported.")
    return ConnectorPlan(kind, mlp_depth(str(config.get(f"{prefix}connector_{group}_name"))))

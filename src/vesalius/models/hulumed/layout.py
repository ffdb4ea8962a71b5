"""Tensor names of Hulu-Med checkpoints in the clean layout, and the way from the original layout to the HF one and
back. The original keeps the vision encoder's settings in a second repository and doubles its prefix.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from vesalius.errors import CheckpointError
from vesalius.models.checkpoint_files import find_json
from vesalius.models.hulumed.config import VisionShape
from vesalius.models.published_layout import PublishedLayout, language_model

__all__ = ["layout", "relaid"]

_SINGLE, _DOUBLE = "model.vision_encoder.", "model.vision_encoder.vision_encoder."
_ENCODER_REPOSITORY = "ZJU-AI4H/SigLip-NaViT"
"""What original checkpoints call the repository of their vision encoder; the published loader looks for "navit"."""

_INLINE = ("hidden_size", "intermediate_size", "model_type", "num_attention_heads", "num_hidden_layers", "patch_size")
"""The settings of the encoder the HF layout writes down, in its order."""


def layout(folder: Path, config: Mapping[str, Any], names: Collection[str]) -> PublishedLayout:
    """See `published_layout.Laying`."""
    inline = isinstance(config.get("vision_encoder_config"), dict)
    tower = _DOUBLE if any(name.startswith(_DOUBLE) for name in names) else _SINGLE
    prefixes = ((tower, "vision."), ("model.mm_projector.", "connector."), *language_model("model.", ""))
    named = str(config.get("vision_encoder") or config.get("mm_vision_encoder") or "")
    inside = [one for one in (named, "encoder") if _is_inside(folder, one)]
    added: dict[str, dict[str, Any]] = {}
    if not inline and not inside and named:
        for file in ("config.json", "preprocessor_config.json"):
            if (found := find_json(Path(named) / file)) is not None:
                added[f"encoder/{file}"] = found
    return PublishedLayout(
        "hf" if inline else "original",
        "qwen3" if _is_qwen3(names) else "qwen2",
        prefixes,
        lambda name: name.endswith("inv_freq"),
        tuple(inside[:1]) if not inline else (),
        added,
    )


def _is_inside(folder: Path, name: str) -> bool:
    if not name or Path(name).is_absolute() or ".." in Path(name).parts:
        return False
    return find_json(folder / name / "config.json") is not None


def _is_qwen3(names: Collection[str]) -> bool:
    return any(name.endswith("self_attn.q_norm.weight") for name in names)


def relaid(
    to: str, settings: dict[str, dict[str, Any]], names: Collection[str]
) -> tuple[dict[str, dict[str, Any]], Callable[[str], str]]:
    """See `published_layout.Relay`; `to` is "hf" or "original"."""
    inline = isinstance(settings["config.json"].get("vision_encoder_config"), dict)
    if to == "hf":
        return settings if inline else _to_hf(settings, _is_qwen3(names)), _single
    return _to_original(settings) if inline else settings, _double


def _single(name: str) -> str:
    return name.replace(_DOUBLE, _SINGLE, 1) if name.startswith(_DOUBLE) else name


def _double(name: str) -> str:
    return name if name.startswith(_DOUBLE) or not name.startswith(_SINGLE) else name.replace(_SINGLE, _DOUBLE, 1)


def _to_hf(settings: dict[str, dict[str, Any]], qwen3: bool) -> dict[str, dict[str, Any]]:
    place = next((name.removesuffix("/config.json") for name in settings if name.endswith("/config.json")), None)
    published = {name: getattr(VisionShape(), name) for name in _INLINE if name != "model_type"}
    encoder: dict[str, Any] = published if place is None else settings[f"{place}/config.json"]
    encoder = {"model_type": "hulumed_vision_encoder", **encoder}
    if any(name not in encoder for name in _INLINE):
        raise CheckpointError("the vision encoder's config lacks sizes.", fix="Complete encoder/config.json.")
    kind = "Qwen3" if qwen3 else "Qwen2"
    config = {key: value for key, value in settings["config.json"].items() if key != "mm_vision_encoder"}
    config |= {"architectures": [f"Hulumed{kind}ForCausalLM"], "model_type": f"hulumed_{kind.lower()}"}
    config |= {"vision_encoder": None, "vision_encoder_config": {name: encoder[name] for name in _INLINE}}
    made = {name: value for name, value in settings.items() if "/" not in name} | {"config.json": config}
    rules = settings.get(f"{place}/preprocessor_config.json")
    if rules is not None:
        made["preprocessor_config.json"] = rules
    return made


def _to_original(settings: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    given = settings["config.json"]
    config = {key: value for key, value in given.items() if key not in ("auto_map", "vision_encoder_config")}
    config |= {"architectures": ["HulumedQwen2ForCausalLM"], "model_type": "hulumed_qwen2"}
    config["vision_encoder"] = _ENCODER_REPOSITORY
    encoder = {
        "architectures": ["HulumedVisionEncoderModel"],
        "attention_dropout": 0.0,
        "hidden_act": "gelu_pytorch_tanh",
        "layer_norm_eps": VisionShape().layer_norm_eps,
        "num_channels": VisionShape().num_channels,
        **given["vision_encoder_config"],
        **{key: given[key] for key in ("dtype", "torch_dtype", "transformers_version") if key in given},
    }
    made = {name: value for name, value in settings.items() if name != "preprocessor_config.json"}
    made |= {"config.json": config, "encoder/config.json": encoder}
    rules = settings.get("preprocessor_config.json")
    if rules is not None:
        made["encoder/preprocessor_config.json"] = rules
    return made

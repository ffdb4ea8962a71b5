"""What a Hulu-Med checkpoint says about itself, in the HF layout and in the original one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from vesalius.errors import CheckpointError
from vesalius.models.weights import find_json, read_json

__all__ = ["HuluMedConfig", "ImageRules", "Layout", "VisionShape", "is_hulumed", "read_config"]

Layout = Literal["hf", "original"]

_KNOWN = ("hulumed_qwen2", "hulumed_qwen3")
_NOT_LANGUAGE = {
    "architectures", "auto_map", "model_type", "torch_dtype", "dtype", "transformers_version", "vision_encoder",
    "mm_vision_encoder", "vision_encoder_config", "mm_projector_type", "use_token_compression", "image_token_index",
    "quantization_config",
}  # fmt: skip


@dataclass(frozen=True)
class VisionShape:
    """Sizes of the vision tower. The defaults are the published encoder's (412 M parameters)."""

    hidden_size: int = 1152
    intermediate_size: int = 4304
    num_hidden_layers: int = 27
    num_attention_heads: int = 16
    patch_size: int = 14
    num_channels: int = 3
    layer_norm_eps: float = 1e-6


@dataclass(frozen=True)
class ImageRules:
    """The preprocessor's settings; budgets count tokens after pooling."""

    min_tokens: int = 16
    max_tokens: int = 16384
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    rescale: float = 1 / 255
    resample: int = 3


@dataclass(frozen=True)
class HuluMedConfig:
    """`language`: keywords of Qwen2Config or Qwen3Config (`qwen3`). `layout`: whose call rules are the default."""

    layout: Layout
    qwen3: bool
    language: Mapping[str, Any] = field(repr=False)
    vision: VisionShape
    rules: ImageRules
    image_token: int
    token_reduction: bool
    stored_dtype: str | None

    @property
    def hidden_size(self) -> int:
        return int(self.language["hidden_size"])

    @property
    def max_positions(self) -> int:
        return int(self.language.get("max_position_embeddings", 32768))


def is_hulumed(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is of this family (of a release that is read here or not)."""
    names = [config.get("model_type"), *(config.get("architectures") or [])]
    return any(str(name).lower().replace("-", "").startswith("hulumed") for name in names)


def read_config(folder: Path, tensors: Mapping[str, Tensor]) -> HuluMedConfig:
    """Read the folder's JSON files; the names of `tensors` decide between Qwen2 and Qwen3.

    Raises CheckpointError for releases of another architecture and for settings this tower does not have.
    """
    path = folder / "config.json"
    config = read_json(path)
    if config.get("model_type") not in _KNOWN or "num_experts" in config:
        raise CheckpointError(
            f"model_type {config.get('model_type')!r} is a Hulu-Med release of another architecture.",
            file=path,
            fix="Read here: the 4B, 7B, 14B and 32B releases.",
        )
    projector = config.get("mm_projector_type", "mlp2x_gelu")
    if projector != "mlp2x_gelu":
        raise CheckpointError(f"mm_projector_type is {projector!r}; mlp2x_gelu is read.", file=path)
    image_token = config.get("image_token_index")
    if not isinstance(image_token, int):
        raise CheckpointError("image_token_index is missing.", file=path)
    inline = config.get("vision_encoder_config")
    if isinstance(inline, dict):
        layout: Layout = "hf"
        vision, rules = _vision(inline, path), _rules(folder)
    else:
        layout = "original"
        vision, rules = _encoder(folder, config, tensors)
    compression = config.get("use_token_compression")
    return HuluMedConfig(
        layout,
        any(name.endswith("self_attn.q_norm.weight") for name in tensors),
        {key: value for key, value in config.items() if key not in _NOT_LANGUAGE},
        vision,
        rules,
        image_token,
        True if compression is None else bool(compression),
        config.get("dtype") or config.get("torch_dtype"),
    )


def _encoder(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> tuple[VisionShape, ImageRules]:
    """The original layout names a second repository; only its two configs count, never its (untrained) weights."""
    named = str(config.get("vision_encoder") or config.get("mm_vision_encoder") or "")
    places = [Path(named), folder / named] if named else []
    for place in [*places, folder / "encoder"]:
        shape = find_json(place / "config.json")
        if shape is not None:
            rules = place if find_json(place / "preprocessor_config.json") is not None else folder
            return _vision(shape, place / "config.json"), _rules(rules)
    patch = next((name for name in tensors if name.endswith("embeddings.patch_embedding.weight")), None)
    if patch is not None and tensors[patch].shape[0] == VisionShape.hidden_size:
        return VisionShape(), _rules(folder)
    raise CheckpointError(
        f"the vision encoder's config ({named or 'unnamed'}) is not here.",
        file=folder,
        fix="Put its config.json and preprocessor_config.json into a folder encoder/ of the checkpoint.",
    )


def _vision(given: Mapping[str, Any], path: Path) -> VisionShape:
    """Sizes must be written down: defaults of the published class are not those of the published encoder."""
    asked = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "patch_size")
    lacking = [name for name in asked if not isinstance(given.get(name), int)]
    if lacking:
        raise CheckpointError(f"the vision encoder's config lacks {', '.join(lacking)}.", file=path)
    act, channels = given.get("hidden_act", "gelu_pytorch_tanh"), given.get("num_channels", 3)
    if act != "gelu_pytorch_tanh" or channels != 3:
        raise CheckpointError(f"the vision encoder has {channels} channels and hidden_act {act!r}.", file=path)
    sizes = {name: int(given[name]) for name in asked}
    if sizes["hidden_size"] % (4 * sizes["num_attention_heads"]):
        raise CheckpointError("the vision encoder's hidden_size is no multiple of 4 heads.", file=path)
    return VisionShape(**sizes, layer_norm_eps=float(given.get("layer_norm_eps", 1e-6)))


def _rules(folder: Path) -> ImageRules:
    path = folder / "preprocessor_config.json"
    given = find_json(path)
    if given is None:
        return ImageRules()
    usual = ImageRules()
    try:
        mean, std = (
            (float(r), float(g), float(b))
            for r, g, b in (given.get("image_mean", usual.mean), given.get("image_std", usual.std))
        )
        return ImageRules(
            int(given.get("min_tokens", usual.min_tokens)),
            int(given.get("max_tokens", usual.max_tokens)),
            mean,
            std,
            float(given.get("rescale_factor", usual.rescale)),
            int(given.get("resample", usual.resample)),
        )
    except (TypeError, ValueError) as exc:
        raise CheckpointError("a setting of the preprocessor is no number.", file=path) from exc

"""Sizes of the parts of a MedM-VL checkpoint, found without a network.

First hit wins: a sidecar file of the checkpoint, the nested config (legacy layout), a local folder that
`*_name_or_path` names, the documented models below. Head counts do not show in tensor shapes, so there is no guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vesalius.errors import CheckpointError
from vesalius.models.weights import find_json, read_json

__all__ = ["DOCUMENTED", "SIDECARS", "sizes_of"]

_SIGLIP = {"hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6, "num_channels": 3, "model_type": "siglip"}
_VOLUME = {"img_size": [32, 256, 256], "patch_size": [4, 16, 16], "in_channels": 1}

_PHI3_LONG = [
    1.07,
    1.12,
    1.15,
    1.42,
    1.5699999,
    1.8,
    2.1299999,
    2.1299999,
    3.01,
    5.9100003,
    6.9500003,
    9.070001,
    9.93,
    10.71,
    11.13,
    14.61,
    15.409999,
    19.81,
    37.28,
    38.28,
    38.6,
    40.120003,
    46.200005,
    50.940006,
    53.660007,
    54.93739,
    56.89739,
    57.287388,
    59.987385,
    60.867386,
    60.887386,
    61.717392,
    62.917393,
    62.957394,
    63.417393,
    63.817394,
    63.837395,
    63.897396,
    63.937397,
    64.0674,
    64.11435,
    64.12435,
    64.15435,
    64.19435,
    64.244354,
    64.574356,
    64.69,
    64.76,
]
_PHI3_SHORT = [
    1.1,
    1.1,
    1.1,
    1.3,
    1.35,
    1.35,
    1.4,
    1.55,
    2.0,
    2.0,
    2.0,
    2.0,
    2.0,
    2.0,
    2.0,
    2.0,
    2.0,
    2.0,
    2.0,
    2.0,
    2.0,
    2.0,
    2.0,
    2.0,
    2.0,
    2.05,
    2.05,
    2.05,
    2.05,
    2.05,
    2.05,
    2.1,
    2.1,
    2.15,
    2.25,
    2.25,
    2.25,
    2.25,
    2.25,
    2.4,
    2.45,
    2.5,
    2.7,
    2.7,
    2.75,
    2.8,
    2.9,
    3.05,
]
"""Phi-3-mini-128k's long-rope factors of the release of July 2024, equal to its config in float32."""

DOCUMENTED: dict[str, dict[str, Any]] = {
    "openai/clip-vit-large-patch14-336": {
        "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
        "image_size": 336, "patch_size": 14, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5, "num_channels": 3,
    },
    "google/siglip-so400m-patch14-384": {
        **_SIGLIP, "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16,
        "image_size": 384, "patch_size": 14,
    },
    "google/siglip-base-patch16-256-multilingual": {
        **_SIGLIP, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
        "image_size": 256, "patch_size": 16,
    },
    "m3dclip": {
        **_VOLUME, "hidden_size": 768, "mlp_dim": 3072, "num_layers": 12, "num_heads": 12, "pos_embed": "perceptron",
    },
    "medmclip": {
        "hidden_size": 768, "image_size": 256, "image_patch_size": 16, "frame_size": 32, "frame_patch_size": 4,
        "image_num_heads": 12, "image_mlp_dim": 3072, "image_num_layers": 12,
    },
    "Qwen/Qwen2.5-3B-Instruct": {
        "model_type": "qwen2", "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36,
        "num_attention_heads": 16, "num_key_value_heads": 2, "vocab_size": 151936, "rope_theta": 1e6,
        "rms_norm_eps": 1e-6, "tie_word_embeddings": True, "max_position_embeddings": 32768,
    },
    "meta-llama/Llama-3.2-3B-Instruct": {
        "model_type": "llama", "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 28,
        "num_attention_heads": 24, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 128256,
        "rope_theta": 5e5, "rms_norm_eps": 1e-5, "tie_word_embeddings": True, "max_position_embeddings": 131072,
        "rope_scaling": {
            "rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
    },
    "microsoft/phi-2": {
        "model_type": "phi", "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 51200, "partial_rotary_factor": 0.4,
        "hidden_act": "gelu_new", "layer_norm_eps": 1e-5, "rope_theta": 1e4, "tie_word_embeddings": False,
        "max_position_embeddings": 2048, "qk_layernorm": False,
    },
    "microsoft/Phi-3-mini-128k-instruct": {
        "model_type": "phi3", "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 32064, "hidden_act": "silu",
        "rms_norm_eps": 1e-5, "rope_theta": 1e4, "tie_word_embeddings": False, "max_position_embeddings": 131072,
        "original_max_position_embeddings": 4096, "sliding_window": 262144, "bos_token_id": 1, "eos_token_id": 32000,
        "pad_token_id": 32000,
        "rope_scaling": {"type": "longrope", "long_factor": _PHI3_LONG, "short_factor": _PHI3_SHORT},
    },
}  # fmt: skip
"""Public sizes of the models MedM-VL was built from, by hub id (3D encoders: by type; each exists in one size)."""

SIDECARS = {"llm": "llm_config.json", "encoder_image": "encoder_image_config.json",
             "encoder_image3d": "encoder_image3d_config.json"}  # fmt: skip

_KEPT = frozenset(
    """model_type vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads
    head_dim hidden_act max_position_embeddings original_max_position_embeddings initializer_range rms_norm_eps
    layer_norm_eps rope_theta rope_scaling rope_parameters partial_rotary_factor tie_word_embeddings attention_bias
    mlp_bias qk_layernorm sliding_window use_sliding_window max_window_layers layer_types attention_dropout
    resid_pdrop embd_pdrop bos_token_id eos_token_id pad_token_id pretraining_tp num_channels image_size patch_size
    img_size in_channels mlp_dim num_layers num_heads pos_embed image_patch_size frame_size frame_patch_size
    image_num_heads image_mlp_dim image_num_layers""".split()
)
"""What describes a network; nested legacy configs hold some sixty other keys of older releases."""


def sizes_of(group: str, folder: Path, config: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Sizes of `group` ("llm", "encoder_image", "encoder_image3d"). CheckpointError says which file to add."""
    sidecar = folder / SIDECARS[group]
    name = config.get(f"{prefix}{group}_name_or_path")
    nested: Any = config.get(f"{group}_config")
    beside = find_json(sidecar)
    if beside is not None:
        found = beside
    elif isinstance(nested, dict) and nested.get("hidden_size"):
        found = nested
    elif isinstance(name, str) and name and (Path(name) / "config.json").is_file():
        found = read_json(Path(name) / "config.json")
        if isinstance(found.get("vision_config"), dict):
            found = found["vision_config"]
    elif known := DOCUMENTED.get(str(name)) or DOCUMENTED.get(str(config.get(f"{prefix}{group}_type"))):
        found = known
    else:
        raise CheckpointError(
            f"the sizes of {group} ({name}) are not in the checkpoint.",
            file=folder / "config.json",
            fix=f"Add the config.json of that model as {sidecar.name}.",
        )
    return {key: value for key, value in found.items() if key in _KEPT and value is not None}

"""What Citrus-V adds to a Qwen2.5-VL config: the [SEG] id, the projector's kind, SAM2's settings and loss weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from vesalius.errors import CheckpointError
from vesalius.models.weights import find_json

__all__ = ["SAM2_BY_FILE", "SegSettings", "language_config", "read_settings"]

_HIERA_L: dict[str, Any] = {
    "vision_config": {
        "model_type": "sam2_vision_model",
        "backbone_config": {
            "model_type": "sam2_hiera_det_model",
            "hidden_size": 144,
            "num_attention_heads": 2,
            "blocks_per_stage": [2, 6, 36, 4],
            "embed_dim_per_stage": [144, 288, 576, 1152],
            "num_attention_heads_per_stage": [2, 4, 8, 16],
            "global_attention_blocks": [23, 33, 43],
            "window_size_per_stage": [8, 4, 16, 8],
            "window_positional_embedding_background_size": [7, 7],
        },
        "backbone_channel_list": [1152, 576, 288, 144],
        "fpn_hidden_size": 256,
        "fpn_top_down_levels": [2, 3],
    }
}
SAM2_BY_FILE: dict[str, dict[str, Any]] = {"sam2_hiera_l.yaml": _HIERA_L}
"""SAM2 settings by the file name the published config gives; the config itself does not hold them."""

_NOT_LANGUAGE = ("grounding_", "loss_", "frozen_")
_NOT_LANGUAGE_NAMES = ("architectures", "model_type", "seg_token_idx", "use_seg_loss", "use_res_seg_projector",
                       "torch_dtype", "dtype", "transformers_version", "vision_token_id")  # fmt: skip


@dataclass(frozen=True)
class SegSettings:
    """`seg_id`: id of [SEG].  `residual`: the projector has a residual path.  `sam2`: transformers' Sam2Config as a
    dict.  `bce_weight`, `dice_weight`, `dice_eps`: of the mask losses."""

    seg_id: int
    residual: bool
    sam2: Mapping[str, Any]
    bce_weight: float = 2.0
    dice_weight: float = 1.0
    dice_eps: float = 1.0


def language_config(raw: Mapping[str, Any]) -> dict[str, Any]:
    """config.json without what is not Qwen2.5-VL's."""
    return {
        name: value
        for name, value in raw.items()
        if name not in _NOT_LANGUAGE_NAMES and not name.startswith(_NOT_LANGUAGE)
    }


def read_settings(folder: Path, raw: Mapping[str, Any]) -> SegSettings:
    """Read config.json's additions; `sam2_config.json` beside it overrides the settings its file name stands for.

    CheckpointError when neither tells how SAM2 is built.
    """
    sam2: Mapping[str, Any] | None = find_json(folder / "sam2_config.json")
    if sam2 is None:
        named = PurePosixPath(str((raw.get("grounding_encoder_config") or {}).get("cfg_path", ""))).name
        if named not in SAM2_BY_FILE:
            raise CheckpointError(
                f"config.json names SAM2 settings {named!r}; known: {', '.join(SAM2_BY_FILE)}.",
                file=folder / "config.json",
                fix="Put a sam2_config.json beside it.",
            )
        sam2 = SAM2_BY_FILE[named]
    mask: Mapping[str, Any] = raw.get("loss_mask_config") or {}
    dice: Mapping[str, Any] = raw.get("loss_dice_config") or {}
    try:
        return SegSettings(
            int(raw["seg_token_idx"]),
            bool(raw.get("use_res_seg_projector", False)),
            sam2,
            float(mask.get("loss_weight", 2.0)),
            float(dice.get("loss_weight", 1.0)),
            float(dice.get("eps", 1.0)),
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise CheckpointError(f"config.json lacks or misstates {exc}.", file=folder / "config.json") from exc

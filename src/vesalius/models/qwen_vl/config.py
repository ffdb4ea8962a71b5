"""What a Qwen-VL checkpoint folder says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vesalius.errors import CheckpointError
from vesalius.models.weights import find_json, read_json
from vesalius.vision.patches import PatchRule
from vesalius.vision.resize import Resize

__all__ = ["Generation", "MediaRules", "VlConfig", "generation_of", "read_config"]

Generation = Literal["qwen3_vl", "qwen2_5_vl"]

_SYSTEM = "You are a helpful assistant."
_CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True)
class MediaRules:
    """How media are fitted. `picture_px` and `clip_px`: (least, most) pixels; a clip's are per frame (`per_frame`) or
    over all frames. `resize`: to Pillow's values, or faster to nearly the same."""

    patches: PatchRule
    picture_px: tuple[int, int]
    clip_px: tuple[int, int]
    per_frame: bool
    resize: Resize = "exact"


@dataclass(frozen=True)
class VlConfig:
    """`raw`: config.json as given.  `system`: what is put first when a conversation has no system message.
    `stop_ids`: tokens that end an answer.  `tokens_per_second`: temporal positions of a second of video (Qwen2.5).
    `tied`: the head shares the embeddings' weights."""

    raw: Mapping[str, Any]
    generation: Generation
    media: MediaRules
    image_id: int
    video_id: int
    eos_ids: tuple[int, ...]
    max_positions: int
    tokens_per_second: float
    system: str | None
    stored_dtype: str | None
    tied: bool


def generation_of(config: Mapping[str, Any]) -> Generation | None:
    """Which generation a config.json describes, None for another family."""
    kind = config.get("model_type")
    return kind if kind in ("qwen3_vl", "qwen2_5_vl") else None  # pyright: ignore[reportReturnType]


def read_config(folder: Path, raw: Mapping[str, Any], generation: Generation) -> VlConfig:
    """Read the folder's JSON files. CheckpointError for what is missing or of the wrong type."""
    text: Mapping[str, Any] = raw.get("text_config") or raw
    vision: Mapping[str, Any] = raw.get("vision_config") or {}
    try:
        return VlConfig(
            raw,
            generation,
            _media_rules(folder, generation),
            int(raw["image_token_id"]),
            int(raw["video_token_id"]),
            _eos(folder, raw, text),
            int(text["max_position_embeddings"]),
            float(vision.get("tokens_per_second", 4 if generation == "qwen2_5_vl" else 0)),
            _SYSTEM if generation == "qwen2_5_vl" else None,
            raw.get("torch_dtype") or raw.get("dtype") or text.get("torch_dtype") or text.get("dtype"),
            bool(raw.get("tie_word_embeddings", text.get("tie_word_embeddings", False))),
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise CheckpointError(f"config.json lacks or misstates {exc}.", file=folder / "config.json") from exc


def _eos(folder: Path, raw: Mapping[str, Any], text: Mapping[str, Any]) -> tuple[int, ...]:
    given: Any = (find_json(folder / "generation_config.json") or {}).get("eos_token_id")
    given = given if given is not None else raw.get("eos_token_id", text.get("eos_token_id"))
    ids = given if isinstance(given, list) else [] if given is None else [given]
    return tuple(int(one) for one in ids)  # pyright: ignore[reportUnknownArgumentType]


def _media_rules(folder: Path, generation: Generation) -> MediaRules:
    path = folder / "preprocessor_config.json"
    picture = read_json(path)
    clip = find_json(folder / "video_preprocessor_config.json") or {}
    if generation == "qwen3_vl":
        patch, (mean, std), picture_px, clip_px = 16, _HALF, (65536, 16777216), (4096, 25165824)
    else:
        patch, (mean, std), picture_px = 14, _CLIP, (3136, 12845056)
        clip_px = _bounds(picture, picture_px)
    try:
        rule = PatchRule(
            int(picture.get("patch_size", patch)),
            int(picture.get("merge_size", 2)),
            int(picture.get("temporal_patch_size", 2)),
            _triple(picture.get("image_mean", mean)),
            _triple(picture.get("image_std", std)),
        )
        return MediaRules(rule, _bounds(picture, picture_px), _bounds(clip, clip_px), generation == "qwen2_5_vl")
    except (TypeError, ValueError) as exc:
        raise CheckpointError(f"preprocessor_config.json cannot be used: {exc}.", file=path) from exc


def _bounds(given: Mapping[str, Any], default: tuple[int, int]) -> tuple[int, int]:
    """(least, most) pixels: min_pixels and max_pixels, or size's edges (which hold areas, despite their names)."""
    size: Mapping[str, Any] = given.get("size") or {}
    least = given.get("min_pixels") or size.get("shortest_edge") or size.get("min_pixels") or default[0]
    most = given.get("max_pixels") or size.get("longest_edge") or size.get("max_pixels") or default[1]
    return int(least), int(most)


def _triple(given: Any) -> tuple[float, float, float]:
    red, green, blue = (float(v) for v in given)
    return red, green, blue

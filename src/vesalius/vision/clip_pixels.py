"""Pictures as CLIP and SigLIP read them: Pillow's bicubic resize, a crop, scaling to the statistics of training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import CheckpointError

__all__ = ["CLIP_MEAN", "CLIP_STD", "PixelRule", "pixel_rule"]

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class PixelRule:
    """`size`: side of the square the encoder sees. `centre_crop`: the shortest edge becomes `size` and the middle is
    cut out (CLIP); else the picture is stretched to the square (SigLIP). `mean`, `std`: per RGB channel, of 0..1."""

    size: int
    centre_crop: bool
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def normalised(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """`rgb` `[H, W, 3]` uint8 → `[3, size, size]` float32."""
        square = self._cropped(rgb) if self.centre_crop else _resized(rgb, self.size, self.size)
        scaled = (square.astype(np.float64) / 255).astype(np.float32)
        normed = (scaled - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(normed.transpose(2, 0, 1))

    def _cropped(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = rgb.shape[:2]
        short, long = min(height, width), max(height, width)
        stretched = int(self.size * long / short)
        high, wide = (self.size, stretched) if height <= width else (stretched, self.size)
        resized = _resized(rgb, high, wide)
        top, left = (high - self.size) // 2, (wide - self.size) // 2
        return resized[top : top + self.size, left : left + self.size]


def _resized(rgb: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    from PIL import Image

    if rgb.shape[:2] == (height, width):
        return rgb
    picture = Image.fromarray(np.ascontiguousarray(rgb))
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))


def pixel_rule(kind: str, size: int, stored: Mapping[str, Any] | None = None) -> PixelRule:
    """The rule of an encoder `kind` ("clip", "siglip") of `size` pixels; mean and std from a `stored`
    preprocessor_config.json where there is one. CheckpointError when that file asks for another size or filter."""
    mean, std = (CLIP_MEAN, CLIP_STD) if kind == "clip" else (_HALF, _HALF)
    if stored:
        mean, std = _triple(stored, "image_mean", mean), _triple(stored, "image_std", std)
        if stored.get("resample", 3) != 3:
            raise CheckpointError(f"preprocessor_config.json asks for resample {stored['resample']}, 3 is supported.")
        asked: Any = stored.get("crop_size" if kind == "clip" else "size", size)
        sides = set(asked.values()) if isinstance(asked, dict) else {asked}
        if sides != {size}:
            raise CheckpointError(f"preprocessor_config.json asks for {asked}, the encoder reads {size} pixels.")
    return PixelRule(size, kind == "clip", mean, std)


def _triple(stored: Mapping[str, Any], key: str, default: tuple[float, float, float]) -> tuple[float, float, float]:
    values: Any = stored.get(key, default)
    try:
        red, green, blue = (float(value) for value in values)
    except (TypeError, ValueError) as exc:
        raise CheckpointError(f"preprocessor_config.json has no three numbers in {key}.") from exc
    return red, green, blue

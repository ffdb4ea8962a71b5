"""Pictures as vectors, by the starter's own image encoder: near ones look alike."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from vesalius.models.parts.dinov2_encode import Dinov2Encoder

__all__ = ["embed_pictures", "encoder_is_here"]

SIDE = 112
"""Pixels a side the encoder is shown: eight of its patches."""


def encoder_is_here() -> bool:
    """Whether the encoder's weights are on this machine."""
    from vesalius.errors import ModelError
    from vesalius.models.starter_base import find_base

    try:
        find_base()
    except ModelError:
        return False
    return True


@lru_cache(maxsize=1)
def _encoder() -> Dinov2Encoder:
    from vesalius.models.starter_base import lean_encoder

    return lean_encoder()


def embed_pictures(pictures: Sequence[NDArray[np.uint8]], *, batch: int = 16) -> NDArray[np.float32]:
    """Unit vectors `[N, 384]` of pictures `[H, W]` or `[H, W, 3]` uint8; their cosine is a dot product.

    Pictures are stretched to a square, so that a resized copy stays the same. Raises WeightsMissingError naming the
    command that installs the encoder.
    """
    import torch
    from PIL import Image

    from vesalius.models.starter_base import IMAGE_MEAN, IMAGE_STD

    encoder = _encoder()
    found = np.zeros((len(pictures), 384), np.float32)
    mean, std = (np.asarray(values, np.float32) for values in (IMAGE_MEAN, IMAGE_STD))
    for start in range(0, len(pictures), batch):
        squares = [
            np.asarray(Image.fromarray(one).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32)
            for one in pictures[start : start + batch]
        ]
        pixels_BHW3 = (np.stack(squares) / 255.0 - mean) / std
        seen = encoder.encode(torch.from_numpy(np.ascontiguousarray(pixels_BHW3.transpose(0, 3, 1, 2))))
        rows = seen.last[:, 0].numpy()
        found[start : start + len(squares)] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found

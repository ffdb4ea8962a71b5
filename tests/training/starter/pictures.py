"""A tiny shard of phantoms with features that need no encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vesalius.models.parts.see_head import SeeConfig
from vesalius.phantoms.pictures import draw_picture
from vesalius.phantoms.truth import MODALITIES, PLANES, REGIONS
from vesalius.training.starter.see_cache import LABEL_NAMES, Shard, write_shard

SIZE = 64
CONFIG = SeeConfig(LABEL_NAMES, MODALITIES, PLANES, REGIONS, features=16, size=SIZE, width=8)


def encode(squares: NDArray[np.uint8]) -> NDArray[np.float16]:
    """Mean colours of a 4×4 grid, repeated to 16 channels: four layers of four."""
    cells = squares.reshape(len(squares), 4, SIZE // 4, 4, SIZE // 4, 3).mean((2, 4)).reshape(len(squares), 16, 3)
    return np.tile(np.concatenate([cells, cells[..., :1]], 2) / 255, 4).astype(np.float16)


def tiny_shard(folder: Path, count: int = 8, modality: str = "microscopy") -> Shard:
    truths = ((draw_picture(1_000_000 + n, modality, size=(SIZE, SIZE)), None) for n in range(count))
    return write_shard(folder, truths, count, encode, size=SIZE, note={"count": count}, batch=4)

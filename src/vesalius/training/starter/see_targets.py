"""Dense targets of the see head, built from exact objects. Grid = half the square picture's side, S."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vesalius.training.starter.see_cache import LABEL_NAMES, Shard

__all__ = ["collate_pictures"]


def collate_pictures(picked: Sequence[tuple[Shard, int]]) -> dict[str, Tensor]:
    """One batch: `pixels` `[B, 3, size, size]` float −1…1, `features` `[B, F, h, w]`, and the targets
    `masks` `[B, L, S, S]` 0…1, `centres` `[B, L, S, S]` 0…1, `offsets` `[B, 2, S, S]`, `owned` `[B, S, S]` bool (a
    pixel of some object), `sides` `[B, S, S]` int (−1 unknown), `known` `[B, L]`, `modality`, `plane`, `region` `[B]`.
    """
    size = picked[0][0].pixels.shape[1]
    grid, labels = size // 2, len(LABEL_NAMES)
    pixels = np.stack([shard.pixels[i] for shard, i in picked])
    features = np.stack([shard.features[i] for shard, i in picked])
    side = int(features.shape[1] ** 0.5)
    masks = np.zeros((len(picked), labels, grid, grid), np.float32)
    centres = np.zeros_like(masks)
    offsets = np.zeros((len(picked), 2, grid, grid), np.float32)
    owned = np.zeros((len(picked), grid, grid), bool)
    sides = np.full((len(picked), grid, grid), -1, np.int64)
    for b, (shard, i) in enumerate(picked):
        _paint(shard, i, masks[b], centres[b], offsets[b], owned[b], sides[b])
    rows = [shard.pictures[i] for shard, i in picked]
    known = [[bool(int(row["known"]) >> n & 1) for n in range(labels)] for row in rows]
    batch = {
        "pixels": torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1,
        "features": torch.from_numpy(features).permute(0, 2, 1).unflatten(2, (side, side)).float(),
        "masks": torch.from_numpy(masks),
        "centres": torch.from_numpy(centres),
        "offsets": torch.from_numpy(offsets),
        "owned": torch.from_numpy(owned),
        "sides": torch.from_numpy(sides),
        "known": torch.tensor(known),
    }
    for name in ("modality", "plane", "region"):
        batch[name] = torch.tensor([int(row[name]) for row in rows])
    return batch


def _paint(
    shard: Shard,
    index: int,
    masks: np.ndarray,
    centres: np.ndarray,
    offsets: np.ndarray,
    owned: np.ndarray,
    sides: np.ndarray,
) -> None:
    objects, full = shard.objects_of(index)
    grid = masks.shape[-1]
    areas = full.sum((1, 2))  # larger objects first, so a lesion inside an organ keeps its own offsets
    halves = full.reshape(len(full), grid, 2, grid, 2).mean((2, 4), dtype=np.float32)
    for n in np.argsort(-areas):
        row, half = objects[n], halves[n]
        label = int(row["label"])
        masks[label] = np.maximum(masks[label], half)
        x, y = (float(v) / 2 for v in row["centre"])
        _splat(centres[label], x, y, sigma=float(np.clip(0.12 * np.sqrt(areas[n] / 4), 0.8, 3.0)))
        ys, xs = np.nonzero(half >= 0.5)
        if len(ys) == 0:
            ys, xs = np.nonzero(half > 0)
        offsets[0, ys, xs] = (x - xs - 0.5) * 2 / 16
        offsets[1, ys, xs] = (y - ys - 0.5) * 2 / 16
        owned[ys, xs] = True
        sides[ys, xs] = int(row["side"])


def _splat(heat: np.ndarray, x: float, y: float, sigma: float) -> None:
    """A Gaussian of height 1 at the grid cell of (x, y); overlapping ones keep the maximum."""
    grid = heat.shape[0]
    column, row = min(int(x), grid - 1), min(int(y), grid - 1)
    reach = int(np.ceil(3 * sigma))
    x0, x1 = max(0, column - reach), min(grid, column + reach + 1)
    y0, y1 = max(0, row - reach), min(grid, row + reach + 1)
    gx = np.exp(-((np.arange(x0, x1) - column) ** 2) / (2 * sigma**2))
    gy = np.exp(-((np.arange(y0, y1) - row) ** 2) / (2 * sigma**2))
    heat[y0:y1, x0:x1] = np.maximum(heat[y0:y1, x0:x1], gy[:, None] * gx[None, :])

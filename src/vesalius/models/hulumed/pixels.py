"""Target sizes and patches: the published image processor's arithmetic on plain numbers and uint8 arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError
from vesalius.models.hulumed.config import ImageRules

__all__ = ["Size", "SizedItem", "patch_rows", "target_sizes"]


@dataclass(frozen=True)
class Size:
    """Height and width in pixels."""

    height: int
    width: int


@dataclass(frozen=True)
class SizedItem:
    """What the size rule needs of one item: the height and width it goes by, its frames and its pooling."""

    height: float
    width: float
    frames: int
    merge: int


def target_sizes(
    items: Sequence[SizedItem], *, patch: int, min_tokens: int, max_tokens: int, minimum_when_mixed: bool = False
) -> list[Size]:
    """Pixels each item is resized to, multiples of patch x merge.

    Items of one merge share `max_tokens` evenly by frames and get at least `min_tokens` each; where merges differ the
    published rule scales all by one factor and has no minimum (`minimum_when_mixed` adds it). InputError where a
    side would be 0.
    """
    if len({item.merge for item in items}) <= 1:
        frames = sum(item.frames for item in items)
        return [_uniform(item, patch * item.merge, frames, min_tokens, max_tokens) for item in items]
    total = sum(
        item.frames * math.ceil(item.height / (patch * item.merge)) * math.ceil(item.width / (patch * item.merge))
        for item in items
    )
    return [_mixed(item, patch * item.merge, total, min_tokens * minimum_when_mixed, max_tokens) for item in items]


def _uniform(item: SizedItem, factor: int, frames: int, min_tokens: int, max_tokens: int) -> Size:
    high, wide = round(item.height / factor) * factor, round(item.width / factor) * factor
    cap = (max_tokens * factor * factor) // frames
    if high * wide > cap:
        beta = math.sqrt(item.height * item.width / cap)
        high = math.floor(item.height / beta / factor) * factor
        wide = math.floor(item.width / beta / factor) * factor
    return _at_least(item, Size(high, wide), factor, min_tokens)


def _mixed(item: SizedItem, factor: int, total: int, min_tokens: int, max_tokens: int) -> Size:
    if total > max_tokens:
        beta = math.sqrt(total / max_tokens)
        high = math.floor(item.height / beta / factor) * factor
        wide = math.floor(item.width / beta / factor) * factor
    else:
        high, wide = round(item.height / factor) * factor, round(item.width / factor) * factor
    return _at_least(item, Size(high, wide), factor, min_tokens)


def _at_least(item: SizedItem, size: Size, factor: int, min_tokens: int) -> Size:
    floor = min_tokens * factor * factor
    if size.height * size.width < floor:
        beta = math.sqrt(floor / (item.height * item.width))
        size = Size(
            math.ceil(item.height * beta / factor) * factor,
            math.ceil(item.width * beta / factor) * factor,
        )
    if size.height < factor or size.width < factor:
        raise InputError(
            f"a picture of {item.width:.0f} x {item.height:.0f} would be resized to {size.width} x {size.height}.",
            fix="Give fewer frames, a larger max_tokens, or a picture that is not so narrow.",
        )
    return size


def patch_rows(
    frames: Sequence[NDArray[np.uint8]], size: Size, merge: int, patch: int, rules: ImageRules
) -> NDArray[np.float32]:
    """Resize (Pillow), normalise and cut frames `[H, W]` or `[H, W, 3]` uint8: float32 `[T·h·w, 3·patch²]`.

    Rows go block by block (merge x merge patches), inside a block row by row; a row is (channel, y, x).
    """
    from PIL import Image

    rows, columns = size.height // patch, size.width // patch
    resample = Image.Resampling(rules.resample)
    cut = np.empty((len(frames), rows * columns, 3 * patch * patch), np.uint8)
    for place, frame in enumerate(frames):
        shown = np.asarray(Image.fromarray(np.ascontiguousarray(frame)).resize((size.width, size.height), resample))
        # Grey is resized as one channel: the three of its colour copy would come out the same.
        colour = np.broadcast_to(shown[..., None], (*shown.shape, 3)) if shown.ndim == 2 else shown
        blocks = colour.reshape(rows // merge, merge, patch, columns // merge, merge, patch, 3)
        cut[place] = blocks.transpose(0, 3, 1, 4, 6, 2, 5).reshape(rows * columns, -1)
    flat = cut.reshape(-1, 3, patch * patch)
    scaled = (np.arange(256, dtype=np.uint8) * np.float64(rules.rescale)).astype(np.float32)
    values = np.empty(flat.shape, np.float32)
    for channel, (mean, std) in enumerate(zip(rules.mean, rules.std, strict=True)):
        table = (scaled - np.float32(mean)) / np.float32(std)
        values[:, channel] = table.take(flat[:, channel])
    return values.reshape(len(flat), -1)

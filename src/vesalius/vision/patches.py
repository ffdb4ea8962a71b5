"""Pictures and clips as the flat patches Qwen-style vision towers read: fitting, resizing, normalising, cutting.

Resizing is Pillow's bicubic on 8-bit values; nothing here needs torch or torchvision, so results do not depend on what
else is installed. Letters: T frames, H W pixels, C channels, N patches, P values of one patch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError, OptionError

__all__ = ["PatchRule", "as_rgb", "fit_clip", "fit_picture", "patches_of", "resized"]

Bytes = NDArray[np.uint8]
MAX_ASPECT = 200
"""Longer pictures are refused, as the towers' own preprocessing does."""


@dataclass(frozen=True)
class PatchRule:
    """`patch`: edge of a patch in pixels; `merge`: patches of a token along each edge; `temporal`: frames of a patch.
    `mean`, `std`: per channel, for values scaled to 0…1."""

    patch: int
    merge: int
    temporal: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @property
    def factor(self) -> int:
        """Both edges of a picture are multiples of this many pixels."""
        return self.patch * self.merge


def fit_picture(height: int, width: int, *, factor: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """(height, width) in pixels, multiples of `factor`, area within the bounds where possible, aspect nearly kept.

    Python's rounding (half to even) is part of the rule. Raises InputError for an aspect ratio above 200, OptionError
    for bounds that contradict each other.
    """
    _check(height, width, min_pixels, max_pixels)
    high, wide = round(height / factor) * factor, round(width / factor) * factor
    if high * wide > max_pixels:
        shrink = math.sqrt((height * width) / max_pixels)
        return _floored(height / shrink, factor), _floored(width / shrink, factor)
    if high * wide < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        return math.ceil(height * grow / factor) * factor, math.ceil(width * grow / factor) * factor
    return high, wide


def fit_clip(
    frames: int, height: int, width: int, *, factor: int, temporal: int, min_pixels: int, max_pixels: int
) -> tuple[int, int]:
    """As `fit_picture`, with the bounds on frames × height × width. Frames are at least 2 and count rounded to
    multiples of `temporal`; a clip smaller than one token is scaled up first."""
    if frames < 2:
        raise InputError(f"a clip of {frames} frames is too short.", fix="Show it as a picture, or give 2 frames.")
    if min(height, width) < factor:
        scale = max(factor / height, factor / width)
        height, width = int(height * scale), int(width * scale)
    _check(height, width, min_pixels, max_pixels)
    high, wide = round(height / factor) * factor, round(width / factor) * factor
    counted = round(frames / temporal) * temporal
    if counted * high * wide > max_pixels:
        shrink = math.sqrt((frames * height * width) / max_pixels)
        return _floored(height / shrink, factor), _floored(width / shrink, factor)
    if counted * high * wide < min_pixels:
        grow = math.sqrt(min_pixels / (frames * height * width))
        return math.ceil(height * grow / factor) * factor, math.ceil(width * grow / factor) * factor
    return high, wide


def _check(height: int, width: int, min_pixels: int, max_pixels: int) -> None:
    if not 0 < min_pixels <= max_pixels:
        raise OptionError(f"min_pixels {min_pixels} and max_pixels {max_pixels} leave no size.")
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise InputError(f"a picture of {width} x {height} is longer than {MAX_ASPECT} : 1.", fix="Crop it.")


def _floored(edge: float, factor: int) -> int:
    return max(factor, math.floor(edge / factor) * factor)


def as_rgb(picture: Bytes) -> Bytes:
    """`[H, W]` or `[H, W, 3]` → `[H, W, 3]`; grey is a view that shares one channel."""
    return picture if picture.ndim == 3 else np.broadcast_to(picture[..., None], (*picture.shape, 3))


def resized(picture: Bytes, height: int, width: int) -> Bytes:
    """Pillow's antialiased bicubic to `[height, width(, 3)]`; the very same picture when the size fits already."""
    from PIL import Image

    if picture.shape[:2] == (height, width):
        return picture
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))


def patches_of(
    frames: Sequence[Bytes], rule: PatchRule, *, fused: bool = False
) -> tuple[NDArray[np.float32], tuple[int, int, int]]:
    """Frames `[H, W]` or `[H, W, 3]` of one fitting size → (patches `[N, P]` float32, grid (t, h, w) in patches).

    A picture is one frame. The last frame is repeated to fill a temporal patch. Patches of one token follow each other;
    inside a patch the order is channel, frame, row, column. `fused`: normalise in one step on the scale of 0…255, as
    the published preprocessing of clips does; it differs from that of pictures in the last bit only.
    """
    high, wide = frames[0].shape[:2]
    patch, merge, temporal = rule.patch, rule.merge, rule.temporal
    rows, columns = high // rule.factor, wide // rule.factor
    steps = -(-len(frames) // temporal)
    out = np.empty((steps, rows, columns, merge, merge, 3, temporal, patch, patch), np.float32)
    # One row of tokens at a time stays in the processor's cache.
    strip = np.empty((columns, merge, merge, 3, patch, patch), np.float32)
    for number, frame in enumerate(frames):
        cut = as_rgb(frame).reshape(rows, merge, patch, columns, merge, patch, 3).transpose(0, 3, 1, 4, 6, 2, 5)
        last = number == len(frames) - 1
        slots = range(number % temporal, temporal if last else number % temporal + 1)
        for row in range(rows):
            np.copyto(strip, cut[row])
            _normalise(strip, rule, fused)
            for slot in slots:
                out[number // temporal, row, ..., slot, :, :] = strip
    grid = (steps, rows * merge, columns * merge)
    return out.reshape(math.prod(grid), -1), grid


def _normalise(values: NDArray[np.float32], rule: PatchRule, fused: bool) -> None:
    """In place, `[…, 3, p, p]`; divisions and their order are those of the published code, to the last bit."""
    scale = np.float32(255)
    mean = np.array(rule.mean, np.float32)[:, None, None]
    std = np.array(rule.std, np.float32)[:, None, None]
    if fused:
        mean, std = mean * scale, std * scale
    else:
        values /= scale
    values -= mean
    values /= std

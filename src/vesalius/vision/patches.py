"""Pictures and clips as the flat patches Qwen-style vision towers read: fitting sizes, normalising, cutting.

Nothing here needs torch or torchvision, so results do not depend on what else is installed; `resize` fits pictures.
Letters: T frames, H W pixels, C channels, N patches, P values of one patch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError, OptionError
from vesalius.vision.strips import in_strips

__all__ = ["PatchRule", "as_rgb", "fit_clip", "fit_picture", "patches_of"]

Bytes = NDArray[np.uint8]
MAX_ASPECT = 200
"""Longer pictures are refused, as the towers' own preprocessing does."""
_WORTH = 1 << 19
"""Values from which on threads gain more than they cost."""


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


def patches_of(
    frames: Sequence[Bytes], rule: PatchRule, *, fused: bool = False
) -> tuple[NDArray[np.float32], tuple[int, int, int]]:
    """Frames `[H, W]` or `[H, W, 3]` of one fitting size → (patches `[N, P]` float32, grid (t, h, w) in patches).

    A picture is one frame. The last frame is repeated to fill a temporal patch. Patches of one token follow each other;
    inside a patch the order is channel, frame, row, column. `fused`: normalise in one step on the scale of 0…255, as
    the published preprocessing of clips does; it differs from that of pictures in the last bit only.
    """
    high, wide = frames[0].shape[:2]
    edge, merge, temporal = rule.patch, rule.merge, rule.temporal
    rows, columns = high // rule.factor, wide // rule.factor
    steps = -(-len(frames) // temporal)
    out = np.empty((steps, rows, columns, merge, merge, 3, temporal, edge * edge), np.float32)
    filled = [*frames, *[frames[-1]] * (steps * temporal - len(frames))]
    for step in range(steps):
        _fill(out[step], filled[step * temporal : (step + 1) * temporal], rule, fused)
    grid = (steps, rows * merge, columns * merge)
    return out.reshape(math.prod(grid), -1), grid


def _fill(out: NDArray[np.float32], frames: Sequence[Bytes], rule: PatchRule, fused: bool) -> None:
    """Cut the frames of one temporal patch into `out` `[rows, columns, merge, merge, 3, temporal, p·p]`.

    A row of tokens at a time stays in the processor's cache, and goes out once.
    """
    merge, edge = rule.merge, rule.patch
    rows, columns = out.shape[:2]
    different = [n for n, frame in enumerate(frames) if n == 0 or frame is not frames[n - 1]]
    # Pixels move in runs: the row of one patch is one item.
    runs = [_runs(frames[n], edge).reshape(rows, merge, edge, columns, merge) for n in different]

    def work(first: int, last: int) -> None:
        normalise = _Normalising(rule, fused, (columns, merge, merge, 3, edge * edge))
        ready = np.empty(out.shape[1:], np.float32)
        cut = np.empty((columns, merge, merge, edge), runs[0].dtype)
        for row in range(first, last):
            for slot, run in zip(different, runs, strict=True):
                np.copyto(cut, run[row].transpose(2, 0, 3, 1))
                pixels = cut.view(np.uint8).reshape(columns, merge, merge, edge * edge, -1)
                normalise(pixels.swapaxes(3, 4), ready[..., slot, :])
                until = next((n for n in different if n > slot), len(frames))
                for same in range(slot + 1, until):
                    ready[..., same, :] = ready[..., slot, :]
            out[row] = ready

    in_strips(work, rows, worth=out.size >= _WORTH)


def _runs(frame: Bytes, edge: int) -> NDArray[np.void]:
    """`[H, W(, 3)]` → `[H, W / edge]`, each item the `edge` pixels of one patch's row."""
    channels = frame.shape[2] if frame.ndim == 3 else 1
    flat = np.ascontiguousarray(frame).reshape(len(frame), -1)
    return flat.view(np.dtype((np.void, edge * channels)))


class _Normalising:
    """8-bit values → float32, in buffers used again; divisions and their order are those of the published code, to the
    last bit."""

    def __init__(self, rule: PatchRule, fused: bool, shape: tuple[int, ...]) -> None:
        """`shape` `[…, 3, P]`: of the values made at a time."""
        scale = np.float32(255)
        mean, std = (np.array(given, np.float32)[:, None] for given in (rule.mean, rule.std))
        self.scale = None if fused else scale
        # Written out in full: long runs are quicker than a value per run of P.
        self.mean, self.std = (np.tile(v * scale if fused else v, (*shape[:-2], 1, shape[-1])) for v in (mean, std))
        self.values = np.empty(shape, np.float32)
        grey = (*shape[:-2], 1, shape[-1])
        self.raw = {shape: self.values, grey: np.empty(grey, np.float32)}

    def __call__(self, pixels: Bytes, out: NDArray[np.float32]) -> None:
        """`pixels` `[…, 1 or 3, P]` → `out` `[…, 3, P]`."""
        raw = self.raw[pixels.shape]
        np.copyto(raw, np.ascontiguousarray(pixels))
        if self.scale is not None:
            np.divide(raw, self.scale, out=raw)
        np.subtract(raw, self.mean, out=self.values)
        np.divide(self.values, self.std, out=out)

"""What a Qwen-VL model sees of each item: pictures and clips, fitted and cut into patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError
from vesalius.findings.findings import Where
from vesalius.models.contract import Shown
from vesalius.models.qwen_vl.config import MediaRules
from vesalius.study.items import Clip, Picture, Slide, Volume
from vesalius.vision.frames import nearest_frames, sampled_frames
from vesalius.vision.patches import fit_clip, fit_picture, patches_of
from vesalius.vision.pillow_rgb import rgb_by_pillow
from vesalius.vision.resize import resized
from vesalius.vision.views import native_axis, spread

__all__ = ["TIMELESS", "ClipRule", "Sight", "sights_of"]

Bytes = NDArray[np.uint8]
SLICES = 16
"""Slices of a volume that are shown when the caller does not say how many."""
THUMBNAIL_PX = 2048
TIMELESS = ("array", "npy", "npz", "frames", "folder")
"""Formats that hold frames without times: they are frames somebody chose, so none is left out."""


@dataclass(frozen=True)
class ClipRule:
    """`sample`: choose frames by rate (None: unless the clip is a bare array of frames). `crop`: (height, width) of the
    top-left corner kept of each frame. `assumed_fps`: the rate of frames without times, None to take one a second."""

    sample: bool | None = None
    crop: tuple[int, int] | None = None
    assumed_fps: float | None = 24.0
    fps: float = 2.0


@dataclass(frozen=True)
class Sight:
    """One picture or clip as the model sees it.

    `where`: item, slice or first frame.  `size`: (width, height) of the original in pixels; `fitted`: the size it was
    resized to.  `grid`: (t, h, w) in patches.  `times_s`, `fps`, `frames`: times, rate and numbers of the frames of a
    clip.  `original`: `[H, W(, 3)]` uint8 of a picture, `shown` the same after fitting.
    """

    where: Where
    size: tuple[int, int]
    fitted: tuple[int, int]
    patches: NDArray[np.float32] = field(repr=False)
    grid: tuple[int, int, int]
    times_s: tuple[float, ...] | None = None
    fps: float = 0.0
    frames: tuple[int, ...] = ()
    original: Bytes | None = field(default=None, repr=False)
    shown: Bytes | None = field(default=None, repr=False)

    @property
    def is_clip(self) -> bool:
        """Whether it takes video tokens."""
        return self.times_s is not None


def sights_of(
    shown: Shown,
    number: int,
    rules: MediaRules,
    clips: ClipRule,
    *,
    by_pillow: bool = False,
    over_white: bool = False,
) -> list[Sight]:
    """The sights of one item: one of a picture, slide or clip, one per slice of a volume. `by_pillow`: picture files
    become RGB by Pillow's rule, `over_white` where they are transparent.

    InputError for items that cannot be looked at, timestamps that do not fit the frames, pictures that are too long.
    """
    match shown.item:
        case Picture() as picture:
            opened = rgb_by_pillow(shown.source, picture, upright=True, over_white=over_white) if by_pillow else None
            pixels = picture.view(shown.window) if opened is None else opened
            return [_picture(pixels, Where(number), rules)]
        case Slide() as slide:
            return [_picture(slide.thumbnail(THUMBNAIL_PX), Where(number), rules, (slide.width, slide.height))]
        case Volume() as volume:
            axis = shown.axis or native_axis(volume)
            indices = spread(volume.num_slices(axis), shown.num_slices or SLICES)
            views = volume.slices(indices, axis, shown.window)
            return [_picture(view.view(), Where(number, axis=axis, slice_index=view.index), rules) for view in views]
        case Clip() as clip:
            return [_clip(clip, shown, number, rules, clips)]
        case _:
            raise InputError(f"a {type(shown.item).__name__.lower()} has no picture to look at.")


def _picture(pixels: Bytes, where: Where, rules: MediaRules, size: tuple[int, int] | None = None) -> Sight:
    height, width = pixels.shape[:2]
    least, most = rules.picture_px
    high, wide = fit_picture(height, width, factor=rules.patches.factor, min_pixels=least, max_pixels=most)
    fitted = resized(pixels, high, wide, rules.resize)
    patches, grid = patches_of([fitted], rules.patches)
    return Sight(where, size or (width, height), (wide, high), patches, grid, original=pixels, shown=fitted)


def _clip(clip: Clip, shown: Shown, number: int, rules: MediaRules, rule: ClipRule) -> Sight:
    indices, times, fps = _frames(clip, shown, rule)
    frames = clip.frames(indices)
    if rule.crop is not None:
        frames = [frame[: rule.crop[0], : rule.crop[1]] for frame in frames]
    height, width = frames[0].shape[:2]
    least, most = rules.clip_px
    factor, temporal = rules.patches.factor, rules.patches.temporal
    if rules.per_frame:
        high, wide = fit_picture(height, width, factor=factor, min_pixels=least, max_pixels=most)
    else:
        high, wide = fit_clip(
            len(frames), height, width, factor=factor, temporal=temporal, min_pixels=least, max_pixels=most
        )
    fitted = [resized(frame, high, wide, rules.resize) for frame in frames]
    patches, grid = patches_of(fitted, rules.patches, fused=True)
    where = Where(number, frame=indices[0])
    return Sight(where, (width, height), (wide, high), patches, grid, tuple(times), fps, tuple(indices))


def _frames(clip: Clip, shown: Shown, rule: ClipRule) -> tuple[list[int], Sequence[float], float]:
    """(frame indices, their times in seconds, frames per second)."""
    timeless = clip.origin.format in TIMELESS
    total = clip.num_frames
    sample = not timeless if rule.sample is None else rule.sample
    if not sample:
        indices = list(range(total))
        if shown.timestamps is not None:
            if len(shown.timestamps) != total:
                raise InputError(f"{len(shown.timestamps)} timestamps for {total} frames.", fix="Give one per frame.")
            return indices, shown.timestamps, shown.fps or _rate(shown.timestamps)
        fps = shown.fps or (rule.assumed_fps if timeless else None)
        if fps is not None:
            return indices, [index / fps for index in indices], fps
        times = [float(t) for t in clip.times_s]
        return indices, times, _rate(times)
    if shown.timestamps is not None:
        return nearest_frames(clip.times_s.tolist(), shown.timestamps), shown.timestamps, _rate(shown.timestamps)
    own = _rate([float(t) for t in clip.times_s])
    indices = sampled_frames(total, own, fps=shown.fps or rule.fps)
    times = [float(clip.times_s[index]) for index in indices]
    return indices, times, len(indices) / total * own


def _rate(times: Sequence[float]) -> float:
    """Frames per second; 1 for a single frame."""
    span = times[-1] - times[0]
    return (len(times) - 1) / span if span > 0 else 1.0

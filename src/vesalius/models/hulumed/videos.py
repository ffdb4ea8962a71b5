"""Which frames of a clip Hulu-Med looks at, and the times its prompt names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError
from vesalius.models.contract import Shown
from vesalius.study.items import Clip

__all__ = ["chosen_frames", "original_frames", "resampled_frames", "segment_frames", "spread_frames"]

_HF_MOST, _ORIGINAL_MOST = 128, 768
_GIF_RATE = 25.0
_FOLDER_RATES = {"hf": 3.0, "original": 1.0}
"""Frames per second each reader takes the pictures of a folder for."""
_GIVEN = ("array", "npy", "npz", "frames")
"""Formats whose frames somebody chose before: all are taken, and nothing is known of their times."""


def spread_frames(start: int, end: int, most: int) -> list[int]:
    """At most `most` of the frames start…end−1, evenly, truncated to whole numbers."""
    if end - start <= most:
        return list(range(start, end))
    return np.linspace(start, end - 1, most).astype(int).tolist()


def original_frames(frames: int, rate: float, fps: float, most: int = _ORIGINAL_MOST) -> list[int]:
    """Original reader: every int(rate / fps)-th frame from 0, or `most` evenly where that gives more."""
    indices = list(range(0, frames, max(1, int(rate / fps))))
    return indices if len(indices) <= most else spread_frames(0, frames, most)


def segment_frames(frames: int, rate: float, fps: float, most: int = _ORIGINAL_MOST) -> list[int]:
    """Original reader, animations and folders: the middle of every segment of rate // fps frames, or `most` evenly."""
    if frames / rate >= most:
        return spread_frames(0, frames, most)
    segment = max(int(min(rate // fps, frames)), 1)
    return list(range(segment // 2, frames, segment))


def resampled_frames(
    times_s: NDArray[np.float64], fps: float, most: int = _HF_MOST
) -> tuple[list[int], tuple[float, ...]]:
    """HF reader: the last frame of every 1 / fps seconds, at most `most` of them; and k / fps as their times."""
    ticks = np.floor((times_s - times_s[0]) * fps + 1e-6).astype(int)
    last = (len(times_s) - 1) / max(float(times_s[-1] - times_s[0]), 1e-9) if len(times_s) > 1 else fps
    count = max(1, int((float(times_s[-1] - times_s[0]) + 1 / last) * fps + 1e-6))
    indices = [max(int(np.searchsorted(ticks, k, side="right")) - 1, 0) for k in range(count)]
    chosen = spread_frames(0, count, most)
    return [indices[k] for k in chosen], tuple(k / fps for k in chosen)


def chosen_frames(
    shown: Shown, layout: Literal["hf", "original"], max_frames: int | None, timestamps: bool | None
) -> tuple[list[int], tuple[float, ...] | None]:
    """(frame indices, the times the prompt names or None). `timestamps`: None names those of the part, and in the HF
    layout the clip's own. InputError where the part has more or fewer times than there are frames given."""
    clip = shown.item
    assert isinstance(clip, Clip)
    rate = _rate(clip.times_s)
    times: Sequence[float]
    if clip.origin.format in _GIVEN:
        indices = list(range(clip.num_frames))
        if shown.timestamps is not None and len(shown.timestamps) != clip.num_frames:
            raise InputError(
                f"the video part has {len(shown.timestamps)} timestamps and {clip.num_frames} frames.",
                fix="Give one time per frame.",
            )
        if shown.timestamps is None and not timestamps:
            return indices, None
        times = shown.timestamps or clip.times_s.tolist()
    elif shown.timestamps is not None:
        times = shown.timestamps
        indices = [int(np.abs(clip.times_s - moment).argmin()) for moment in times]
    elif clip.origin.format == "folder":
        rate, fps = _FOLDER_RATES[layout], shown.fps or 1.0
        if layout == "hf":
            indices, times = resampled_frames(np.arange(clip.num_frames) / rate, fps, max_frames or _HF_MOST)
        else:
            indices = segment_frames(clip.num_frames, rate, fps, max_frames or _ORIGINAL_MOST)
            times = [index / rate for index in indices]
    elif layout == "hf":
        indices, times = resampled_frames(clip.times_s, shown.fps or 1.0, max_frames or _HF_MOST)
    elif clip.origin.format == "gif":
        indices = segment_frames(clip.num_frames, _GIF_RATE, shown.fps or 1.0, max_frames or _ORIGINAL_MOST)
        times = [index / _GIF_RATE for index in indices]
    else:
        indices = original_frames(clip.num_frames, rate, shown.fps or 1.0, max_frames or _ORIGINAL_MOST)
        times = [index / rate for index in indices]
    named = shown.timestamps is not None or layout == "hf" if timestamps is None else timestamps
    return indices, tuple(float(moment) for moment in times) if named else None


def _rate(times_s: NDArray[np.float64]) -> float:
    span = float(times_s[-1] - times_s[0])
    return (len(times_s) - 1) / span if span > 0 else 1.0

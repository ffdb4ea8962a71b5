"""Which frames of a clip a model sees, and the times it is told."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vesalius.errors import InputError

__all__ = ["nearest_frames", "pair_times", "sampled_frames"]


def sampled_frames(total: int, duration_fps: float, *, fps: float, least: int = 4, most: int = 768) -> list[int]:
    """Frame indices that show `fps` frames of each second, evenly from first to last: at least `least`, at most `most`,
    never more than there are. `duration_fps`: the clip's own frames per second."""
    count = min(max(int(total / duration_fps * fps), least), most, total)
    return [int(v) for v in np.linspace(0, total - 1, count).round()]


def nearest_frames(times_s: Sequence[float], wanted_s: Sequence[float]) -> list[int]:
    """The frame shown at each wanted time (seconds): the nearest. Raises InputError for a time outside the clip."""
    times = np.asarray(times_s, float)
    step = float(np.diff(times).mean()) if len(times) > 1 else 1.0
    for second in wanted_s:
        if not times[0] - step <= second <= times[-1] + step:
            raise InputError(f"timestamp {second:g} s is outside the clip ({times[0]:g} to {times[-1]:g} s).")
    return [int(np.abs(times - second).argmin()) for second in wanted_s]


def pair_times(times_s: Sequence[float], size: int = 2) -> list[float]:
    """Mean of the first and last time of each group of `size` frames; the last frame repeats to fill its group."""
    filled = [*times_s, *[times_s[-1]] * (-len(times_s) % size)]
    return [(filled[at] + filled[at + size - 1]) / 2 for at in range(0, len(filled), size)]

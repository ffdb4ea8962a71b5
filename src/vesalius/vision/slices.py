"""Slices of a volume → the float array a vision tower takes, with NumPy and Pillow alone (no torch import).

Grey all the way: a slice is windowed to 8 bits, resized once as a single channel, normalised, and only then shared out
to the three channels a colour tower expects.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError
from vesalius.limits import usable_cores

if TYPE_CHECKING:
    from concurrent.futures import Future

    from vesalius.study.items import Axis, SliceView, Volume
    from vesalius.study.windows import Window

__all__ = ["model_ready", "volume_ready"]

Triple = tuple[float, float, float]


def model_ready(
    views: Sequence[SliceView],
    size: int | tuple[int, int],
    *,
    window: Window | None = None,
    mean: Triple = (0.5, 0.5, 0.5),
    std: Triple = (0.5, 0.5, 0.5),
) -> NDArray[np.float32]:
    """Window, resize (bicubic, antialiased) and normalise slices: float32 `[N, 3, H, W]`.

    `size`: (height, width) in pixels, or one number for both; the aspect is not kept.  `window`: in place of each
    view's own.  `mean`, `std`: per channel, for values scaled to 0…1.  Where the channels' normalisation is equal the
    result is a read-only view that shares one channel; copy it to write. Raises InputError when there are no slices.
    """
    if not views:
        raise InputError("no slices were given.", fix="Choose at least one.")
    return _ready(enumerate(views), len(views), size, window, mean, std)


def volume_ready(
    volume: Volume,
    indices: Sequence[int],
    size: int | tuple[int, int],
    *,
    axis: Axis = "axial",
    window: Window | None = None,
    mean: Triple = (0.5, 0.5, 0.5),
    std: Triple = (0.5, 0.5, 0.5),
) -> NDArray[np.float32]:
    """`model_ready` of `volume.slices(indices, axis, window)`, resized while later slices are still being inflated."""
    if not indices:
        raise InputError("no slices were given.", fix="Choose at least one.")
    return _ready(volume.each_slice(indices, axis, window), len(indices), size, None, mean, std)


def _ready(
    arriving: Iterable[tuple[int, SliceView]],
    count: int,
    size: int | tuple[int, int],
    window: Window | None,
    mean: Triple,
    std: Triple,
) -> NDArray[np.float32]:
    """Slices are taken as they arrive in this thread; others window, resize and normalise them meanwhile (NumPy and
    Pillow let go of the interpreter there). Few wait at a time, so that a long series is never held whole."""
    from concurrent.futures import ThreadPoolExecutor

    channels = list(zip(mean, std, strict=True))
    if len(set(channels)) == 1:
        channels = channels[:1]
    height, width = (size, size) if isinstance(size, int) else size
    ready_NCHW = np.empty((count, len(channels), height, width), np.float32)
    workers = min(4, count, usable_cores())
    waiting: deque[Future[None]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for place, view in arriving:
                if len(waiting) >= workers + 2:
                    waiting.popleft().result()
                waiting.append(pool.submit(_fill, ready_NCHW[place], view, window, channels))
            while waiting:
                waiting.popleft().result()
        finally:
            for left in waiting:
                left.cancel()
    return np.broadcast_to(ready_NCHW, (count, 3, height, width)) if len(channels) == 1 else ready_NCHW


def _fill(
    ready_CHW: NDArray[np.float32], view: SliceView, window: Window | None, channels: list[tuple[float, float]]
) -> None:
    """One slice, windowed, resized as one channel and normalised."""
    from PIL import Image

    height, width = ready_CHW.shape[1:]
    shown = Image.fromarray(view.view(window)).resize((width, height), Image.Resampling.BICUBIC)
    grey_HW = np.asarray(shown)
    for plane_HW, (m, s) in zip(ready_CHW, channels, strict=True):
        np.divide(grey_HW, np.float32(255), out=plane_HW)
        np.subtract(plane_HW, np.float32(m), out=plane_HW)
        np.divide(plane_HW, np.float32(s), out=plane_HW)

"""Slices of a volume → the float array a vision tower takes, with NumPy and Pillow alone (no torch import).

Grey all the way: a slice is windowed to 8 bits, resized once as a single channel, normalised, and only then shared out
to the three channels a colour tower expects. Where the caller asked for a cache the 8-bit slices are kept in it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError
from vesalius.limits import usable_cores
from vesalius.study.raw_voxels import kept_slices, late_warnings

if TYPE_CHECKING:
    from concurrent.futures import Future

    from vesalius.study.items import Axis, SliceView, Volume
    from vesalius.study.voxel_cache import KeptSlices
    from vesalius.study.windows import Window

__all__ = ["model_ready", "volume_ready"]

Triple = tuple[float, float, float]
Channels = list[tuple[float, float]]

_MAKING = 1
"""Raised by whoever changes how a slice is windowed or resized, so that slices kept before are not taken for ours."""


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
    return _ready(enumerate(views), len(views), _height_width(size), window, _channels(mean, std))[1]


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
    """`model_ready` of `volume.slices(indices, axis, window)`, resized while later slices are still being inflated.

    Of a volume read with `cache=True` the resized slices are kept, so that asking for the same ones again neither
    decodes nor resizes.
    """
    if not indices:
        raise InputError("no slices were given.", fix="Choose at least one.")
    count, (height, width), channels = len(indices), _height_width(size), _channels(mean, std)
    kept = _kept(volume, indices, (height, width), axis, window)
    data = None if kept is None else kept.read(count * height * width)
    if data is not None:
        grey_NHW = np.frombuffer(data, np.uint8).reshape(count, height, width)
        ready_NCHW = np.empty((count, len(channels), height, width), np.float32)
        for grey_HW, ready_CHW in zip(grey_NHW, ready_NCHW, strict=True):
            _normalise(grey_HW, ready_CHW, channels)
        return _shared(ready_NCHW)
    arriving = volume.each_slice(indices, axis, window)
    grey_NHW, ready_NCHW = _ready(arriving, count, (height, width), None, channels)
    # A kept slice would come back without the warning that decoding it gave.
    if kept is not None and not late_warnings(volume):
        kept.write(grey_NHW.tobytes())
    return ready_NCHW


def _kept(
    volume: Volume, indices: Sequence[int], size: tuple[int, int], axis: Axis, window: Window | None
) -> KeptSlices | None:
    """Where the cache keeps these slices. All that shapes a grey level is spelled out; normalising comes after."""
    import PIL

    chosen = window or volume.window
    levels = None if chosen is None else (float(chosen.low), float(chosen.high))
    asked = (axis, [int(index) for index in indices], size, levels)
    return kept_slices(volume, repr((_MAKING, PIL.__version__, asked)))


def _height_width(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _channels(mean: Triple, std: Triple) -> Channels:
    """(mean, standard deviation) of each channel, one for all where they are equal."""
    channels = list(zip(mean, std, strict=True))
    return channels[:1] if len(set(channels)) == 1 else channels


def _shared(ready_NCHW: NDArray[np.float32]) -> NDArray[np.float32]:
    """Three channels, all of them the one there is where there is one."""
    count, _, height, width = ready_NCHW.shape
    return np.broadcast_to(ready_NCHW, (count, 3, height, width)) if ready_NCHW.shape[1] == 1 else ready_NCHW


def _ready(
    arriving: Iterable[tuple[int, SliceView]],
    count: int,
    size: tuple[int, int],
    window: Window | None,
    channels: Channels,
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Grey `[N, H, W]` and normalised `[N, 3, H, W]`.

    Slices are taken as they arrive in this thread; others window, resize and normalise them meanwhile (NumPy and
    Pillow let go of the interpreter there). Few wait at a time, so that a long series is never held whole.
    """
    from concurrent.futures import ThreadPoolExecutor

    grey_NHW = np.empty((count, *size), np.uint8)
    ready_NCHW = np.empty((count, len(channels), *size), np.float32)
    workers = min(4, count, usable_cores())
    waiting: deque[Future[None]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for place, view in arriving:
                if len(waiting) >= workers + 2:
                    waiting.popleft().result()
                waiting.append(pool.submit(_fill, grey_NHW[place], ready_NCHW[place], view, window, channels))
            while waiting:
                waiting.popleft().result()
        finally:
            for left in waiting:
                left.cancel()
    return grey_NHW, _shared(ready_NCHW)


def _fill(
    grey_HW: NDArray[np.uint8],
    ready_CHW: NDArray[np.float32],
    view: SliceView,
    window: Window | None,
    channels: Channels,
) -> None:
    """One slice, windowed, resized as one channel and normalised."""
    from PIL import Image

    height, width = grey_HW.shape
    shown = Image.fromarray(view.view(window)).resize((width, height), Image.Resampling.BICUBIC)
    grey_HW[...] = np.asarray(shown)
    _normalise(grey_HW, ready_CHW, channels)


def _normalise(grey_HW: NDArray[np.uint8], ready_CHW: NDArray[np.float32], channels: Channels) -> None:
    """(grey / 255 − mean) / standard deviation, one plane for each channel."""
    for plane_HW, (m, s) in zip(ready_CHW, channels, strict=True):
        np.divide(grey_HW, np.float32(255), out=plane_HW)
        np.subtract(plane_HW, np.float32(m), out=plane_HW)
        np.divide(plane_HW, np.float32(s), out=plane_HW)

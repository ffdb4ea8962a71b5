"""Slices of a volume → the float array a vision tower takes, with NumPy and Pillow alone (no torch import).

Grey all the way: a slice is windowed to 8 bits, resized once as a single channel, normalised through a table of 256
values, and only then shared out to the three channels a colour tower expects.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError

if TYPE_CHECKING:
    from vesalius.study.items import Axis, SliceView, Volume
    from vesalius.study.windows import Window

__all__ = ["model_ready", "volume_ready"]

T = TypeVar("T")

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
    grey_NHW = np.empty((len(views), *_height_width(size)), np.uint8)
    for place, view in enumerate(views):
        _resize_into(grey_NHW[place], view, window)
    return _normalised(grey_NHW, mean, std)


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
    grey_NHW = np.empty((len(indices), *_height_width(size)), np.uint8)
    for place, view in _ahead(volume.each_slice(indices, axis, window)):
        _resize_into(grey_NHW[place], view, None)
    return _normalised(grey_NHW, mean, std)


def _ahead(arriving: Iterator[T]) -> Iterator[T]:
    """The same items, the next three made in a thread beside the caller's work on this one."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        upcoming = deque(pool.submit(next, arriving, None) for _ in range(3))
        try:
            while (item := upcoming.popleft().result()) is not None:
                upcoming.append(pool.submit(next, arriving, None))
                yield item
        finally:
            for waiting in upcoming:
                waiting.cancel()


def _height_width(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _resize_into(grey_HW: NDArray[np.uint8], view: SliceView, window: Window | None) -> None:
    from PIL import Image

    shown = Image.fromarray(view.view(window))
    height, width = grey_HW.shape
    grey_HW[...] = np.asarray(shown.resize((width, height), Image.Resampling.BICUBIC))


def _normalised(grey_NHW: NDArray[np.uint8], mean: Triple, std: Triple) -> NDArray[np.float32]:
    scaled = np.arange(256, dtype=np.float32) / np.float32(255)
    tables = [(scaled - np.float32(m)) / np.float32(s) for m, s in zip(mean, std, strict=True)]
    if len({*zip(mean, std, strict=True)}) == 1:
        one_N1HW = tables[0].take(grey_NHW)[:, None]
        return np.broadcast_to(one_N1HW, (len(grey_NHW), 3, *grey_NHW.shape[1:]))
    return np.stack([table.take(grey_NHW) for table in tables], axis=1)

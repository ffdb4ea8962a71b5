"""Slices of a volume → the float array a vision tower takes, with NumPy and Pillow alone (no torch import).

Grey all the way: a slice is windowed to 8 bits, resized once as a single channel, normalised through a table of 256
values, and only then shared out to the three channels a colour tower expects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError

if TYPE_CHECKING:
    from vesalius.study.items import SliceView
    from vesalius.study.windows import Window

__all__ = ["model_ready"]

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
    from PIL import Image

    if not views:
        raise InputError("no slices were given.", fix="Choose at least one.")
    height, width = (size, size) if isinstance(size, int) else size
    grey_NHW = np.empty((len(views), height, width), np.uint8)
    for place, view in enumerate(views):
        shown = Image.fromarray(view.view(window))
        grey_NHW[place] = np.asarray(shown.resize((width, height), Image.Resampling.BICUBIC))
    scaled = np.arange(256, dtype=np.float32) / np.float32(255)
    tables = [(scaled - np.float32(m)) / np.float32(s) for m, s in zip(mean, std, strict=True)]
    if len({*zip(mean, std, strict=True)}) == 1:
        one_N1HW = tables[0].take(grey_NHW)[:, None]
        return np.broadcast_to(one_N1HW, (len(views), 3, height, width))
    return np.stack([table.take(grey_NHW) for table in tables], axis=1)

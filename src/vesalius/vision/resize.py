"""Resizing 8-bit pictures: Pillow's antialiased bicubic to the last bit, or a faster one that is nearly the same."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import OptionError

__all__ = ["Resize", "check_resize", "resized"]

Bytes = NDArray[np.uint8]
Resize = Literal["exact", "fast"]
"""`exact`: Pillow's values. `fast`: torch's 8-bit kernel, about three times as fast, whose weights have fewer bits:
within 2 grey levels of Pillow's (1 but for rare pixels; 0.005 on average)."""


def check_resize(given: str) -> Resize:
    """`given` if it names a way of resizing, else OptionError."""
    if given not in ("exact", "fast"):
        raise OptionError(f"resize is {given!r}.", fix="Use exact or fast.")
    return given


def resized(picture: Bytes, height: int, width: int, how: Resize = "exact") -> Bytes:
    """`[H, W]` or `[H, W, 3]` → `[height, width(, 3)]`; the very same picture when the size fits already."""
    if picture.shape[:2] == (height, width):
        return picture
    if how == "fast":
        return _by_torch(picture, height, width)
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))


def _by_torch(picture: Bytes, height: int, width: int) -> Bytes:
    import torch

    # Channels last in memory, channels first in shape: the layout the 8-bit kernel is fast on.
    channels_last = np.require(picture.reshape(1, *picture.shape[:2], -1), requirements=["C", "W"])
    planes = torch.from_numpy(channels_last).permute(0, 3, 1, 2)
    made = torch.nn.functional.interpolate(planes, (height, width), mode="bicubic", antialias=True)
    return made[0, 0].numpy() if picture.ndim == 2 else made[0].permute(1, 2, 0).numpy()

"""Fit any picture into a square without changing its shape, and find the way back exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError

__all__ = ["Fit", "fit_square", "letterbox"]


@dataclass(frozen=True)
class Fit:
    """How a `width`×`height` picture lies in a `size`×`size` square.

    square pixel frame = source pixel frame × (`scale_x`, `scale_y`) + (`left`, `top`). The two scales differ by less
    than one square pixel over the whole side, because the fitted picture has whole pixels.
    """

    width: int
    height: int
    size: int
    scale_x: float
    scale_y: float
    left: int
    top: int

    @property
    def inner(self) -> tuple[int, int, int, int]:
        """(x0, y0, x1, y1) of the picture inside the square, whole pixels."""
        return (
            self.left,
            self.top,
            self.left + round(self.width * self.scale_x),
            self.top + round(self.height * self.scale_y),
        )

    def to_source(self, x: float, y: float) -> tuple[float, float]:
        """Square pixel frame → source pixel frame, clipped to the source."""
        source_x = (x - self.left) / self.scale_x
        source_y = (y - self.top) / self.scale_y
        return min(max(source_x, 0.0), float(self.width)), min(max(source_y, 0.0), float(self.height))

    def to_square(self, x: float, y: float) -> tuple[float, float]:
        """Source pixel frame → square pixel frame."""
        return x * self.scale_x + self.left, y * self.scale_y + self.top


def fit_square(width: int, height: int, size: int) -> Fit:
    """The largest centred fit of `width`×`height` in `size`×`size`, in whole pixels (at least 1 each way)."""
    if width < 1 or height < 1:
        raise InputError(f"picture is {width}×{height} pixels; both sides must be at least 1.")
    ratio = size / max(width, height)
    inner_w, inner_h = max(1, round(width * ratio)), max(1, round(height * ratio))
    return Fit(width, height, size, inner_w / width, inner_h / height, (size - inner_w) // 2, (size - inner_h) // 2)


def letterbox(pixels: NDArray[np.uint8], size: int) -> tuple[NDArray[np.uint8], Fit]:
    """`pixels` `[H, W]` or `[H, W, 3]` uint8 → (`[size, size, 3]` uint8 on black, the Fit).

    Pillow's bicubic with antialiasing, the same filter the published families use.
    """
    from PIL import Image

    height, width = pixels.shape[:2]
    fit = fit_square(width, height, size)
    x0, y0, x1, y1 = fit.inner
    if (width, height) == (x1 - x0, y1 - y0):
        shown = pixels
    else:
        picture = Image.fromarray(np.ascontiguousarray(pixels))
        shown = np.asarray(picture.resize((x1 - x0, y1 - y0), Image.Resampling.BICUBIC))
    square = np.zeros((size, size, 3), dtype=np.uint8)
    square[y0:y1, x0:x1] = shown if shown.ndim == 3 else shown[:, :, None]
    return square, fit

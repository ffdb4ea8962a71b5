"""From drawn planes to the picture a machine would store: noise, gain, vignette, markers, bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.phantoms.canvas import Canvas
from vesalius.phantoms.dice import Dice
from vesalius.phantoms.shapes import clipped
from vesalius.phantoms.textures import cut

__all__ = ["add_marker", "add_noise", "blur", "colour_bytes", "grey_bytes", "round_view", "tint"]

Field = NDArray[np.floating[Any]]


def add_noise(plane: Field, canvas: Canvas, dice: Dice, sigma: float, kind: str = "grain") -> None:
    """Add noise of standard deviation `sigma` in place."""
    plane += np.float32(sigma) * cut(kind, dice, canvas.height, canvas.width)


def blur(plane: Field, times: int = 1) -> Field:
    """Binomial blur (¼ ½ ¼ both ways), `times` over; the outermost pixels keep their value."""
    for _ in range(times):
        for before, here, after in (
            (np.s_[:-2], np.s_[1:-1], np.s_[2:]),
            (np.s_[:, :-2], np.s_[:, 1:-1], np.s_[:, 2:]),
        ):
            out = plane.copy()
            around = plane[before] + plane[after]
            around *= np.float32(0.25)
            middle = out[here]
            middle *= np.float32(0.5)
            middle += around
            plane = out
    return plane


def grey_bytes(plane: Field) -> NDArray[np.uint8]:
    """0…1 → uint8 `[H, W]`."""
    grey = np.clip(plane, 0.0, 1.0)
    grey *= np.float32(255.0)
    grey += np.float32(0.5)
    return grey.astype(np.uint8)


def colour_bytes(planes: Field) -> NDArray[np.uint8]:
    """`[3, H, W]` in 0…1 → uint8 `[H, W, 3]`."""
    pixels = np.empty((*planes.shape[1:], 3), np.uint8)
    for channel, plane in enumerate(planes):
        pixels[..., channel] = grey_bytes(plane)
    return pixels


def tint(planes: Field, rows: slice, columns: slice, cover: Field, colour: tuple[float, float, float]) -> None:
    """Lay a colour over a window of `[3, H, W]` planes, in place, `cover` 0…1 of its shape."""
    for plane, value in zip(planes, colour, strict=True):
        part = plane[rows, columns]
        change = np.subtract(np.float32(value), part)
        change *= cover
        part += change


def round_view(canvas: Canvas, x: float, y: float, radius: float, soft: float = 1.5) -> Field:
    """1 inside a round field of view, 0 outside, `soft` pixels wide at its border."""
    distance = (canvas.xs - np.float32(x)) ** 2 + (canvas.ys - np.float32(y)) ** 2
    np.sqrt(distance, out=distance)
    inside = np.subtract(np.float32(radius), distance, out=distance)
    inside *= np.float32(1.0 / soft)
    inside += np.float32(0.5)
    return clipped(inside)


_GLYPHS = {
    "L": ("1000", "1000", "1000", "1000", "1000", "1111"),
    "R": ("1110", "1001", "1001", "1110", "1010", "1001"),
    "A": ("0110", "1001", "1001", "1111", "1001", "1001"),
    "P": ("1110", "1001", "1001", "1110", "1000", "1000"),
    "H": ("1001", "1001", "1111", "1001", "1001", "1001"),
    "3": ("1110", "0001", "0110", "0001", "0001", "1110"),
    "7": ("1111", "0001", "0010", "0010", "0100", "0100"),
}


def add_marker(plane: Field, glyph: str, row: int, column: int, pixel: int, value: float) -> None:
    """Write one letter or digit in place, each of its cells `pixel` wide; cut off at the border."""
    for down, line in enumerate(_GLYPHS[glyph]):
        for across, bit in enumerate(line):
            if bit == "1":
                top, left = row + down * pixel, column + across * pixel
                plane[top : top + pixel, left : left + pixel] = value

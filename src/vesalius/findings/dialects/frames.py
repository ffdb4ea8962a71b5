"""Coordinate frames of the dialects, and the way between them and original pixels through resize and padding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from vesalius.errors import OptionError

__all__ = ["Coord", "Frame", "frame_of"]

Coord = Literal["abs_original", "abs_processed", "norm1000", "norm999", "norm100", "norm1"]
_FINE = 1e-4
"""Unit coordinates are written with at least four decimals."""
_SCALES = {"norm1000": 1000.0, "norm999": 999.0, "norm100": 100.0, "norm1": 1.0}


@dataclass(frozen=True)
class Frame:
    """How a model writes places. Per axis (x, y, and z of a volume): `limits`, the largest number of the frame;
    `scales`, original pixels per unit; `offsets`, where the picture begins in units; `sizes`, original pixels. `step`:
    the distance of neighbouring numbers as models write them."""

    limits: tuple[float, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    sizes: tuple[float, ...]
    step: float

    def to_image(self, axis: int, value: float) -> float:
        """A number of the frame → original pixels. A number that only its own rounding puts into the padding is the
        picture's edge."""
        if not self.offsets[axis]:
            exact = value * self.sizes[axis] / self.limits[axis] if self._fills(axis) else value * self.scales[axis]
        else:
            exact = (value - self.offsets[axis]) * self.scales[axis]
        edge = min(max(exact, 0.0), self.sizes[axis])
        slack = self.step / 2 * self.scales[axis] * 1.000001
        return edge if not self._fills(axis) and abs(exact - edge) <= slack else exact

    def from_image(self, axis: int, value: float) -> float:
        """Original pixels → a number of the frame, not rounded."""
        return value / self.scales[axis] + self.offsets[axis]

    def _fills(self, axis: int) -> bool:
        """Whether the frame and the picture have the same edges along an axis."""
        return not self.offsets[axis] and math.isclose(self.limits[axis] * self.scales[axis], self.sizes[axis])


def frame_of(
    coord: str,
    image_size: Sequence[float],
    processed_size: Sequence[float] | None = None,
    padding: Sequence[float] | None = None,
) -> Frame:
    """The frame of a picture (width, height) or volume (width, height, depth).

    `processed_size`: what the model was shown, padding included. `padding`: (left, top, right, bottom) of it in its own
    pixels. Raises OptionError for sizes that are not positive or a padding that leaves nothing.
    """
    if coord not in get_args(Coord):
        raise OptionError(f"coord is {coord!r}.", fix=f"Use one of {', '.join(get_args(Coord))}.")
    sizes = _sizes("image_size", image_size)
    shown = sizes if processed_size is None else _sizes("processed_size", processed_size)
    if len(shown) != len(sizes):
        raise OptionError(f"processed_size has {len(shown)} numbers, image_size {len(sizes)}.")
    pads = (0.0,) * (2 * len(sizes)) if padding is None else tuple(float(one) for one in padding)
    if len(pads) != 2 * len(sizes) or any(not math.isfinite(one) or one < 0 for one in pads):
        raise OptionError(f"padding is {pads}.", fix="Give (left, top, right, bottom), none negative.")
    before, after = pads[: len(sizes)], pads[len(sizes) :]
    inner = tuple(size - a - b for size, a, b in zip(shown, before, after, strict=True))
    if any(one <= 0 for one in inner):
        raise OptionError("the padding leaves nothing of processed_size.")
    if coord == "abs_original":
        return Frame(sizes, (1.0,) * len(sizes), (0.0,) * len(sizes), sizes, 1.0)
    if coord == "abs_processed":
        scales = tuple(size / one for size, one in zip(sizes, inner, strict=True))
        return Frame(shown, scales, before, sizes, 1.0)
    top = _SCALES[coord]
    scales = tuple(whole / top * size / one for whole, size, one in zip(shown, sizes, inner, strict=True))
    offsets = tuple(one / whole * top for one, whole in zip(before, shown, strict=True))
    return Frame((top,) * len(sizes), scales, offsets, sizes, _FINE if coord == "norm1" else 1.0)


def _sizes(name: str, given: Sequence[float]) -> tuple[float, ...]:
    try:
        values = tuple(float(one) for one in given)
    except (TypeError, ValueError):
        values = ()
    if len(values) not in (2, 3) or any(not math.isfinite(one) or one <= 0 for one in values):
        raise OptionError(f"{name} is {given!r}.", fix="Give (width, height), both more than 0.")
    return values

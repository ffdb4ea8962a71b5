"""Grey windows: named presets, modality defaults, and applying one to values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import OptionError

__all__ = ["PRESETS", "Window", "apply_window", "default_window", "preset"]


@dataclass(frozen=True)
class Window:
    """Values from `low` (black) to `high` (white), in modality units; `name` for display."""

    low: float
    high: float
    name: str = ""

    @classmethod
    def from_centre_width(cls, centre: float, width: float, name: str = "") -> Window:
        return cls(centre - width / 2, centre + width / 2, name)


PRESETS: dict[str, Window] = {
    name: Window.from_centre_width(centre, width, name)
    for name, centre, width in (
        ("lung", -600, 1500),
        ("mediastinum", 40, 400),
        ("soft-tissue", 40, 400),
        ("abdomen", 50, 400),
        ("liver", 60, 160),
        ("bone", 400, 1800),
        ("brain", 40, 80),
        ("stroke", 35, 30),
        ("subdural", 75, 215),
        ("angio", 300, 600),
        ("full", 0, 4000),
    )
}
"""CT windows in HU by name."""


def preset(name: str) -> Window:
    """The named CT window; OptionError lists the names when it is unknown."""
    try:
        return PRESETS[name]
    except KeyError:
        raise OptionError(f"no window is called {name!r}.", fix=f"Known: {', '.join(sorted(PRESETS))}.") from None


def default_window(modality: str | None, values: NDArray[Any]) -> Window:
    """The window shown when neither the user nor the file names one.

    CT: soft tissue (−160…240 HU). Bytes: as they are. Everything else: the 0.5th to 99.5th percentile of the finite
    values given (a stride keeps this under a million samples).
    """
    if modality == "CT":
        return PRESETS["soft-tissue"]
    if values.dtype == np.uint8:
        return Window(0, 255, "stored")
    flat = values.reshape(-1)
    sample = flat[:: max(1, flat.size // 1_000_000)].astype(np.float32)
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return Window(0, 1, "empty")
    low, high = (float(v) for v in np.percentile(sample, [0.5, 99.5]))
    if high <= low:
        low, high = float(sample.min()), float(sample.max())
    return Window(low, high if high > low else low + 1, "percentile")


def apply_window(values: NDArray[Any], window: Window) -> NDArray[np.uint8]:
    """Values of any real dtype and shape → uint8, `low` and below 0, `high` and above 255, rounded; NaN is 0."""
    if values.dtype == np.uint8 and (window.low, window.high) == (0, 255):
        return np.ascontiguousarray(values, dtype=np.uint8)
    span = max(window.high - window.low, 1e-12)
    if values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
        # One gather through a table over the whole 8- or 16-bit range instead of three float passes.
        table = _window_table(values.dtype.itemsize, values.dtype.kind == "i", window.low, span)
        return table.take(values.astype(values.dtype.newbyteorder("="), copy=False).view(f"u{values.dtype.itemsize}"))
    scaled = (values.astype(np.float32) - np.float32(window.low)) * np.float32(255.0 / span)
    return np.nan_to_num(np.clip(np.rint(scaled), 0, 255), nan=0.0).astype(np.uint8)


@lru_cache(maxsize=32)
def _window_table(itemsize: int, signed: bool, low: float, span: float) -> NDArray[np.uint8]:
    """The grey level of every stored bit pattern of an 8- or 16-bit integer, indexed as if it were unsigned."""
    count = 1 << (8 * itemsize)
    levels = np.arange(count, dtype=np.float64)
    if signed:
        levels[count // 2 :] -= count
    return np.clip(np.rint((levels - low) * (255.0 / span)), 0, 255).astype(np.uint8)

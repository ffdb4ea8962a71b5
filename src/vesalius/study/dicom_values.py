"""From stored DICOM pixel values to modality units and to a display window.

Order of the standard (PS3.3 C.11): stored value → modality LUT or rescale slope/intercept → VOI window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError
from vesalius.study.windows import Window

__all__ = ["IDENTITY", "Rescale", "find_rescale", "find_window", "floats", "smallest_integer"]

Array = NDArray[Any]
_LARGEST = 1e12


@dataclass(frozen=True)
class Rescale:
    """Stored value → modality units: `slope * stored + intercept`, or a table over `first`…`first + len(table) - 1`."""

    slope: float = 1.0
    intercept: float = 0.0
    table: Array | None = field(default=None, repr=False)
    first: int = 0

    @property
    def integral(self) -> bool:
        """Whether integers stay integers."""
        return self.table is None and self.slope == int(self.slope) and self.intercept == int(self.intercept)

    def dtype(self, stored: np.dtype[Any], low: int, high: int) -> np.dtype[Any]:
        """The dtype of the result for stored values in `low`…`high`: the stored one, a wider integer, or float32."""
        if self.table is not None:
            return self.table.dtype
        if stored.kind == "f":
            return stored
        if (self.slope, self.intercept) == (1.0, 0.0):
            return stored
        if not self.integral:
            return np.dtype(np.float32)
        ends = (low * self.slope + self.intercept, high * self.slope + self.intercept)
        return smallest_integer(int(min(ends)), int(max(ends)))

    def apply(self, stored: Array, dtype: np.dtype[Any]) -> Array:
        """Stored values (any shape) in modality units as `dtype` (as `dtype()` chose it, or wider)."""
        if self.table is not None:
            index = np.clip(stored.astype(np.int64) - self.first, 0, len(self.table) - 1)
            return self.table[index].astype(dtype, copy=False)
        if (self.slope, self.intercept) == (1.0, 0.0):
            return stored.astype(dtype, copy=False)
        if dtype.kind in "iu":
            wide = stored.astype(dtype)
            if self.slope != 1.0:
                wide *= np.asarray(int(self.slope)).astype(dtype)
            if self.intercept:
                wide += np.asarray(int(self.intercept)).astype(dtype)
            return wide
        return (stored.astype(np.float64) * self.slope + self.intercept).astype(dtype)


IDENTITY = Rescale()


def smallest_integer(low: int, high: int) -> np.dtype[Any]:
    """The narrowest of uint8, int16, uint16, int32, int64 that holds `low`…`high`; float32 past those."""
    for kind in (np.uint8, np.int16, np.uint16, np.int32, np.int64):
        info = np.iinfo(kind)
        if info.min <= low and high <= info.max:
            return np.dtype(kind)
    return np.dtype(np.float32)


def floats(value: Any) -> list[float]:
    """Numbers of a DICOM value, single or multiple; unparsable ones are left out."""
    if value is None or isinstance(value, (str, bytes)):
        value = [] if value in (None, "", b"") else [value]
    elif not hasattr(value, "__iter__"):
        value = [value]
    found: list[float] = []
    for entry in value:
        try:
            found.append(float(entry))
        except (TypeError, ValueError, OverflowError):
            continue
    return found


def find_rescale(dataset: Any, label: str) -> Rescale:
    """The modality transformation of a dataset or functional group (identity when there is none).

    Raises InputError for a slope that is 0 or not finite: every pixel would have the same or no value.
    """
    if dataset.get("ModalityLUTSequence"):
        return _lookup(dataset, label)
    slope = floats(dataset.get("RescaleSlope"))
    intercept = floats(dataset.get("RescaleIntercept"))
    chosen = Rescale(slope[0] if slope else 1.0, intercept[0] if intercept else 0.0)
    usable = all(math.isfinite(v) and abs(v) < _LARGEST for v in (chosen.slope, chosen.intercept))
    if not usable or chosen.slope == 0:
        raise InputError(
            f"RescaleSlope {chosen.slope:g} with RescaleIntercept {chosen.intercept:g} gives no usable values; "
            "the slope must be finite and not 0.",
            file=label,
            fix="Correct the header or export the series again.",
        )
    return chosen


def lut_descriptor(item: Any, keyword: str, label: str) -> tuple[int, int, int]:
    """(number of entries, first stored value mapped, bits per entry); 0 entries mean 65536."""
    parts = floats(item.get(keyword))
    if len(parts) != 3 or not all(math.isfinite(p) for p in parts) or not 0 <= parts[0] <= 65536:
        raise InputError(f"{keyword} does not hold three usable numbers.", file=label, fix="Export the file again.")
    return int(parts[0]) or 65536, int(parts[1]), int(parts[2])


def lut_values(item: Any, keyword: str, entries: int, label: str) -> Array:
    """The entries of a lookup table as uint16; InputError when there are too few."""
    raw = item.get(keyword)
    if isinstance(raw, bytes):
        wide = len(raw) >= 2 * entries
        order = ">" if item.original_encoding[1] is False else "<"
        values = np.frombuffer(raw[: len(raw) // 2 * 2], f"{order}u2") if wide else np.frombuffer(raw, np.uint8)
    else:
        values = np.asarray(floats(raw))
    if len(values) < entries:
        raise InputError(f"{keyword} holds {len(values)} entries, {entries} expected.", file=label)
    return values[:entries].astype(np.uint16)


def _lookup(dataset: Any, label: str) -> Rescale:
    item = dataset.get("ModalityLUTSequence")[0]
    entries, first, _ = lut_descriptor(item, "LUTDescriptor", label)
    return Rescale(table=lut_values(item, "LUTData", entries, label), first=first)


def find_window(dataset: Any, label: str) -> tuple[Window | None, str | None]:
    """(the file's display window in modality units, a warning) of a dataset or functional group.

    The first usable pair of WindowCenter / WindowWidth, by the exact linear function of PS3.3 C.11.2.1.2
    (LINEAR: centre - 0.5 ± (width - 1) / 2; LINEAR_EXACT and SIGMOID: centre ± width / 2). Widths below 1 are no
    window. A VOI LUT without a window becomes the window over which its output rises from its least to its greatest
    value, which is exact for linear tables only.
    """
    centres, widths = floats(dataset.get("WindowCenter")), floats(dataset.get("WindowWidth"))
    function = str(dataset.get("VOILUTFunction") or "LINEAR").strip().upper()
    for centre, width in zip(centres, widths, strict=False):
        if not (math.isfinite(centre) and math.isfinite(width)):
            continue
        if function == "LINEAR" and width > 1:
            half = (width - 1) / 2
            return Window(centre - 0.5 - half, centre - 0.5 + half, "file"), None
        if function != "LINEAR" and width > 0:
            return Window(centre - width / 2, centre + width / 2, "file"), None
    if dataset.get("VOILUTSequence"):
        item = dataset.get("VOILUTSequence")[0]
        entries, first, _ = lut_descriptor(item, "LUTDescriptor", label)
        table = lut_values(item, "LUTData", entries, label)
        darkest = np.flatnonzero(table == table.min())
        brightest = np.flatnonzero(table == table.max())
        low, high = first + int(darkest[-1]), first + int(brightest[0])
        if low < high:
            return Window(low, high, "file"), "A VOI LUT is shown as the window it spans (exact for linear tables)."
        return None, "A VOI LUT that does not rise was left out."
    if centres or widths:
        return None, "A window of unusable width in the header was left out."
    return None, None

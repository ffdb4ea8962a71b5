"""Several overlays in one picture, and overlays of a clip as a moving picture."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vesalius.errors import InputError, OptionError
from vesalius.findings.draw import overlay
from vesalius.findings.findings import Finding
from vesalius.findings.legend import BACKGROUND

__all__ = ["clip_overlay", "montage"]

_GAP = 8


def montage(tiles: Sequence[Image.Image], columns: int | None = None, *, widest: int = 2400) -> Image.Image:
    """Tiles in rows, left to right, on a dark ground, reduced together to `widest` pixels across.

    `columns`: None for a near-square arrangement. Raises InputError without tiles, OptionError for columns < 1.
    """
    if not tiles:
        raise InputError("a montage needs at least one picture.")
    if columns is None:
        columns = math.ceil(math.sqrt(len(tiles)))
    if columns < 1:
        raise OptionError(f"columns is {columns}, not 1 or more.")
    columns = min(columns, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    width, height = max(t.width for t in tiles), max(t.height for t in tiles)
    factor = min(1.0, (widest - _GAP * (columns + 1)) / (width * columns))
    cell = (max(1, round(width * factor)), max(1, round(height * factor)))
    sheet = Image.new("RGB", (columns * (cell[0] + _GAP) + _GAP, rows * (cell[1] + _GAP) + _GAP), BACKGROUND)
    for position, tile in enumerate(tiles):
        row, column = divmod(position, columns)
        size = (max(1, round(tile.width * factor)), max(1, round(tile.height * factor)))
        shown = tile.convert("RGB") if size == tile.size else tile.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        sheet.paste(shown, (_GAP + column * (cell[0] + _GAP), _GAP + row * (cell[1] + _GAP)))
    return sheet


def clip_overlay(
    frames: Sequence[NDArray[np.uint8]],
    findings_per_frame: Sequence[Sequence[Finding]],
    *,
    spacing_mm: tuple[float, float] | None = None,
    frame_s: float = 0.2,
    format: Literal["GIF", "WEBP"] = "WEBP",
    english: Mapping[str, str] | None = None,
) -> bytes:
    """An endless moving picture of frames `[H, W]` or `[H, W, 3]` uint8, each with its own findings.

    `frame_s`: seconds each frame stays.  Raises InputError when the two sequences differ in length or are empty.
    """
    if not frames or len(frames) != len(findings_per_frame):
        raise InputError(f"{len(frames)} frames do not go with findings for {len(findings_per_frame)} frames.")
    shown = [
        overlay(frame, findings, spacing_mm=spacing_mm, english=english, legend=False)
        for frame, findings in zip(frames, findings_per_frame, strict=True)
    ]
    size = shown[0].size
    if any(picture.size != size for picture in shown):
        raise InputError("the frames of a clip differ in size.")
    stored = io.BytesIO()
    options = {"quality": 85, "method": 2} if format == "WEBP" else {"optimize": False}
    shown[0].save(
        stored,
        format=format,
        save_all=True,
        append_images=shown[1:],
        duration=max(20, round(1000 * frame_s)),
        loop=0,
        **options,
    )
    return stored.getvalue()

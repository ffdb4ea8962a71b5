"""Boxes and points in cells, sizes of pictures, and the prompt of benchmarks that only say what to find."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any, cast

from vesalius.errors import InputError
from vesalius.evaluation.benchmarks.rows import Row
from vesalius.evaluation.contract import Medium

__all__ = ["ask_locate", "checked_box", "number_in", "numbers_in", "one_box", "picture_size"]


def ask_locate(label: str) -> str:
    """The prompt of benchmarks that publish labels and boxes but no question."""
    return (
        f"Locate every {label} in this image. Output the bounding boxes as JSON: "
        '[{"bbox_2d": [x1, y1, x2, y2], "label": "..."}]. If there is none, output [].'
    )


def number_in(row: Row, column: str) -> float:
    """A cell as a finite number."""
    value = row.value(column)
    try:
        number = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise row.error(column, "it is not a finite number.")
    return number


def numbers_in(row: Row, column: str, value: Any, size: int) -> list[float]:
    """`size` finite numbers in a list, or in text with commas between."""
    items: Any = value.strip("[]() ").split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or len(cast("Sequence[Any]", items)) != size:
        raise row.error(column, f"it is not {size} numbers.")
    return [number_in(Row(row.path, row.number, {column: item}), column) for item in cast("Sequence[Any]", items)]


def one_box(row: Row, column: str) -> list[float]:
    """[x0, y0, x1, y1] of a cell, in order."""
    return checked_box(row, column, numbers_in(row, column, row.value(column), 4))


def checked_box(row: Row, column: str, box: list[float]) -> list[float]:
    """The box; InputError when it has no area."""
    if not (box[0] < box[2] and box[1] < box[3]):
        raise row.error(column, "the box has no area: its right or lower edge is not behind the other.")
    return box


def picture_size(medium: Medium) -> tuple[int, int]:
    """(width, height) of a picture, from its header. InputError when it is none."""
    from PIL import Image

    source = io.BytesIO(medium.source) if isinstance(medium.source, bytes) else medium.source
    try:
        with Image.open(source) as image:
            return image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as exc:
        name = None if isinstance(medium.source, bytes) else medium.source
        raise InputError("the picture cannot be read.", file=name, fix="Get the file again.") from exc

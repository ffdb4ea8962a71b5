"""Pictures of benchmarks: files under the benchmark's folder, or bytes its tables embed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, cast

from vesalius.errors import InputError
from vesalius.evaluation.benchmarks.rows import Row
from vesalius.evaluation.contract import Medium

__all__ = ["embedded_picture", "numbered", "picture_file"]

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
_NOT_RASTER = {".dcm", ".dicom", ".nii", ".gz"}


def picture_file(row: Row, column: str, folder: Path, name: Any, under: Sequence[str] = ("",)) -> Medium:
    """The picture a cell names, looked for in the folders `under`.

    Raises InputError when the name leads out of the folder, no such file is there, or it is no picture.
    """
    if not isinstance(name, str) or not name.strip():
        raise row.error(column, "no picture is named.")
    relative = PurePosixPath(name.strip().replace("\\", "/"))
    if relative.is_absolute() or ".." in relative.parts:
        raise row.error(column, "the path leads out of the folder.", "Paths are relative to the benchmark's folder.")
    for place in under:
        path = folder / place / relative
        if path.is_file():
            _check(row, column, path)
            return Medium("image", path)
    places = " or ".join(f"{place or '.'}/" for place in under)
    raise row.error(column, f"there is no such file in {places}.", "Unpack the pictures there.")


def embedded_picture(row: Row, column: str, folder: Path, under: Sequence[str] = ("", "images")) -> Medium:
    """The picture a cell embeds: bytes, or {"bytes": …, "path": …} where the path stands in for missing bytes."""
    value = row.value(column)
    data: Any = value
    if isinstance(value, dict):
        cell = cast("dict[str, Any]", value)
        data = cell.get("bytes")
        if data is None and cell.get("path"):
            return picture_file(row, column, folder, cell["path"], under)
    if not isinstance(data, bytes) or not data:
        raise row.error(column, "there are no bytes of a picture.")
    _check(row, column, io.BytesIO(data))
    return Medium("image", data)


def numbered(media: Sequence[Medium]) -> tuple[Medium, ...]:
    """Several pictures, each led in by its number; a single one stands alone."""
    if len(media) < 2:
        return tuple(media)
    return tuple(Medium(m.kind, m.source, m.options, f"<image_{k}>: ") for k, m in enumerate(media, 1))


def _check(row: Row, column: str, source: Path | io.BytesIO) -> None:
    """Only the header is read: what cannot be decoded later is told with its row here, what is whole costs little."""
    if isinstance(source, Path) and source.suffix.lower() in _NOT_RASTER:
        return
    from PIL import Image

    try:
        Image.open(source, formats=_FORMATS).close()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as exc:
        raise _unreadable(row, column) from exc


def _unreadable(row: Row, column: str) -> InputError:
    return row.error(column, "the picture cannot be read.", f"It must be one of {', '.join(_FORMATS)}.")

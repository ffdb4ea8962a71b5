"""The size of a picture file from its first bytes, and whether its last are there; nothing is decoded."""

from __future__ import annotations

import os
import struct
from io import FileIO

from vesalius.errors import InputError

__all__ = ["picture_size"]

_HEAD = 65_536
_FIRST = 4_096
"""What most headers fit in; the rest is read only when they do not."""
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_JPEG_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})


def picture_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """(width, height) of a picture as it is shown: EXIF rotation applied. PNG and JPEG are read by hand, every other
    format by the readers of `vesalius.read`. Raises InputError for a file that is missing, no picture, or cut off."""
    name = os.fspath(path)
    try:
        with open(name, "rb", buffering=0) as file:
            head = file.read(_FIRST)
            if head.startswith(_PNG):
                size = _png(head)
                end = _tail(file)
                if size is not None and not end.rstrip(b"\0").endswith(_PNG_END.lstrip(b"\0")):
                    raise _cut(name)
            elif head.startswith(b"\xff\xd8\xff"):
                size = _jpeg(head)
                if size is None and len(head) == _FIRST:
                    file.seek(0)
                    size = _jpeg(file.read(_HEAD))
                end = _tail(file)
                if size is not None and b"\xff\xd9" not in end:
                    raise _cut(name)
            else:
                size = None
    except OSError as exc:
        raise InputError(f"cannot be read ({exc.strerror}).", file=name) from exc
    return size if size is not None else _by_reader(name)


def _cut(name: str) -> InputError:
    return InputError("is cut off: the end of the picture is missing.", file=name, fix="Copy or export it again.")


def _tail(file: FileIO) -> bytes:
    # Cameras and archives append padding and thumbnails' ends, hence a little more than the marker itself.
    length = file.seek(0, os.SEEK_END)
    file.seek(max(0, length - 512))
    return file.read(512)


def _png(head: bytes) -> tuple[int, int] | None:
    """None where the header alone does not tell: animation or EXIF before the pixels, or a long list of chunks."""
    if head[12:16] != b"IHDR":
        return None
    at = 8
    while at + 8 <= len(head):
        length, kind = struct.unpack(">I4s", head[at : at + 8])
        if kind == b"IDAT":
            width, height = struct.unpack(">II", head[16:24])
            return (width, height) if width and height else None
        if kind in (b"eXIf", b"acTL"):
            return None
        at += 12 + length
    return None


def _jpeg(head: bytes) -> tuple[int, int] | None:
    at, turned = 2, False
    while at + 4 <= len(head):
        if head[at] != 0xFF:
            return None
        marker = head[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        length = struct.unpack(">H", head[at + 2 : at + 4])[0]
        if marker in _JPEG_SIZES:
            if at + 9 > len(head):
                return None
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            if not width or not height:
                return None
            return (height, width) if turned else (width, height)
        if marker == 0xE1 and head[at + 4 : at + 10] == b"Exif\0\0":
            turn = _orientation(head[at + 10 : at + 2 + length])
            if turn is None:
                return None
            turned = turn >= 5
        at += 2 + length
    return None


def _orientation(tiff: bytes) -> int | None:
    """EXIF orientation, 1 where there is none; None when the block is not understood."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 10:
        return None
    at = struct.unpack(f"{order}I", tiff[4:8])[0]
    if at + 2 > len(tiff):
        return None
    count = struct.unpack(f"{order}H", tiff[at : at + 2])[0]
    for number in range(count):
        entry = tiff[at + 2 + 12 * number : at + 14 + 12 * number]
        if len(entry) < 12:
            return None
        tag, kind = struct.unpack(f"{order}HH", entry[:4])
        if tag == 0x0112:
            turn = struct.unpack(f"{order}H", entry[8:10])[0] if kind == 3 else 0
            return turn if 1 <= turn <= 8 else None
    return 1


def _by_reader(name: str) -> tuple[int, int]:
    from vesalius.study.items import Picture, Slide
    from vesalius.study.read import read

    items = read(name).items
    if not items or not isinstance(items[0], Picture | Slide):
        kind = type(items[0]).__name__.lower() if items else "nothing"
        raise InputError(f"holds a {kind}, not a picture.", file=name)
    return items[0].width, items[0].height

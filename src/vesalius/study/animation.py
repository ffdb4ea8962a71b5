"""Frame times of GIF, APNG and animated WebP, and the page count of TIFF, from block headers alone.

Pillow finds these by decoding frame after frame; a file of 100,000 frames would take minutes before a cap applies.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from vesalius.errors import InputError, LimitError

__all__ = ["apng_delays_s", "gif_delays_s", "num_tiff_pages", "webp_delays_s"]

MAX_FRAMES = 10_000
"""Frames of one animation, or pages of one TIFF."""


def _take(file: BinaryIO, count: int, name: str) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise InputError("is cut short.", file=name, fix="Copy or export it again.")
    return data


def _counted(count: int, what: str, name: str) -> None:
    if count > MAX_FRAMES:
        raise LimitError(f"holds more than {MAX_FRAMES} {what}.", file=name, fix="Split it, or save it as a video.")


def _sub_blocks(file: BinaryIO, name: str) -> bytes:
    """The first data sub-block of a GIF chain; the rest is skipped."""
    first = b""
    while size := _take(file, 1, name)[0]:
        block = _take(file, size, name)
        first = first or block
    return first


def gif_delays_s(file: BinaryIO, name: str) -> list[float]:
    """Seconds each frame of a GIF is shown."""
    screen = _take(file, 13, name)
    if screen[10] & 0x80:
        _take(file, 3 << ((screen[10] & 7) + 1), name)
    delays: list[float] = []
    delay = 0.0
    while (kind := _take(file, 1, name)) != b"\x3b":
        if kind == b"\x21":
            label = _take(file, 1, name)
            block = _sub_blocks(file, name)
            if label == b"\xf9" and len(block) >= 3:
                delay = struct.unpack("<H", block[1:3])[0] / 100
        elif kind == b"\x2c":
            image = _take(file, 9, name)
            if image[8] & 0x80:
                _take(file, 3 << ((image[8] & 7) + 1), name)
            _take(file, 1, name)
            _sub_blocks(file, name)
            delays.append(delay)
            _counted(len(delays), "frames", name)
        else:
            raise InputError("its GIF blocks are damaged.", file=name, fix="Copy or export it again.")
    return delays


def apng_delays_s(file: BinaryIO, name: str) -> list[float]:
    """Seconds each frame of an animated PNG is shown; empty for a still one. Raises InputError when cut short."""
    file.seek(8)
    delays: list[float] = []
    animated = False
    for _ in range(1_000_000):
        length, kind = struct.unpack(">I4s", _take(file, 8, name))
        if kind == b"IEND":
            return delays if animated else []
        if kind == b"fcTL" and length == 26:
            top, bottom = struct.unpack(">HH", _take(file, 26, name)[20:24])
            delays.append(top / (bottom or 100))
            _counted(len(delays), "frames", name)
            length = 0
        elif kind == b"acTL":
            animated = True
        if length:
            # The last byte is read, not skipped over, so that a short file is noticed.
            file.seek(length - 1, 1)
            _take(file, 1, name)
        _take(file, 4, name)
    raise LimitError("holds more than a million PNG chunks.", file=name)


def webp_delays_s(file: BinaryIO, name: str) -> list[float]:
    """Seconds each frame of an animated WebP is shown; empty for a still one."""
    file.seek(12)
    delays: list[float] = []
    while len(head := file.read(8)) == 8:
        kind, length = struct.unpack("<4sI", head)
        body = file.read(16) if kind == b"ANMF" and length >= 16 else b""
        if len(body) == 16:
            delays.append(int.from_bytes(body[12:15], "little") / 1000)
            _counted(len(delays), "frames", name)
        file.seek(length + (length & 1) - len(body), 1)
    return delays


def num_tiff_pages(file: BinaryIO, name: str) -> int:
    """Number of image directories in a TIFF or BigTIFF; LimitError above `MAX_FRAMES`, InputError on a loop."""
    head = _take(file, 16, name)
    order = "<" if head[:2] == b"II" else ">"
    big = struct.unpack(f"{order}H", head[2:4])[0] == 43
    offset = struct.unpack(f"{order}Q", head[8:16])[0] if big else struct.unpack(f"{order}I", head[4:8])[0]
    seen: set[int] = set()
    while offset:
        if offset in seen:
            raise InputError("its TIFF directories run in a circle.", file=name)
        seen.add(offset)
        _counted(len(seen), "pages", name)
        file.seek(offset)
        entries = struct.unpack(f"{order}{'Q' if big else 'H'}", _take(file, 8 if big else 2, name))[0]
        file.seek(entries * (20 if big else 12), 1)
        offset = struct.unpack(f"{order}{'Q' if big else 'I'}", _take(file, 8 if big else 4, name))[0]
    return len(seen)

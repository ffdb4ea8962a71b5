"""Opening one DICOM file safely: recognise it, parse its header under caps, find where its pixels lie.

Nothing here decodes pixels. pydicom does the parsing; every exception it lets through becomes one InputError, and its
warnings and log lines (which may quote patient data) are silenced while it works.
"""

from __future__ import annotations

import io
import logging
import os
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, BinaryIO

from vesalius.errors import InputError, LimitError, VesaliusError
from vesalius.limits import current

__all__ = ["DicomSource", "Header", "PixelRegion", "Tags", "looks_like_dicom", "quiet_pydicom", "read_header"]

DEFLATED = "1.2.840.10008.1.2.1.99"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"

_LONG_VRS = frozenset([b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"])
_VRS = _LONG_VRS | frozenset(
    [
        b"AE",
        b"AS",
        b"AT",
        b"CS",
        b"DA",
        b"DS",
        b"DT",
        b"FD",
        b"FL",
        b"IS",
        b"LO",
        b"LT",
        b"PN",
        b"SH",
        b"SL",
        b"SS",
        b"ST",
        b"TM",
        b"UI",
        b"UL",
        b"US",
    ]
)
_MAX_ELEMENTS = 200_000
_KNOWN_FIRST = frozenset((0x0000, 0x0001, 0x0002, 0x0005, 0x0008, 0x0010, 0x0012, 0x0013, 0x0014, 0x0016, 0x0018))


def looks_like_dicom(head: bytes) -> bool:
    """Whether `head` (the first 144 bytes or more of a file) opens a DICOM file.

    Either the `DICM` mark follows the 128-byte preamble, or the file starts directly with a dataset: an element of
    group 0002 or 0008 that such a file starts with, with a known VR or a short even length. Text never matches.
    """
    if head[128:132] == b"DICM":
        return True
    if len(head) < 8:
        return False
    for little in (True, False):
        group, element = struct.unpack("<HH" if little else ">HH", head[:4])
        if group not in (0x0002, 0x0008) or element not in _KNOWN_FIRST:
            continue
        if head[4:6] in _VRS:
            return True
        length = struct.unpack("<I" if little else ">I", head[4:8])[0]
        if length <= 256 and length % 2 == 0 and len(head) >= 8 + length + 8:
            following = struct.unpack("<H" if little else ">H", head[8 + length : 10 + length])[0]
            if following in (0x0002, 0x0008, 0x0010):
                return True
    return False


@dataclass(frozen=True)
class DicomSource:
    """A file by path, or a blob of bytes. `label` names it in messages."""

    label: str
    path: str | None = None
    blob: bytes | None = field(default=None, repr=False)

    def open(self) -> BinaryIO:
        """A fresh binary stream; InputError when the file cannot be opened."""
        if self.blob is not None:
            return io.BytesIO(self.blob)
        try:
            return open(str(self.path), "rb")
        except OSError as exc:
            raise InputError(f"cannot be opened ({exc.strerror}).", file=self.label, fix="Check the path.") from exc

    def size(self) -> int:
        """Bytes stored."""
        if self.blob is not None:
            return len(self.blob)
        try:
            return os.path.getsize(str(self.path))
        except OSError as exc:
            raise InputError(f"cannot be opened ({exc.strerror}).", file=self.label, fix="Check the path.") from exc


@dataclass(frozen=True)
class PixelRegion:
    """Where the pixel element's value lies: `offset` in the (inflated) file, `length` in bytes, None if undefined.

    `available`: bytes from `offset` to the end of the file.
    """

    keyword: str
    vr: str
    offset: int
    length: int | None
    available: int


class Tags:
    """Quick lookups by keyword in a pydicom dataset: each element is converted once, absent ones cost next to nothing.

    A series of hundreds of files asks for some forty attributes in each, most of them absent.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self._present: dict[int, Any] = {int(tag): tag for tag in dataset.keys()}  # noqa: SIM118 (not a dict)
        self._elements: dict[str, Any] = {}

    def element(self, keyword: str) -> Any | None:
        """The data element, or None when absent."""
        if keyword not in self._elements:
            tag = self._present.get(_tag_number(keyword))
            self._elements[keyword] = None if tag is None else self.dataset[tag]
        return self._elements[keyword]

    def get(self, keyword: str) -> Any:
        """The value, or None when absent."""
        element = self.element(keyword)
        return None if element is None else element.value

    def __contains__(self, keyword: str) -> bool:
        return _tag_number(keyword) in self._present


@lru_cache(maxsize=512)
def _tag_number(keyword: str) -> int:
    from pydicom.datadict import tag_for_keyword

    number = tag_for_keyword(keyword)
    if number is None:
        raise KeyError(keyword)  # a misspelling of ours
    return number


@dataclass(frozen=True)
class Header:
    """One parsed header without its pixel element; drop it once its facts are extracted."""

    source: DicomSource
    tags: Tags = field(repr=False)
    transfer_syntax: str
    pixels: PixelRegion | None
    warnings: tuple[str, ...] = ()

    @property
    def little_endian(self) -> bool:
        return self.transfer_syntax != EXPLICIT_BIG


_quiet_lock = threading.RLock()
_quiet_depth = 0
_quiet_state: list[Any] = []


@contextmanager
def quiet_pydicom() -> Generator[None]:
    """Silence pydicom's warnings and log lines (they quote header values) and its value checks; nests, thread-safe."""
    from pydicom import config

    global _quiet_depth
    logger = logging.getLogger("pydicom")
    with _quiet_lock:
        if _quiet_depth == 0:
            catcher = warnings.catch_warnings()
            catcher.__enter__()
            warnings.simplefilter("ignore")
            _quiet_state[:] = [catcher, config.settings.reading_validation_mode, logger.disabled]
            config.settings.reading_validation_mode = config.IGNORE
            logger.disabled = True
        _quiet_depth += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_depth -= 1
            if _quiet_depth == 0:
                catcher, mode, disabled = _quiet_state
                config.settings.reading_validation_mode = mode
                logger.disabled = disabled
                catcher.__exit__(None, None, None)


def read_header(source: DicomSource) -> Header:
    """Parse up to the pixel element.

    Raises InputError (not DICOM, damaged), LimitError (file, header, nesting or inflated size over `limits`).
    """
    size = source.size()
    caps = current()
    if size > caps.max_file_bytes:
        raise LimitError(f"holds {size} bytes, the limit is {caps.max_file_bytes}.", file=source.label)
    with source.open() as stream:
        head = stream.read(65536)
        if not looks_like_dicom(head):
            raise InputError(
                f"is not DICOM: {size} bytes without the DICM mark or a dataset's first element.",
                file=source.label,
                fix="Give the original file from the archive.",
            )
        stream.seek(0)
        try:
            with quiet_pydicom():
                return _parse(source, stream, head, size)
        except VesaliusError:
            raise
        except RecursionError as exc:
            raise LimitError(
                f"nests sequences deeper than the limit of {caps.max_sequence_depth}.", file=source.label
            ) from exc
        except MemoryError as exc:
            raise LimitError("needs more memory for its header than there is.", file=source.label) from exc
        except Exception as exc:  # pydicom lets many kinds through on damaged files
            raise damaged(source.label, exc) from exc


def damaged(label: str, exc: BaseException) -> InputError:
    """The error for a header pydicom could not parse; names the kind of failure, never a value."""
    return InputError(
        f"has a damaged DICOM header ({type(exc).__name__} while parsing).", file=label, fix="Export the file again."
    )


def _parse(source: DicomSource, stream: BinaryIO, head: bytes, size: int) -> Header:
    from pydicom.filereader import read_dataset, read_partial

    notes: list[str] = []
    start, syntax = scan_meta(head)
    stop = _StopAtPixels(source.label)
    if syntax == DEFLATED:
        inflated = inflate(source, start)
        stream, size = io.BytesIO(inflated), len(inflated)
        dataset: Any = read_dataset(stream, False, True, stop_when=stop)
    else:
        dataset = read_partial(stream, stop_when=stop, defer_size=current().max_header_bytes // 4, force=True)
        stored = dataset.file_meta.get("TransferSyntaxUID")
        if stored is None:
            implicit, little = dataset.original_encoding
            syntax = IMPLICIT_LITTLE if implicit else EXPLICIT_LITTLE if little else EXPLICIT_BIG
            notes.append("A file has no transfer syntax in its meta header; its encoding was recognised from its data.")
        else:
            syntax = str(stored).strip()
    tags = Tags(dataset)
    if not any(key in tags for key in ("SOPClassUID", "Rows", "Modality", "DirectoryRecordSequence")):
        raise InputError(
            "holds no recognisable DICOM dataset (no SOP class, modality or image size).",
            file=source.label,
            fix="Give the original file from the archive.",
        )
    check_depth(dataset, source.label)
    region = _pixel_region(stream, size, syntax != EXPLICIT_BIG, source.label)
    return Header(source, tags, syntax, region, tuple(notes))


class _StopAtPixels:
    """pydicom's stop condition: at the pixel element; LimitError after far too many elements."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.seen = 0

    def __call__(self, tag: int, vr: str | None, length: int) -> bool:
        self.seen += 1
        if self.seen > _MAX_ELEMENTS:
            raise LimitError(f"has more than {_MAX_ELEMENTS} elements before its pixels.", file=self.label)
        return 0x7FE00008 <= tag <= 0x7FE00010


def check_depth(dataset: Any, label: str) -> None:
    """LimitError when sequences nest deeper than `limits.max_sequence_depth`.

    pydicom parses sequences of undefined length eagerly; those of defined length stay raw bytes until used and are
    only scanned for item marks here.
    """
    cap = current().max_sequence_depth
    level = [dataset]
    depth = 0
    while level:
        if depth > cap:
            raise LimitError(f"nests sequences deeper than the limit of {cap}.", file=label)
        below: list[Any] = []
        for entry in level:
            for element in entry.values():
                value = element.value
                if isinstance(value, bytes) and value.count(b"\xe0") > cap and _raw_depth(value) > cap - depth:
                    raise LimitError(f"nests sequences deeper than the limit of {cap}.", file=label)
                if element.VR == "SQ" and value is not None and not isinstance(value, bytes):
                    below.extend(value)
        level = below
        depth += 1


_ITEM_MARK = re.compile(rb"\xfe\xff([\x00\x0d])\xe0(.{4})|\xff\xfe\xe0([\x00\x0d])(.{4})", re.DOTALL)


def _raw_depth(value: bytes) -> int:
    """How deep sequence items nest inside a raw value, by the extents their marks claim."""
    deepest = 0
    ends: list[int | None] = []
    for mark in _ITEM_MARK.finditer(value):
        while ends and (end := ends[-1]) is not None and end <= mark.start():
            ends.pop()
        little = mark.group(1) is not None
        if (mark.group(1) or mark.group(3)) == b"\x0d":
            if ends and ends[-1] is None:
                ends.pop()
            continue
        length = struct.unpack("<I" if little else ">I", mark.group(2) or mark.group(4))[0]
        ends.append(None if length == 0xFFFFFFFF else mark.end() + length)
        deepest = max(deepest, len(ends))
    return deepest


def scan_meta(head: bytes) -> tuple[int, str | None]:
    """(offset of the dataset, transfer syntax UID or None) from a file's first bytes; no pydicom, nothing inflated."""
    position = 132 if head[128:132] == b"DICM" else 0
    syntax: str | None = None
    while position + 8 <= len(head):
        group, element, vr, length = struct.unpack("<HH2sH", head[position : position + 8])
        if group != 0x0002:
            break
        position += 8
        if vr in _LONG_VRS:
            if position + 4 > len(head):
                break
            length = struct.unpack("<I", head[position : position + 4])[0]
            position += 4
        if element == 0x0010:
            syntax = head[position : position + length].decode("ascii", "replace").strip("\0 ")
        position += length
    return position, syntax


def inflate(source: DicomSource, start: int) -> bytes:
    """The dataset of a deflated file, inflated piece by piece; LimitError as soon as it passes the caps."""
    caps = current()
    stored = max(source.size() - start, 1)
    cap = min(caps.max_decoded_bytes, max(64 << 20, caps.max_inflate_ratio * stored))
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    out = bytearray()
    try:
        with source.open() as stream:
            stream.seek(start)
            while not engine.eof:
                piece = engine.unconsumed_tail or stream.read(1 << 18)
                if not piece:
                    break
                out += engine.decompress(piece, 4 << 20)
                if len(out) > cap:
                    raise LimitError(
                        f"inflates from {stored} to more than {cap} bytes; it was not read further.",
                        file=source.label,
                        fix="Raise vesalius.limits if the file is trusted.",
                    )
    except zlib.error as exc:
        raise InputError("holds a damaged deflated dataset.", file=source.label, fix="Export the file again.") from exc
    if not engine.eof:
        raise InputError(
            f"is truncated: its deflated dataset ends early after {stored} bytes.",
            file=source.label,
            fix="Export the file again.",
        )
    return bytes(out)


def _pixel_region(stream: BinaryIO, size: int, little: bool, label: str) -> PixelRegion | None:
    start = stream.tell()
    head = stream.read(12)
    if len(head) < 8:
        return None
    order = "<" if little else ">"
    group, element = struct.unpack(f"{order}HH", head[:4])
    keyword = {0x0008: "FloatPixelData", 0x0009: "DoubleFloatPixelData", 0x0010: "PixelData"}.get(element)
    if group != 0x7FE0 or keyword is None:
        return None
    if head[4:6] in _LONG_VRS:
        if len(head) < 12:
            raise InputError("is truncated before its pixel data.", file=label, fix="Export the file again.")
        vr, used, length = head[4:6].decode(), 12, struct.unpack(f"{order}I", head[8:12])[0]
    elif head[4:6] in _VRS:
        raise InputError("stores its pixel data under a VR that cannot hold pixels.", file=label)
    else:
        vr, used, length = "OW", 8, struct.unpack(f"{order}I", head[4:8])[0]
    offset = start + used
    return PixelRegion(keyword, vr, offset, None if length == 0xFFFFFFFF else length, max(size - offset, 0))

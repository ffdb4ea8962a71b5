"""Compressed DICOM frames: the facts their codestreams state, checked before a native decoder sees them.

Decoders come from imagecodecs (libjpeg-turbo, CharLS, OpenJPEG; BSD). One frame in, one array of samples out, as
stored: no colour conversion except where the codestream itself demands it (JPEG 2000's component transform, Adobe).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError, UnsupportedError, VesaliusError

__all__ = ["CODECS", "NATIVE", "Codestream", "codec_name", "decode_codestream", "decode_rle", "read_codestream"]

Array = NDArray[Any]

CODECS: dict[str, str] = {
    "1.2.840.10008.1.2.5": "RLE",
    "1.2.840.10008.1.2.4.50": "JPEG",
    "1.2.840.10008.1.2.4.51": "JPEG",
    "1.2.840.10008.1.2.4.57": "JPEG",
    "1.2.840.10008.1.2.4.70": "JPEG",
    "1.2.840.10008.1.2.4.80": "JPEG-LS",
    "1.2.840.10008.1.2.4.81": "JPEG-LS",
    "1.2.840.10008.1.2.4.90": "JPEG 2000",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.4.201": "JPEG 2000",
    "1.2.840.10008.1.2.4.202": "JPEG 2000",
    "1.2.840.10008.1.2.4.203": "JPEG 2000",
}
"""Transfer syntax UID → codec family (HTJ2K is decoded by the JPEG 2000 library)."""

NATIVE = frozenset(
    ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99", "1.2.840.113619.5.2")
)
_MPEG = ("1.2.840.10008.1.2.4.10",)


def codec_name(syntax: str, label: str) -> str:
    """The codec family of an encapsulated transfer syntax; UnsupportedError for those without a decoder here."""
    try:
        return CODECS[syntax]
    except KeyError:
        kind = "a video stream (MPEG or HEVC)" if syntax.startswith(_MPEG) else "a codec without decoder here"
        shown = syntax if len(syntax) <= 64 and set(syntax) <= set("0123456789.") else "of unreadable value"
        raise UnsupportedError(
            f"transfer syntax {shown} is {kind}.",
            file=label,
            fix="Convert it, e.g. with dcmtk's dcmconv or gdcmconv --raw.",
        ) from None


@dataclass(frozen=True)
class Codestream:
    """What a compressed frame says about itself. `colour`: "rgb", "ybr", "adobe" (its marker decides) or ""."""

    width: int
    height: int
    components: int
    precision: int
    signed: bool = False
    colour: str = ""


def read_codestream(codec: str, data: bytes, label: str) -> Codestream:
    """Size, components and precision from the frame's own header; InputError when it has none."""
    try:
        found = _read_j2k(data) if codec == "JPEG 2000" else _read_jpeg(data)
    except (struct.error, IndexError):
        found = None
    if found is None:
        raise InputError(f"holds a frame that is no {codec} codestream.", file=label, fix="Export the file again.")
    # Decoders fill the rest of a cut stream with grey; only the end mark tells. Padding may follow it.
    if b"\xff\xd9" not in data[-64:] and not data.rstrip(b"\0").endswith(b"\xff\xd9"):
        raise InputError(
            f"holds a truncated {codec} frame: {len(data)} bytes without an end mark.",
            file=label,
            fix="Export the file again.",
        )
    return found


def _read_jpeg(data: bytes) -> Codestream | None:
    if data[:2] != b"\xff\xd8":
        return None
    position, jfif, adobe = 2, False, -1
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        length = struct.unpack(">H", data[position + 2 : position + 4])[0]
        body = data[position + 4 : position + 2 + length]
        if marker == 0xE0 and body[:4] == b"JFIF":
            jfif = True
        elif marker == 0xEE and body[:5] == b"Adobe" and len(body) >= 12:
            adobe = body[11]
        elif (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7:
            precision, height, width, components = struct.unpack(">BHHB", body[:6])
            ids = bytes(body[6 + 3 * n] for n in range(components))
            named = ids in (b"RGB", b"rgb")
            colour = "rgb" if named else "adobe" if adobe >= 0 else "ybr" if jfif else ""
            return Codestream(width, height, components, precision, colour=colour)
        elif marker in (0xD9, 0xDA):
            return None
        position += 2 + length
    return None


def _read_j2k(data: bytes) -> Codestream | None:
    start = 0 if data[:4] == b"\xff\x4f\xff\x51" else data[:4096].find(b"\xff\x4f\xff\x51")
    if start < 0:
        return None
    body = data[start + 8 : start + 42]
    x1, y1, x0, y0, tile_w, tile_h = struct.unpack(">6I", body[:24])
    components = struct.unpack(">H", body[32:34])[0]
    if x1 <= x0 or y1 <= y0 or not tile_w or not tile_h or not 1 <= components <= 16:
        return None
    depth = data[start + 42]
    return Codestream(x1 - x0, y1 - y0, components, (depth & 0x7F) + 1, bool(depth & 0x80))


def decode_codestream(codec: str, data: bytes, stream: Codestream, label: str) -> Array:
    """One frame's samples `[rows, cols]` or `[rows, cols, components]` as the codec gives them.

    `data` has passed `read_codestream`. Raises UnsupportedError when imagecodecs (or this codec of it) is missing,
    InputError when the frame is damaged.
    """
    try:
        import imagecodecs
    except ImportError as exc:
        raise UnsupportedError(
            f"{codec} pixels need the imagecodecs package.", file=label, fix="pip install imagecodecs"
        ) from exc
    decoders: Any = imagecodecs
    try:
        if codec == "JPEG 2000":
            return np.asarray(decoders.jpeg2k_decode(data, numthreads=1))
        if codec == "JPEG-LS":
            return np.asarray(decoders.jpegls_decode(data))
        if stream.components == 3 and stream.colour != "adobe":
            # The same name on both sides: samples pass through untouched.
            return np.asarray(decoders.jpeg8_decode(data, colorspace="YCBCR", outcolorspace="YCBCR"))
        return np.asarray(decoders.jpeg8_decode(data))
    except VesaliusError:
        raise
    except MemoryError as exc:
        raise InputError(f"holds a {codec} frame too large to decode.", file=label) from exc
    except Exception as exc:
        if "DelayedImportError" in type(exc).__name__ or isinstance(exc, ImportError):
            raise UnsupportedError(
                f"this build of imagecodecs has no {codec} decoder.",
                file=label,
                fix="pip install --upgrade imagecodecs",
            ) from exc
        raise InputError(
            f"holds a damaged {codec} frame ({type(exc).__name__}).", file=label, fix="Export the file again."
        ) from exc


def decode_rle(data: bytes, rows: int, cols: int, samples: int, bits: int, label: str) -> Array:
    """One RLE frame (PS3.5 Annex G) → `[samples, rows, cols]` of unsigned integers.

    Each byte plane is bounded by the header's offsets; a plane that decodes to fewer bytes than the frame needs is
    an InputError (nothing is filled in).
    """
    planes = samples * bits // 8
    if len(data) < 64:
        raise InputError(f"holds an RLE frame of {len(data)} bytes, shorter than its header.", file=label)
    count, *offsets = struct.unpack("<16I", data[:64])
    if count != planes or planes > 15:
        raise InputError(f"holds an RLE frame of {count} segments, {planes} expected.", file=label)
    ends = [*offsets[1:count], len(data)]
    try:
        import imagecodecs
    except ImportError as exc:
        raise UnsupportedError(
            "RLE pixels need the imagecodecs package.", file=label, fix="pip install imagecodecs"
        ) from exc
    unpack: Any = imagecodecs.packbits_decode
    width = bits // 8
    out = np.empty((samples, rows * cols, width), np.uint8)
    for plane, (begin, end) in enumerate(zip(offsets[:count], ends, strict=True)):
        if not 64 <= begin < end <= len(data):
            raise InputError(f"holds an RLE segment outside its frame (segment {plane}).", file=label)
        # A byte pair expands to at most 128 bytes, so a segment's output is bounded by its size.
        try:
            run = np.frombuffer(unpack(data[begin:end]), np.uint8)
        except Exception as exc:
            raise InputError(f"holds a damaged RLE segment (segment {plane}).", file=label) from exc
        if len(run) < rows * cols:
            raise InputError(
                f"holds a truncated RLE segment: {len(run)} bytes, {rows * cols} expected.",
                file=label,
                fix="Export the file again.",
            )
        # Most significant byte first; stored little endian here.
        out[plane // width, :, width - 1 - plane % width] = run[: rows * cols]
    return out.view(f"<u{width}").reshape(samples, rows, cols)

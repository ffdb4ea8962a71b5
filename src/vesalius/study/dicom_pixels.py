"""Decoding single frames of a DICOM file, on demand.

A `FrameStore` remembers where a file's frames lie; `decode(index)` opens the file, reads that frame only and returns
its stored values `[rows, cols]` (monochrome) or `[rows, cols, 3]` uint8 RGB (every colour model). Values equal
pydicom's `pixel_array`.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError, LimitError, UnsupportedError
from vesalius.limits import current
from vesalius.study import dicom_codecs as codecs
from vesalius.study.dicom_header import (
    DEFLATED,
    EXPLICIT_BIG,
    DicomSource,
    Header,
    PixelRegion,
    Tags,
    inflate,
    scan_meta,
)

__all__ = ["FrameStore", "Palette", "PixelFormat", "frame_store"]

Array = NDArray[Any]
GE_BIG_PIXELS = "1.2.840.113619.5.2"
_YBR = ("YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420")
_KNOWN_MODELS = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_RCT", "YBR_ICT", *_YBR)


@dataclass(frozen=True)
class Palette:
    """Index → RGB: `table` `[n, 3]` uint8, the first entry for index `first`."""

    table: Array = field(repr=False)
    first: int = 0


@dataclass(frozen=True)
class PixelFormat:
    """The image pixel module, checked: sizes within limits, bits that make sense."""

    rows: int
    cols: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    planar: bool
    photometric: str
    num_frames: int
    floating: bool = False

    @property
    def colour(self) -> bool:
        return self.samples == 3 or self.photometric == "PALETTE COLOR"

    @property
    def stored_dtype(self) -> np.dtype[Any]:
        """dtype of the stored values of one sample, native byte order."""
        if self.floating:
            return np.dtype(f"f{self.bits_allocated // 8}")
        return np.dtype(f"{'i' if self.signed else 'u'}{max(self.bits_allocated // 8, 1)}")

    @property
    def stored_range(self) -> tuple[int, int]:
        """Least and greatest stored value the bits allow."""
        if self.signed:
            return -(1 << (self.bits_stored - 1)), (1 << (self.bits_stored - 1)) - 1
        return 0, (1 << self.bits_stored) - 1

    @property
    def subsampled(self) -> bool:
        """Native YBR 4:2:2, two pixels in four bytes."""
        return self.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422")

    @property
    def native_frame_bits(self) -> int:
        """Bits one uncompressed frame takes (frames of 1-bit images follow one another without padding)."""
        samples = 2 if self.samples == 3 and self.subsampled else self.samples
        return self.rows * self.cols * samples * self.bits_allocated


@dataclass(frozen=True)
class FrameStore:
    """Where the frames of one file lie. `fragments[n]`: (offset, length) pieces of compressed frame n."""

    source: DicomSource
    syntax: str
    format: PixelFormat
    region: PixelRegion
    fragments: tuple[tuple[tuple[int, int], ...], ...] = field(default=(), repr=False)
    palette: Palette | None = None

    @property
    def label(self) -> str:
        return self.source.label

    def decode(self, index: int) -> Array:
        """Stored values of frame `index`: `[rows, cols]`, or `[rows, cols, 3]` uint8 RGB for colour.

        Raises InputError (truncated, damaged or contradicting its header), UnsupportedError (codec not here).
        """
        if not 0 <= index < self.format.num_frames:
            raise IndexError(f"frame {index} is outside 0..{self.format.num_frames - 1}")
        if self.syntax in codecs.NATIVE:
            values, photometric = self._native(index), self.format.photometric
        else:
            values, photometric = self._compressed(index)
        if self.format.samples == 3:
            return _to_rgb(values, photometric, self.format, self.label)
        if self.palette is not None:
            return _apply_palette(values, self.palette, self.label)
        return values

    def _native(self, index: int) -> Array:
        bits = self.format.native_frame_bits
        first, last = index * bits // 8, ((index + 1) * bits + 7) // 8
        skip = 0
        if self._swapped_words:
            # Whole 16-bit words are needed to put their two pixels in order.
            skip, first, last = first % 2, first - first % 2, last + last % 2
        if self.syntax == DEFLATED:
            with self.source.open() as stream:
                start, _ = scan_meta(stream.read(65536))
            data = inflate(self.source, start)[self.region.offset + first : self.region.offset + last]
        else:
            with self.source.open() as stream:
                stream.seek(self.region.offset + first)
                data = stream.read(last - first)
        if len(data) < last - first:
            raise _truncated(self.label, len(data), last - first)
        if self._swapped_words:
            data = np.frombuffer(data, ">u2").astype("<u2").tobytes()[skip : skip + bits // 8]
        return _unpack_native(data, self.format, self.syntax in (EXPLICIT_BIG, GE_BIG_PIXELS), index * bits % 8)

    @property
    def _swapped_words(self) -> bool:
        """8-bit pixels in big-endian 16-bit words: neighbours are exchanged."""
        return self.syntax == EXPLICIT_BIG and self.format.bits_allocated == 8 and self.region.vr == "OW"

    def _compressed(self, index: int) -> tuple[Array, str]:
        shape = self.format
        with self.source.open() as stream:
            data = _read_pieces(stream, self.fragments[index], self.label)
        codec = codecs.codec_name(self.syntax, self.label)
        if codec == "RLE":
            planes = codecs.decode_rle(data, shape.rows, shape.cols, shape.samples, shape.bits_allocated, self.label)
            values = planes[0] if shape.samples == 1 else np.moveaxis(planes, 0, 2)
            return _meaningful_bits(values.astype(shape.stored_dtype), shape), shape.photometric
        stream_facts = codecs.read_codestream(codec, data, self.label)
        seen = (stream_facts.height, stream_facts.width, stream_facts.components)
        if seen != (shape.rows, shape.cols, shape.samples):
            raise InputError(
                f"frame {index} is {seen[1]} x {seen[0]} with {seen[2]} samples in its {codec} codestream, "
                f"{shape.cols} x {shape.rows} with {shape.samples} in the header.",
                file=self.label,
                fix="Export the file again.",
            )
        if stream_facts.precision > shape.bits_allocated:
            raise InputError(
                f"frame {index} has {stream_facts.precision} bits per sample, {shape.bits_allocated} allocated.",
                file=self.label,
            )
        values = codecs.decode_codestream(codec, data, stream_facts, self.label)
        wanted = (shape.rows, shape.cols) if shape.samples == 1 else (shape.rows, shape.cols, shape.samples)
        if values.shape != wanted:
            raise InputError(f"frame {index} decodes to shape {values.shape}, {wanted} expected.", file=self.label)
        return _match_sign(values, codec, stream_facts, shape), _decoded_model(codec, stream_facts, shape)


def frame_store(header: Header) -> FrameStore | None:
    """The frames of a parsed file, or None when it has no pixel element.

    Checks everything that can be checked without decoding: sizes against `limits`, the stored length against the
    header, the table of compressed fragments, the palette. Raises InputError, LimitError, UnsupportedError.
    """
    if header.pixels is None:
        return None
    label, dataset = header.source.label, header.tags
    shape = _pixel_format(dataset, header.pixels, label)
    palette = _palette(dataset, label) if shape.photometric == "PALETTE COLOR" else None
    if header.transfer_syntax in codecs.NATIVE:
        _check_native_length(header.pixels, shape, label)
        return FrameStore(header.source, header.transfer_syntax, shape, header.pixels, palette=palette)
    codecs.codec_name(header.transfer_syntax, label)
    with header.source.open() as stream:
        fragments = _fragment_table(stream, header, header.pixels, shape.num_frames)
    return FrameStore(header.source, header.transfer_syntax, shape, header.pixels, fragments, palette)


def _integer(dataset: Tags, keyword: str, label: str, default: int | None = None) -> int:
    element = dataset.element(keyword)
    value = None if element is None else element.value
    if element is None or value is None or value == "":
        if default is not None:
            return default
        raise InputError(f"has pixel data but no {keyword}.", file=label, fix="Export the file again.")
    vr = element.VR
    if vr != ("IS" if keyword == "NumberOfFrames" else "US"):
        raise InputError(f"stores {keyword} as {vr}, US expected.", file=label, fix="Export the file again.")
    try:
        return int(value)
    except (TypeError, ValueError) as exc:
        raise InputError(f"holds no usable number in {keyword}.", file=label, fix="Export the file again.") from exc


def _pixel_format(dataset: Tags, region: PixelRegion, label: str) -> PixelFormat:
    caps = current()
    floating = region.keyword != "PixelData"
    rows, cols = _integer(dataset, "Rows", label), _integer(dataset, "Columns", label)
    samples = _integer(dataset, "SamplesPerPixel", label, 1)
    allocated = _integer(dataset, "BitsAllocated", label)
    stored = allocated if floating else _integer(dataset, "BitsStored", label, allocated)
    high = _integer(dataset, "HighBit", label, stored - 1)
    frames = _integer(dataset, "NumberOfFrames", label, 1)
    photometric = " ".join(str(dataset.get("PhotometricInterpretation") or "").replace("\0", " ").split()).upper()
    if not photometric and samples == 1:
        photometric = "MONOCHROME2"
    fix = "Export the file again."
    if rows < 1 or cols < 1:
        raise InputError(f"has an image size of {cols} x {rows}; both must be at least 1.", file=label, fix=fix)
    if rows * cols > caps.max_pixels:
        raise LimitError(f"has frames of {cols} x {rows} pixels, the limit is {caps.max_pixels}.", file=label)
    if not 1 <= frames <= caps.max_frames:
        raise LimitError(f"states {frames} frames; 1 to {caps.max_frames} are read.", file=label, fix=fix)
    if samples not in (1, 3):
        raise UnsupportedError(f"has {samples} samples per pixel; 1 and 3 are read.", file=label)
    if allocated not in ((32, 64) if floating else (1, 8, 16, 32)) or not 1 <= stored <= allocated:
        raise InputError(f"has {stored} bits stored of {allocated} allocated, which is no pixel format.", file=label)
    if photometric not in _KNOWN_MODELS or (samples == 3) != (photometric == "RGB" or photometric.startswith("YBR")):
        raise UnsupportedError(
            f"has {samples} samples per pixel under a photometric interpretation that does not fit them.",
            file=label,
            fix="Convert it to MONOCHROME2 or RGB.",
        )
    if samples == 3 and allocated not in (8, 16, 32):
        raise UnsupportedError(f"has colour of {allocated} bits; 8, 16 and 32 are read.", file=label)
    high = high if stored - 1 <= high < allocated else stored - 1
    signed = not floating and bool(_integer(dataset, "PixelRepresentation", label, 0))
    planar = samples == 3 and _integer(dataset, "PlanarConfiguration", label, 0) == 1
    return PixelFormat(rows, cols, samples, allocated, stored, high, signed, planar, photometric, frames, floating)


def _truncated(label: str, got: int, expected: int) -> InputError:
    return InputError(
        f"is truncated in its pixel data: {got} bytes, {expected} expected.",
        file=label,
        fix="Copy or export the file again.",
    )


def _check_native_length(region: PixelRegion, shape: PixelFormat, label: str) -> None:
    expected = (shape.native_frame_bits * shape.num_frames + 7) // 8
    if region.length is None:
        raise InputError("encloses its pixels as compressed under an uncompressed transfer syntax.", file=label)
    got = min(region.length, region.available)
    if got < expected:
        raise _truncated(label, got, expected)


def _palette(dataset: Tags, label: str) -> Palette:
    """The colour table, expanded through pydicom over exactly the indices it maps."""
    from pydicom.pixels.processing import apply_color_lut

    from vesalius.study.dicom_values import lut_descriptor

    entries, first, bits = lut_descriptor(dataset, "RedPaletteColorLookupTableDescriptor", label)
    dtype = np.int32 if first < 0 else np.uint32
    try:
        table = np.asarray(apply_color_lut(np.arange(first, first + entries).astype(dtype), dataset.dataset))
    except Exception as exc:
        raise InputError(
            f"has a damaged colour palette ({type(exc).__name__}).", file=label, fix="Export the file again."
        ) from exc
    if table.dtype != np.uint8:
        # Some writers put 8-bit colours in tables declared as 16-bit.
        table = (table >> 8 if bits > 8 and int(table.max()) > 255 else table).astype(np.uint8)
    return Palette(np.ascontiguousarray(table[:, :3]), first)


def _apply_palette(indices: Array, palette: Palette, label: str) -> Array:
    low, high = int(indices.min()), int(indices.max())
    last = palette.first + len(palette.table) - 1
    if low < palette.first or high > last:
        raise InputError(
            f"has a palette index outside its table ({low} to {high} used, {palette.first} to {last} mapped).",
            file=label,
            fix="Export the file again.",
        )
    return palette.table[indices.astype(np.int64) - palette.first]


def _unpack_native(data: bytes, shape: PixelFormat, big: bool, bit_offset: int) -> Array:
    if shape.bits_allocated == 1:
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        return bits[bit_offset : bit_offset + shape.rows * shape.cols].reshape(shape.rows, shape.cols)
    flat = np.frombuffer(data, shape.stored_dtype.newbyteorder(">" if big else "<"))
    flat = flat.astype(shape.stored_dtype)
    if shape.samples == 1:
        values = flat.reshape(shape.rows, shape.cols)
    elif shape.subsampled:
        pairs = flat.reshape(-1, 4)
        spread = pairs[:, [0, 2, 3, 1, 2, 3]]
        values = spread.reshape(shape.rows, shape.cols, 3)
    elif shape.planar:
        values = np.moveaxis(flat.reshape(3, shape.rows, shape.cols), 0, 2)
    else:
        values = flat.reshape(shape.rows, shape.cols, 3)
    return values if shape.floating else _meaningful_bits(values, shape)


def _meaningful_bits(values: Array, shape: PixelFormat) -> Array:
    """Drop what lies outside BitsStored below HighBit (overlays, padding) and extend the sign."""
    if shape.bits_allocated == shape.bits_stored:
        return values
    return _sign_extend(values, shape.bits_allocated - 1 - shape.high_bit, shape.bits_allocated - shape.bits_stored)


def _sign_extend(values: Array, left: int, right: int) -> Array:
    return np.right_shift(np.left_shift(values, left), right)


def _match_sign(values: Array, codec: str, stream: codecs.Codestream, shape: PixelFormat) -> Array:
    """Decoded samples in the header's sign and width, as pydicom corrects them."""
    values = values.astype(shape.stored_dtype, copy=False)
    width = 8 * values.dtype.itemsize
    if codec == "JPEG 2000" and shape.samples == 1:
        shift = width - stream.precision if stream.signed != shape.signed else 0
    elif codec == "JPEG-LS" and shape.signed:
        shift = width - stream.precision
    else:
        shift = width - shape.bits_stored
    return _sign_extend(values, shift, shift) if shift > 0 else values


def _decoded_model(codec: str, stream: codecs.Codestream, shape: PixelFormat) -> str:
    """The colour model of the decoded samples: the codestream's own marks overrule a wrong header."""
    if codec == "JPEG 2000":
        return "RGB" if shape.photometric in ("YBR_RCT", "YBR_ICT") else shape.photometric
    if codec == "JPEG":
        if stream.colour in ("rgb", "adobe"):
            return "RGB"
        if stream.colour == "ybr" and "YBR" not in shape.photometric:
            return "YBR_FULL"
    return shape.photometric


def _to_rgb(values: Array, photometric: str, shape: PixelFormat, label: str) -> Array:
    if values.dtype.itemsize > 1:
        if shape.signed:
            raise UnsupportedError("has signed colour samples.", file=label)
        values = (values >> max(shape.bits_stored - 8, 0)).astype(np.uint8)
    values = values.view(np.uint8)
    if photometric in ("YBR_FULL", "YBR_FULL_422"):
        from pydicom.pixels.processing import convert_color_space

        return np.asarray(convert_color_space(values, photometric, "RGB"))
    if photometric in _YBR:
        return _partial_to_rgb(values)
    if photometric != "RGB":
        raise UnsupportedError("has a colour model that its compression does not use.", file=label)
    return np.ascontiguousarray(values)


def _partial_to_rgb(values: Array) -> Array:
    """CCIR 601 partial range (Y 16…235, C 16…240) → RGB."""
    y, cb, cr = (values[..., n].astype(np.float32) for n in range(3))
    y, cb, cr = 1.1644 * (y - 16), cb - 128, cr - 128
    rgb = np.stack([y + 1.5960 * cr, y - 0.3917 * cb - 0.8130 * cr, y + 2.0173 * cb], axis=-1)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def _read_pieces(stream: BinaryIO, pieces: tuple[tuple[int, int], ...], label: str) -> bytes:
    out = bytearray()
    for offset, length in pieces:
        stream.seek(offset)
        piece = stream.read(length)
        if len(piece) < length:
            raise _truncated(label, len(piece), length)
        out += piece
    return bytes(out)


def _fragment_table(
    stream: BinaryIO, header: Header, region: PixelRegion, frames: int
) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Which fragments make up each frame, from the item headers and offset tables; no pixel is read."""
    label = header.source.label
    if region.length is not None:
        raise InputError("stores compressed pixels without enclosing them in items.", file=label)
    items, table = _items(stream, region, label, frames)
    if not items:
        raise InputError("holds no compressed frame.", file=label, fix="Export the file again.")
    if frames == 1:
        return (tuple(items),)
    extended = header.tags.get("ExtendedOffsetTable")
    if isinstance(extended, bytes) and len(extended) == 8 * frames:
        table = list(struct.unpack(f"<{frames}Q", extended))
    if len(items) == frames:
        return tuple((item,) for item in items)
    if len(table) == frames:
        return _by_offsets(items, table, label)
    return _by_start_marks(stream, items, frames, label)


def _items(stream: BinaryIO, region: PixelRegion, label: str, frames: int) -> tuple[list[tuple[int, int]], list[int]]:
    """(offset, length) of every fragment, and the basic offset table."""
    position, end = region.offset, region.offset + region.available
    found: list[tuple[int, int]] = []
    table: list[int] | None = None
    cap = 64 * frames + 100_000
    while True:
        stream.seek(position)
        head = stream.read(8)
        if len(head) < 8:
            if table is not None and found and len(head) == 0:
                break  # only the closing mark is missing; every fragment is whole
            raise _truncated(label, region.available, region.available + 8)
        group, element, length = struct.unpack("<HHI", head)
        position += 8
        if (group, element) == (0xFFFE, 0xE0DD):
            break
        if (group, element) != (0xFFFE, 0xE000):
            raise InputError("has something else than items among its compressed frames.", file=label)
        if position + length > end:
            raise _truncated(label, end - position, length)
        if table is None:
            raw = stream.read(min(length, 4 * frames)) if length else b""
            table = list(struct.unpack(f"<{len(raw) // 4}I", raw[: len(raw) // 4 * 4]))
        elif length:
            found.append((position, length))
            if len(found) > cap:
                raise LimitError(f"splits its frames into more than {cap} fragments.", file=label)
        position += length
    return found, table or []


def _by_offsets(items: list[tuple[int, int]], table: list[int], label: str) -> tuple[tuple[tuple[int, int], ...], ...]:
    begins = [item[0] - 8 - (items[0][0] - 8) for item in items]
    cuts = [*(bisect_left(begins, offset) for offset in table), len(items)]
    frames = tuple(tuple(items[first:last]) for first, last in pairwise(cuts))
    if table != sorted(table) or not all(frames):
        raise InputError("has an offset table that points at no fragment.", file=label, fix="Export the file again.")
    return frames


def _by_start_marks(
    stream: BinaryIO, items: list[tuple[int, int]], frames: int, label: str
) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Frames begin where a fragment opens with a JPEG or JPEG 2000 start mark."""
    grouped: list[list[tuple[int, int]]] = []
    for offset, length in items:
        stream.seek(offset)
        opens = stream.read(3) in (b"\xff\xd8\xff", b"\xff\x4f\xff")
        if opens or not grouped:
            grouped.append([])
        grouped[-1].append((offset, length))
    if len(grouped) < frames:
        raise InputError(
            f"holds {len(grouped)} compressed frames, {frames} stated.", file=label, fix="Export the file again."
        )
    return tuple(tuple(group) for group in grouped[:frames])

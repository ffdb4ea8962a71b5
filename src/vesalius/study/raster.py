"""Pictures: PNG, JPEG, TIFF, BMP, WebP; GIF, APNG and animated WebP as clips.

Only the loaders named here are ever tried, and size is checked from the header before a pixel is decoded.
What the pixels become: 1-bit and grey → `[H, W]` uint8; 16-bit grey → uint16; 32-bit → int32, uint32 or float32;
palette, CMYK and YCbCr → RGB; an alpha channel is laid over black. EXIF rotation is applied. Each page of a TIFF is one
Picture; one whose white is zero is shown right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError, LimitError, UnsupportedError, VesaliusError
from vesalius.limits import current
from vesalius.study.animation import apng_delays_s, gif_delays_s, num_tiff_pages, webp_delays_s
from vesalius.study.gzip_stream import ByteSource
from vesalius.study.items import Clip, Item, Origin, Picture

if TYPE_CHECKING:
    from collections.abc import Generator

    from PIL import Image

__all__ = ["read_raster"]

Array = NDArray[Any]

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF")
_EXIF_ORIENTATION = 0x0112
_TIFF_PHOTOMETRIC, _TIFF_SAMPLE_FORMAT, _TIFF_BITS = 262, 339, 258
_WHITE_IS_ZERO = 0
_WIDE_GREY = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_GREY = {"1": np.uint8, "L": np.uint8, "I": np.int32, "F": np.float32}


@contextmanager
def _opened(source: ByteSource) -> Generator[Image.Image]:
    """The picture with its header read; whatever Pillow raises becomes one of ours."""
    from PIL import Image

    try:
        with source.opened() as file, Image.open(file, formats=_FORMATS) as image:
            yield image
    except VesaliusError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise LimitError(
            f"has more pixels than the limit of {current().max_pixels}.", file=source.name, fix="Scale it down."
        ) from exc
    except Exception as exc:  # Pillow's loaders raise a dozen kinds for a damaged file
        raise InputError(
            "is a damaged or incomplete picture.", file=source.name, fix="Copy or export it again."
        ) from exc


def read_raster(source: ByteSource, kind: str, *, modality: str | None = None) -> tuple[list[Item], list[str]]:
    """Read picture headers. `kind`: "png", "jpeg", "tiff", "bmp", "webp" or "gif" as sniffed.

    Returns one Picture, a Picture per TIFF page, or one Clip for an animation. Raises LimitError from the header
    alone when a picture has more than `max_pixels`.
    """
    delays = _delays(source, kind)
    origin = Origin(kind, source.files, modality)
    if kind == "tiff":
        return _tiff(source, origin)
    with _opened(source) as image:
        _check_size(image.width, image.height, source.name)
        if len(delays) > 1:
            return [_clip(source, image.width, image.height, delays, origin)], []
        turn = _turn(image)
        width, height = image.size if turn < 5 else (image.height, image.width)
        details = {"mode": image.mode}
    origin = Origin(kind, source.files, modality, details=details)
    return [Picture(width, height, lambda: _pixels(source, 0, turn), origin)], []


def _delays(source: ByteSource, kind: str) -> list[float]:
    scan = {"gif": gif_delays_s, "png": apng_delays_s, "webp": webp_delays_s}.get(kind)
    if scan is None:
        return []
    with source.opened() as file:
        return scan(file, source.name)


def _check_size(width: int, height: int, name: str) -> None:
    cap = current().max_pixels
    if width * height > cap:
        raise LimitError(
            f"is {width} x {height} = {width * height} pixels; the limit is {cap}.", file=name, fix="Scale it down."
        )
    if width < 1 or height < 1:
        raise InputError(f"is {width} x {height} pixels.", file=name)


def _turn(image: Image.Image) -> int:
    """EXIF orientation 1…8, from the header alone; Pillow itself turns TIFF."""
    if image.format == "TIFF" or ("exif" not in image.info and image.format != "JPEG"):
        return 1
    value: object = image.getexif().get(_EXIF_ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _pixels(source: ByteSource, page: int, turn: int) -> Array:
    with _opened(source) as image:
        if page:
            image.seek(page)
        values = _values(image)
    return np.ascontiguousarray(_turned(values, turn))


def _turned(values: Array, turn: int) -> Array:
    """Undo EXIF orientation `turn` on `[H, W(, C)]`."""
    if turn >= 5:
        values = np.swapaxes(values, 0, 1)
    flip_y, flip_x = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}[turn]
    return values[:: -1 if flip_y else 1, :: -1 if flip_x else 1]


def _values(image: Image.Image) -> Array:
    """Decode the current page: `[H, W]` in stored units or `[H, W, 3]` uint8."""
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.mode == "I" and _unsigned_32_bits(image):
        return np.asarray(image).astype(np.int32).view(np.uint32)
    if image.mode in _GREY:
        values = np.asarray(image.convert("L") if image.mode == "1" else image).astype(_GREY[image.mode])
        return values if values.dtype.kind != "f" else np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        return _over_black(np.asarray(image.convert("RGBA")))
    return np.asarray(image.convert("RGB"))


def _unsigned_32_bits(image: Image.Image) -> bool:
    """Whether a TIFF's numbers are unsigned; Pillow reads them as signed, which large ones are not."""
    tags = _tags_of(image)
    formats, bits = tags.get(_TIFF_SAMPLE_FORMAT, (1,)), tags.get(_TIFF_BITS, (0,))
    return formats in (1, (1,)) and bits in (32, (32,))


def _over_black(rgba: Array) -> Array:
    alpha = rgba[..., 3:].astype(np.uint16)
    return ((rgba[..., :3] * alpha + 127) // 255).astype(np.uint8)


def _clip(source: ByteSource, width: int, height: int, delays: list[float], origin: Origin) -> Clip:
    # Viewers show frames without a delay, or a tenth of a centisecond, for 0.1 s; so do we.
    shown = [delay if delay > 0.01 else 0.1 for delay in delays]
    times = np.concatenate([[0.0], np.cumsum(shown[:-1])])

    def load(indices: Sequence[int]) -> list[NDArray[np.uint8]]:
        if len(indices) * width * height * 3 > current().max_decoded_bytes:
            raise LimitError(f"{len(indices)} frames of {width} x {height} are too many at once.", file=source.name)
        wanted = set(indices)
        frames: dict[int, NDArray[np.uint8]] = {}
        with _opened(source) as image:
            for index in range(max(wanted, default=-1) + 1):
                image.seek(index)
                if index in wanted:
                    frames[index] = _over_black(np.asarray(image.convert("RGBA")))
                else:
                    image.load()
        return [frames[index] for index in indices]

    return Clip(width, height, times, load, origin)


def _tiff(source: ByteSource, origin: Origin) -> tuple[list[Item], list[str]]:
    """One Picture per page; a pyramid of tiles goes to `slides`."""
    from vesalius.study.slides import looks_like_slide, read_slide

    with source.opened() as file:
        pages = num_tiff_pages(file, source.name)
    if pages == 0:
        raise InputError("is a TIFF without a picture.", file=source.name)
    found: list[tuple[tuple[int, int], str, bool]] = []
    try:
        with _opened(source) as image:
            if looks_like_slide(_tags_of(image), image.size):
                return read_slide(source, modality=origin.modality)
            for page in range(pages):
                image.seek(page)
                _check_size(*image.size, source.name)
                found.append((image.size, image.mode, _tags_of(image).get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO))
    except (LimitError, UnsupportedError):
        raise
    except InputError:
        return _tiff_by_tifffile(source, origin)
    items: list[Item] = []
    for page, ((width, height), mode, negative) in enumerate(found):
        # Pillow turns negatives of 1 and 8 bits round, wider ones it leaves as they are stored.
        turned = negative and mode in ("1", "L")
        load = partial(_tiff_pixels, source, page, turned=turned)
        items.append(Picture(width, height, load, origin, inverted=negative and not turned and mode in _WIDE_GREY))
    return items, ([f"{source.name}: {pages} pages, read as {pages} pictures."] if pages > 1 else [])


def _tags_of(image: Image.Image) -> dict[int, Any]:
    """The tags of a TIFF's current page."""
    return cast("dict[int, Any]", getattr(image, "tag_v2", {}))


def _tiff_pixels(source: ByteSource, page: int, *, turned: bool) -> Array:
    try:
        return _pixels(source, page, 1)
    except InputError:
        # A compression or sample format Pillow lacks; tifffile may know it.
        values = _by_tifffile(source, page)
        return 255 - values if turned and values.dtype == np.uint8 else values


def _tiff_by_tifffile(source: ByteSource, origin: Origin) -> tuple[list[Item], list[str]]:
    """TIFFs Pillow cannot open: float or 16-bit colour, 64-bit numbers."""
    with _tifffile_opened(source) as file:
        pages = [(cast("tuple[int, ...]", page.shape), page.photometric == _WHITE_IS_ZERO) for page in file.pages]
    items: list[Item] = []
    for page, (shape, negative) in enumerate(pages):
        if len(shape) not in (2, 3):
            raise UnsupportedError(f"page {page} has {len(shape)} dimensions.", file=source.name)
        _check_size(shape[1], shape[0], source.name)
        load = partial(_by_tifffile, source, page)
        items.append(Picture(shape[1], shape[0], load, origin, inverted=negative and len(shape) == 2))
    return items, []


@contextmanager
def _tifffile_opened(source: ByteSource) -> Generator[Any]:
    damaged = InputError(
        "is a TIFF that cannot be read (damaged, or its compression is unknown here).",
        file=source.name,
        fix="Save it again uncompressed, or install vesalius[slides].",
    )
    import logging

    try:
        import tifffile
    except ImportError as exc:
        raise damaged from exc
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it logs is in the error we raise
    try:
        with source.opened() as file, tifffile.TiffFile(file) as opened:
            yield opened
    except VesaliusError:
        raise
    except Exception as exc:  # tifffile raises many kinds for a damaged file
        raise damaged from exc


def _by_tifffile(source: ByteSource, page: int) -> Array:
    with _tifffile_opened(source) as file:
        tiff_page = file.pages[page]
        if math.prod(cast("tuple[int, ...]", tiff_page.shape)) * 8 > current().max_decoded_bytes:
            raise LimitError("is too large to decode.", file=source.name)
        values = np.asarray(tiff_page.asarray())
    if values.ndim not in (2, 3) or values.size == 0:
        raise UnsupportedError(f"a page has {values.ndim} dimensions.", file=source.name)
    if values.ndim == 2:
        if values.dtype.kind in "iu":
            return values
        return np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if values.dtype == np.uint16:
        values = (values >> 8).astype(np.uint8)
    if values.dtype != np.uint8 or values.shape[2] not in (3, 4):
        raise UnsupportedError(
            f"its colours are {values.shape[2]} x {values.dtype}.", file=source.name, fix="Save it as 8-bit RGB."
        )
    return _over_black(values) if values.shape[2] == 4 else values

"""Whole-slide pictures: SVS, pyramidal TIFF and what OpenSlide knows (extra `slides`). Never read at full size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError, LimitError, UnsupportedError, VesaliusError
from vesalius.limits import current
from vesalius.study.gzip_stream import ByteSource
from vesalius.study.items import Item, Origin, Slide

__all__ = ["looks_like_slide", "read_slide"]

Pixels = NDArray[np.uint8]

_DESCRIPTION, _TILE_WIDTH, _SUB_IFDS = 270, 322, 330
_WHOLE_PICTURE = 16_000_000
"""Pixels above which a tiled TIFF is taken for a slide even without a maker's mark."""


def looks_like_slide(tags: Any, size: tuple[int, int]) -> bool:
    """True for the first page of a scanner's pyramid: Aperio's mark, sub-pictures, or tiles of a huge picture."""
    description = str(tags.get(_DESCRIPTION, ""))[:64]
    if description.startswith("Aperio"):
        return True
    return _TILE_WIDTH in tags and (_SUB_IFDS in tags or size[0] * size[1] > _WHOLE_PICTURE)


def read_slide(source: ByteSource, *, modality: str | None = None) -> tuple[list[Item], list[str]]:
    """A Slide by OpenSlide, else by tifffile. `mpp` is None, with a warning, when the file does not state it."""
    if source.path is None:
        raise UnsupportedError("a whole slide can only be read from a file, not from bytes.", fix="Give its path.")
    slide = _by_openslide(source, modality) or _by_tifffile(source, modality)
    warnings: list[str] = []
    if slide.mpp is None:
        warnings.append(f"{source.name}: micrometres per pixel are not stored; lengths on this slide are unknown.")
    return [slide], warnings


def _damaged(source: ByteSource) -> InputError:
    return InputError("is a damaged or incomplete slide.", file=source.name, fix="Copy or export it again.")


def _checked_region(sizes: tuple[tuple[int, int], ...], level: int, width: int, height: int, name: str) -> None:
    if not 0 <= level < len(sizes):
        raise InputError(f"level {level} is outside 0..{len(sizes) - 1}.", file=name)
    if width < 1 or height < 1 or width * height > current().max_pixels:
        raise LimitError(
            f"a region of {width} x {height} pixels; the limit is {current().max_pixels}.",
            file=name,
            fix="Read a smaller region or a coarser level.",
        )


def _by_openslide(source: ByteSource, modality: str | None) -> Slide | None:
    """None when OpenSlide is missing or does not know the file."""
    try:
        import openslide
    except (ImportError, OSError):
        return None
    path = source.name
    try:
        with openslide.OpenSlide(path) as opened:
            sizes = tuple((int(w), int(h)) for w, h in opened.level_dimensions)
            mpp = _mpp(opened.properties.get("openslide.mpp-x"), opened.properties.get("openslide.mpp-y"))
            vendor = str(opened.properties.get("openslide.vendor", ""))
    except openslide.OpenSlideError:
        return None

    def region(level: int, x: int, y: int, width: int, height: int) -> Pixels:
        _checked_region(sizes, level, width, height, path)
        try:
            with openslide.OpenSlide(path) as slide:
                rgba = np.asarray(slide.read_region((x, y), level, (width, height)))
        except openslide.OpenSlideError as exc:
            raise _damaged(source) from exc
        # Where nothing was scanned OpenSlide is transparent; glass is white.
        alpha = rgba[..., 3:].astype(np.uint16)
        return ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)

    def thumbnail(longest: int) -> Pixels:
        try:
            with openslide.OpenSlide(path) as slide:
                best = slide.get_best_level_for_downsample(max(sizes[0]) / max(longest, 1))
                _checked_region(sizes, best, *sizes[best], path)
                return np.asarray(slide.get_thumbnail((longest, longest)).convert("RGB"))
        except openslide.OpenSlideError as exc:
            raise _damaged(source) from exc

    origin = Origin("slide", source.files, modality or "SM", details={"vendor": vendor})
    return Slide(sizes, region, thumbnail, origin, mpp)


def _mpp(x: object, y: object) -> tuple[float, float] | None:
    try:
        pair = float(str(x)), float(str(y))
    except ValueError:
        return None
    # Scanners make 0.1 to 2 µm; a hundredfold margin catches units written wrongly.
    return pair if all(0.001 < value < 200 for value in pair) else None


def _by_tifffile(source: ByteSource, modality: str | None) -> Slide:
    """A tiled, pyramidal TIFF read tile by tile."""
    try:
        import tifffile
    except ImportError as exc:
        raise UnsupportedError(
            "is a whole slide; neither OpenSlide nor tifffile is here.",
            file=source.name,
            fix="pip install 'vesalius[slides]'.",
        ) from exc
    try:
        with tifffile.TiffFile(source.name) as file:
            levels = [(int(lvl.keyframe.imagewidth), int(lvl.keyframe.imagelength)) for lvl in file.series[0].levels]
            mpp = _tiff_mpp(file.pages[0])
    except Exception as exc:  # tifffile raises many kinds for a damaged file
        raise _damaged(source) from exc
    sizes = tuple(levels)

    def region(level: int, x: int, y: int, width: int, height: int) -> Pixels:
        _checked_region(sizes, level, width, height, source.name)
        scale = sizes[0][0] / sizes[level][0]
        try:
            with tifffile.TiffFile(source.name) as slide:
                return _tiles(slide.series[0].levels[level].keyframe, round(x / scale), round(y / scale), width, height)
        except VesaliusError:
            raise
        except Exception as exc:
            raise _damaged(source) from exc

    def thumbnail(longest: int) -> Pixels:
        from PIL import Image

        level = max((n for n, size in enumerate(sizes) if max(size) >= longest), default=0)
        image = Image.fromarray(region(level, 0, 0, *sizes[level]))
        image.thumbnail((longest, longest))
        return np.asarray(image)

    return Slide(sizes, region, thumbnail, Origin("slide", source.files, modality or "SM"), mpp)


def _tiles(page: Any, left: int, top: int, width: int, height: int) -> Pixels:
    """Decode only the tiles that touch a region of one level; white outside the picture."""
    result = np.full((height, width, 3), 255, np.uint8)
    if not page.is_tiled:
        if page.imagewidth * page.imagelength > current().max_pixels:
            raise LimitError("this level is not tiled and too large to decode whole.", fix="Use a coarser level.")
        _paste(result, page.asarray(), -left, -top)
        return result
    across = -(-page.imagewidth // page.tilewidth)
    handle = page.parent.filehandle
    for row in range(max(top, 0) // page.tilelength, -(-min(top + height, page.imagelength) // page.tilelength)):
        for column in range(max(left, 0) // page.tilewidth, -(-min(left + width, page.imagewidth) // page.tilewidth)):
            index = row * across + column
            if index >= len(page.dataoffsets) or not page.databytecounts[index]:
                continue
            handle.seek(page.dataoffsets[index])
            data = handle.read(page.databytecounts[index])
            tile = page.decode(data, index, jpegtables=page.jpegtables)[0]
            if tile is not None:
                tile = np.asarray(tile).reshape(tile.shape[-3:])
                _paste(result, tile, column * page.tilewidth - left, row * page.tilelength - top)
    return result


def _paste(result: Pixels, tile: NDArray[Any], x: int, y: int) -> None:
    rgb = np.repeat(tile.reshape(*tile.shape[:2], -1)[..., :1], 3, axis=2) if tile.ndim == 2 else tile[..., :3]
    height, width = rgb.shape[:2]
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + width, result.shape[1]), min(y + height, result.shape[0])
    if x0 < x1 and y0 < y1:
        result[y0:y1, x0:x1] = rgb[y0 - y : y1 - y, x0 - x : x1 - x]


def _tiff_mpp(page: Any) -> tuple[float, float] | None:
    """Aperio writes `MPP = 0.25` into the description; others only the resolution tags, in centimetres when meant."""
    description = str(page.description)
    if description.startswith("Aperio") and "MPP = " in description:
        value = description.split("MPP = ")[1].split("|")[0].strip()
        return _mpp(value, value)
    tags = page.tags
    if tags.valueof("ResolutionUnit", default=1) != 3:  # inches are nearly always a default, not a measurement
        return None
    pair = (tags.valueof("XResolution"), tags.valueof("YResolution"))
    if any(not value or not value[0] for value in pair):
        return None
    return _mpp(*(10_000 * bottom / top for top, bottom in pair))

"""Pictures as Pillow alone makes them RGB, which is what published image processors were fed with.

Alpha is dropped (hidden colours show) or laid over white, and greys above 8 bits saturate at white. Our readers lay
pictures over black, turn them upright and window them.
"""

from __future__ import annotations

import io
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.study.items import Picture

__all__ = ["is_pil_image", "rgb_by_pillow"]

_RASTER = ("png", "jpeg", "tiff", "bmp", "webp", "gif")


def is_pil_image(given: object) -> bool:
    """Whether it is an image of Pillow, which is not imported for the question."""
    return any(base.__module__ == "PIL.Image" and base.__name__ == "Image" for base in type(given).__mro__)


def rgb_by_pillow(
    source: Any, item: Picture, *, upright: bool = False, over_white: bool = False
) -> NDArray[np.uint8] | None:
    """`[H, W, 3]` of the picture `source` (a path, bytes or an image of Pillow; `item` is what the study made of it).

    `upright`: EXIF rotation is applied. `over_white`: what is transparent becomes white. None where the published code
    would not open it so: other formats, arrays, and files of several pages, which the study has taken apart. The study
    has checked kind and size before.
    """
    from PIL import Image, ImageOps

    if is_pil_image(source):
        picture = ImageOps.exif_transpose(source) if upright else source
        return _rgb(picture, over_white)
    if item.origin.format not in _RASTER or not isinstance(source, str | bytes | PathLike):
        return None
    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as picture:
        if getattr(picture, "n_frames", 1) > 1:
            return None
        if upright:
            ImageOps.exif_transpose(picture, in_place=True)
        return _rgb(picture, over_white)


def _rgb(picture: Any, over_white: bool) -> NDArray[np.uint8]:
    from PIL import Image

    if over_white and ("A" in picture.getbands() or picture.info.get("transparency") is not None):
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return np.asarray(picture.convert("RGB"))

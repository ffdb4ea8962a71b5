"""What a benchmark's medium shows, decoded, so that it can be altered before a model sees it."""

from __future__ import annotations

import hashlib
import io

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError
from vesalius.evaluation.contract import Medium
from vesalius.study.items import Clip, Picture, Slide, Volume

__all__ = ["hashed_png", "shown_item"]

_OVERVIEW_PX = 1024
"""Longer side of a slide's overview."""


def shown_item(medium: Medium) -> NDArray[np.uint8] | Volume | Clip:
    """A picture as it is displayed, `[H, W]` or `[H, W, 3]` uint8 (a slide: its overview), a volume on its own grid, or
    a clip. Raises InputError for media that cannot be read or are of another kind than said."""
    from vesalius.inference.media import read_raw, read_video
    from vesalius.study.read import read

    reader = {"volume": read_raw, "video": read_video}.get(medium.kind, read)
    study = reader(medium.source)
    wanted = {"image": (Picture, Slide), "volume": (Volume,), "video": (Clip,)}[medium.kind]
    item = next((one for one in study.items if isinstance(one, wanted)), None)
    match item:
        case Picture():
            return item.view()
        case Slide():
            return item.thumbnail(_OVERVIEW_PX)
        case Volume() | Clip():
            return item
        case _:
            raise InputError(f"the {medium.kind} part holds no {medium.kind}.")


def hashed_png(pixels: NDArray[np.uint8]) -> tuple[bytes, str]:
    """(PNG, its sha256) of `[H, W]` or `[H, W, 3]` pixels."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    content = file.getvalue()
    return content, hashlib.sha256(content).hexdigest()

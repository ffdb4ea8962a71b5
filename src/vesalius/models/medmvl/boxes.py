"""Boxes of an answer, from per cent of what the model was shown to pixels of the original picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from os import PathLike

from vesalius.findings.dialects import Reading
from vesalius.findings.dialects.frames import frame_of
from vesalius.findings.dialects.percent_braces import name_before, read_percent_braces
from vesalius.findings.findings import Box, Finding, Where
from vesalius.findings.parse import placed
from vesalius.findings.place import place
from vesalius.models.contract import Shown
from vesalius.study.items import Picture, Slide

__all__ = ["located"]

_UPRIGHT = {
    1: lambda u, v: (u, v),
    2: lambda u, v: (1 - u, v),
    3: lambda u, v: (1 - u, 1 - v),
    4: lambda u, v: (u, 1 - v),
    5: lambda u, v: (v, u),
    6: lambda u, v: (1 - v, u),
    7: lambda u, v: (1 - v, 1 - u),
    8: lambda u, v: (v, 1 - u),
}
"""EXIF orientation → where a place of the stored picture lies on the upright one, unit coordinates."""


def located(media: Sequence[Shown], text: str, *, stored_upright: bool) -> list[Finding]:
    """The answer's boxes on the last picture among `media`, pixel frame. Volumes have no boxes in this dialect.

    `stored_upright`: False where the model was shown the file without its EXIF rotation.
    """
    found: list[Finding] = []
    for number in reversed(range(len(media))):
        shown = media[number]
        item = shown.item
        if not isinstance(item, Picture | Slide):
            continue
        turn = _UPRIGHT[1 if stored_upright else _orientation(shown)]
        reading, unit = read_percent_braces(text), frame_of("norm100", (1, 1))
        for at, one in enumerate(reading.named):
            box = placed(one, unit, Reading(""), strict=False)
            if box is None:
                continue
            (u0, v0), (u1, v1) = turn(*box.coords[:2]), turn(*box.coords[2:])
            pixels = Box(
                label=name_before(reading, at) or "region",
                x0=min(u0, u1) * item.width,
                y0=min(v0, v1) * item.height,
                x1=max(u0, u1) * item.width,
                y1=max(v0, v1) * item.height,
                where=Where(item=number),
            )
            found.append(place(pixels, item))
        break
    return found


def _orientation(shown: Shown) -> int:
    """EXIF orientation 1…8 of a picture file, as the study turned it."""
    source = shown.source
    if not isinstance(source, str | bytes | PathLike) or shown.item.origin.format not in ("png", "jpeg", "webp"):
        return 1
    from PIL import Image

    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as picture:
        turn: object = picture.getexif().get(0x0112, 1)
    return turn if isinstance(turn, int) and turn in _UPRIGHT else 1

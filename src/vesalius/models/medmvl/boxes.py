"""Boxes of an answer, from per cent of what the model was shown to pixels of the original picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from os import PathLike

from vesalius.findings.dialects import Named, Reading
from vesalius.findings.dialects.frames import frame_of
from vesalius.findings.dialects.percent_braces import name_before, read_percent_braces
from vesalius.findings.findings import Box, Finding, Where
from vesalius.findings.mentions import without_mention
from vesalius.findings.parse import placed
from vesalius.findings.place import place
from vesalius.models.contract import Shown
from vesalius.models.parts.which_picture import Asked, Shot, on_pictures
from vesalius.study.items import Picture, Slide
from vesalius.vision.pillow_rgb import is_pil_image

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


def located(media: Sequence[Shown], text: str, asked: Asked, *, stored_upright: bool) -> tuple[list[Finding], bool]:
    """(the answer's boxes on the pictures it names, pixel frame; whether any picture was a guess). Volumes have no
    boxes in this dialect, so only pictures are counted.

    `stored_upright`: False where the model was shown the file without its EXIF rotation.
    """
    numbers = [number for number, shown in enumerate(media) if isinstance(shown.item, Picture | Slide)]
    said, assumed = on_pictures(text, _named, [Shot(number) for number in numbers], asked)
    found: list[Finding] = []
    for one, shot, _ in said:
        shown = media[numbers[shot]]
        item = shown.item
        assert isinstance(item, Picture | Slide)
        turn = _UPRIGHT[1 if stored_upright else _orientation(shown)]
        (u0, v0), (u1, v1) = turn(*one.numbers[:2]), turn(*one.numbers[2:])
        pixels = Box(
            label=without_mention(one.label) or "region",
            x0=min(u0, u1) * item.width,
            y0=min(v0, v1) * item.height,
            x1=max(u0, u1) * item.width,
            y1=max(v0, v1) * item.height,
            where=Where(item=numbers[shot]),
        )
        found.append(place(pixels, item))
    return found, assumed


def _named(text: str) -> list[Named]:
    """The boxes of an answer as parts of the picture's width and height, with the words before them."""
    reading, unit = read_percent_braces(text), frame_of("norm100", (1, 1))
    named: list[Named] = []
    for at, one in enumerate(reading.named):
        box = placed(one, unit, Reading(""), strict=False)
        if box is not None:
            named.append(Named(name_before(reading, at), tuple(box.coords), one.start, one.end))
    return named


def _orientation(shown: Shown) -> int:
    """EXIF orientation 1…8 of a picture file, as the study turned it."""
    source, turn = shown.source, 1
    if is_pil_image(source):
        turn = source.getexif().get(0x0112, 1)
    elif isinstance(source, str | bytes | PathLike) and shown.item.origin.format in ("png", "jpeg", "webp"):
        from PIL import Image

        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as picture:
            turn = picture.getexif().get(0x0112, 1)
    return turn if isinstance(turn, int) and turn in _UPRIGHT else 1

"""One line of text on an overlay: which font writes each letter, how wide it is, and in which order it stands.

Latin letters come from Pillow's built-in font, Chinese (GB 2312; accented Latin, Greek, Cyrillic and kana too) and
Arabic from the cut fonts in `fonts/`. Arabic needs letters to join, which Pillow does where its Raqm layout finds
FriBiDi. Nothing is drawn as an empty box: `drawable` says what can be written, and callers show another name else.
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

from PIL import ImageDraw, ImageFont, features

__all__ = ["draw_text", "drawable", "shortened", "text_size"]

Face = Literal["latin", "chinese", "arabic"]

_ARABIC: Face = "arabic"
_FILES: dict[Face, str] = {"chinese": "chinese.otf", "arabic": "arabic.ttf"}
_BASELINE = 0.02
"""Share of the size the built-in font is lowered by, so that it stands in the middle of its line."""
_LINE = 1.2
_JOINERS = "\u200c\u200d"
_RAISED = {"²": "2", "³": "3"}


@dataclass(frozen=True)
class _Run:
    """Neighbouring letters of one font; `raised`: a superscript, which the built-in font lacks."""

    text: str
    face: Face
    raised: bool = False


@lru_cache(maxsize=48)
def _font(face: Face, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    if face == "latin":
        return ImageFont.load_default(size)
    layout = ImageFont.Layout.RAQM if face == "arabic" else ImageFont.Layout.BASIC
    return ImageFont.truetype(str(Path(__file__).parent / "fonts" / _FILES[face]), size, layout_engine=layout)


@cache
def _joins_letters() -> bool:
    return bool(features.check("raqm"))


@lru_cache(maxsize=4096)
def _face(letter: str) -> Face | None:
    """The font that writes a letter, None where none does."""
    if letter == " " or letter in _RAISED:
        return "latin"
    if _is_arabic(letter):
        return "arabic" if _joins_letters() and (letter in _JOINERS or _has("arabic", letter)) else None
    return next((face for face in ("latin", "chinese") if _has(face, letter)), None)


def _is_arabic(letter: str) -> bool:
    code = ord(letter)
    return 0x600 <= code <= 0x8FF or 0xFB50 <= code <= 0xFDFF or 0xFE70 <= code <= 0xFEFC or letter in _JOINERS


def _has(face: Face, letter: str) -> bool:
    """A font draws what it lacks as it draws U+10FFFF, which no font has."""
    font: Any = _font(face, 32)  # what getmask gives is bytes-like, which its types do not say
    return bytes(font.getmask(letter)) != bytes(font.getmask("\U0010ffff"))


def drawable(text: str) -> str:
    """`text` as overlays write it: white space and control characters gone, accents and signs without a glyph dropped.

    "" when there is nothing to read in it, or when a letter or digit would be missing.
    """
    kept: list[str] = []
    for letter in unicodedata.normalize("NFC", " ".join(text.split())):
        if _face(letter) is not None:
            kept.append(letter)
            continue
        base = "".join(c for c in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(c))
        if base and base != letter and all(_face(c) is not None for c in base):
            kept.append(base)
        elif unicodedata.category(letter)[0] in "LN":
            return ""
    plain = " ".join("".join(kept).split())
    return plain if any(c.isalnum() for c in plain) else ""


def _reads_leftwards(text: str) -> bool:
    """Whether a line starts at the right: its first letter is Arabic."""
    return next((_is_arabic(c) for c in text if c.isalpha()), False)


def _faces(text: str) -> list[Face]:
    """The font of each letter; spaces, digits and signs between Arabic letters, or beside them in an Arabic line, keep
    to the Arabic font, so that its layout orders them. Digits that follow a Latin letter stay with it ("T2")."""
    faces: list[Face] = [_face(c) or "latin" for c in text]
    leftwards = _reads_leftwards(text)
    start = 0
    while start < len(text):
        while 0 < start < len(text) and text[start].isdigit() and faces[start - 1] == "latin":
            start += 1
        end = start
        while end < len(text) and not text[end].isalpha() and _has_arabic_form(text[end]):
            end += 1
        if end > start:
            sides = {faces[n] for n in (start - 1, end) if 0 <= n < len(text)}
            at_edge = start == 0 or end == len(text)
            if (leftwards and (at_edge or "arabic" in sides)) or (sides == {"arabic"} and not at_edge):
                faces[start:end] = [_ARABIC for _ in range(start, end)]
        start = end + 1
    return faces


@lru_cache(maxsize=1024)
def _has_arabic_form(letter: str) -> bool:
    return _joins_letters() and (letter == " " or _has("arabic", letter))


def _runs(text: str) -> list[_Run]:
    """Runs in the order they stand, left to right; the letters of an Arabic run are ordered by its layout."""
    runs: list[_Run] = []
    for letter, face in zip(text, _faces(text), strict=True):
        raised = letter in _RAISED
        plain = _RAISED.get(letter, letter)
        if runs and (runs[-1].face, runs[-1].raised) == (face, raised):
            runs[-1] = _Run(runs[-1].text + plain, face, raised)
        else:
            runs.append(_Run(plain, face, raised))
    return runs[::-1] if _reads_leftwards(text) else runs


def _run_font(run: _Run, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return _font(run.face, max(8, size * 2 // 3) if run.raised else size)


def _length(run: _Run, size: int) -> float:
    font = _run_font(run, size)
    return font.getlength(run.text, direction="rtl") if run.face == "arabic" else font.getlength(run.text)


def text_size(text: str, size: int) -> tuple[int, int]:
    """Width and line height in pixels."""
    return math.ceil(sum(_length(run, size) for run in _runs(text))), math.ceil(size * _LINE)


def draw_text(
    draw: ImageDraw.ImageDraw, xy: tuple[float, float], text: str, size: int, colour: tuple[int, int, int]
) -> None:
    """Draw one line with its left edge at x and its line box starting at y. `text`: as `drawable` returns it."""
    x, y = xy
    runs = _runs(text)
    built_in = _font("latin", size)
    ascent = built_in.getmetrics()[0] if isinstance(built_in, ImageFont.FreeTypeFont) else size
    lift = max((_below(run, size) for run in runs), default=0) - (math.ceil(size * _LINE) - ascent)
    for run in runs:
        font = _run_font(run, size)
        if run.face == "latin":
            # The built-in font's own top; letters of the others stand on its baseline.
            draw.text((x, y + (0 if run.raised else size * _BASELINE)), run.text, fill=colour, font=font)
        else:
            base = y + size * _BASELINE + ascent - max(0, lift)
            direction = "rtl" if run.face == "arabic" else None
            draw.text((x, base), run.text, fill=colour, font=font, anchor="ls", direction=direction)
        x += _length(run, size)


def _below(run: _Run, size: int) -> int:
    """How far the ink of a run reaches below the baseline; Arabic reaches further than a line of Latin leaves room."""
    if run.face != "arabic":
        return 0
    font = _run_font(run, size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return math.ceil(font.getbbox(run.text, anchor="ls", direction="rtl")[3])


def shortened(text: str, size: int, width: int) -> str:
    """`text`, cut with an ellipsis to fit `width` pixels."""
    if text_size(text, size)[0] <= width:
        return text
    while text and text_size(text + "…", size)[0] > width:
        text = text[:-1]
    return text.rstrip() + "…"

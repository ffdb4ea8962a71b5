"""Findings drawn on the picture they lie on, for people to read.

The picture is scaled, findings are drawn at `scale * pixel` with crisp lines, labels stand where they hide no finding,
and everything else (orientation letters, scale bar, legend, title) stays outside the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vesalius.errors import InputError, OptionError
from vesalius.findings.findings import Box, Finding, Mask, Point
from vesalius.findings.labels import Rect, place_labels
from vesalius.findings.legend import (
    BACKGROUND,
    FAINT,
    GROUPED_ABOVE,
    INK,
    Entry,
    draw_legend,
    grouped_entries,
    legend_entries,
    legend_size,
)
from vesalius.findings.lettering import draw_text, drawable, shortened, text_size
from vesalius.findings.masks import bounding_box

__all__ = ["Layout", "Mark", "layout", "overlay", "scale_bar"]

SMALLEST_SIDE = 512
"""Smaller pictures are enlarged until their long side has at least this many pixels."""
LARGEST_SIDE = 1600
"""Larger pictures are reduced to this long side."""

_HALO = (0, 0, 0, 170)
_FILL = 0.22


@dataclass(frozen=True)
class Mark:
    """A finding as drawn: `label_rect` is its label on the shown picture, None when only the legend names it; `text`
    is what the label says, cut where the name is longer than half the picture."""

    finding: Box | Point | Mask
    entry: Entry
    label_rect: Rect | None
    text: str


@dataclass(frozen=True)
class Layout:
    """Where everything goes, in display pixels.

    `scale`: (x, y) display pixels per picture pixel.  `shown`: (width, height) of the scaled picture.  `origin`: its
    top-left corner on the canvas.  `canvas`: (width, height).  `line`: line width.  `rows`: the legend.
    """

    scale: tuple[float, float]
    shown: tuple[int, int]
    origin: tuple[int, int]
    canvas: tuple[int, int]
    margin: int
    font: int
    line: int
    marks: tuple[Mark, ...]
    rows: tuple[Entry, ...]


def layout(
    size: tuple[int, int],
    findings: Sequence[Finding],
    *,
    title: str | None = None,
    spacing_mm: tuple[float, float] | None = None,
    scale: float | Literal["auto"] = "auto",
    orientation: tuple[str, str, str, str] | None = None,
    english: Mapping[str, str] | None = None,
    labels: Sequence[str] = (),
    legend: bool = True,
) -> Layout:
    """Plan the overlay of a picture of `size` (width, height); the keywords are those of `overlay`."""
    scales, shown = _scales(size, spacing_mm, scale)
    font = min(26, max(14, round(max(shown) / 44)))
    line = 2 if max(shown) < 1200 else 3
    named = [f for f in findings if f.kind != "report"]
    entries = legend_entries(named, english, labels)
    drawn = [(f, e) for f, e in zip(named, entries, strict=True) if isinstance(f, Box | Point | Mask)]
    crowded = len(drawn) > GROUPED_ABOVE
    rects: list[Rect | None] = [None] * len(drawn)
    texts = [shortened(e.name, font, max(12 * font, shown[0] // 2)) for _, e in drawn]
    if not crowded:
        targets = [_target(f, scales, shown, font, line) for f, _ in drawn]
        sizes = [_label_size(text, font) for text in texts]
        rects = place_labels(_occupied([f for f, _ in drawn], targets, shown), targets, sizes)
    rows = grouped_entries(entries) if crowded else entries
    margin = round(font * 1.7) if orientation else 0
    top = margin + (round(font * 2.2) if title else 0)
    bottom = max(margin, round(font * 2.6) if spacing_mm else 0)
    panel = legend_size(rows, font) if legend and rows else (0, 0)
    width = 2 * margin + shown[0] + panel[0]
    if spacing_mm:
        width = max(width, _bar_end(scales, shown, spacing_mm[0], margin, font))
    height = max(top + shown[1] + bottom, min(panel[1], 400))
    return Layout(
        scale=scales,
        shown=shown,
        origin=(margin, top),
        canvas=(width, height),
        margin=margin,
        font=font,
        line=line,
        marks=tuple(Mark(f, e, r, t) for (f, e), r, t in zip(drawn, rects, texts, strict=True)),
        rows=tuple(rows),
    )


def overlay(
    picture: NDArray[np.uint8],
    findings: Sequence[Finding],
    *,
    title: str | None = None,
    spacing_mm: tuple[float, float] | None = None,
    scale: float | Literal["auto"] = "auto",
    orientation: tuple[str, str, str, str] | None = None,
    english: Mapping[str, str] | None = None,
    labels: Sequence[str] = (),
    legend: bool = True,
) -> Image.Image:
    """The picture with its findings on it, RGB.

    `picture`: `[H, W]` or `[H, W, 3]` uint8.  `findings`: in its pixel frame; masks `[H, W]`.  `spacing_mm`: (x, y),
    adds a scale bar.  `scale`: display pixels per picture pixel; "auto" enlarges to 512 pixels at least, reduces to
    1600 at most and shows unequal spacing in true proportion.  `orientation`: the letters at the left, right, top and
    bottom edge, ("R", "L", "A", "P") for an axial slice.  `english`: names for labels
    no font here can write (they have Latin, simplified Chinese and Arabic letters).
    `labels`: labels that take their colours first, so several pictures agree.
    Boxes, points and masks are drawn; counts and measurements stand in the legend.
    Raises InputError for another dtype or shape, OptionError for an impossible scale.
    """
    base = _rgb(picture)
    for finding in findings:
        if isinstance(finding, Mask) and finding.mask.shape != base.shape[:2]:
            raise InputError(f"mask {finding.mask.shape} does not match the picture {base.shape[:2]}.")
    plan = layout(
        (base.shape[1], base.shape[0]),
        findings,
        title=title,
        spacing_mm=spacing_mm,
        scale=scale,
        orientation=orientation,
        english=english,
        labels=labels,
        legend=legend,
    )
    canvas = Image.new("RGB", plan.canvas, BACKGROUND)
    canvas.paste(_draw_marks(base, plan), plan.origin)
    draw = ImageDraw.Draw(canvas)
    left = plan.origin[0]
    if legend and plan.rows:
        x, below = 2 * plan.margin + plan.shown[0], plan.canvas[1] - plan.origin[1]
        if spacing_mm and _bar_end(plan.scale, plan.shown, spacing_mm[0], left, plan.font) > x:
            below = plan.shown[1]  # the scale bar of a narrow picture needs the place under the legend
        canvas.paste(draw_legend(plan.rows, plan.font, below, plan.canvas[0] - x), (x, plan.origin[1]))
    if title:
        words = shortened(drawable(title), plan.font, plan.canvas[0] - 2 * left)
        draw_text(draw, (left, round(plan.font * 0.6)), words, plan.font, INK)
    if orientation:
        _draw_orientation(draw, plan, orientation)
    if spacing_mm:
        _draw_scale_bar(draw, plan, spacing_mm[0])
    return canvas


def _rgb(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    grey, colour = picture.ndim == 2, picture.ndim == 3 and picture.shape[2] == 3
    if picture.dtype != np.uint8 or not (grey or colour) or picture.size == 0:
        raise InputError(f"a picture to draw on is [H, W] or [H, W, 3] uint8, not {picture.shape} {picture.dtype}.")
    return np.repeat(picture[:, :, None], 3, axis=2) if grey else picture


def _scales(
    size: tuple[int, int], spacing_mm: tuple[float, float] | None, scale: float | Literal["auto"]
) -> tuple[tuple[float, float], tuple[int, int]]:
    """Display pixels per pixel (x, y), and the (width, height) shown; whole, so that scale * size is exact."""
    width, height = size
    aspect = (1.0, 1.0)
    if isinstance(scale, str):
        if spacing_mm and max(spacing_mm) / min(spacing_mm) > 1.02:
            aspect = (spacing_mm[0] / min(spacing_mm), spacing_mm[1] / min(spacing_mm))
        longest = max(width * aspect[0], height * aspect[1])
        factor = float(-(-SMALLEST_SIDE // longest)) if longest < SMALLEST_SIDE else min(1.0, LARGEST_SIDE / longest)
    else:
        factor = float(scale)
        if not 0 < factor * max(size) <= 16384:
            raise OptionError(f"scale {scale} makes the picture {factor * max(size):g} pixels long.", fix="Use 'auto'.")
    shown = (max(1, round(width * aspect[0] * factor)), max(1, round(height * aspect[1] * factor)))
    return (shown[0] / width, shown[1] / height), shown


def _cross(font: int) -> int:
    """Half the length of a crosshair."""
    return max(9, round(font * 0.75))


def _label_size(text: str, font: int) -> tuple[int, int]:
    width, height = text_size(text, font)
    return width + round(font * 0.7), height + 2


def _target(
    finding: Box | Point | Mask, scale: tuple[float, float], shown: tuple[int, int], font: int, line: int
) -> Rect:
    """What a finding covers on the shown picture, its lines included, clipped to the picture."""
    match finding:
        case Box():
            corners = (finding.x0, finding.y0, finding.x1, finding.y1)
            reach = line
        case Point():
            corners, reach = (finding.x, finding.y, finding.x, finding.y), _cross(font) + 1
        case Mask():
            corners, reach = bounding_box(finding.mask) or (0.0, 0.0, 0.0, 0.0), 1
    x0, y0, x1, y1 = (round(v * s) for v, s in zip(corners, scale * 2, strict=True))
    left, top = min(max(0, x0 - reach), shown[0]), min(max(0, y0 - reach), shown[1])
    return left, top, max(left, min(shown[0], x1 + reach)), max(top, min(shown[1], y1 + reach))


def _occupied(
    findings: Sequence[Box | Point | Mask], targets: Sequence[Rect], shown: tuple[int, int]
) -> NDArray[np.bool_]:
    occupied = np.zeros((shown[1], shown[0]), dtype=bool)
    for finding, (x0, y0, x1, y1) in zip(findings, targets, strict=True):
        if isinstance(finding, Mask):
            occupied |= _shrunk(~_shown_mask(finding.mask, shown), 1) ^ True
        else:
            occupied[y0:y1, x0:x1] = True
    return occupied


def _shown_mask(mask: NDArray[np.bool_], shown: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask at display size: pixels stay squares when enlarged, and no pixel is lost when reduced."""
    reduced = shown[0] < mask.shape[1] or shown[1] < mask.shape[0]
    how = Image.Resampling.BOX if reduced else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(mask.astype(np.uint8) * 255).resize(shown, how)) > 0


def _shrunk(mask: NDArray[np.bool_], times: int) -> NDArray[np.bool_]:
    """The mask without its outer `times` pixels (4-neighbours; beyond the picture counts as outside)."""
    for _ in range(times):
        padded = np.pad(mask, 1)
        mask = mask & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask


def _draw_marks(base: NDArray[np.uint8], plan: Layout) -> Image.Image:
    """The scaled picture with masks, boxes, points and labels, in that order."""
    enlarged = Image.fromarray(base).resize(
        plan.shown, Image.Resampling.BICUBIC if plan.shown[0] >= base.shape[1] else Image.Resampling.LANCZOS
    )
    pixels = np.array(enlarged)
    for mark in plan.marks:
        if isinstance(mark.finding, Mask):
            _paint_mask(pixels, _shown_mask(mark.finding.mask, plan.shown), mark.entry.colour, plan.line)
    shown = Image.fromarray(pixels).convert("RGBA")
    layer = Image.new("RGBA", plan.shown, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    for mark in plan.marks:
        if isinstance(mark.finding, Box):
            _draw_box(draw, mark.finding, mark.entry.colour, plan)
    for mark in plan.marks:
        if isinstance(mark.finding, Point):
            _draw_point(layer, mark.finding, mark.entry.colour, plan)
    for mark in plan.marks:
        if mark.label_rect is not None:
            target = _target(mark.finding, plan.scale, plan.shown, plan.font, plan.line)
            _draw_label(draw, mark, mark.label_rect, target, plan)
    return Image.alpha_composite(shown, layer).convert("RGB")


def _paint_mask(pixels: NDArray[np.uint8], mask: NDArray[np.bool_], colour: tuple[int, int, int], line: int) -> None:
    """A light fill and an outline inside the mask's rim, a dark hair line just outside it; changes `pixels`."""
    ink = np.asarray(colour, dtype=np.float32)
    rim = mask & ~_shrunk(mask, line)
    inside = mask & ~rim
    around = ~_shrunk(~mask, 1) & ~mask
    # The picture's own edge is not a rim of what lies beyond it.
    around[[0, -1], :] &= mask[[0, -1], :]
    around[:, [0, -1]] &= mask[:, [0, -1]]
    pixels[inside] = np.rint(pixels[inside] * (1 - _FILL) + ink * _FILL).astype(np.uint8)
    pixels[around] = (pixels[around] * 0.4).astype(np.uint8)
    pixels[rim] = colour


def _draw_box(draw: ImageDraw.ImageDraw, box: Box, colour: tuple[int, int, int], plan: Layout) -> None:
    """The frame's line is centred on the box edge; at the picture's border it stays inside."""
    x0, y0, x1, y1 = (round(v * s) for v, s in zip((box.x0, box.y0, box.x1, box.y1), plan.scale * 2, strict=True))
    out, width, height = plan.line // 2, *plan.shown
    left, top = max(0, min(x0 - out, width - 1)), max(0, min(y0 - out, height - 1))
    right, bottom = max(left, min(x1 + out - 1, width - 1)), max(top, min(y1 + out - 1, height - 1))
    draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=_HALO)
    inner = plan.line
    if right - left > 2 * inner and bottom - top > 2 * inner:
        draw.rectangle((left + inner, top + inner, right - inner, bottom - inner), outline=_HALO)
    draw.rectangle((left, top, right, bottom), outline=(*colour, 255), width=plan.line)


def _draw_point(layer: Image.Image, point: Point, colour: tuple[int, int, int], plan: Layout) -> None:
    """A crosshair that leaves its centre free, drawn four times too large and reduced for smooth edges."""
    reach, fine = _cross(plan.font), 4
    side = 2 * reach + 2
    tile = Image.new("RGBA", (side * fine, side * fine), (*colour, 0))
    draw = ImageDraw.Draw(tile)
    middle, arm, hole, half = side * fine / 2, reach * fine, reach * fine * 0.32, plan.line * fine / 2
    radius = reach * fine * 0.62
    for ink, extra in ((_HALO, fine * 0.9), ((*colour, 255), 0.0)):
        box = (middle - radius - half - extra, middle - radius - half - extra)
        far = (middle + radius + half + extra, middle + radius + half + extra)
        draw.ellipse((*box, *far), outline=ink, width=round(2 * half + 2 * extra))
        for near, end in ((-arm - extra, -hole + extra), (hole - extra, arm + extra)):
            draw.rectangle((middle + near, middle - half - extra, middle + end, middle + half + extra - 1), fill=ink)
            draw.rectangle((middle - half - extra, middle + near, middle + half + extra - 1, middle + end), fill=ink)
    small = tile.resize((side, side), Image.Resampling.BOX)
    x, y = round(point.x * plan.scale[0]) - side // 2, round(point.y * plan.scale[1]) - side // 2
    place = Image.new("RGBA", layer.size, (0, 0, 0, 0))
    place.paste(small, (x, y))
    layer.alpha_composite(place)


def _draw_label(draw: ImageDraw.ImageDraw, mark: Mark, rect: Rect, target: Rect, plan: Layout) -> None:
    entry, (x0, y0, x1, y1) = mark.entry, rect
    far = max(target[0] - x1, x0 - target[2], target[1] - y1, y0 - target[3])
    if far > plan.font:
        _draw_leader(draw, entry, rect, target)
    draw.rounded_rectangle((x0, y0, x1 - 1, y1 - 1), radius=plan.font // 4, fill=(*entry.colour, 255), outline=_HALO)
    red, green, blue = entry.colour
    dark = 0.299 * red + 0.587 * green + 0.114 * blue > 105
    inset = round(plan.font * 0.35)
    draw_text(draw, (x0 + inset, y0), mark.text, plan.font, (0, 0, 0) if dark else (255, 255, 255))


def _draw_leader(draw: ImageDraw.ImageDraw, entry: Entry, rect: Rect, target: Rect) -> None:
    """A thin line between the nearest places of the label and of what it names."""
    ends: list[tuple[int, int]] = []
    for low, high in ((0, 2), (1, 3)):
        if rect[high] < target[low]:
            ends.append((rect[high], target[low]))
        elif target[high] < rect[low]:
            ends.append((rect[low], target[high]))
        else:
            shared = (max(rect[low], target[low]) + min(rect[high], target[high])) // 2
            ends.append((shared, shared))
    line = (ends[0][0], ends[1][0], ends[0][1], ends[1][1])
    draw.line(line, fill=_HALO, width=3)
    draw.line(line, fill=(*entry.colour, 255), width=1)


def _draw_orientation(draw: ImageDraw.ImageDraw, plan: Layout, letters: tuple[str, str, str, str]) -> None:
    (x, y), (width, height), font = plan.origin, plan.shown, plan.font
    left, right, top, bottom = letters
    line = text_size("R", font)[1]
    centres = (
        (left, x - plan.margin / 2, y + height / 2),
        (right, x + width + plan.margin / 2, y + height / 2),
        (top, x + width / 2, y - plan.margin / 2),
        (bottom, x + width / 2, y + height + plan.margin / 2),
    )
    for letter, centre_x, centre_y in centres:
        draw_text(draw, (centre_x - text_size(letter, font)[0] / 2, centre_y - line / 2), letter, font, INK)


def scale_bar(plan: Layout, spacing_x_mm: float) -> tuple[float, int]:
    """(millimetres, display pixels) of the bar: 1, 2 or 5 times a power of ten, up to a quarter of the picture."""
    return _bar(plan.scale, plan.shown, spacing_x_mm)


def _bar(scale: tuple[float, float], shown: tuple[int, int], spacing_x_mm: float) -> tuple[float, int]:
    mm_per_px = spacing_x_mm / scale[0]
    widest = shown[0] * 0.25 * mm_per_px
    power = 10.0 ** np.floor(np.log10(widest))
    length = float(next(m * power for m in (5, 2, 1) if m * power <= widest * 1.0001))
    return length, max(1, round(length / mm_per_px))


def _bar_words(length_mm: float) -> str:
    if length_mm >= 10:
        return f"{length_mm / 10:g} cm"
    return f"{length_mm:g} mm" if length_mm >= 0.1 else f"{1000 * length_mm:g} um"


def _bar_end(scale: tuple[float, float], shown: tuple[int, int], spacing_x_mm: float, left: int, font: int) -> int:
    """Where the scale bar and its words end on the canvas, with a little room behind them."""
    length, pixels = _bar(scale, shown, spacing_x_mm)
    return max(left, font // 2) + pixels + font + text_size(_bar_words(length), max(10, round(font * 0.85)))[0]


def _draw_scale_bar(draw: ImageDraw.ImageDraw, plan: Layout, spacing_x_mm: float) -> None:
    """The scale bar under the picture at the left."""
    length, pixels = scale_bar(plan, spacing_x_mm)
    x, y = max(plan.origin[0], plan.font // 2), plan.origin[1] + plan.shown[1] + plan.font
    tick = max(3, plan.font // 4)
    draw.rectangle((x, y, x + pixels - 1, y + 1), fill=INK)
    for end in (x, x + pixels - 2):
        draw.rectangle((end, y - tick, end + 1, y + 1 + tick), fill=INK)
    small = max(10, round(plan.font * 0.85))
    draw_text(draw, (x + pixels + plan.font // 2, y - small * 0.6), _bar_words(length), small, FAINT)

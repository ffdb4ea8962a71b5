"""The legend beside an overlay: colours, numbering, the words for a size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from vesalius.findings.findings import Box, Count, Finding, Mask, Measurement, Point, Report
from vesalius.findings.lettering import draw_text, drawable, shortened, text_size

__all__ = [
    "PALETTE",
    "Entry",
    "colour_for",
    "draw_legend",
    "grouped_entries",
    "legend_entries",
    "legend_size",
    "size_in_words",
]

Colour = tuple[int, int, int]

PALETTE: tuple[Colour, ...] = (
    (230, 159, 0),  # orange
    (86, 180, 233),  # sky blue
    (0, 158, 115),  # bluish green
    (240, 228, 66),  # yellow
    (204, 121, 167),  # reddish purple
    (213, 94, 0),  # vermillion
    (0, 114, 178),  # blue
)
"""Okabe and Ito's colours, told apart by colour-blind readers; black is left to the background."""

INK: Colour = (236, 240, 243)
FAINT: Colour = (150, 161, 170)
BACKGROUND: Colour = (20, 24, 28)
GROUPED_ABOVE = 14
"""With more findings than this the legend has one row per label."""


@dataclass(frozen=True)
class Entry:
    """One row of the legend: the label, the name (label and number) that stands on the picture too, the small print."""

    label: str
    name: str
    detail: str
    colour: Colour
    kind: str


def colour_for(label: str, labels: Sequence[str]) -> Colour:
    """The colour of a label: its position among the distinct labels, in order of appearance."""
    return PALETTE[list(dict.fromkeys(labels)).index(label) % len(PALETTE)]


def legend_entries(
    findings: Sequence[Finding], english: Mapping[str, str] | None = None, labels: Sequence[str] = ()
) -> list[Entry]:
    """One entry per finding (reports have none), in order; equal names of one kind are numbered from 1.

    `english`: what to show for a label that no font can write, else the kind of finding.  `labels`: labels that take
    their colours first, so that several pictures agree.
    """
    shown = [f for f in findings if not isinstance(f, Report)]
    names = [_name(f.label, english) or f.kind for f in shown]
    order = [_name(label, english) for label in labels] + names
    keys = [(f.kind, name) for f, name in zip(shown, names, strict=True)]
    seen: dict[tuple[str, str], int] = {}
    entries: list[Entry] = []
    for finding, name, key in zip(shown, names, keys, strict=True):
        seen[key] = seen.get(key, 0) + 1
        numbered = keys.count(key) > 1 and isinstance(finding, Box | Point | Mask)
        shown_name = f"{name} {seen[key]}" if numbered else name
        entries.append(Entry(name, shown_name, _detail(finding), colour_for(name, order), finding.kind))
    return entries


def _name(label: str, english: Mapping[str, str] | None) -> str:
    return drawable(label) or drawable((english or {}).get(label, ""))


def grouped_entries(entries: Sequence[Entry]) -> list[Entry]:
    """One entry per label and kind with how many there are, for crowded pictures; numbers keep their own rows."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.label, entry.kind), []).append(entry)
    rows: list[Entry] = []
    for (label, kind), members in groups.items():
        if len(members) == 1 or kind not in _PLURALS:
            rows.extend(members)
        else:
            rows.append(Entry(label, label, f"{len(members)} {_PLURALS[kind]}", members[0].colour, kind))
    return rows


_PLURALS = {"box": "boxes", "point": "points", "mask": "masks"}


def _detail(finding: Finding) -> str:
    words = size_in_words(finding)
    confidence = None if isinstance(finding, Report) else finding.confidence
    percent = "" if confidence is None else f"{round(100 * confidence)} %"
    return " · ".join(part for part in (words, percent) if part)


def size_in_words(finding: Finding) -> str:
    """The size of a finding as a reader would write it: "12.4 x 9.8 mm", "1.3 cm²", "4.2 ml", "3"; "" if unknown."""
    match finding:
        case Box() if finding.size_mm is not None:
            return f"{finding.size_mm[0]:.1f} x {finding.size_mm[1]:.1f} mm"
        case Mask() if finding.volume_ml is not None:
            return f"{finding.volume_ml:.3g} ml" if finding.volume_ml < 1000 else f"{finding.volume_ml / 1000:.2f} l"
        case Mask() if finding.area_mm2 is not None:
            area = finding.area_mm2
            return f"{area:.1f} mm²" if area < 100 else f"{area / 100:.1f} cm²"
        case Count():
            return str(finding.count)
        case Measurement():
            unit = finding.unit.replace("mm2", "mm²").replace("mm3", "mm³")
            return f"{finding.name} {finding.value:.4g} {unit}"
        case Box() | Point() | Mask() | Report():
            return ""


def _small(size: int) -> int:
    return max(10, round(size * 0.85))


def _row_height(entry: Entry, size: int) -> int:
    detail = text_size(entry.detail, _small(size))[1] if entry.detail else 0
    return text_size(entry.name, size)[1] + detail + size // 2


def legend_size(entries: Sequence[Entry], size: int) -> tuple[int, int]:
    """(width, height) that shows every row whole; the width is kept between 9 and 20 letters' heights."""
    wanted = max(max(text_size(e.name, size)[0], text_size(e.detail, _small(size))[0]) for e in entries)
    return min(max(wanted + 4 * size, 9 * size), 20 * size), sum(_row_height(e, size) for e in entries) + size


def draw_legend(entries: Sequence[Entry], size: int, height: int, width: int) -> Image.Image:
    """The legend panel, `width` by `height` pixels; rows that do not fit are counted in a last line."""
    panel = Image.new("RGB", (width, height), BACKGROUND)
    draw = ImageDraw.Draw(panel)
    small, line = _small(size), text_size("x", size)[1]
    left, y = size + size + size // 2, size // 4
    for position, entry in enumerate(entries):
        row, remaining = _row_height(entry, size), len(entries) - position
        if position and y + row + (line if remaining > 1 else 0) > height:
            draw_text(draw, (size, y), f"and {remaining} more", small, FAINT)
            break
        _swatch(draw, size, y + max(0, (line - size) // 2), size, entry)
        draw_text(draw, (left, y), shortened(entry.name, size, width - left - size // 2), size, INK)
        if entry.detail:
            draw_text(draw, (left, y + line), shortened(entry.detail, small, width - left - size // 2), small, FAINT)
        y += row
    return panel


def _swatch(draw: ImageDraw.ImageDraw, x: int, y: int, size: int, entry: Entry) -> None:
    """A small sign for the kind of finding: frame, cross, filled patch, or bar for numbers."""
    edge, colour = (x, y, x + size - 1, y + size - 1), entry.colour
    middle_x, middle_y, third = x + size // 2, y + size // 2, max(2, size // 8)
    match entry.kind:
        case "box":
            draw.rectangle(edge, outline=colour, width=max(2, size // 7))
        case "point":
            draw.rectangle((middle_x - third // 2, y, middle_x + (third - 1) // 2, y + size - 1), fill=colour)
            draw.rectangle((x, middle_y - third // 2, x + size - 1, middle_y + (third - 1) // 2), fill=colour)
        case "mask":
            draw.rectangle(edge, fill=_mixed(colour, 0.45), outline=colour, width=max(1, size // 8))
        case _:
            draw.rounded_rectangle((x, middle_y - third, x + size - 1, middle_y + third), radius=third, fill=colour)


def _mixed(colour: Colour, share: float) -> Colour:
    r, g, b = (round(share * c + (1 - share) * k) for c, k in zip(colour, BACKGROUND, strict=True))
    return (r, g, b)

"""The overlays of a study: which pictures, slices and frames carry findings, and how each is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vesalius.errors import InputError
from vesalius.findings.draw import overlay
from vesalius.findings.export_coco import image_name
from vesalius.findings.export_report import where_in_words
from vesalius.findings.findings import Box, Finding, Mask, Point, Report, Where
from vesalius.findings.montage import montage
from vesalius.findings.place import plane_of, volume_mask_to_slice
from vesalius.study.items import Axis, Clip, Item, Picture, Slide, Volume

__all__ = ["Page", "edge_letters", "overlays"]

MOST_PAGES = 12
"""Overlays of one item that get a file of their own; the rest share a montage."""
MOST_TILES = 36


@dataclass(frozen=True)
class Page:
    """One overlay. `name`: file name stem, e.g. "item0_axial_012"."""

    name: str
    caption: str
    image: Image.Image


def edge_letters(to_ras: NDArray[np.float64]) -> tuple[str, str, str, str]:
    """What lies at the left, right, top and bottom edge of a picture: R or L, A or P, S or I.

    `to_ras`: 4x4, pixel frame (x, y, 0, 1) -> RAS mm. An oblique picture gets the nearest directions.
    """

    def letter(direction: NDArray[np.float64]) -> str:
        axis = int(np.argmax(np.abs(direction)))
        return ("LR", "PA", "IS")[axis][int(direction[axis] > 0)]

    across, down = to_ras[:3, 0], to_ras[:3, 1]
    return letter(-across), letter(across), letter(-down), letter(down)


@dataclass(frozen=True)
class Naming:
    """What labels are called on overlays, and all labels of the answer, so that a colour means the same on each."""

    english: Mapping[str, str]
    labels: tuple[str, ...]


def overlays(
    findings: Sequence[Finding], items: Sequence[Item], *, english: Mapping[str, str] | None = None
) -> list[Page]:
    """One page per picture, slice or frame with findings; above 12 of an item, 11 pages and one montage of the rest.

    A 3D mask shows on the axial slices it touches, at most 12 evenly spread. Counts and measurements without a place of
    their own join the item's first page. Only needed slices and frames are decoded.
    Raises InputError when a finding names an item that is not there.
    """
    naming = Naming(english or {}, tuple(f.label for f in findings if not isinstance(f, Report)))
    pages: list[Page] = []
    for position in sorted({f.where.item for f in findings if not isinstance(f, Report)}):
        if not 0 <= position < len(items):
            raise InputError(f"a finding lies on item {position}; the study has {len(items)}.")
        own = [f for f in findings if not isinstance(f, Report) and f.where.item == position]
        pages += _few(list(_item_pages(own, items[position], position, naming)), position)
    return pages


def _few(pages: list[Page], position: int) -> list[Page]:
    if len(pages) <= MOST_PAGES:
        return pages
    rest = pages[MOST_PAGES - 1 :]
    shown = rest[:MOST_TILES]
    left_out = len(rest) - len(shown)
    caption = f"item {position + 1}, {len(shown)} more" + (f"; {left_out} are not shown" if left_out else "")
    sheet = Page(f"item{position}_more", caption, montage([p.image for p in shown]))
    return [*pages[: MOST_PAGES - 1], sheet]


Placed = Box | Point | Mask


def _item_pages(findings: Sequence[Finding], item: Item, position: int, naming: Naming) -> Iterator[Page]:
    marks = [f for f in findings if isinstance(f, Box | Point | Mask)]
    numbers = [f for f in findings if not isinstance(f, Box | Point | Mask)]
    match item:
        case Picture():
            spacing = plane_of(Where(item=position), item).spacing_mm
            letters = None if item.pixel_to_ras is None else edge_letters(item.pixel_to_ras)
            image = overlay(
                item.view(),
                [*marks, *numbers],
                spacing_mm=spacing,
                orientation=letters,
                english=naming.english,
                labels=naming.labels,
            )
            yield Page(f"item{position}", f"item {position + 1}", image)
        case Volume():
            yield from _volume_pages(marks, numbers, item, position, naming)
        case Clip():
            yield from _clip_pages(marks, numbers, item, position, naming)
        case Slide():
            yield _slide_page(marks, numbers, item, position, naming)
        case _:
            return


def _volume_pages(
    marks: Sequence[Placed],
    numbers: Sequence[Finding],
    item: Volume,
    position: int,
    naming: Naming,
) -> Iterator[Page]:
    slices: dict[tuple[Axis, int], list[Finding]] = {}
    solid: list[Mask] = []
    for mark in marks:
        if isinstance(mark, Mask) and mark.mask.ndim == 3:
            solid.append(mark)
        elif mark.where.axis is not None and mark.where.slice_index is not None:
            slices.setdefault((mark.where.axis, mark.where.slice_index), []).append(mark)
    for index in _spread(solid):
        slices.setdefault(("axial", index), [])
    if not slices and numbers:
        slices[("axial", item.num_slices("axial") // 2)] = []
    for number, ((axis, index), own) in enumerate(sorted(slices.items(), key=lambda entry: entry[0])):
        shown = [*own, *(cut for mask in solid for cut in _cut(mask, axis, index)), *(numbers if number == 0 else ())]
        where = Where(item=position, axis=axis, slice_index=index)
        yield Page(
            image_name(where),
            where_in_words(where),
            _slice_overlay(item, axis, index, shown, where_in_words(where), naming),
        )


def _slice_overlay(
    item: Volume,
    axis: Axis,
    index: int,
    findings: Sequence[Finding],
    title: str,
    naming: Naming,
) -> Image.Image:
    try:
        view = item.slices([index], axis)[0]
    except IndexError as exc:
        raise InputError(f"{exc}.") from exc
    return overlay(
        view.view(),
        findings,
        title=title,
        spacing_mm=view.spacing_mm,
        orientation=edge_letters(view.display_to_ras),
        english=naming.english,
        labels=naming.labels,
    )


def _spread(solid: Sequence[Mask]) -> list[int]:
    """Axial slices that 3D masks touch, at most 12 evenly spread, each mask's largest slice among them."""
    areas = [np.asarray(mask.mask.sum(axis=(0, 1))) for mask in solid]
    largest = {int(np.argmax(area)) for area in areas if area.any()}
    touched = sorted({int(z) for area in areas for z in np.flatnonzero(area)})
    if len(touched) <= MOST_PAGES:
        return touched
    room = max(0, MOST_PAGES - len(largest))
    even = {touched[int(n)] for n in np.linspace(0, len(touched) - 1, room)} if room else set[int]()
    return sorted(even | largest)


def _cut(mask: Mask, axis: Axis, index: int) -> Iterator[Mask]:
    """A 3D mask where a slice cuts it, still telling the whole volume; nothing where it does not."""
    if not 0 <= index < mask.mask.shape[{"sagittal": 0, "coronal": 1, "axial": 2}[axis]]:
        return
    plane = volume_mask_to_slice(mask.mask, axis, index)
    if plane.any():
        yield replace(mask, mask=plane)


def _clip_pages(
    marks: Sequence[Placed], numbers: Sequence[Finding], item: Clip, position: int, naming: Naming
) -> Iterator[Page]:
    frames: dict[int, list[Finding]] = {}
    for mark in marks:
        frames.setdefault(mark.where.frame or 0, []).append(mark)
    if not frames and numbers:
        frames[0] = []
    order = sorted(frames)
    if order and not 0 <= order[0] <= order[-1] < item.num_frames:
        raise InputError(f"frame {order[-1]} is outside 0..{item.num_frames - 1}.")
    for number, frame in enumerate(order):
        pixels = item.frames([frame])[0]
        where = Where(item=position, frame=frame, time_s=float(item.times_s[frame]))
        shown = [*frames[frame], *(numbers if number == 0 else ())]
        caption = where_in_words(where)
        image = overlay(
            pixels, shown, title=caption, spacing_mm=item.spacing_mm, english=naming.english, labels=naming.labels
        )
        yield Page(image_name(where), caption, image)


def _slide_page(
    marks: Sequence[Placed],
    numbers: Sequence[Finding],
    item: Slide,
    position: int,
    naming: Naming,
) -> Page:
    """The slide's thumbnail; findings in level-0 pixels are scaled down to it, masks of other sizes are left out."""
    small: NDArray[np.uint8] = item.thumbnail(1024)
    height, width = small.shape[:2]
    x, y = width / item.width, height / item.height
    shown: list[Finding] = []
    for mark in marks:
        if isinstance(mark, Box):
            shown.append(replace(mark, x0=mark.x0 * x, y0=mark.y0 * y, x1=mark.x1 * x, y1=mark.y1 * y))
        elif isinstance(mark, Point):
            shown.append(replace(mark, x=mark.x * x, y=mark.y * y))
        elif mark.mask.shape == (height, width):
            shown.append(mark)
    spacing = None if item.mpp is None else (item.mpp[0] / 1000 / x, item.mpp[1] / 1000 / y)
    image = overlay(small, [*shown, *numbers], spacing_mm=spacing, english=naming.english, labels=naming.labels)
    return Page(f"item{position}", f"item {position + 1}", image)

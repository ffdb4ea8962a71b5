"""The sheet a phantom is drawn on: pixel coordinates, the body's own frame, and the record of what was drawn."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.phantoms.dice import Dice
from vesalius.phantoms.shapes import Patch, circle_points, longest_diameters
from vesalius.phantoms.textures import cut
from vesalius.phantoms.truth import LABELS, PlacedObject, Truth

__all__ = ["Canvas", "Frame", "Part", "Plan", "Window", "around"]

Plane = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]
Window = tuple[slice, slice]

_MIN_PIXELS_224 = 12
"""Smallest visible mask of a finding on a picture of 224 pixels."""

_MAX_OVERLAP = 0.22


@dataclass
class Plan:
    """What one picture is drawn from. Two plans of one patient share `anatomy` and `findings` and differ in `pose` and
    `acquisition`.

    `visit` > 0: another visit, with its own pose and noise.  `noise` > 0: another frame, which
    differs in its noise alone.
    `scales` and `moves` (u, v in body units, or pixels / 100 where a scene has no body) override single findings by
    identity: size 0 leaves it out.  `camera`: extra (x, y) shift in fractions of the picture and zoom.
    `attempts`: which try placed each finding, filled while drawing; with
    `follow` only those same tries are used, so a finding never jumps between the frames of a clip or the visits of a
    patient.  `rigid`: another visit is also turned and zoomed a little, not only shifted by whole pixels.
    """

    seed: int
    size: tuple[int, int]
    salt: int = 0
    visit: int = 0
    noise: int = 0
    scales: dict[int, float] = field(default_factory=dict[int, float])
    moves: dict[int, tuple[float, float]] = field(default_factory=dict[int, tuple[float, float]])
    camera: tuple[float, float, float] = (0.0, 0.0, 1.0)
    attempts: dict[int, int] = field(default_factory=dict[int, int])
    follow: bool = False
    rigid: bool = True

    def __post_init__(self) -> None:
        first = self.salt * 256
        self.anatomy, self.pose, self.acquisition, self.choice = Dice.rows(self.seed, first, 4, 160)
        self.findings = Dice.rows(self.seed, first + 1, 24, 64)
        if self.visit:
            jitter, self.acquisition = Dice.rows(self.seed, first + 16 + self.visit, 2, 160)
            self.jitter: Dice | None = jitter
        else:
            self.jitter = None
        if self.noise:
            # The golden ratio spreads the frames' noise evenly over the banks.
            self.acquisition = self.acquisition.drifted(self.noise * 0.6180339887 % 1.0)


@dataclass(frozen=True)
class Part:
    """A window of a frame: `at` (rows, columns) of the picture, and its `u`, `v` there."""

    at: Window
    u: Plane
    v: Plane


def around(*windows: Window) -> Window:
    """The smallest window that holds all of these."""
    rows, columns = [w[0] for w in windows], [w[1] for w in windows]
    return (
        slice(min(r.start for r in rows), max(r.stop for r in rows)),
        slice(min(c.start for c in columns), max(c.stop for c in columns)),
    )


class Frame:
    """Body coordinates over a canvas: u to the picture's right, v down, 1 = `scale` pixels, 0 at (`x`, `y`).

    `u`, `v`: `[H, W]` float32.  A smooth `warp` (body units) bends everything drawn in it.
    """

    def __init__(
        self,
        canvas: Canvas,
        x: float,
        y: float,
        scale: float,
        turn: float = 0.0,
        warp: float = 0.0,
        dice: Dice | None = None,
        stretch: float = 1.0,
    ) -> None:
        self.x, self.y, self.scale, self.stretch = x, y, scale, stretch
        self.cos, self.sin = circle_points(turn)
        dx = (canvas.xs - np.float32(x)) * np.float32(1.0 / scale)
        dy = (canvas.ys - np.float32(y)) * np.float32(1.0 / scale)
        self.u = dx * np.float32(self.cos) + dy * np.float32(self.sin)
        self.v = dy * np.float32(self.cos) - dx * np.float32(self.sin)
        if stretch != 1.0:
            self.v *= np.float32(1.0 / stretch)
        self._margin = 2.5 * warp
        if warp and dice is not None:
            at = self.origin
            cell = scale * 0.55
            self.u += np.float32(warp) * cut("lattice", dice, canvas.height, canvas.width, cell, at, False)
            self.v += np.float32(warp) * cut("lattice", dice, canvas.height, canvas.width, cell, at, False)

    @property
    def origin(self) -> tuple[int, int]:
        """(row, column) of (0, 0), where textures are anchored."""
        return round(self.y), round(self.x)

    def to_pixels(self, u: float, v: float) -> tuple[float, float]:
        """Pixel frame of a body place (without the warp)."""
        dx, dy = u * self.scale, v * self.scale * self.stretch
        return self.x + dx * self.cos - dy * self.sin, self.y + dx * self.sin + dy * self.cos

    def part(self, u: float, v: float, ru: float, rv: float) -> Part:
        """The window of the picture around body place (u, v) ± (ru, rv), with a margin for the warp; may be empty."""
        x, y = self.to_pixels(u, v)
        c, s, tall = abs(self.cos), abs(self.sin), rv * self.stretch
        reach_x = self.scale * (ru * c + tall * s + self._margin) + 3.0
        reach_y = self.scale * (tall * c + ru * s + self._margin) + 3.0
        height, width = self.u.shape
        rows = slice(min(height, max(0, int(y - reach_y))), max(0, min(height, int(y + reach_y) + 1)))
        columns = slice(min(width, max(0, int(x - reach_x))), max(0, min(width, int(x + reach_x) + 1)))
        return Part((rows, columns), self.u[rows, columns], self.v[rows, columns])

    def reach_u(self) -> float:
        """No place of the picture has a larger |u|."""
        height, width = self.u.shape
        far_x, far_y = max(abs(self.x), abs(width - self.x)), max(abs(self.y), abs(height - self.y))
        return (far_x * abs(self.cos) + far_y * abs(self.sin)) / self.scale + self._margin

    def strip(self, u: float, ru: float) -> Part:
        """The window of all rows that holds every place with |its u − `u`| ≤ `ru`."""
        height, width = self.u.shape
        tilt = abs(self.sin) * max(abs(self.y), abs(height - self.y))
        reach = (self.scale * (ru + self._margin) + tilt) / self.cos + 3.0
        middle = self.x + u * self.scale / self.cos
        columns = slice(min(width, max(0, int(middle - reach))), max(0, min(width, int(middle + reach) + 1)))
        return Part((slice(0, height), columns), self.u[:, columns], self.v[:, columns])

    def band(self, v: float, rv: float) -> Part:
        """The window of all columns that holds every place with |its v − `v`| ≤ `rv`."""
        height, width = self.u.shape
        tilt = abs(self.sin) * max(abs(self.x), abs(width - self.x))
        reach = (self.scale * self.stretch * (rv + self._margin) + tilt) / self.cos + 3.0
        middle = self.y + v * self.scale * self.stretch / self.cos
        rows = slice(min(height, max(0, int(middle - reach))), max(0, min(height, int(middle + reach) + 1)))
        return Part((rows, slice(0, width)), self.u[rows], self.v[rows])

    def across(self, x: float, y: float) -> float:
        """u of a pixel place (without the warp)."""
        return ((x - self.x) * self.cos + (y - self.y) * self.sin) / self.scale


@dataclass
class _Drawn:
    label: str
    mask: Mask
    rows: slice
    columns: slice
    sided: bool
    identity: int


@cache
def _keep_heap() -> None:
    """Let the allocator keep freed planes. glibc gives every 200 kB plane back to the system and faults it in again,
    which costs five times the arithmetic; once a block just under its 32 MB bound was freed it stops doing so."""
    np.empty(31 << 20, np.uint8)


class Canvas:
    """Collects drawn objects over a picture of `height` × `width`; `unit` is 1 on a picture of 224 pixels."""

    def __init__(self, size: tuple[int, int]) -> None:
        _keep_heap()
        self.height, self.width = size
        self.unit = min(size) / 224.0
        self.xs = (np.arange(self.width, dtype=np.float32) + np.float32(0.5))[None, :]
        self.ys = (np.arange(self.height, dtype=np.float32) + np.float32(0.5))[:, None]
        self.min_pixels = _MIN_PIXELS_224 * self.unit * self.unit
        self._drawn: list[_Drawn] = []

    def blank(self, value: float = 0.0) -> Plane:
        """A fresh `[H, W]` float32 plane."""
        return np.full((self.height, self.width), value, np.float32)

    def whole(self, at: Window, mask: Mask) -> Mask:
        """The `[H, W]` mask that is `mask` in its window and False elsewhere."""
        full = np.zeros((self.height, self.width), np.bool_)
        full[at] = mask
        return full

    def note_anatomy(
        self, label: str, mask: Mask, identity: int = 0, sided: bool = True, at: Window | None = None
    ) -> None:
        """Record an organ by its mask (of the whole picture or of its window `at`), if enough of it shows."""
        rows = np.flatnonzero(mask.any(1))
        if rows.size < 4:
            return
        columns = np.flatnonzero(mask.any(0))
        shown = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        if int(np.count_nonzero(shown)) < 8 * self.min_pixels:
            return
        top, left = (at[0].start, at[1].start) if at is not None else (0, 0)
        self._drawn.append(
            _Drawn(
                label,
                shown.copy(),
                slice(top + int(rows[0]), top + int(rows[-1]) + 1),
                slice(left + int(columns[0]), left + int(columns[-1]) + 1),
                sided,
                identity,
            )
        )

    def admits(self, patch: Patch, host: Mask | None = None, inside: float = 0.9, gap: bool = False) -> bool:
        """Whether a finding of this shape may be drawn: large enough, in its host, hardly over another one."""
        mask = patch.mask
        area = int(np.count_nonzero(mask))
        if area < self.min_pixels * 1.25 or area < 0.6 * patch.full_area:
            return False
        if host is not None and int(np.count_nonzero(host[patch.rows, patch.columns] & mask)) < inside * area:
            return False
        for other in self._drawn:
            if LABELS[other.label] == "anatomy":
                continue
            shared = _shared(patch.rows, patch.columns, mask, other)
            if shared and (gap or shared > _MAX_OVERLAP * min(area, int(np.count_nonzero(other.mask)))):
                return False
        return True

    def note(self, label: str, patch: Patch, identity: int, sided: bool = True, mask: Mask | None = None) -> None:
        """Record a finding or object drawn over everything before it: earlier findings lose what it hides."""
        shown = patch.mask if mask is None else mask
        for other in self._drawn:
            if LABELS[other.label] != "anatomy":
                _carve(patch.rows, patch.columns, shown, other)
        self._drawn.append(_Drawn(label, shown.copy(), patch.rows, patch.columns, sided, identity))

    def restrict(self, seen: Mask) -> None:
        """Everything recorded so far shows only where `seen` (a border or ruler covers the rest)."""
        for drawn in self._drawn:
            drawn.mask &= seen[drawn.rows, drawn.columns]

    def truth(
        self,
        pixels: NDArray[np.uint8],
        modality: str,
        plane: str,
        region: str,
        spacing_mm: float,
        seed: int,
        frame: Frame | None = None,
        half_width: float = 1.0,
    ) -> Truth:
        """The finished phantom. With a `frame` sides are told from u: the middle tenth (±5 % of the body width,
        2 × `half_width`) is the midline, the picture's right is the patient's left."""
        # A part can be hidden altogether by what was drawn later.
        shown = [drawn for drawn in self._drawn if int(np.count_nonzero(drawn.mask)) >= self.min_pixels]
        sizes = longest_diameters([drawn.mask for drawn in shown])
        objects = tuple(
            self._place(drawn, size * spacing_mm, frame, half_width) for drawn, size in zip(shown, sizes, strict=True)
        )
        return Truth(pixels, modality, plane, region, spacing_mm, objects, seed)

    def _place(self, drawn: _Drawn, size_mm: float, frame: Frame | None, half_width: float) -> PlacedObject:
        by_row, by_column = drawn.mask.sum(1), drawn.mask.sum(0)
        filled_rows, filled_columns = np.flatnonzero(by_row), np.flatnonzero(by_column)
        area = int(by_row.sum())
        top, left = drawn.rows.start, drawn.columns.start
        x0, x1 = left + int(filled_columns[0]), left + int(filled_columns[-1]) + 1
        y0, y1 = top + int(filled_rows[0]), top + int(filled_rows[-1]) + 1
        mean_x = int((by_column * np.arange(by_column.size)).sum()) / area
        mean_y = int((by_row * np.arange(by_row.size)).sum()) / area
        column, row = round(mean_x), round(mean_y)
        if not drawn.mask[row, column]:
            ys, xs = np.nonzero(drawn.mask)
            nearest = int(np.argmin((xs - mean_x) ** 2 + (ys - mean_y) ** 2))
            column, row = int(xs[nearest]), int(ys[nearest])
        side = None
        if frame is not None and drawn.sided:
            u = frame.across(left + mean_x + 0.5, top + mean_y + 0.5)
            side = "midline" if abs(u) <= 0.1 * half_width else ("left" if u > 0 else "right")
        mask = np.zeros((self.height, self.width), np.bool_)
        mask[drawn.rows, drawn.columns] = drawn.mask
        box = (float(x0), float(y0), float(x1), float(y1))
        point = (left + column + 0.5, top + row + 0.5)
        return PlacedObject(drawn.label, mask, box, point, side, size_mm, drawn.identity)


def _common(rows: slice, columns: slice, other: _Drawn) -> tuple[int, int, int, int] | None:
    top, bottom = max(rows.start, other.rows.start), min(rows.stop, other.rows.stop)
    left, right = max(columns.start, other.columns.start), min(columns.stop, other.columns.stop)
    return None if top >= bottom or left >= right else (top, bottom, left, right)


def _shared(rows: slice, columns: slice, mask: Mask, other: _Drawn) -> int:
    common = _common(rows, columns, other)
    if common is None:
        return 0
    top, bottom, left, right = common
    mine = mask[top - rows.start : bottom - rows.start, left - columns.start : right - columns.start]
    theirs = other.mask[
        top - other.rows.start : bottom - other.rows.start, left - other.columns.start : right - other.columns.start
    ]
    return int(np.count_nonzero(mine & theirs))


def _carve(rows: slice, columns: slice, mask: Mask, other: _Drawn) -> None:
    common = _common(rows, columns, other)
    if common is None:
        return
    top, bottom, left, right = common
    mine = mask[top - rows.start : bottom - rows.start, left - columns.start : right - columns.start]
    other.mask[
        top - other.rows.start : bottom - other.rows.start, left - other.columns.start : right - other.columns.start
    ] &= ~mine

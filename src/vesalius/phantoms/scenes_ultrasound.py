"""Ultrasound: speckle in a sector or a rectangle, abdomen or breast; cysts, masses and stones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.phantoms.acquisition import add_marker, blur, grey_bytes
from vesalius.phantoms.canvas import Canvas, Frame, Plan
from vesalius.phantoms.dice import Dice
from vesalius.phantoms.placing import plain_frame, seek
from vesalius.phantoms.shapes import Patch, cover, ellipse
from vesalius.phantoms.textures import BANK_SIZE, cut, speckle
from vesalius.phantoms.truth import Truth

__all__ = ["ultrasound"]

Field = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class _View:
    """What the probe sees. `inside` 0…1, `depth` 0…1 along the beam, `beam`: which beam a pixel lies on, in pixels at
    mid depth, `range_px`: distance from the probe's virtual centre. All `[H, W]`."""

    inside: Field
    depth: Field
    beam: Field
    range_px: Field
    curved: bool


def _view(canvas: Canvas, dice: Dice) -> _View:
    h, w = canvas.height, canvas.width
    if dice.chance(0.35):
        margin = w * dice.between(0.0, 0.12)
        top, bottom = h * dice.between(0.0, 0.08), h * dice.between(0.9, 1.0)
        across = np.minimum(canvas.xs - np.float32(margin), np.float32(w - margin) - canvas.xs)
        along = np.minimum(canvas.ys - np.float32(top), np.float32(bottom) - canvas.ys)
        inside = np.clip(np.minimum(across, along) + np.float32(0.5), 0, 1)
        depth = np.clip((canvas.ys - np.float32(top)) * np.float32(1 / (bottom - top)), 0, 1) + canvas.blank()
        return _View(inside, depth, canvas.xs + canvas.blank(), canvas.ys + canvas.blank(), False)
    x = w * dice.around(0.5, 0.04)
    first = h * dice.between(0.03, 0.35)
    y = h * dice.between(0.02, 0.06) - first
    last = h * dice.between(0.93, 1.05) - y
    slope = dice.between(0.45, 0.9)
    dx, dy = canvas.xs - np.float32(x), canvas.ys - np.float32(y)
    radius = np.sqrt(dx * dx + dy * dy)
    fan = (dy * np.float32(slope) - np.abs(dx)) * np.float32(1 / (1 + slope * slope) ** 0.5)
    inside = np.minimum(fan, np.minimum(radius - np.float32(first), np.float32(last) - radius))
    depth = np.clip((radius - np.float32(first)) * np.float32(1 / (last - first)), 0, 1)
    beam = dx / np.maximum(dy, np.float32(1.0)) * np.float32(0.5 * (first + last))
    return _View(np.clip(inside + np.float32(0.5), 0, 1), depth, beam, radius, True)


def _echoes(canvas: Canvas, dice: Dice, depth: Field, region: str, frame: Frame) -> Field:
    """Mean echo strength of the tissues, about 0.4."""
    at = (round(frame.y), round(frame.x))
    cloud = cut("fractal", dice, canvas.height, canvas.width, shift=at)
    patchy = cut("lattice", dice, canvas.height, canvas.width, 40 * canvas.unit, at)
    cloud = cloud + np.float32(dice.between(0.0, 0.8)) * patchy
    echo = np.float32(dice.between(0.26, 0.42)) * (np.float32(1.0) + np.float32(dice.between(0.05, 0.2)) * cloud)
    bent = depth + np.float32(0.02) * cloud
    if region == "breast":
        skin, muscle = dice.between(0.03, 0.06), dice.between(0.7, 0.9)
        echo = echo * (np.float32(0.8) + np.float32(0.35) * (bent > dice.between(0.2, 0.35)))
        fibres = cut("ridges", dice, canvas.height, canvas.width, 32 * canvas.unit, at)
        echo += np.clip((fibres - 0.8) * 2, 0, 1) * np.float32(0.2)
        echo += (bent < skin) * np.float32(0.35)
        echo += (np.abs(bent - np.float32(muscle)) < 0.012) * np.float32(0.3)
        return echo * np.where(bent > muscle, np.float32(0.75), np.float32(1.0))
    echo += (bent < 0.04) * np.float32(0.3)
    tree = cut("vessels", dice, canvas.height, canvas.width, 32 * canvas.unit, at)
    echo = echo * (np.float32(1) - np.float32(0.6) * np.clip(tree * 2 - 0.5, 0, 1))
    if dice.chance(0.5):
        line = np.abs(bent - np.float32(dice.between(0.7, 0.9)) + np.float32(0.0015) * canvas.xs)
        echo += np.clip((np.float32(0.015) - line) * 120, 0, 1) * np.float32(0.45)
    return echo


def _shade(factor: Field, canvas: Canvas, view: _View, patch: Patch, below: float, strength: float) -> None:
    """Multiply what lies on the patch's beams and deeper by `strength`, fading out over `below` × the height."""
    beams = view.beam[patch.rows, patch.columns][patch.mask]
    ranges = view.range_px[patch.rows, patch.columns][patch.mask]
    if not beams.size:
        return
    low, high = float(beams.min()), float(beams.max())
    middle = 0.5 * (float(ranges.min()) + float(ranges.max()))
    top = patch.rows.start
    beam, past = view.beam[top:], view.range_px[top:] - np.float32(middle)
    edge = max(1.0, 0.2 * (high - low))
    profile = np.clip(np.minimum(beam - np.float32(low), np.float32(high) - beam) * np.float32(1 / edge), 0, 1)
    fade = np.clip(np.float32(1.0) - past * np.float32(1.0 / (below * canvas.height)), 0, 1) * (past > 0)
    factor[top:] *= np.float32(1.0) + np.float32(strength - 1.0) * profile * fade


def ultrasound(plan: Plan) -> Truth:
    """One ultrasound frame; `plan.time` makes cysts pulsate."""
    canvas = Canvas(plan.size)
    dice = plan.anatomy
    region = dice.pick(("abdomen", "abdomen", "breast"))
    view = _view(canvas, dice)
    frame = plain_frame(plan, canvas)
    echo = _echoes(canvas, dice, view.depth, region, frame)
    field = (view.inside > 0.9) & (view.depth > 0.1)
    choice = plan.choice
    if region == "abdomen" and dice.chance(0.4):
        _kidney(canvas, frame, dice, echo, field)
    box = (-0.9, 0.9, -0.85, 0.95)
    factor = canvas.blank(1.0)
    for identity in range(choice.count(0.6, 2)):
        patch = seek(plan, canvas, frame, identity, field, box, (9, 26), rough=0.2, cell=0.6, edge=3, elongation=2.2,
                     gap=True)  # fmt: skip
        if patch is not None:
            part = echo[patch.rows, patch.columns]
            part += patch.cover * (np.float32(plan.findings[identity].between(0.03, 0.075)) - part)
            if plan.findings[identity].chance(0.5):
                _shade(factor, canvas, view, patch, 0.7, 0.45)
                _unshade(factor, patch)
            canvas.note("mass", patch, identity, sided=False)
    for identity in range(4, 4 + choice.count(0.55, 4)):
        patch = seek(plan, canvas, frame, identity, field, box, (5, 24), rough=0.04, edge=1.5, gap=True)
        if patch is not None:
            part = echo[patch.rows, patch.columns]
            wall = np.clip(1 - np.abs(patch.depth + 0.06) * 9, 0, 1)
            part += wall * np.float32(0.22)
            part += patch.cover * (np.float32(0.008) - part)
            _shade(factor, canvas, view, patch, 0.35, plan.findings[identity].between(1.4, 1.9))
            _unshade(factor, patch)
            canvas.note("cyst", patch, identity, sided=False)
    for identity in range(10, 10 + choice.count(0.6, 4)):
        patch = seek(plan, canvas, frame, identity, field, box, (3, 8), rough=0.1, edge=1, gap=True, elongation=1.6)
        if patch is not None:
            _shade(factor, canvas, view, patch, 2.0, plan.findings[identity].between(0.08, 0.3))
            part = echo[patch.rows, patch.columns]
            part += patch.cover * (np.float32(1.5) - part)
            _unshade(factor, patch)
            canvas.note("stone", patch, identity, sided=False)
    pixels = _display(plan, canvas, echo * factor, view)
    return canvas.truth(pixels, "ultrasound", "none", region, plan.choice.between(0.25, 0.7) / canvas.unit, plan.seed)


def _unshade(factor: Field, patch: Patch) -> None:
    part = factor[patch.rows, patch.columns]
    part += patch.cover * (np.float32(1.0) - part)


def _speckle(canvas: Canvas, dice: Dice, view: _View) -> Field:
    """Speckle along the beams of the view: coarser sideways with depth under a curved probe."""
    width = dice.whole(1, 4)
    if not view.curved:
        return cut("speckle", dice, canvas.height, canvas.width, width)
    bank = speckle(width)
    across, along = int(dice.place() * BANK_SIZE), int(dice.place() * BANK_SIZE)
    fine = np.float32(dice.between(1.0, 1.7) / canvas.unit**0.5)
    column = (np.clip(view.beam * fine, -20000, 20000).astype(np.int32) + across) % BANK_SIZE
    row = (np.clip(view.range_px * np.float32(1.0 / canvas.unit**0.5), 0, 20000).astype(np.int32) + along) % BANK_SIZE
    return bank[row, column]


def _kidney(canvas: Canvas, frame: Frame, dice: Dice, echo: Field, field: Mask) -> None:
    cu, cv, turn = dice.between(-0.3, 0.3), dice.between(-0.1, 0.4), dice.between(-0.06, 0.06)
    long, short = dice.between(0.45, 0.6), dice.between(0.2, 0.28)
    outer = ellipse(frame.u, frame.v, cu, cv, long, short, turn)
    sinus = ellipse(frame.u, frame.v, cu, cv, long * 0.6, short * 0.42, turn)
    echo += cover(outer, 0.2 * frame.scale) * (np.float32(0.17) - echo)
    echo += np.clip(1 - np.abs(outer) * 18, 0, 1) * np.float32(0.25)
    echo += cover(sinus, 3.0) * (np.float32(0.55) - echo)
    canvas.note_anatomy("kidney", (outer > 0) & field, 105, sided=False)


def _display(plan: Plan, canvas: Canvas, echo: Field, view: _View) -> NDArray[np.uint8]:
    dice = plan.acquisition
    strength = dice.between(0.45, 0.9)
    shown = echo * (np.float32(1 - strength) + np.float32(strength) * _speckle(canvas, dice, view))
    shown = shown * (np.float32(1.15) - np.float32(dice.between(0.1, 0.45)) * view.depth)
    # Two square roots stand in for the logarithm of the display.
    shown = np.sqrt(np.clip(shown, 0, 4))
    if dice.chance(0.5):
        shown = np.sqrt(shown) * np.float32(1.3) - np.float32(dice.between(0.35, 0.45))
    shown = shown * np.float32(dice.between(0.8, 1.1)) - np.float32(dice.between(0.0, 0.06))
    if dice.chance(0.5):
        shown = blur(shown)
    shown = shown * view.inside
    if dice.chance(0.35):
        pixel = max(1, round(canvas.unit))
        for index, glyph in enumerate(("A", "P", "7", "3")[: dice.whole(1, 4)]):
            add_marker(shown, glyph, 3 * pixel, 4 * pixel + 6 * pixel * index, pixel, 0.85)
    if dice.chance(0.4):
        edge = canvas.width - max(2, round(4 * canvas.unit))
        for tick in range(10):
            row = int(canvas.height * (0.05 + 0.095 * tick))
            shown[row : row + 1, edge:] = 0.8
    return grey_bytes(shown)

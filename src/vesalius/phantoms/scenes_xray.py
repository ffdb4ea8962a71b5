"""Chest radiographs: frontal and lateral, with nodules, consolidations and effusions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.phantoms.acquisition import add_marker, add_noise, blur, grey_bytes
from vesalius.phantoms.canvas import Canvas, Frame, Part, Plan, Window, around
from vesalius.phantoms.dice import Dice
from vesalius.phantoms.placing import seek
from vesalius.phantoms.shapes import Patch, circle_points, clipped, cover, ellipse, strokes, walk, wave
from vesalius.phantoms.textures import cut
from vesalius.phantoms.truth import Truth

__all__ = ["chest_frontal", "chest_lateral"]

Field = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]


def body_frame(plan: Plan, canvas: Canvas, scale: float, warp: float, stretch: tuple[float, float]) -> Frame:
    """The frame of a body of this plan: random zoom, place, tilt and build, jittered at another visit."""
    pose = plan.pose
    zoom = pose.around(1.0, 0.16) * scale * min(canvas.height, canvas.width)
    x = canvas.width * pose.around(0.5, 0.06)
    y = canvas.height * pose.around(0.5, 0.06)
    turn = pose.around(0.0, 0.02)
    if plan.jitter is not None:
        x += round(canvas.width * plan.jitter.around(0.0, 0.025))
        y += round(canvas.height * plan.jitter.around(0.0, 0.025))
        if plan.rigid:
            turn += plan.jitter.around(0.0, 0.004)
            zoom *= plan.jitter.around(1.0, 0.015)
    return Frame(canvas, x, y, zoom, turn, warp, plan.anatomy, plan.anatomy.between(*stretch))


def _ribs(part: Part, dice: Dice, strength: float) -> Field:
    """Posterior ribs sloping down sideways and fainter anterior ones crossing them."""
    side = np.abs(part.u)
    gap = dice.between(0.17, 0.23)
    drop = dice.between(0.25, 0.5)
    arc = side * side
    arc *= np.float32(dice.between(0.3, 0.7))
    side *= np.float32(drop)
    phase = part.v - side
    phase -= arc
    phase *= np.float32(1.0 / gap)
    phase += np.float32(dice.unit())
    lines = wave(phase)
    np.add(part.v, side, out=phase)
    phase -= arc
    phase *= np.float32(1.0 / (gap * 1.1))
    phase += np.float32(dice.unit())
    front = wave(phase)
    width = np.float32(dice.between(0.2, 0.6))
    for soft in (lines, front):
        soft -= width
        soft *= np.float32(3.0)
        clipped(soft)
    front *= np.float32(0.45)
    lines += front
    lines *= np.float32(strength)
    return lines


def _opacity(plane: Field, patch: Patch, level: float, weight: float, texture: Field | None = None) -> None:
    part = plane[patch.rows, patch.columns]
    strength = patch.cover * np.float32(weight)
    if texture is not None:
        strength *= np.clip(np.float32(0.85) + np.float32(0.3) * texture, 0.3, 1.0)
    strength *= np.float32(level) - part
    part += strength


def chest_frontal(plan: Plan) -> Truth:
    """A frontal chest radiograph; the patient's left is at the picture's right edge."""
    canvas = Canvas(plan.size)
    dice = plan.anatomy
    frame = body_frame(plan, canvas, 0.44, 0.015, (0.95, 1.25))
    hw = dice.around(1.0, 0.08)
    # Every part is computed in the window where it shows; elsewhere it would add nothing.
    body = ellipse(frame.u, frame.v, 0, 0.25, 1.02 * hw, 1.45, power=4)
    for place in ((0.0, -1.15, 0.25, 0.45), (0.0, -0.55, 1.35, 0.5)):  # neck, shoulders
        part = frame.part(*place[:2], 1.05 * place[2], 1.05 * place[3])
        np.maximum(body[part.at], ellipse(part.u, part.v, *place, power=4), out=body[part.at])
    tissue = dice.between(0.5, 0.62)
    solid = cover(body, 25.0)
    plane = solid * np.float32(tissue)
    plane += np.float32(0.03) * cut("fractal", dice, canvas.height, canvas.width, shift=frame.origin)
    middle_width = dice.between(0.12, 0.18)
    middle_part = frame.part(0.01, 0.0, 1.08 * middle_width, 1.08 * 1.6)
    mediastinum = cover(ellipse(middle_part.u, middle_part.v, 0.01, 0.0, middle_width, 1.6, power=4), 12.0)
    heart_u, heart_r = dice.between(0.09, 0.19), dice.between(0.27, 0.4)
    heart_v = dice.between(0.25, 0.38)
    heart_part = frame.part(heart_u, heart_v, 0.6, 0.6)
    u, v = heart_part.u, heart_part.v
    heart = ellipse(u, v, heart_u, heart_v, heart_r, dice.between(0.28, 0.36), dice.between(0.03, 0.12))
    # Right atrium and the great vessels above: bulges of the outline.
    for bulge in (
        ellipse(u, v, -0.06, heart_v + 0.03, dice.between(0.1, 0.2), 0.24),
        ellipse(u, v, heart_u * 0.7, heart_v - 0.22, dice.between(0.14, 0.22), 0.26),
    ):
        np.maximum(heart, bulge, out=heart)
    exclude = canvas.blank(-1.0)
    exclude[heart_part.at] = heart
    lungs: list[Mask] = []
    soft: list[Field] = []
    windows: list[Window] = []
    top, base = dice.between(-0.85, -0.72), dice.between(0.42, 0.62)
    for sign in (-1.0, 1.0):
        middle = sign * dice.between(0.4, 0.46)
        part = frame.part(middle, (top + base) / 2 + 0.1, 0.5, (base - top) / 2 + 0.4)
        pu, pv = part.u, part.v
        shape = ellipse(
            pu, pv, middle, (top + base + 0.25) / 2, dice.between(0.33, 0.4), (base + 0.25 - top) / 2 + 0.05
        )
        flat = base - (0.07 if sign < 0 else 0.0) * dice.unit()
        across = pu - np.float32(middle - sign * 0.08)
        dome = np.float32(dice.between(0.9, 1.6)) * across
        dome *= across
        dome += np.float32(flat)
        dome -= pv
        np.minimum(shape, dome, out=shape)
        np.multiply(pu, np.float32(sign), out=across)
        across -= np.float32(0.13)
        np.minimum(shape, across, out=shape)
        np.multiply(exclude[part.at], np.float32(-heart_r), out=across)
        np.minimum(shape, across, out=shape)
        soft.append(canvas.blank())
        soft[-1][part.at] = cover(shape, 0.3 * frame.scale)
        lungs.append(canvas.whole(part.at, shape > 0))
        windows.append(part.at)
    lung_at = around(*windows)
    air = canvas.blank()
    lung_air = np.maximum(soft[0][lung_at], soft[1][lung_at], out=air[lung_at])
    dark = dice.between(0.12, 0.26)
    part = frame.band(base + 10.0, 10.0)
    below = part.v - np.float32(base)
    below *= np.float32(6.0)
    clipped(below)
    below *= solid[part.at]
    below *= np.float32(dice.between(0.08, 0.2))
    plane[part.at] += below
    mediastinum *= np.float32(dice.between(0.1, 0.2))
    mediastinum *= solid[middle_part.at]
    plane[middle_part.at] += mediastinum
    u, v, view = frame.u[lung_at], frame.v[lung_at], plane[lung_at]
    shade = v * np.float32(dice.between(-0.06, 0.1))
    shade += np.float32(dark)
    shade -= view
    shade *= lung_air
    view += shade
    heart_soft = cover(heart, dice.between(0.1, 0.3) * frame.scale * heart_r)
    thick = heart * np.float32(1.6)
    clipped(thick)
    np.sqrt(thick, out=thick)
    thick *= np.float32(0.4)
    thick += np.float32(0.6)
    heart_soft *= thick
    heart_soft *= np.float32(dice.between(0.08, 0.17))
    heart_soft *= heart_part.v < np.float32(base + 0.12)
    plane[heart_part.at] += heart_soft
    hilum = np.abs(u)
    hilum -= np.float32(0.2)
    np.abs(hilum, out=hilum)
    hilum *= np.float32(2.2)
    height = v + np.float32(0.05)
    np.abs(height, out=height)
    height *= np.float32(1.5)
    hilum += height
    np.subtract(np.float32(1.0), hilum, out=hilum)
    clipped(hilum)
    markings = cut("ridges", dice, canvas.height, canvas.width, 16 * canvas.unit, frame.origin)[lung_at]
    branch = cut("vessels", dice, canvas.height, canvas.width, 20 * canvas.unit, frame.origin)[lung_at]
    marked = markings * np.float32(dice.between(0.1, 0.25))
    marked *= markings
    marked += np.float32(0.05)
    bright = lung_air * hilum
    bright *= marked
    view += bright
    hilum += np.float32(0.25)
    hilum *= lung_air
    hilum *= branch
    hilum *= np.float32(dice.between(0.1, 0.3))
    view += hilum
    part = frame.part(0.0, -0.05, 0.95 * hw, 1.0)
    ribs = cover(ellipse(part.u, part.v, 0, -0.05, 0.9 * hw, 0.95, power=4), 15.0)
    ribs *= _ribs(part, dice, dice.between(0.04, 0.1))
    over_air = np.float32(0.65) * air[part.at]
    over_air += np.float32(0.35)
    ribs *= over_air
    plane[part.at] += ribs
    spine_width = dice.between(0.065, 0.09)
    spine_part = frame.strip(0.0, spine_width + 0.05)
    spine = np.abs(spine_part.u)
    spine *= np.float32(1.0 / spine_width)
    np.subtract(np.float32(1.0), spine, out=spine)
    bodies = wave(spine_part.v * np.float32(1.0 / dice.between(0.15, 0.2)))
    bodies *= np.float32(0.4)
    bodies += np.float32(0.8)
    bodies *= cover(spine, spine_width * frame.scale)
    bodies *= np.float32(dice.between(0.035, 0.09))
    bodies *= solid[spine_part.at]
    plane[spine_part.at] += bodies
    clavicle_v = top + dice.between(0.05, 0.18)
    slope = dice.between(0.1, 0.35)
    part = frame.part(0.0, clavicle_v - 0.375 * slope, 0.76, 0.375 * slope + 0.05)
    side = np.abs(part.u)
    collar = part.v - np.float32(clavicle_v)
    collar += side * np.float32(slope)
    np.abs(collar, out=collar)
    np.subtract(np.float32(0.03), collar, out=collar)
    collar *= np.float32(0.5 * frame.scale)
    clipped(collar)
    collar *= (side < np.float32(0.75)) & (side > np.float32(0.08))
    collar *= np.float32(dice.between(0.06, 0.13))
    plane[part.at] += collar
    for index, lung in enumerate(lungs):
        canvas.note_anatomy("lung", lung, 100 + index)
    canvas.note_anatomy("heart", heart > 0, 102, at=heart_part.at)
    canvas.note_anatomy("spine", (spine > 0) & (body[spine_part.at] > 0), 103, at=spine_part.at)
    _chest_findings(plan, canvas, frame, plane, lungs, soft, tissue)
    if dice.chance(0.2):
        _tube(canvas, dice, plane)
    _expose(plan, canvas, plane)
    if plan.acquisition.chance(0.3):
        _stamp(plan.acquisition, canvas, plane)
    pixels = _finish(plan, plane)
    spacing = plan.choice.between(1.5, 2.0) / canvas.unit / (frame.scale / (0.44 * min(plan.size)))
    return canvas.truth(pixels, "xray", "frontal", "chest", spacing, plan.seed, frame, hw)


def _tube(canvas: Canvas, dice: Dice, plane: Field) -> None:
    """A lead or line lying over the chest: a distractor."""
    count = dice.whole(1, 3)
    starts = np.array([(dice.unit() * canvas.width, dice.unit() * 0.3 * canvas.height) for _ in range(count)])
    headings = np.array([circle_points(dice.between(0.1, 0.4)) for _ in range(count)])
    path = walk(dice, starts, headings, 80, 1.5 * canvas.unit, 0.06)
    points = path.reshape(-1, 2)
    lines = strokes((canvas.height, canvas.width), points, np.full(len(points), dice.between(0.5, 1.1) * canvas.unit))
    plane += lines * np.float32(dice.between(0.08, 0.25))


def _chest_findings(
    plan: Plan, canvas: Canvas, frame: Frame, plane: Field, lungs: list[Mask], soft: list[Field], tissue: float
) -> None:
    choice = plan.choice
    both = np.logical_or.reduce(lungs)
    wet = [index for index in range(len(lungs)) if choice.chance(0.2)]
    for index in wet:
        _effusion(plan, canvas, frame, plane, lungs[index], soft[index] > 0, 20 + index, tissue)
    for identity in range(choice.count(0.7, 2)):
        patch = seek(plan, canvas, frame, identity, both, (-0.75, 0.75, -0.7, 0.6), (16, 34), rough=0.28, cell=1.0,
                     edge=7 * canvas.unit, inside=0.75, elongation=1.8)  # fmt: skip
        if patch is not None:
            texture = cut("fractal", plan.findings[identity], *patch.cover.shape)
            inside = Patch(patch.rows, patch.columns, patch.depth, patch.cover * both[patch.rows, patch.columns],
                           patch.mask & both[patch.rows, patch.columns], patch.a, patch.b, 0.0)  # fmt: skip
            _opacity(plane, inside, tissue + 0.05, plan.findings[identity].between(0.65, 0.95), texture)
            canvas.note("consolidation", inside, identity)
    for identity in range(4, 4 + choice.count(0.5, 5)):
        patch = seek(plan, canvas, frame, identity, both, (-0.75, 0.75, -0.7, 0.6), (3.0, 12.0), rough=0.08,
                     edge=2.0 * canvas.unit)  # fmt: skip
        if patch is not None:
            _opacity(plane, patch, tissue + 0.08, plan.findings[identity].between(0.6, 1.0))
            canvas.note("nodule", patch, identity)


def _effusion(
    plan: Plan, canvas: Canvas, frame: Frame, plane: Field, lung: Mask, seen: Mask, identity: int, tissue: float
) -> None:
    dice = plan.findings[identity]
    scale = plan.scales.get(identity, 1.0)
    rows = np.flatnonzero(lung.any(1))
    if rows.size < 12 or scale <= 0:
        return
    height = dice.between(0.14, 0.5) * scale * rows.size
    by_column = lung.sum(0)
    middle = int((by_column * np.arange(by_column.size)).sum()) / int(by_column.sum())
    sign = 1.0 if int(middle) > frame.x else -1.0
    filled_rows, filled_columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    at = (
        slice(int(filled_rows[0]), int(filled_rows[-1]) + 1),
        slice(int(filled_columns[0]), int(filled_columns[-1]) + 1),
    )
    lateral = frame.u[at] * np.float32(sign)
    lateral -= np.float32(0.3)
    clipped(lateral, -0.2, 0.6)
    bow = lateral * lateral
    bow *= np.float32(dice.between(0.5, 1.6) * frame.scale)
    level = np.subtract(np.float32(rows[-1] - height), bow, out=bow)
    fill = canvas.ys[at[0]] - level
    fill *= np.float32(0.35)
    fill += np.float32(0.5)
    clipped(fill)
    fill *= seen[at]
    mask = fill >= np.float32(0.5)
    mask &= lung[at]
    box_rows, box_columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if box_rows.size < 4 or int(np.count_nonzero(mask)) < 6 * canvas.min_pixels:
        return
    inner = slice(int(box_rows[0]), int(box_rows[-1]) + 1), slice(int(box_columns[0]), int(box_columns[-1]) + 1)
    view = plane[at]
    view += fill * np.float32(0.9) * (np.float32(tissue + dice.between(0.08, 0.2)) - view)
    shown, fill = mask[inner], fill[inner]
    window = (
        slice(at[0].start + inner[0].start, at[0].start + inner[0].stop),
        slice(at[1].start + inner[1].start, at[1].start + inner[1].stop),
    )
    patch = Patch(*window, depth=fill, cover=fill, mask=shown, a=fill, b=fill, full_area=float(shown.sum()))
    canvas.note("effusion", patch, identity)


def _expose(plan: Plan, canvas: Canvas, plane: Field) -> None:
    """Noise, slow shading of the exposure, gain and offset."""
    dice = plan.acquisition
    plane *= np.float32(dice.between(0.85, 1.35))
    plane += np.float32(dice.between(-0.06, 0.08))
    # Film toe: bright parts are compressed, never cut off.
    toe = np.float32(0.3) * plane
    plane *= np.subtract(np.float32(1.22), toe, out=toe)
    plane += np.float32(dice.between(0.0, 0.03)) * cut("lattice", dice, canvas.height, canvas.width, 128)
    add_noise(plane, canvas, dice, dice.between(0.004, 0.025), dice.pick(("grain", "white")))


def _stamp(dice: Dice, canvas: Canvas, plane: Field) -> None:
    glyph, pixel = dice.pick(("L", "R")), dice.whole(1, 2)
    pixel = max(1, round(pixel * canvas.unit))
    column = canvas.width - 7 * pixel - dice.whole(0, 12) if glyph == "L" else 3 * pixel + dice.whole(0, 12)
    add_marker(plane, glyph, 3 * pixel + dice.whole(0, 16), max(0, column), pixel, dice.between(0.85, 1.0))


def _finish(plan: Plan, plane: Field) -> NDArray[np.uint8]:
    dice = plan.acquisition
    if dice.chance(0.25):
        plane = blur(plane)
    pixels = grey_bytes(plane)
    if plan.pose.chance(0.07):
        pixels = 255 - pixels
    if dice.chance(0.12):
        border = dice.whole(2, 14)
        pixels[:, :border] = 0
        pixels[:, -border:] = 0
    return pixels


def chest_lateral(plan: Plan) -> Truth:
    """A lateral chest radiograph facing either way; sides make no sense on it."""
    canvas = Canvas(plan.size)
    dice = plan.anatomy
    frame = body_frame(plan, canvas, 0.42, 0.02, (1.0, 1.25))
    facing = 1.0 if dice.chance(0.5) else -1.0
    u, v = frame.u * np.float32(facing), frame.v
    tissue = dice.between(0.5, 0.62)
    body = np.maximum(ellipse(u, v, 0, 0.2, 0.85, 1.5, power=4), ellipse(u, v, -0.05, -1.0, 0.3, 0.6))
    body_soft = cover(body, 25.0)
    plane = body_soft * np.float32(tissue)
    plane += np.float32(0.03) * cut("fractal", dice, canvas.height, canvas.width, shift=frame.origin)
    base = dice.between(0.42, 0.6)
    dome = np.float32(base) + np.float32(0.7) * (u - np.float32(0.15)) * (u - np.float32(0.15)) - u * np.float32(0.15)
    lung = ellipse(u, v, -0.02, -0.05, dice.between(0.55, 0.66), 0.85, dice.between(0.0, 0.03))
    lung = np.minimum(lung, dome - v)
    plane += np.clip((v - dome) * 6, 0, 1) * np.float32(dice.between(0.08, 0.18)) * body_soft
    air = cover(lung, 0.4 * frame.scale)
    plane += air * (np.float32(dice.between(0.16, 0.3)) - plane)
    heart = ellipse(u, v, dice.between(0.2, 0.3), dice.between(0.2, 0.3), 0.3, 0.27, 0.08)
    heart = np.minimum(heart, dome - v)
    plane += cover(heart, 0.25 * frame.scale) * np.float32(dice.between(0.14, 0.24))
    spine_u = u + np.float32(dice.between(0.5, 0.58)) + np.float32(0.12) * v * v
    spine = np.float32(1.0) - np.abs(spine_u) * np.float32(1.0 / 0.09)
    blocks = wave(v * np.float32(1.0 / dice.between(0.15, 0.2))) * np.float32(0.45) + np.float32(0.75)
    plane += cover(spine, 0.09 * frame.scale) * blocks * np.float32(dice.between(0.12, 0.22)) * body_soft
    ribs = wave((v - u * np.float32(dice.between(0.3, 0.6)) - u * u * np.float32(0.5)) * np.float32(1.0 / 0.19))
    plane += np.clip(ribs * 2 - 1, 0, 1) * np.float32(dice.between(0.02, 0.07)) * cover(lung + 0.12, 12.0)
    canvas.note_anatomy("lung", lung > 0, 100, sided=False)
    canvas.note_anatomy("heart", heart > 0, 102, sided=False)
    canvas.note_anatomy("spine", (spine > 0) & (body > 0), 103, sided=False)
    _chest_findings(plan, canvas, frame, plane, [lung > 0], [air], tissue)
    _expose(plan, canvas, plane)
    pixels = _finish(plan, plane)
    spacing = plan.choice.between(1.5, 2.0) / canvas.unit / (frame.scale / (0.42 * min(plan.size)))
    return canvas.truth(pixels, "xray", "lateral", "chest", spacing, plan.seed)

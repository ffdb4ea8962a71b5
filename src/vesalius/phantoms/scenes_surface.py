"""Colour views of surfaces: the fundus of the eye, skin, and the bowel seen through an endoscope."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.phantoms.acquisition import colour_bytes, round_view, tint
from vesalius.phantoms.canvas import Canvas, Frame, Plan
from vesalius.phantoms.dice import Dice
from vesalius.phantoms.placing import plain_frame, seek
from vesalius.phantoms.shapes import blob, circle_points, clipped, cover, dense, ellipse, strokes, walk
from vesalius.phantoms.textures import cut
from vesalius.phantoms.truth import Truth

__all__ = ["endoscopy", "fundus", "skin"]

Field = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]
Colour = tuple[float, float, float]


def painted(canvas: Canvas, colour: Colour, shade: Field | float = 1.0) -> Field:
    """`[3, H, W]` planes of one colour times a shade."""
    planes = np.empty((3, canvas.height, canvas.width), np.float32)
    for plane, value in zip(planes, colour, strict=True):
        plane[...] = np.float32(value) * shade
    return planes


def mixed(first: Colour, second: Colour, t: float) -> Colour:
    """first at t = 0, second at t = 1."""
    a, b = first, second
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t


def expose(plan: Plan, canvas: Canvas, planes: Field) -> None:
    """Gain, colour cast and sensor noise, in place."""
    dice = plan.acquisition
    gain = dice.between(0.85, 1.15)
    sigma = dice.between(0.004, 0.022)
    for plane in planes:
        plane *= np.float32(gain * dice.between(0.95, 1.05))
        plane += np.float32(sigma) * cut("grain", dice, canvas.height, canvas.width)


def dim(planes: Field, by: Field, shares: Sequence[float]) -> None:
    """Take a share of `by` (0…1) from each plane, in place: plane × (1 − by × share)."""
    for plane, share in zip(planes, shares, strict=True):
        kept = by * np.float32(share)
        plane *= np.subtract(np.float32(1.0), kept, out=kept)


def fundus(plan: Plan) -> Truth:
    """The back of the eye: optic disc, vessels, macula; microaneurysms, exudates, haemorrhages."""
    canvas = Canvas(plan.size)
    dice = plan.anatomy
    frame = plain_frame(plan, canvas, dice.around(0.5, 0.03), dice.around(0.5, 0.03))
    radius = dice.between(0.9, 1.25)
    view = round_view(canvas, frame.x, frame.y, radius * frame.scale, 2.0)
    base = mixed((0.75, 0.34, 0.14), (0.55, 0.2, 0.1), dice.unit())
    if dice.chance(0.25):
        base = mixed(base, (0.78, 0.5, 0.3), dice.unit())
    cloud = cut("fractal", dice, canvas.height, canvas.width)
    distance = frame.u * frame.u
    distance += frame.v * frame.v
    np.sqrt(distance, out=distance)
    distance *= np.float32(1 / radius)
    shade = np.float32(dice.between(0.1, 0.45)) * distance
    shade *= distance
    np.subtract(np.float32(1.05), shade, out=shade)
    shade += np.float32(0.05) * cloud
    planes = painted(canvas, base, shade)
    side = 1.0 if dice.chance(0.5) else -1.0
    du, dv = side * dice.between(0.4, 0.65) * radius, dice.between(-0.12, 0.12)
    part = frame.part(-du * 0.55, dv + 0.06, 0.32, 0.32)
    macula = (part.u + np.float32(du * 0.55)) ** 2
    macula += (part.v - np.float32(dv) - np.float32(0.06)) ** 2
    np.sqrt(macula, out=macula)
    macula *= np.float32(3.2)
    np.subtract(np.float32(1.0), macula, out=macula)
    dim(planes[:, *part.at], clipped(macula), [dice.between(0.2, 0.5)] * 3)
    disc_r = dice.between(0.12, 0.18) * radius
    disc_part = frame.part(du, dv, 1.5 * disc_r, 1.5 * disc_r)
    disc = ellipse(disc_part.u, disc_part.v, du, dv, disc_r, disc_r * dice.between(1.0, 1.15))
    tint(
        planes,
        *disc_part.at,
        cover(disc, disc_r * frame.scale / 2.5),
        mixed((0.95, 0.72, 0.42), (0.98, 0.85, 0.6), dice.unit()),
    )
    cup = ellipse(disc_part.u, disc_part.v, du + 0.1 * disc_r * side, dv, disc_r * 0.45, disc_r * 0.5)
    tint(planes, *disc_part.at, cover(cup, 3.0) * np.float32(0.7), (1.0, 0.95, 0.8))
    _retinal_vessels(canvas, frame, dice, planes, (du, dv), side)
    field = view > 0.95
    canvas.note_anatomy("optic disc", (disc > 0) & field[disc_part.at], 109, sided=False, at=disc_part.at)
    field[disc_part.at] &= disc < -0.25
    _retinal_findings(plan, canvas, frame, planes, field, radius)
    expose(plan, canvas, planes)
    planes *= view
    planes += np.float32(plan.acquisition.between(0.0, 0.03))
    return canvas.truth(
        colour_bytes(planes), "fundus", "none", "eye", plan.choice.between(0.05, 0.09) / canvas.unit, plan.seed
    )


def _retinal_vessels(
    canvas: Canvas, frame: Frame, dice: Dice, planes: Field, disc: tuple[float, float], side: float
) -> None:
    x, y = frame.to_pixels(*disc)
    unit = canvas.unit
    starts, headings, pulls = [], [], []
    for up in (-1.0, 1.0):
        for twin in range(2):
            c, s = circle_points(0.25 * up + dice.between(-0.05, 0.05) + 0.03 * twin)
            starts.append((x + twin * 2.5 * unit, y))
            headings.append((c, s))
            pulls.append(-up * side * -1.0 * dice.between(0.02, 0.034))
        c, s = circle_points(0.25 * up + side * up * -0.17)
        starts.append((x, y))
        headings.append((c, s))
        pulls.append(dice.between(-0.01, 0.01))
    trunk = walk(dice, np.array(starts), np.array(headings), 44, 3.0 * unit, 0.075, 1.5 * np.array(pulls))
    count = len(starts)
    picks = [(dice.whole(5, 33), dice.whole(0, count - 1), 1.0 if dice.chance(0.5) else -1.0) for _ in range(14)]
    twig_starts = np.array([trunk[step, which] for step, which, _ in picks])
    before = np.array([trunk[step - 2, which] for step, which, _ in picks])
    along = twig_starts - before
    along = along / np.sqrt((along * along).sum(1, keepdims=True) + 1e-9)
    turn = np.array([sign * 0.8 for _, _, sign in picks])[:, None]
    twig_headings = along + np.stack([-along[:, 1], along[:, 0]], 1) * turn
    twig_headings = twig_headings / np.sqrt((twig_headings**2).sum(1, keepdims=True))
    twigs = walk(dice, twig_starts, twig_headings, 20, 3.0 * unit, 0.15)
    width = dice.between(1.3, 2.0) * unit
    extent = canvas.height, canvas.width
    calibre = np.array([1.0, 0.75, 0.7] * 2)[None, :]
    lines = strokes(extent, *dense(trunk, width * (1.0 - np.arange(44) / 67.0)[:, None] * calibre))
    thin = 0.5 * width * (1.0 - np.arange(20) / 30.0)[:, None] + np.zeros((1, len(picks)))
    np.maximum(lines, strokes(extent, *dense(twigs, thin)), out=lines)
    depth = dice.between(0.45, 0.75)
    dim(planes, lines, (0.45 * depth, 0.85 * depth, 0.7 * depth))


def _retinal_findings(plan: Plan, canvas: Canvas, frame: Frame, planes: Field, field: Mask, radius: float) -> None:
    choice = plan.choice
    box = (-radius, radius, -radius, radius)
    for identity in range(choice.count(0.65, 3)):
        patch = seek(plan, canvas, frame, identity, field, box, (5, 13), rough=0.3, cell=0.5, edge=2.0, elongation=1.8)
        if patch is not None:
            tint(planes, patch.rows, patch.columns, patch.cover * np.float32(0.9), (0.26, 0.03, 0.03))
            canvas.note("haemorrhage", patch, identity, sided=False)
    for identity in range(3, 3 + choice.count(0.55, 8)):
        patch = seek(
            plan, canvas, frame, identity, field, box, (2.6, 8), rough=0.25, cell=0.7, edge=1.2, elongation=1.5
        )
        if patch is not None:
            shade = plan.findings[identity].between(0.85, 1.0)
            tint(planes, patch.rows, patch.columns, patch.cover * np.float32(0.92), (shade, shade * 0.88, shade * 0.45))
            canvas.note("exudate", patch, identity, sided=False)
    for identity in range(12, 12 + choice.count(0.55, 10)):
        patch = seek(
            plan, canvas, frame, identity, field, box, (2.2, 3.4), rough=0.0, edge=1.0, elongation=1.1, gap=True
        )
        if patch is not None:
            tint(planes, patch.rows, patch.columns, patch.cover * np.float32(0.88), (0.33, 0.03, 0.02))
            canvas.note("microaneurysm", patch, identity, sided=False)


_SKIN: tuple[Colour, ...] = (
    (0.96, 0.82, 0.74),
    (0.93, 0.75, 0.64),
    (0.86, 0.66, 0.52),
    (0.74, 0.53, 0.39),
    (0.58, 0.39, 0.28),
    (0.43, 0.28, 0.2),
    (0.31, 0.2, 0.15),
)
"""Skin from very light to very dark."""


def skin(plan: Plan) -> Truth:
    """Skin of any tone with hairs; moles with irregular borders."""
    canvas = Canvas(plan.size)
    dice = plan.anatomy
    frame = plain_frame(plan, canvas)
    t = dice.unit() * (len(_SKIN) - 1.001)
    tone = mixed(_SKIN[int(t)], _SKIN[int(t) + 1], t - int(t))
    cloud = cut("fractal", dice, canvas.height, canvas.width)
    shade = np.float32(dice.between(0.02, 0.06)) * cloud
    shade += np.float32(1.0)
    lines = cut("ridges", dice, canvas.height, canvas.width, dice.pick((4, 8, 16)) * canvas.unit)
    shade -= np.float32(dice.between(0.0, 0.08)) * lines
    light = cut("lattice", dice, canvas.height, canvas.width, 128)
    bright = np.float32(dice.between(0.0, 0.12)) * light
    bright += np.float32(1.0)
    shade *= bright
    planes = painted(canvas, tone, shade)
    red = cut("lattice", dice, canvas.height, canvas.width, 64) - np.float32(0.4)
    clipped(red, 0.0, 2.0)
    red *= np.float32(dice.between(0, 0.08))
    planes[1:] *= np.subtract(np.float32(1.0), red, out=red)
    for identity in range(plan.choice.count(0.38, 3)):
        _mole(plan, canvas, frame, planes, identity, tone)
    if dice.chance(0.55):
        _hairs(canvas, dice, planes)
    if dice.chance(0.2):
        ruler = slice(canvas.height - max(3, int(14 * canvas.unit)), canvas.height)
        planes[:, ruler] = np.float32(0.9)
        step = max(3, int(6 * canvas.unit))
        planes[:, ruler.start : ruler.start + step, ::step] = np.float32(0.1)
        _unmark(canvas, ruler)
    if dice.chance(0.3):
        view = round_view(canvas, frame.x, frame.y, frame.scale * dice.between(1.15, 1.45), dice.between(2, 30))
        planes *= view
        canvas.restrict(view > 0.6)
    expose(plan, canvas, planes)
    return canvas.truth(
        colour_bytes(planes), "skin", "none", "skin", plan.choice.between(0.05, 0.2) / canvas.unit, plan.seed
    )


def _unmark(canvas: Canvas, rows: slice) -> None:
    seen = np.ones((canvas.height, canvas.width), np.bool_)
    seen[rows] = False
    canvas.restrict(seen)


def _mole(plan: Plan, canvas: Canvas, frame: Frame, planes: Field, identity: int, tone: Colour) -> None:
    patch = seek(plan, canvas, frame, identity, None, (-1.0, 1.0, -1.0, 1.0), (6, 48), rough=0.16, cell=0.8, edge=3.0,
                 elongation=1.8, tries=6)  # fmt: skip
    if patch is None:
        return
    dice = plan.findings[identity]
    brown = mixed((0.6, 0.38, 0.26), (0.13, 0.08, 0.07), dice.unit())
    if dice.chance(0.15):
        brown = mixed(brown, (0.75, 0.32, 0.3), dice.unit())
    # However dark the skin, the mole is darker by a third or more.
    most = dice.between(0.45, 0.66)
    colour = (min(brown[0], tone[0] * most), min(brown[1], tone[1] * most), min(brown[2], tone[2] * most))
    texture = cut("fractal", dice, *patch.cover.shape)
    net = cut("ridges", dice, *patch.cover.shape, key=8)
    strength = patch.cover * np.clip(np.float32(0.92) + np.float32(0.08) * texture + np.float32(0.06) * net, 0.6, 1)
    tint(planes, patch.rows, patch.columns, strength.astype(np.float32), colour)
    if dice.chance(0.3):
        blue = np.clip(texture - 0.6, 0, 1) * patch.cover * np.float32(0.5)
        tint(planes, patch.rows, patch.columns, blue, (colour[0] * 0.8, colour[1] * 0.95, colour[2] * 1.3))
    canvas.note("mole", patch, identity, sided=False)


def _hairs(canvas: Canvas, dice: Dice, planes: Field) -> None:
    count = dice.whole(2, 18)
    starts = np.array([(dice.unit() * canvas.width, dice.unit() * canvas.height) for _ in range(count)])
    main = dice.unit()
    headings = np.array([circle_points(main + dice.between(-0.12, 0.12)) for _ in range(count)])
    path = walk(dice, starts, headings, dice.whole(24, 60), 1.4 * canvas.unit, 0.08)
    points = path.reshape(-1, 2)
    lines = strokes((canvas.height, canvas.width), points, np.full(len(points), dice.between(0.35, 0.9) * canvas.unit))
    shade = dice.between(0.05, 0.3) if dice.chance(0.8) else dice.between(0.7, 0.9)
    tint(
        planes,
        slice(0, canvas.height),
        slice(0, canvas.width),
        lines * np.float32(0.85),
        (shade, shade * 0.9, shade * 0.8),
    )


def endoscopy(plan: Plan) -> Truth:
    """Bowel mucosa around a dark lumen; polyps, and a metal instrument now and then."""
    canvas = Canvas(plan.size)
    dice = plan.anatomy
    frame = plain_frame(plan, canvas, dice.between(0.3, 0.7), dice.between(0.3, 0.7))
    at = (round(frame.y), round(frame.x))
    tone = mixed((0.85, 0.5, 0.42), (0.72, 0.3, 0.25), dice.unit())
    if dice.chance(0.25):
        tone = mixed(tone, (0.85, 0.66, 0.45), dice.unit())
    cloud = cut("fractal", dice, canvas.height, canvas.width, shift=at)
    bend = cut("lattice", dice, canvas.height, canvas.width, 64 * canvas.unit, at)
    radius = frame.u * frame.u
    radius += frame.v * frame.v
    np.sqrt(radius, out=radius)
    scratch = np.float32(0.09) * bend
    radius += scratch
    wrinkle = cut("lattice", dice, canvas.height, canvas.width, 20 * canvas.unit, at)
    saw = np.multiply(np.float32(dice.between(0.01, 0.05)), wrinkle, out=scratch)
    saw += radius
    saw *= np.float32(dice.between(1.3, 2.6))
    fold = np.floor(saw)
    saw -= fold
    np.subtract(np.float32(1.0), saw, out=fold)
    fold *= np.float32(dice.between(4, 9))
    np.minimum(saw, fold, out=fold)
    lumen = dice.between(0.15, 0.42) if dice.chance(0.75) else 0.0
    if lumen:
        shade = radius - np.float32(lumen * 0.5)
        shade *= np.float32(1.0 / max(lumen, 0.12))
        clipped(shade, 0.08, 1.0)
    else:
        shade = canvas.blank(1.0)
    fold *= np.float32(dice.between(0.1, 0.45))
    shade *= np.subtract(np.float32(1.0), fold, out=fold)
    shade += np.multiply(np.float32(0.04), cloud, out=scratch)
    planes = painted(canvas, tone, shade)
    web = cut("vessels", dice, canvas.height, canvas.width, 32 * canvas.unit, at)
    threads = clipped(web * np.float32(2.5))
    threads *= np.float32(dice.between(0.0, 0.35))
    planes[1:] *= np.subtract(np.float32(1.0), threads, out=threads)
    wall = (radius > lumen * 1.1) if lumen else np.ones((canvas.height, canvas.width), np.bool_)
    view = _port(canvas, dice) if dice.chance(0.5) else canvas.blank(1.0)
    host = wall & (view > 0.9)
    shining = cut("lattice", dice, canvas.height, canvas.width, 8 * canvas.unit, at)
    glints = np.multiply(np.float32(0.6), bend, out=scratch)
    glints += shining
    glints -= np.float32(dice.between(2.4, 3.0))
    glints *= np.float32(4.0)
    clipped(glints)
    shade *= np.float32(1.5)
    glints *= clipped(shade)
    tint(planes, slice(None), slice(None), glints, (0.97, 0.97, 0.97))
    for identity in range(plan.choice.count(0.4, 3)):
        _polyp(plan, canvas, frame, planes, host, identity, tone)
    if plan.choice.chance(0.25):
        _rod(canvas, plan.choice, planes)
    vignette = np.float32(1) - np.float32(dice.between(0, 0.35)) * (
        ((canvas.xs / canvas.width - 0.5) ** 2 + (canvas.ys / canvas.height - 0.5) ** 2) * 2
    )
    planes *= vignette * view
    canvas.restrict(view > 0.5)
    expose(plan, canvas, planes)
    return canvas.truth(
        colour_bytes(planes), "endoscopy", "none", "bowel", plan.choice.between(0.15, 0.35) / canvas.unit, plan.seed
    )


def _port(canvas: Canvas, dice: Dice) -> Field:
    """The window of the endoscope: a circle or a square with cut corners."""
    if dice.chance(0.4):
        return round_view(canvas, canvas.width / 2, canvas.height / 2, 112 * canvas.unit * dice.between(0.92, 1.2), 2)
    cut_off = dice.between(0.08, 0.3) * min(canvas.height, canvas.width)
    edge_x = np.minimum(canvas.xs, canvas.width - canvas.xs)
    edge_y = np.minimum(canvas.ys, canvas.height - canvas.ys)
    margin = dice.between(0, 10) * canvas.unit
    inside = np.minimum(
        np.minimum(edge_x, edge_y) - np.float32(margin), (edge_x + edge_y - np.float32(cut_off + 2 * margin))
    )
    return np.clip(inside + np.float32(0.5), 0, 1)


def _polyp(plan: Plan, canvas: Canvas, frame: Frame, planes: Field, host: Mask, identity: int, tone: Colour) -> None:
    reach_u = (canvas.width - frame.x) / frame.scale, -frame.x / frame.scale
    reach_v = (canvas.height - frame.y) / frame.scale, -frame.y / frame.scale
    patch = seek(plan, canvas, frame, identity, host, (reach_u[1], reach_u[0], reach_v[1], reach_v[0]), (9, 34),
                 rough=0.09, cell=0.8, edge=1.8, inside=0.85, elongation=1.6)  # fmt: skip
    if patch is None:
        return
    dice = plan.findings[identity]
    for plane in planes:
        part = plane[patch.rows, patch.columns]
        part *= 1 - np.clip(1 + patch.depth * 5, 0, 1) * (1 - patch.cover) * np.float32(0.45)
    lit = np.clip(patch.depth, 0, 1)
    dome = np.sqrt(np.clip(1 - (1 - lit) * (1 - lit), 0, 1))
    turn = circle_points(dice.unit())
    slope = patch.a * np.float32(turn[0]) + patch.b * np.float32(turn[1])
    bumps = cut("lattice", dice, *patch.cover.shape, key=4)
    shade = (
        np.float32(0.5) + np.float32(0.6) * dome + np.float32(dice.between(0.1, 0.3)) * slope + np.float32(0.04) * bumps
    )
    redder = dice.between(0.72, 1.02)
    colour = (min(1.0, tone[0] * 1.08), tone[1] * redder, tone[2] * redder)
    if dice.chance(0.25):
        colour = mixed(colour, (0.95, 0.8, 0.7), 0.6)
    for plane, value in zip(planes, colour, strict=True):
        part = plane[patch.rows, patch.columns]
        part += patch.cover * (shade * np.float32(value) - part)
    glint = (
        np.clip(1 - np.sqrt((patch.a + np.float32(0.35)) ** 2 + (patch.b + np.float32(0.3)) ** 2) * 5, 0, 1)
        * patch.cover
    )
    tint(planes, patch.rows, patch.columns, np.clip(glint * 2, 0, 1), (1.0, 0.97, 0.95))
    canvas.note("polyp", patch, identity, sided=False)


def _rod(canvas: Canvas, dice: Dice, planes: Field) -> None:
    """A straight metal instrument coming in from the border."""
    turn = dice.unit()
    c, s = circle_points(turn)
    length = dice.between(0.3, 0.75) * min(canvas.height, canvas.width)
    half = dice.between(4, 10) * canvas.unit
    reach = 0.62 * min(canvas.height, canvas.width)
    x, y = canvas.width / 2 + c * reach, canvas.height / 2 + s * reach
    middle = 0.5 * length
    patch = blob(
        (canvas.height, canvas.width), x - c * middle, y - s * middle, middle, half, dice, turn, 0.0, None, 1.0, 4
    )
    if patch is None or int(np.count_nonzero(patch.mask)) < 8 * canvas.min_pixels:
        return
    shine = np.float32(0.75) - np.float32(0.55) * np.abs(patch.b + np.float32(0.25))
    shine = shine + np.float32(0.1) * (np.abs(patch.b - 0.3) < 0.12)
    for plane, value in zip(planes, (0.95, 0.97, 1.0), strict=True):
        part = plane[patch.rows, patch.columns]
        part += patch.cover * (shine * np.float32(value) - part)
    canvas.note("instrument", patch, 60, sided=False)

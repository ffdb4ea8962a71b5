"""CT slices of chest and abdomen in Hounsfield units, windowed, and what every CT scene is laid down with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.phantoms.acquisition import add_noise, grey_bytes
from vesalius.phantoms.canvas import Canvas, Frame, Part, Plan
from vesalius.phantoms.dice import Dice
from vesalius.phantoms.placing import seek
from vesalius.phantoms.scenes_xray import body_frame
from vesalius.phantoms.shapes import Patch, clipped, cover, ellipse, wave
from vesalius.phantoms.textures import cut
from vesalius.phantoms.truth import Truth

__all__ = [
    "abdomen_axial",
    "chest_axial",
    "chest_coronal",
    "ct_window",
    "lay",
    "lay_patch",
    "soft_line",
    "spine_axial",
    "spot",
    "windowed",
]

Field = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]


def lay(plane: Field, soft: Field, value: float | Field) -> None:
    """Blend a value over the plane where `soft` is 1, in place."""
    change = np.subtract(np.float32(value) if isinstance(value, float) else value, plane)
    change *= soft
    plane += change


def spot(
    plane: Field, frame: Frame, place: tuple[float, float], radii: tuple[float, float], value: float, turn: float = 0.0
) -> None:
    """Lay an ellipse of one value at a body place, in place; only its window is touched."""
    part = frame.part(*place, max(radii), max(radii))
    depth = ellipse(part.u, part.v, *place, *radii, turn)
    lay(plane[part.at], cover(depth, min(radii) * frame.scale), value)


def lay_patch(plane: Field, patch: Patch, value: float | Field) -> None:
    """Blend a value (or a field of the patch's size) over a patch's window, in place."""
    lay(plane[patch.rows, patch.columns], patch.cover, value)


def windowed(plan: Plan, canvas: Canvas, hounsfield: Field, window: tuple[float, float], noise: float) -> Field:
    """Noise, streaks, then the window (centre, width), in place: 0…1."""
    dice = plan.acquisition
    add_noise(hounsfield, canvas, dice, noise, "grain" if dice.chance(0.7) else "white")
    np.maximum(hounsfield, np.float32(-1024.0 if dice.chance(0.7) else -1000.0), out=hounsfield)
    if dice.chance(0.12):
        streaks = cut("lattice", dice, 1, canvas.width, 2)[0] * np.float32(noise * dice.between(0.3, 0.9))
        hounsfield += streaks[None, :] if dice.chance(0.3) else np.resize(streaks, canvas.height)[:, None]
    hounsfield -= np.float32(window[0] - window[1] / 2)
    hounsfield *= np.float32(1.0 / window[1])
    return hounsfield


def ct_window(dice: Dice, kinds: tuple[tuple[float, float], ...]) -> tuple[float, float]:
    """(centre, width) in HU: one of `kinds`, a little off."""
    centre, width = dice.pick(kinds)
    return centre + 0.06 * width * dice.between(-1, 1), width * dice.between(0.85, 1.2)


def torso(
    plan: Plan, canvas: Canvas, frame: Frame, half: float, fat: float, thorax: bool
) -> tuple[Field, Part, Field, float]:
    """HU of air, skin, fat, muscle and (for a `thorax`) ribs; the body's window; depth of the cavity in that window;
    scale of the body depth."""
    dice = plan.anatomy
    boxy = dice.chance(0.5)
    part = frame.part(0.0, 0.0, 1.1, half * 1.1)
    u, v = part.u, part.v
    body = ellipse(u, v, 0, 0, 1.0, half, power=4) if boxy else ellipse(u, v, 0, 0, 1.04, half * 1.02)
    plane = canvas.blank(-1000.0)
    view = plane[part.at]
    at = frame.origin
    px = half * frame.scale
    cloud = cut("fractal", dice, canvas.height, canvas.width, shift=at)[part.at]
    tissue = np.float32(12.0) * cloud
    tissue += np.float32(-105.0)
    lay(view, cover(body, px), tissue)
    lay(view, soft_line(body - np.float32(0.012), 0.014, px), 20.0)
    wall = body
    wall -= np.float32(fat)
    np.multiply(np.float32(10.0), cloud, out=tissue)
    tissue += np.float32(45.0)
    lay(view, cover(wall, px), tissue)
    cavity = wall - np.float32(dice.between(0.07, 0.12))
    between = cut("lattice", dice, canvas.height, canvas.width, 16 * canvas.unit, at)[part.at] - np.float32(0.5)
    between *= np.float32(3.0)
    clipped(between)
    between *= (wall > 0.01) & (cavity < 0)
    lay(view, between, -80.0)
    if thorax:
        shell = cavity + np.float32(0.025)
        ribs = soft_line(shell, 0.03, px)
        where = cut("lattice", dice, canvas.height, canvas.width, 16 * canvas.unit, at)[part.at] - np.float32(0.1)
        where *= np.float32(6.0)
        ribs *= clipped(where)
        hollow = soft_line(shell, 0.012, px)
        hollow *= np.float32(300.0)
        lay(view, ribs, np.subtract(np.float32(520.0), hollow, out=hollow))
    return plane, part, cavity, px


def soft_line(distance: Field, half_width: float, per_pixel: float) -> Field:
    """Soft cover of a line: 1 within `half_width` of where `distance` is 0."""
    soft = np.abs(distance)
    np.subtract(np.float32(half_width), soft, out=soft)
    soft *= np.float32(per_pixel)
    return clipped(soft)


def spine_axial(plan: Plan, canvas: Canvas, frame: Frame, plane: Field, v_body: float) -> Mask:
    """A vertebra: body, canal, arch and processes; returns its mask."""
    dice = plan.anatomy
    r = dice.between(0.12, 0.17)
    power = 4 if dice.chance(0.4) else 2
    part = frame.part(0.0, v_body + 0.8 * r, 2.3 * r, 2.6 * r)
    u, v = part.u, part.v
    body = ellipse(u, v, 0, v_body, r, r * 0.82, power=power)
    arch = ellipse(u, v, 0, v_body + r * 1.35, r * 0.85, r * 0.75)
    canal = ellipse(u, v, 0, v_body + r * 1.25, r * 0.5, r * 0.42)
    process = ellipse(u, v, 0, v_body + r * 2.2, r * 0.17, r * 0.75)
    wings = ellipse(np.abs(u), v, r * 1.3, v_body + r * 1.5, r * 0.75, r * 0.22, -0.06)
    bone = body
    for other in (arch, process, wings):
        np.maximum(bone, other, out=bone)
    value = np.float32(60.0) * cut("lattice", dice, *u.shape, key=4 * canvas.unit)
    value += np.float32(210.0)
    rim = np.float32(0.16) - bone
    rim *= np.float32(6.0)
    clipped(rim)
    rim *= np.float32(350.0)
    value += rim
    view = plane[part.at]
    lay(view, cover(bone, r * frame.scale * 0.8), value)
    lay(view, cover(canal, r * 0.45 * frame.scale), 35.0)
    return canvas.whole(part.at, (bone > 0) & (canal < 0))


def _table(plan: Plan, canvas: Canvas, frame: Frame, plane: Field, half: float) -> None:
    dice = plan.pose
    if dice.chance(0.25):
        return
    drop = dice.between(0.03, 0.1)
    curve = dice.between(0, 0.22)
    # The sheet rises by at most `curve` × u² towards the sides and ends 0.16 below its surface.
    rise = curve * frame.reach_u() ** 2
    part = frame.band(half + drop + 0.06 - 0.5 * rise, 0.1 + 0.5 * rise)
    view = plane[part.at]
    depth = part.v - np.float32(half + drop)
    bow = part.u * part.u
    bow *= np.float32(curve)
    depth += bow
    line = soft_line(depth, dice.between(0.012, 0.03), frame.scale)
    outside = view < -700
    line *= outside
    lay(view, line, dice.between(-500.0, 100.0))
    if dice.chance(0.6):
        depth -= np.float32(0.13)
        second = soft_line(depth, 0.015, frame.scale)
        second *= outside
        lay(view, second, dice.between(-700.0, 0.0))


def chest_axial(plan: Plan) -> Truth:
    """An axial chest slice in a lung or mediastinal window."""
    canvas = Canvas(plan.size)
    dice = plan.anatomy
    half = dice.between(0.62, 0.8)
    frame = body_frame(plan, canvas, 0.45, 0.018, (0.97, 1.03))
    plane, body, cavity, depth_px = torso(plan, canvas, frame, half, dice.between(0.03, 0.16), True)
    at = frame.origin
    level = dice.unit()  # 0: aortic arch, 1: heart
    clumps = cut("lattice", dice, canvas.height, canvas.width, 10 * canvas.unit, at)[body.at] * np.float32(2.0)
    clumps -= np.float32(0.3)
    clipped(clumps)
    clumps *= np.float32(125.0)
    clumps += np.float32(-95.0)
    lay(plane[body.at], cover(cavity, depth_px), clumps)
    heart_r = 0.16 + 0.26 * level if level > 0.35 else 0.0
    heart_u, heart_v = dice.between(0.1, 0.2), -half * dice.between(0.18, 0.3)
    centre_width = dice.between(0.14, 0.22)
    # What the lungs leave free: the middle and twice the heart's depth, told only near them.
    exclude = canvas.blank(-1.0)
    part = frame.part(0.02, -0.1 * half, 1.5 * centre_width, 1.5 * half * 0.75)
    exclude[part.at] = ellipse(part.u, part.v, 0.02, -0.1 * half, centre_width, half * 0.75, power=4)
    heart_part = frame.part(heart_u - 0.05, heart_v, 1.5 * max(heart_r, 0.1), 1.5 * max(heart_r, 0.1))
    heart = None
    if heart_r:
        heart = ellipse(heart_part.u, heart_part.v, heart_u, heart_v, heart_r, heart_r * 0.82, 0.1)
        auricle = ellipse(heart_part.u, heart_part.v, -0.08, heart_v + 0.03, heart_r * 0.55, heart_r * 0.6)
        np.maximum(heart, auricle, out=heart)
        view = exclude[heart_part.at]
        np.maximum(view, heart * np.float32(2.0), out=view)
    whole_cavity = canvas.blank(-1.0)
    whole_cavity[body.at] = cavity
    lungs: list[Mask] = []
    softs: list[Field] = []
    for sign in (-1.0, 1.0):
        middle_u = sign * dice.between(0.43, 0.48)
        part = frame.part(middle_u, 0.0, 0.5, half)
        shape = ellipse(part.u, part.v, middle_u, dice.between(-0.02, 0.06) * half, dice.between(0.36, 0.46),
                        half * dice.between(0.7, 0.86), sign * dice.between(0, 0.03))  # fmt: skip
        np.minimum(shape, whole_cavity[part.at] * np.float32(1.6), out=shape)
        np.minimum(shape, exclude[part.at] * np.float32(-0.5), out=shape)
        np.minimum(shape, np.float32(sign) * part.u - np.float32(0.04), out=shape)
        lungs.append(canvas.whole(part.at, shape > 0))
        softs.append(canvas.blank())
        softs[-1][part.at] = cover(shape, 0.4 * frame.scale)
    part = frame.part(0.0, 0.0, 0.98, half)  # holds both lungs
    view = plane[part.at]
    air = np.maximum(softs[0][part.at], softs[1][part.at])
    lung_hu = dice.between(-880, -760)
    haze = cut("fractal", dice, canvas.height, canvas.width, shift=at)
    value = np.float32(25.0) * haze[part.at]
    value += np.float32(lung_hu)
    value -= np.float32(60) * part.v
    lay(view, air, value)
    near = part.u * part.u
    near += part.v * part.v
    np.sqrt(near, out=near)
    near *= np.float32(1.1)
    np.subtract(np.float32(1.15), near, out=near)
    clipped(near, 0.15, 1.0)
    tree = cut("vessels", dice, canvas.height, canvas.width, 16 * canvas.unit, at)[part.at] * np.float32(1.6)
    twig = cut("vessels", dice, canvas.height, canvas.width, 8 * canvas.unit, at)[part.at] * np.float32(1.2)
    np.maximum(tree, twig, out=tree)
    dots = cut("vessels", dice, canvas.height, canvas.width, 4 * canvas.unit, at)[part.at]
    np.maximum(tree, np.multiply(dots, np.float32(dice.between(0.3, 1.0)), out=twig), out=tree)
    tree *= near
    tree *= np.float32(dice.between(1.0, 2.2))
    clipped(tree)
    tree *= air
    lay(view, tree, 20.0)
    contrast = dice.chance(0.6)
    blood = dice.between(120, 320) if contrast else dice.between(30, 50)
    if heart is not None:
        wall = heart * np.float32(4.0)
        clipped(wall)
        wall *= np.float32(0.85 * (blood - 50.0))
        wall += np.float32(50.0)
        wall += np.float32(8.0) * haze[heart_part.at]
        lay(plane[heart_part.at], cover(heart, heart_r * 0.82 * frame.scale), wall)
        canvas.note_anatomy("heart", heart > 0, 102, at=heart_part.at)
    spine_v = half * dice.between(0.5, 0.6)
    spot(plane, frame, (dice.between(0.1, 0.16), spine_v - dice.between(0.18, 0.24)), (0.075, 0.075), blood)
    if not heart_r:
        spot(plane, frame, (0.03, -0.05), (0.2, 0.085), blood, 0.06)
        spot(plane, frame, (-0.1, -0.2), (0.075, 0.075), blood * 0.9)
    else:
        spot(plane, frame, (-0.07, spine_v - 0.3), (0.04, 0.05), 35.0)
    # The windpipe above, two main bronchi at mid height, neither where the heart is large.
    for sign in (-1.0, 1.0) if 0.3 < level < 0.6 else ((0.0,) if level <= 0.3 else ()):
        spot(plane, frame, (sign * 0.1 - 0.01, spine_v - 0.36), (0.05, 0.05), -980.0)
    spine = spine_axial(plan, canvas, frame, plane, spine_v)
    spot(plane, frame, (0.0, -half * 0.86), (0.1, 0.035), 280.0)
    _table(plan, canvas, frame, plane, half)
    canvas.note_anatomy("spine", spine, 103)
    for index, lung in enumerate(lungs):
        canvas.note_anatomy("lung", lung, 100 + index)
    mm = plan.choice.between(330, 430) / (2 * frame.scale)
    _lung_findings(plan, canvas, frame, plane, lungs, softs, half, mm)
    window = ct_window(plan.pose, ((-600, 1500), (-500, 1600), (40, 400), (40, 400), (-600, 1300), (50, 350)))
    shown = windowed(plan, canvas, plane, window, plan.acquisition.between(6, 35) * (1.0 if window[1] < 800 else 1.5))
    return canvas.truth(grey_bytes(shown), "ct", "axial", "chest", mm, plan.seed, frame)


def _lung_findings(
    plan: Plan, canvas: Canvas, frame: Frame, plane: Field, lungs: list[Mask], soft: list[Field], half: float, mm: float
) -> None:
    choice = plan.choice
    both = np.logical_or.reduce(lungs)
    for index, lung in enumerate(lungs):
        dice = plan.findings[20 + index]
        if choice.chance(0.2) and plan.scales.get(20 + index, 1.0) > 0:
            _pool(canvas, frame, plane, lung, soft[index] > 0, 20 + index, dice, half, plan.scales.get(20 + index, 1.0))
    box = (-0.8, 0.8, -half * 0.8, half * 0.8)
    if choice.chance(0.22):
        lo = 31.0 / mm / 2 / canvas.unit
        patch = seek(plan, canvas, frame, 0, both, box, (lo, lo * 2.0), rough=0.14, cell=0.6, inside=0.7, edge=1.6,
                     tries=14)  # fmt: skip
        if patch is not None:
            dice = plan.findings[0]
            patch = within(patch, both)
            texture = cut("lattice", dice, *patch.cover.shape, key=8)
            lay_patch(plane, patch, np.float32(dice.between(30, 90)) + 12.0 * texture)
            canvas.note("mass", patch, 0)
    for identity in range(4, 4 + choice.count(0.5, 5)):
        patch = seek(plan, canvas, frame, identity, both, box, (2.8, min(11.0, 14.5 / mm / canvas.unit)), rough=0.1,
                     cell=0.8, inside=0.8)  # fmt: skip
        if patch is not None:
            lay_patch(plane, within(patch, both), plan.findings[identity].between(0.0, 110.0))
            canvas.note("nodule", within(patch, both), identity)


def within(patch: Patch, host: Mask) -> Patch:
    """The patch cut to its host."""
    allowed = host[patch.rows, patch.columns]
    return Patch(patch.rows, patch.columns, patch.depth, patch.cover * allowed, patch.mask & allowed, patch.a, patch.b,
                 patch.full_area)  # fmt: skip


def _pool(
    canvas: Canvas, frame: Frame, plane: Field, lung: Mask, around: Mask, identity: int, dice: Dice, half: float,
    scale: float,
) -> None:  # fmt: skip
    """Pleural fluid: lies behind, its surface curved up at the chest wall."""
    level = np.float32(half * (0.62 - dice.between(0.1, 0.5) * scale))
    side = np.abs(frame.u) - np.float32(0.35)
    depth = frame.v - level + side * np.abs(side) * np.float32(dice.between(0.0, 1.2))
    mask = (depth > 0) & lung
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if rows.size < 3 or int(np.count_nonzero(mask)) < 5 * canvas.min_pixels:
        return
    margin = 3
    window = (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + 1 + margin),
    )
    soft = (np.clip(depth[window] * np.float32(frame.scale) + 0.5, 0, 1) * around[window]).astype(np.float32)
    patch = Patch(*window, soft, soft, mask[window], soft, soft, float(mask.sum()))
    lay_patch(plane, patch, dice.between(2.0, 25.0))
    canvas.note("effusion", patch, identity)


def chest_coronal(plan: Plan) -> Truth:
    """A coronal chest slice."""
    canvas = Canvas(plan.size)
    dice = plan.anatomy
    frame = body_frame(plan, canvas, 0.42, 0.015, (1.0, 1.2))
    u, v, at = frame.u, frame.v, frame.origin
    body = np.maximum(ellipse(u, v, 0, 0.35, 0.98, 1.5, power=4), ellipse(u, v, 0, -1.1, 0.22, 0.5, power=4))
    plane = canvas.blank(-1000.0)
    cloud = cut("fractal", dice, canvas.height, canvas.width, shift=at)
    lay(plane, cover(body, frame.scale), -100.0 + 12.0 * cloud)
    wall = body - np.float32(dice.between(0.03, 0.1))
    lay(plane, cover(wall, frame.scale), 45.0 + 10.0 * cloud)
    base, top = dice.between(0.35, 0.6), dice.between(-0.85, -0.7)
    heart = ellipse(u, v, dice.between(0.1, 0.18), base - 0.28, dice.between(0.25, 0.33), 0.26, 0.08)
    middle = ellipse(u, v, 0.0, -0.1, dice.between(0.1, 0.16), 1.3, power=4)
    lungs: list[Mask] = []
    softs: list[Field] = []
    domes: list[Field] = []
    for sign in (-1.0, 1.0):
        across = u - np.float32(sign * 0.36)
        dome = np.float32(base - (0.06 if sign < 0 else 0)) + np.float32(1.1) * across * across
        domes.append(dome)
        shape = ellipse(u, v, sign * 0.42, (top + base) / 2 + 0.15, 0.38, (base - top) / 2 + 0.2)
        shape = np.minimum(np.minimum(shape, dome - v), np.minimum(-heart * 0.3, -middle * 0.15))
        shape = np.minimum(shape, np.float32(sign) * u)
        lungs.append(shape > 0)
        softs.append(cover(shape, 0.4 * frame.scale))
    air = np.maximum(softs[0], softs[1])
    ring = ellipse(u, v, 0, -0.1, 0.86, 1.0)
    ribs = np.clip(wave(v * np.float32(1.0 / 0.2)) * 3 - 1.4, 0, 1) * np.clip(0.05 - np.abs(ring), 0, 0.05) * 20
    lay(plane, np.clip(ribs, 0, 1) * (wall > 0), 380.0)
    blood = dice.between(40, 240)
    lay(plane, cover(middle, 0.13 * frame.scale) * (wall > 0), np.float32(20.0) + 40.0 * cloud)
    liver = np.minimum(ellipse(u, v, -0.3, base + 0.35, 0.62, 0.5), v - domes[0])
    lay(plane, cover(liver, 0.4 * frame.scale) * (wall > 0.02), np.float32(90.0) + 8.0 * cloud)
    lay(plane, cover(heart, 0.26 * frame.scale), np.float32(blood) + 8.0 * cloud)
    lung_hu = dice.between(-880, -770)
    lay(plane, air, np.float32(lung_hu) + 20.0 * cloud)
    near = np.clip(np.float32(1.1) - np.abs(u) - np.abs(v) * np.float32(0.5), 0.1, 1)
    branch = cut("vessels", dice, canvas.height, canvas.width, 16 * canvas.unit, at)
    lay(plane, air * np.clip(branch * near * 2.4, 0, 1), 20.0)
    trachea = ellipse(u, v, 0, -0.75, 0.05, 0.5, power=4)
    lay(plane, cover(trachea, 0.05 * frame.scale) * (wall > 0), -980.0)
    spine = np.float32(1) - np.abs(u) * np.float32(1.0 / 0.13)
    bone = spine > 0
    if dice.chance(0.5):
        discs = np.clip(wave(v * np.float32(1.0 / dice.between(0.16, 0.22))) * 4 + 2.6, 0, 1)
        lay(plane, cover(spine, 0.13 * frame.scale) * (wall > 0), np.float32(60) + discs * np.float32(220))
        canvas.note_anatomy("spine", bone & (wall > 0), 103)
    else:
        canvas.note_anatomy("heart", heart > 0, 102)
    canvas.note_anatomy("liver", (liver > 0) & (wall > 0.02), 104)
    for index, lung in enumerate(lungs):
        canvas.note_anatomy("lung", lung, 100 + index)
    mm = plan.choice.between(330, 430) / (2 * frame.scale)
    _lung_findings(plan, canvas, frame, plane, lungs, softs, 0.9, mm)
    window = ct_window(plan.pose, ((-600, 1500), (40, 400), (-500, 1400)))
    shown = windowed(plan, canvas, plane, window, plan.acquisition.between(6, 35))
    return canvas.truth(grey_bytes(shown), "ct", "coronal", "chest", mm, plan.seed, frame)


def abdomen_axial(plan: Plan) -> Truth:
    """An axial slice through liver and kidneys; the liver (patient's right) is on the picture's left."""
    canvas = Canvas(plan.size)
    dice = plan.anatomy
    half = dice.between(0.64, 0.82)
    frame = body_frame(plan, canvas, 0.45, 0.02, (0.97, 1.03))
    plane, body, cavity, depth_px = torso(plan, canvas, frame, half, dice.between(0.04, 0.2), False)
    u, v, at = body.u, body.v, frame.origin
    whole_cloud = cut("fractal", dice, canvas.height, canvas.width, shift=at)
    view, cloud = plane[body.at], whole_cloud[body.at]
    lay(view, cover(cavity, depth_px), -95.0 + 12.0 * cloud)
    enhanced = dice.chance(0.5)
    inside = (u > -0.15) & (v < 0.25 * half) & (cavity > 0)
    bowel = cut("lattice", dice, canvas.height, canvas.width, 16 * canvas.unit, at)[body.at]
    loops = bowel * np.float32(3.0)
    loops -= np.float32(0.6)
    clipped(loops)
    loops *= inside
    lay(view, loops, 30.0 + 15.0 * cloud)
    gas = bowel * np.float32(4.0)
    gas -= np.float32(5.5)
    clipped(gas)
    gas *= inside & (v < 0.1 * half)
    lay(view, gas, -900.0)
    cavity *= np.float32(2.0)
    spleen = ellipse(u, v, 0.66, half * 0.2, 0.16, half * 0.42, 0.04)
    np.minimum(spleen, cavity, out=spleen)
    lay(view, cover(spleen, 0.16 * frame.scale), dice.between(50.0, 130.0))
    liver_hu = dice.between(90, 130) if enhanced else dice.between(45, 68)
    liver = ellipse(
        u, v, -0.45, -0.06 * half, dice.between(0.42, 0.52), half * dice.between(0.6, 0.72), dice.between(-0.05, 0.05)
    )
    np.maximum(liver, ellipse(u, v, -0.1, -half * 0.42, 0.35, half * 0.25, 0.03), out=liver)
    np.minimum(liver, cavity, out=liver)
    lay(view, cover(liver, 0.35 * frame.scale), np.float32(liver_hu) + 5.0 * cloud)
    tree = cut("vessels", dice, canvas.height, canvas.width, 16 * canvas.unit, at)[body.at] * np.float32(1.5)
    clipped(tree)
    tree *= cover(liver - np.float32(0.15), 0.35 * frame.scale)
    lay(view, tree, liver_hu + (35 if enhanced else -12))
    liver_mask = canvas.whole(body.at, liver > 0)
    kidney_hu = dice.between(140, 210) if enhanced else dice.between(28, 40)
    kidneys: list[Mask] = []
    for sign in (-1.0, 1.0):
        ku, kv = sign * dice.between(0.38, 0.46), half * dice.between(0.32, 0.42)
        size = dice.between(0.15, 0.2)
        part = frame.part(ku, kv, 1.25 * size, 1.25 * size)
        kidney = ellipse(part.u, part.v, ku, kv, size, size * 0.78, sign * dice.between(0.05, 0.15))
        hilum = ellipse(part.u, part.v, ku - sign * size * 0.75, kv - 0.03, size * 0.5, size * 0.36)
        shape = np.minimum(kidney, -hilum * 0.5)
        view = plane[part.at]
        lay(view, cover(kidney + 0.12, size * frame.scale), -90.0)
        medulla = np.clip(kidney * 3 - 1.0, 0, 1) * np.float32(35 if enhanced else 0)
        lay(view, cover(shape, size * frame.scale), np.float32(kidney_hu) - medulla + 5.0 * whole_cloud[part.at])
        kidneys.append(canvas.whole(part.at, shape > 0))
    spine_v = half * dice.between(0.42, 0.5)
    blood = dice.between(130, 260) if enhanced else 40.0
    for sign, r in ((1.0, 0.07), (-1.0, 0.085)):
        spot(
            plane,
            frame,
            (sign * 0.09, spine_v - 0.23),
            (r, r * (1 if sign > 0 else 0.75)),
            blood if sign > 0 else blood * 0.8,
        )
    for sign in (-1.0, 1.0):
        spot(plane, frame, (sign * 0.2, spine_v + 0.03), (0.085, 0.1), 55.0)
    spine = spine_axial(plan, canvas, frame, plane, spine_v)
    _table(plan, canvas, frame, plane, half)
    canvas.note_anatomy("spine", spine, 103)
    canvas.note_anatomy("liver", liver_mask, 104)
    for index, kidney in enumerate(kidneys):
        canvas.note_anatomy("kidney", kidney, 105 + index)
    mm = plan.choice.between(300, 420) / (2 * frame.scale)
    _organ_findings(plan, canvas, frame, plane, liver_mask, kidneys, half, liver_hu, kidney_hu)
    window = ct_window(plan.pose, ((40, 400), (50, 350), (60, 250), (40, 450)))
    shown = windowed(plan, canvas, plane, window, plan.acquisition.between(4, 16))
    return canvas.truth(grey_bytes(shown), "ct", "axial", "abdomen", mm, plan.seed, frame)


def _organ_findings(
    plan: Plan, canvas: Canvas, frame: Frame, plane: Field, liver: Mask, kidneys: list[Mask], half: float,
    liver_hu: float, kidney_hu: float,
) -> None:  # fmt: skip
    choice = plan.choice
    any_kidney = np.logical_or.reduce(kidneys)
    both = any_kidney | liver
    box = (-0.9, 0.6, -0.8 * half, 0.65 * half)
    for identity in range(choice.count(0.72, 2)):
        patch = seek(plan, canvas, frame, identity, liver, box, (8, 22), rough=0.16, cell=0.7, edge=3, inside=0.85)
        if patch is not None:
            dice = plan.findings[identity]
            dark = dice.chance(0.65)
            value = liver_hu - dice.between(55, 75) if dark else liver_hu + dice.between(55, 80)
            texture = cut("lattice", dice, *patch.cover.shape, key=4)
            core = np.clip(patch.depth * 2 - 0.5, 0, 1) * np.float32(dice.between(-25, 5))
            lay_patch(plane, patch, np.float32(value) + core + 8.0 * texture)
            canvas.note("mass", patch, identity)
    for identity in range(4, 4 + choice.count(0.55, 4)):
        patch = seek(plan, canvas, frame, identity, both, box, (3.5, 13), rough=0.03, edge=1.2, inside=0.6)
        if patch is not None:
            lay_patch(plane, patch, plan.findings[identity].between(-15.0, -40.0))
            canvas.note("cyst", patch, identity)
    # Stones are looked for without contrast medium, which would hide them.
    for identity in range(10, 10 + (choice.count(0.45, 4) if kidney_hu < 100 else 0)):
        patch = seek(plan, canvas, frame, identity, any_kidney, (-0.65, 0.65, 0, 0.7 * half), (2.3, 5.0), rough=0.1,
                     edge=1.0, gap=True, tries=24, inside=0.8)  # fmt: skip
        if patch is not None:
            lay_patch(plane, patch, plan.findings[identity].between(450.0, 1100.0))
            canvas.note("stone", patch, identity)

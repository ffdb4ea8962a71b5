"""MR slices: brain (axial, coronal, sagittal; T1, contrast-enhanced T1, T2, FLAIR) and abdomen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.phantoms.acquisition import add_noise, grey_bytes
from vesalius.phantoms.canvas import Canvas, Frame, Part, Plan
from vesalius.phantoms.dice import Dice
from vesalius.phantoms.placing import seek
from vesalius.phantoms.scenes_ct import lay, lay_patch, spine_axial, spot
from vesalius.phantoms.scenes_ct_head import ventricles_axial
from vesalius.phantoms.scenes_xray import body_frame
from vesalius.phantoms.shapes import clipped, cover, ellipse
from vesalius.phantoms.textures import cut
from vesalius.phantoms.truth import Truth

__all__ = ["abdomen_axial_mr", "brain"]

Field = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class _Weighting:
    """Brightness of the tissues, 0…1."""

    fluid: float
    grey: float
    white: float
    fat: float
    muscle: float
    oedema: float
    rim: float
    core: float


_WEIGHTINGS = {
    "t1": _Weighting(0.12, 0.4, 0.62, 0.85, 0.35, 0.4, 0.3, 0.2),
    "t1c": _Weighting(0.12, 0.4, 0.58, 0.8, 0.4, 0.38, 0.98, 0.2),
    "t2": _Weighting(0.95, 0.55, 0.36, 0.6, 0.25, 0.62, 0.3, 1.0),
    "flair": _Weighting(0.08, 0.5, 0.4, 0.5, 0.25, 0.64, 1.0, 0.25),
}


def brain(plan: Plan) -> Truth:
    """A brain slice in a random plane and weighting."""
    canvas = Canvas(plan.size)
    dice = plan.anatomy
    plane_name = dice.pick(("axial", "axial", "coronal", "sagittal"))
    kind = dice.pick(("t1", "t1c", "t1c", "t2", "flair"))
    base = _WEIGHTINGS[kind]
    stretch = {"axial": (1.1, 1.3), "coronal": (0.98, 1.15), "sagittal": (0.82, 0.95)}[plane_name]
    frame = body_frame(plan, canvas, 0.37, 0.018, stretch)
    plane = canvas.blank(0.02)
    texture_at = frame.origin
    whole_cloud = cut("fractal", dice, canvas.height, canvas.width, shift=texture_at)
    # Nothing of the head shows outside its window, nothing of the brain outside that of the vault.
    part = frame.part(*_HEAD_WINDOWS[plane_name])
    head = _head(part, plane_name)
    _scalp(frame, plane, part, head, base, dice, whole_cloud)
    if plane_name != "axial":
        _face(frame, plane, part, plane_name, base, canvas, dice, head)
    vault_part = frame.part(*_VAULT_WINDOWS[plane_name])
    view, cloud = plane[vault_part.at], whole_cloud[vault_part.at]
    vault = _vault(vault_part, plane_name)
    lay(view, cover(vault, frame.scale), 0.05)
    inner = vault
    inner -= np.float32(dice.between(0.05, 0.09))
    lay(view, cover(inner, frame.scale), base.fluid * 0.9)
    cortex = inner - np.float32(dice.between(0.01, 0.035))
    whole_folds = cut("ridges", dice, canvas.height, canvas.width, dice.pick((16, 20, 32)) * canvas.unit, texture_at)
    folds = whole_folds[vault_part.at]
    lay(view, cover(cortex, frame.scale), _matter(inner, folds, cloud, base, dice))
    brain_mask = canvas.whole(vault_part.at, cortex > 0)
    middle = frame.part(0.02, 0.02, 0.62, 0.68)
    ventricle, ganglia = _inside(middle, plane_name, dice)
    if plane_name == "axial" and dice.chance(0.2):
        # A slice above the ventricles.
        ventricle = ganglia = np.full_like(ventricle, -1.0)
    lay(plane[middle.at], cover(ganglia, 6.0) * brain_mask[middle.at], base.grey)
    if plane_name == "sagittal":
        _below(frame, plane, base, dice, canvas)
    if plane_name != "sagittal":
        # The fissure between the halves: a narrow strip.
        fissure = frame.strip(0.0, 0.04)
        gap = np.float32(0.004) * whole_folds[fissure.at]
        gap += np.float32(0.015)
        gap -= np.abs(fissure.u)
        gap *= np.float32(frame.scale)
        v = fissure.v
        far = (np.abs(v) > 0.38) if plane_name == "axial" else (v < -0.32)
        inside = canvas.whole(vault_part.at, inner > 0)[fissure.at]
        lay(plane[fissure.at], clipped(gap) * (far & inside), base.fluid)
    lay(plane[middle.at], cover(ventricle, 0.08 * frame.scale), base.fluid)
    if dice.chance(0.12):
        # Brains are often stored cut free of skull and scalp.
        lay(view, np.float32(1.0) - cover(cortex, frame.scale), 0.0)
        freed = canvas.blank()
        freed[vault_part.at] = view
        plane = freed
    sided = plane_name != "sagittal"
    canvas.note_anatomy("brain", brain_mask, 107, sided=sided)
    canvas.note_anatomy("ventricle", ventricle > 0, 108, sided=sided, at=middle.at)
    _tumours(plan, canvas, frame, plane, brain_mask, base)
    pixels = _receive(plan, canvas, plane)
    mm = plan.choice.between(135, 165) / (2 * frame.scale)
    return canvas.truth(pixels, "mr", plane_name, "head", mm, plan.seed, frame if sided else None)


_HEAD_WINDOWS = {
    "axial": (0.0, 0.0, 1.0, 1.0),
    "coronal": (0.0, 0.4, 1.0, 1.42),
    "sagittal": (-0.04, 0.35, 1.1, 1.42),
}
"""Places (u, v) and half sizes that hold all of the head."""
_VAULT_WINDOWS = {
    "axial": (0.0, 0.0, 0.92, 0.92),
    "coronal": (0.0, -0.08, 0.92, 0.85),
    "sagittal": (0.0, -0.1, 0.97, 0.89),
}
"""The same of the vault of the skull."""


def _head(part: Part, plane_name: str) -> Field:
    u, v = part.u, part.v
    if plane_name == "axial":
        return ellipse(u, v, 0, 0, 1, 1)
    if plane_name == "coronal":
        head = ellipse(u, v, 0, -0.05, 1, 0.95)
        return np.maximum(head, ellipse(u, v, 0, 0.9, 0.62, 0.9, power=4), out=head)
    head = ellipse(u, v, 0, -0.05, 1.05, 1)
    np.maximum(head, ellipse(u, v, -0.35, 0.85, 0.55, 0.9, power=4), out=head)
    return np.maximum(head, ellipse(u, v, -0.95, 0.45, 0.18, 0.14), out=head)


def _vault(part: Part, plane_name: str) -> Field:
    u, v = part.u, part.v
    if plane_name == "axial":
        vault = ellipse(u, v, 0, 0, 1, 1)
        vault -= np.float32(0.09)
        return vault
    return ellipse(u, v, 0, -0.08, 0.91, 0.84) if plane_name == "coronal" else ellipse(u, v, 0, -0.1, 0.96, 0.88)


def _scalp(frame: Frame, plane: Field, part: Part, head: Field, base: _Weighting, dice: Dice, cloud: Field) -> None:
    """Muscle inside the head's outline, fat under it."""
    muscle = np.float32(0.06) * cloud[part.at]
    muscle += np.float32(base.muscle)
    lay(plane[part.at], cover(head, frame.scale), muscle)
    scalp = np.float32(dice.between(0.05, 0.1)) - head
    scalp *= np.float32(0.6 * frame.scale)
    clipped(scalp)
    scalp *= cover(head - np.float32(0.01), frame.scale)
    lay(plane[part.at], scalp, base.fat * dice.between(0.5, 1.1))


def _matter(inner: Field, folds: Field, cloud: Field, base: _Weighting, dice: Dice) -> Field:
    """Grey ribbon, white matter and sulci below depth `inner`."""
    near = np.float32(dice.between(0.25, 0.5)) - inner
    near *= np.float32(5.0)
    clipped(near)
    # Sulci are the crests of one noise, wider towards the surface, lined by cortex on both sides.
    width = clipped(np.float32(0.2) - inner, 0.0, 0.2)
    width *= np.float32(0.12)
    width *= np.float32(5.0)
    np.subtract(np.float32(dice.between(0.86, 0.95)), width, out=width)
    crest = np.subtract(folds, width, out=width)
    sulci = crest * np.float32(9.0)
    clipped(sulci)
    sulci *= near
    cloudy = np.float32(0.02) * cloud
    ribbon = np.float32(0.09) + cloudy
    ribbon -= inner
    ribbon *= np.float32(18.0)
    clipped(ribbon)
    crest += np.float32(dice.between(0.2, 0.35))
    crest *= np.float32(6.0)
    clipped(crest)
    crest *= near
    np.maximum(ribbon, crest, out=ribbon)
    ribbon += np.multiply(np.float32(0.06), cloud, out=cloudy)
    matter = clipped(ribbon)
    matter *= np.float32(base.grey - base.white)
    matter += np.float32(base.white)
    sulci *= np.float32(base.fluid) - matter
    sulci *= np.float32(dice.between(0.5, 0.9))
    matter += sulci
    return matter


def _face(
    frame: Frame,
    plane: Field,
    part: Part,
    plane_name: str,
    base: _Weighting,
    canvas: Canvas,
    dice: Dice,
    head: Field,
) -> None:
    """Air cavity, muscle and fat below the brain; `head` is given in the window `part`."""
    middle = -0.6 if plane_name == "sagittal" else 0.0
    rows, columns = part.at
    nose = frame.part(middle, 0.75, 0.24, 0.15)
    shown = canvas.whole(part.at, head > 0)[nose.at]
    lay(plane[nose.at], cover(ellipse(nose.u, nose.v, middle, 0.75, 0.22, 0.13), 12.0) * shown, 0.04)
    muscles = cut("lattice", dice, canvas.height, canvas.width, 16 * canvas.unit, frame.origin)
    # Only from v = 0.55 downwards.
    first = min(max(rows.start, frame.band(10.55, 10.0).at[0].start), rows.stop)
    below = slice(first, rows.stop), columns
    v, muscles = frame.v[below], muscles[below]
    deep = head[first - rows.start :] > 0.06
    fat = clipped(muscles * np.float32(2.0))
    fat *= deep & (v > 0.55)
    fat *= np.float32(0.5)
    lay(plane[below], fat, base.fat * 0.8)
    dark = -muscles
    dark *= np.float32(3.0)
    dark -= np.float32(2.0)
    clipped(dark)
    dark *= deep & (v > 0.6)
    lay(plane[below], dark, 0.06)


def _below(frame: Frame, plane: Field, base: _Weighting, dice: Dice, canvas: Canvas) -> None:
    """Brain stem, cerebellum and corpus callosum of a sagittal slice."""
    spot(plane, frame, (0.08, 0.62), (0.12, 0.4), base.white * 0.95, 0.03)
    part = frame.part(0.48, 0.5, 0.36, 0.36)
    cerebellum = ellipse(part.u, part.v, 0.48, 0.5, 0.33, 0.24, 0.06)
    leaves = cut("ridges", dice, *part.u.shape, key=4 * canvas.unit)
    shade = np.float32(base.grey) + (leaves - np.float32(0.5)) * np.float32(0.15)
    lay(plane[part.at], cover(cerebellum, 0.24 * frame.scale), shade)
    part = frame.part(0.0, -0.1, 0.53, 0.3)
    band = ellipse(part.u, part.v, 0.0, -0.02, 0.43, 0.25)
    np.negative(band, out=band)
    np.minimum(ellipse(part.u, part.v, 0.0, -0.1, 0.5, 0.28), band, out=band)
    lay(plane[part.at], cover(band, 10.0), base.white * 1.1)


def _inside(part: Part, plane_name: str, dice: Dice) -> tuple[Field, Field]:
    """Depths of the ventricles and of the deep grey matter in a window."""
    u, v = part.u, part.v
    side = np.abs(u)
    if plane_name == "axial":
        return ventricles_axial(part, dice), ellipse(side, v, 0.27, 0.05, 0.12, 0.22, 0.05)
    size = dice.between(0.7, 1.5)
    if plane_name == "coronal":
        horns = ellipse(side, v, 0.13, -0.13, 0.055 * size, 0.17, 0.09)
        third = ellipse(side, v, 0.0, 0.1, 0.022 * size, 0.13)
        return np.maximum(horns, third), ellipse(side, v, 0.3, 0.08, 0.13, 0.17, -0.05)
    arch = ellipse(u, v, 0.05, -0.06, 0.38, 0.2 * size**0.5)
    ventricle = np.minimum(arch, -ellipse(u, v, 0.08, 0.06, 0.36, 0.22 - 0.03 * (size - 1)))
    return ventricle, ellipse(u, v, 0.05, 0.12, 0.2, 0.13)


def _tumours(plan: Plan, canvas: Canvas, frame: Frame, plane: Field, brain_mask: Mask, base: _Weighting) -> None:
    for identity in range(plan.choice.count(0.45, 2)):
        patch = seek(plan, canvas, frame, identity, brain_mask, (-0.75, 0.75, -0.8, 0.7), (6, 27), rough=0.17, cell=0.7,
                     edge=1.8, inside=0.85)  # fmt: skip
        if patch is None:
            continue
        dice = plan.findings[identity]
        part = plane[patch.rows, patch.columns]
        texture = cut("lattice", dice, *part.shape, key=8)
        bed = np.clip(1.0 + patch.depth * np.float32(dice.between(1.2, 3.0)) + 0.2 * texture, 0, 1)
        bed = bed * brain_mask[patch.rows, patch.columns] * np.float32(0.85 if dice.chance(0.7) else 0.0)
        part += bed * (np.float32(base.oedema) - part)
        kind = dice.pick(("ring", "ring", "solid", "core"))
        if kind == "ring":
            width = dice.between(0.18, 0.4)
            ring = np.clip((np.float32(width) - patch.depth + 0.1 * texture) * 7, 0, 1)
            value = np.float32(base.core) + ring * np.float32(base.rim - base.core)
        elif kind == "solid":
            value = np.float32(base.rim) + 0.07 * texture
        else:
            value = np.float32(base.core) + 0.05 * texture
        around = level(part, (patch.depth < -0.03) & (patch.depth > -0.4))
        gap = level(value, patch.mask) - around
        if abs(gap) < 0.25 and kind != "ring":
            value = value + np.float32((0.3 if around < 0.5 else -0.33) - gap)
        lay_patch(plane, patch, value)
        canvas.note("tumour", patch, identity)


def level(values: Field, where: Mask) -> float:
    """Mean of 0…1 values, summed as integers so that it is alike on every machine; 0 for none."""
    chosen = (values[where] * np.float32(4096.0)).astype(np.int64)
    return int(chosen.sum()) / (4096.0 * chosen.size) if chosen.size else 0.0


def _receive(plan: Plan, canvas: Canvas, plane: Field) -> NDArray[np.uint8]:
    """Coil bias, gain, Rician-like noise."""
    dice = plan.acquisition
    bias = cut("lattice", dice, canvas.height, canvas.width, 128)
    slope = canvas.xs * np.float32(dice.between(-0.3, 0.3) / canvas.width)
    bias = np.float32(dice.between(0.02, 0.12)) * bias
    bias += np.float32(1.0)
    bias += slope
    plane *= bias
    plane *= np.float32(dice.between(0.75, 1.15))
    sigma = dice.between(0.008, 0.035)
    add_noise(plane, canvas, dice, sigma)
    np.abs(plane, out=plane)
    plane += np.float32(dice.between(0.0, 0.03))
    return grey_bytes(plane)


def abdomen_axial_mr(plan: Plan) -> Truth:
    """An axial abdominal MR slice with liver, kidneys and their cysts and masses."""
    canvas = Canvas(plan.size)
    dice = plan.anatomy
    half = dice.between(0.62, 0.78)
    t2 = dice.chance(0.6)
    frame = body_frame(plan, canvas, 0.43, 0.02, (0.97, 1.03))
    at = frame.origin
    whole_cloud = cut("fractal", dice, canvas.height, canvas.width, shift=at)
    plane = canvas.blank(0.02)
    # The body's window holds all that is drawn below.
    part = frame.part(0.0, 0.0, 1.0, half)
    u, v, view, cloud = part.u, part.v, plane[part.at], whole_cloud[part.at]
    depth_px = half * frame.scale
    body = ellipse(u, v, 0, 0, 1, half, power=4)
    lay(view, cover(body, depth_px), np.float32(dice.between(0.6, 0.9)) + np.float32(0.05) * cloud)
    wall = body
    wall -= np.float32(dice.between(0.05, 0.16))
    lay(view, cover(wall, depth_px), 0.22 + 0.04 * cloud)
    cavity = wall - np.float32(0.09)
    lay(view, cover(cavity, depth_px), np.float32(dice.between(0.45, 0.75)) + np.float32(0.08) * cloud)
    loops = cut("lattice", dice, canvas.height, canvas.width, 16 * canvas.unit, at)[part.at] * np.float32(3.0)
    loops -= np.float32(0.6)
    clipped(loops)
    loops *= (u > -0.1) & (v < 0.25 * half) & (cavity > 0)
    lay(view, loops, np.float32(0.35) + np.float32(0.2) * cloud)
    cavity *= np.float32(2.0)
    liver_value = dice.between(0.25, 0.35) if t2 else dice.between(0.45, 0.55)
    liver = ellipse(u, v, -0.45, -0.05 * half, 0.47, half * 0.68, dice.between(-0.05, 0.05))
    np.minimum(liver, cavity, out=liver)
    lay(view, cover(liver, 0.4 * frame.scale), np.float32(liver_value) + np.float32(0.02) * cloud)
    spleen = ellipse(u, v, 0.66, half * 0.15, 0.16, half * 0.4, 0.04)
    np.minimum(spleen, cavity, out=spleen)
    lay(view, cover(spleen, 0.16 * frame.scale), 0.5 if t2 else 0.35)
    spine = spine_axial(plan, canvas, frame, np.zeros_like(plane), half * 0.45)
    back = frame.part(0.0, half * 0.45 + 0.14, 0.4, 0.45)  # may reach out of the body
    lay(plane[back.at], spine[back.at].astype(np.float32), 0.4 + 0.05 * whole_cloud[back.at])
    spot(plane, frame, (0.09, half * 0.45 - 0.23), (0.07, 0.07), 0.05 if t2 else 0.8)
    kidneys: list[Mask] = []
    for sign in (-1.0, 1.0):
        size = dice.between(0.15, 0.19)
        around = frame.part(sign * 0.42, half * 0.38, 1.2 * size, 1.2 * size)
        kidney = ellipse(around.u, around.v, sign * 0.42, half * 0.38, size, size * 0.78, sign * 0.1)
        lay(plane[around.at], cover(kidney, size * frame.scale), 0.6 if t2 else 0.4)
        kidneys.append(canvas.whole(around.at, kidney > 0))
        canvas.note_anatomy("kidney", kidney > 0, 105 + int(sign > 0), at=around.at)
    liver_mask = canvas.whole(part.at, liver > 0)
    canvas.note_anatomy("liver", liver_mask, 104)
    canvas.note_anatomy("spine", spine, 103)
    both = np.logical_or.reduce([*kidneys, liver_mask])
    box = (-0.9, 0.65, -0.8 * half, 0.7 * half)
    for identity in range(plan.choice.count(0.6, 2)):
        patch = seek(plan, canvas, frame, identity, liver_mask, box, (8, 22), rough=0.16, cell=0.7, edge=3, inside=0.85)
        if patch is not None:
            shade = plan.findings[identity].between(0.25, 0.35)
            texture = cut("lattice", plan.findings[identity], *patch.cover.shape, key=4)
            lay_patch(plane, patch, np.float32(liver_value + (shade if t2 else -shade)) + np.float32(0.04) * texture)
            canvas.note("mass", patch, identity)
    for identity in range(4, 4 + plan.choice.count(0.55, 4)):
        patch = seek(plan, canvas, frame, identity, both, box, (3.5, 13), rough=0.03, inside=0.7)
        if patch is not None:
            lay_patch(plane, patch, 1.0 if t2 else 0.04)
            canvas.note("cyst", patch, identity)
    mm = plan.choice.between(300, 420) / (2 * frame.scale)
    return canvas.truth(_receive(plan, canvas, plane), "mr", "axial", "abdomen", mm, plan.seed, frame)

"""MR slices: brain (axial, coronal, sagittal; T1, contrast-enhanced T1, T2, FLAIR) and abdomen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.phantoms.acquisition import add_noise, grey_bytes
from vesalius.phantoms.canvas import Canvas, Frame, Plan
from vesalius.phantoms.dice import Dice
from vesalius.phantoms.placing import seek
from vesalius.phantoms.scenes_ct import lay, lay_patch, spine_axial, spot, ventricles_axial
from vesalius.phantoms.scenes_xray import body_frame
from vesalius.phantoms.shapes import cover, ellipse
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


def _at(frame: Frame) -> tuple[int, int]:
    return round(frame.y), round(frame.x)


def brain(plan: Plan) -> Truth:
    """A brain slice in a random plane and weighting."""
    canvas = Canvas(plan.size)
    dice = plan.anatomy
    plane_name = dice.pick(("axial", "axial", "coronal", "sagittal"))
    kind = dice.pick(("t1", "t1c", "t1c", "t2", "flair"))
    base = _WEIGHTINGS[kind]
    stretch = {"axial": (1.1, 1.3), "coronal": (0.98, 1.15), "sagittal": (0.82, 0.95)}[plane_name]
    frame = body_frame(plan, canvas, 0.37, 0.018, stretch)
    at = _at(frame)
    cloud = cut("fractal", dice, canvas.height, canvas.width, shift=at)
    plane = canvas.blank(0.02)
    head, vault = _outline(frame, plane_name)
    lay(plane, cover(head, frame.scale), np.float32(base.muscle) + np.float32(0.06) * cloud)
    scalp = np.clip((np.float32(dice.between(0.05, 0.1)) - head) * np.float32(0.6 * frame.scale), 0, 1)
    lay(plane, scalp * cover(head - 0.01, frame.scale), base.fat * dice.between(0.5, 1.1))
    if plane_name != "axial":
        _face(frame, plane, plane_name, base, canvas, dice, head)
    lay(plane, cover(vault, frame.scale), 0.05)
    inner = vault - np.float32(dice.between(0.05, 0.09))
    lay(plane, cover(inner, frame.scale), base.fluid * 0.9)
    cortex = inner - np.float32(dice.between(0.01, 0.035))
    folds = cut("ridges", dice, canvas.height, canvas.width, dice.pick((16, 20, 32)) * canvas.unit, at)
    reach = np.float32(dice.between(0.25, 0.5)) - inner
    near = np.clip(reach * 5, 0, 1)
    # Sulci are the crests of one noise, wider towards the surface, lined by cortex on both sides.
    width = np.float32(dice.between(0.86, 0.95)) - np.float32(0.12) * np.clip(np.float32(0.2) - inner, 0, 0.2) * 5
    sulci = np.clip((folds - width) * 9, 0, 1) * near
    ribbon = np.clip((np.float32(0.09) + np.float32(0.02) * cloud - inner) * 18, 0, 1)
    ribbon = np.maximum(ribbon, np.clip((folds - width + np.float32(dice.between(0.2, 0.35))) * 6, 0, 1) * near)
    ribbon = np.clip(ribbon + np.float32(0.06) * cloud, 0, 1)
    matter = np.float32(base.white) + ribbon * np.float32(base.grey - base.white)
    matter += sulci * (np.float32(base.fluid) - matter) * np.float32(dice.between(0.5, 0.9))
    lay(plane, cover(cortex, frame.scale), matter)
    ventricle, ganglia = _inside(frame, plane_name, dice)
    if plane_name == "axial" and dice.chance(0.2):
        # A slice above the ventricles.
        ventricle = ganglia = canvas.blank(-1.0)
    lay(plane, cover(ganglia, 6.0) * (cortex > 0), base.grey)
    if plane_name == "sagittal":
        _below(frame, plane, base, dice, canvas)
    if plane_name != "sagittal":
        gap = np.clip((np.float32(0.015) + np.float32(0.004) * folds - np.abs(frame.u)) * np.float32(frame.scale), 0, 1)
        far = (np.abs(frame.v) > 0.38) if plane_name == "axial" else (frame.v < -0.32)
        lay(plane, gap * far * (inner > 0), base.fluid)
    lay(plane, cover(ventricle, 0.08 * frame.scale), base.fluid)
    if dice.chance(0.12):
        # Brains are often stored cut free of skull and scalp.
        lay(plane, np.float32(1.0) - cover(cortex, frame.scale), 0.0)
    sided = plane_name != "sagittal"
    canvas.note_anatomy("brain", cortex > 0, 107, sided=sided)
    canvas.note_anatomy("ventricle", ventricle > 0, 108, sided=sided)
    _tumours(plan, canvas, frame, plane, cortex, base)
    pixels = _receive(plan, canvas, plane)
    mm = plan.choice.between(135, 165) / (2 * frame.scale)
    return canvas.truth(pixels, "mr", plane_name, "head", mm, plan.seed, frame if sided else None)


def _outline(frame: Frame, plane_name: str) -> tuple[Field, Field]:
    u, v = frame.u, frame.v
    if plane_name == "axial":
        head = ellipse(u, v, 0, 0, 1, 1)
        return head, head - np.float32(0.09)
    if plane_name == "coronal":
        head = np.maximum(ellipse(u, v, 0, -0.05, 1, 0.95), ellipse(u, v, 0, 0.9, 0.62, 0.9, power=4))
        return head, ellipse(u, v, 0, -0.08, 0.91, 0.84)
    head = np.maximum(ellipse(u, v, 0, -0.05, 1.05, 1), ellipse(u, v, -0.35, 0.85, 0.55, 0.9, power=4))
    head = np.maximum(head, ellipse(u, v, -0.95, 0.45, 0.18, 0.14))
    return head, ellipse(u, v, 0, -0.1, 0.96, 0.88)


def _face(
    frame: Frame, plane: Field, plane_name: str, base: _Weighting, canvas: Canvas, dice: Dice, head: Field
) -> None:
    u, v = frame.u, frame.v
    middle = -0.6 if plane_name == "sagittal" else 0.0
    cavity = ellipse(u, v, middle, 0.75, 0.22, 0.13)
    lay(plane, cover(cavity, 12.0) * (head > 0), 0.04)
    muscles = cut("lattice", dice, canvas.height, canvas.width, 16 * canvas.unit, _at(frame))
    lay(plane, np.clip(muscles * 2, 0, 1) * (v > 0.55) * (head > 0.06) * np.float32(0.5), base.fat * 0.8)
    lay(plane, np.clip(-muscles * 3 - 2, 0, 1) * (v > 0.6) * (head > 0.06), 0.06)


def _below(frame: Frame, plane: Field, base: _Weighting, dice: Dice, canvas: Canvas) -> None:
    """Brain stem, cerebellum and corpus callosum of a sagittal slice."""
    u, v = frame.u, frame.v
    spot(plane, frame, (0.08, 0.62), (0.12, 0.4), base.white * 0.95, 0.03)
    part = frame.part(0.48, 0.5, 0.36, 0.36)
    cerebellum = ellipse(part.u, part.v, 0.48, 0.5, 0.33, 0.24, 0.06)
    leaves = cut("ridges", dice, *part.u.shape, key=4 * canvas.unit)
    shade = np.float32(base.grey) + (leaves - np.float32(0.5)) * np.float32(0.15)
    lay(plane[part.at], cover(cerebellum, 0.24 * frame.scale), shade)
    band = np.minimum(ellipse(u, v, 0.0, -0.1, 0.5, 0.28), -ellipse(u, v, 0.0, -0.02, 0.43, 0.25))
    lay(plane, cover(band, 10.0), base.white * 1.1)


def _inside(frame: Frame, plane_name: str, dice: Dice) -> tuple[Field, Field]:
    u, v = frame.u, frame.v
    side = np.abs(u)
    if plane_name == "axial":
        return ventricles_axial(frame, dice), ellipse(side, v, 0.27, 0.05, 0.12, 0.22, 0.05)
    size = dice.between(0.7, 1.5)
    if plane_name == "coronal":
        horns = ellipse(side, v, 0.13, -0.13, 0.055 * size, 0.17, 0.09)
        third = ellipse(side, v, 0.0, 0.1, 0.022 * size, 0.13)
        return np.maximum(horns, third), ellipse(side, v, 0.3, 0.08, 0.13, 0.17, -0.05)
    arch = ellipse(u, v, 0.05, -0.06, 0.38, 0.2 * size**0.5)
    ventricle = np.minimum(arch, -ellipse(u, v, 0.08, 0.06, 0.36, 0.22 - 0.03 * (size - 1)))
    return ventricle, ellipse(u, v, 0.05, 0.12, 0.2, 0.13)


def _tumours(plan: Plan, canvas: Canvas, frame: Frame, plane: Field, cortex: Field, base: _Weighting) -> None:
    brain_mask = cortex > 0
    for identity in range(plan.choice.count(0.45, 2)):
        patch = seek(plan, canvas, frame, identity, brain_mask, (-0.75, 0.75, -0.8, 0.7), (6, 27), rough=0.17, cell=0.7,
                     edge=1.8, inside=0.85)  # fmt: skip
        if patch is None:
            continue
        dice = plan.findings[identity]
        part = plane[patch.rows, patch.columns]
        texture = cut("lattice", dice, *part.shape, key=8)
        bed = np.clip(1.0 + patch.depth * np.float32(dice.between(1.2, 3.0)) + 0.2 * texture, 0, 1)
        bed = bed * (cortex[patch.rows, patch.columns] > 0) * np.float32(0.85 if dice.chance(0.7) else 0.0)
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
    plane *= np.float32(1.0) + np.float32(dice.between(0.02, 0.12)) * bias + slope
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
    u, v, at = frame.u, frame.v, _at(frame)
    cloud = cut("fractal", dice, canvas.height, canvas.width, shift=at)
    body = ellipse(u, v, 0, 0, 1, half, power=4)
    plane = canvas.blank(0.02)
    lay(plane, cover(body, half * frame.scale), np.float32(dice.between(0.6, 0.9)) + np.float32(0.05) * cloud)
    wall = body - np.float32(dice.between(0.05, 0.16))
    lay(plane, cover(wall, half * frame.scale), 0.22 + 0.04 * cloud)
    cavity = wall - np.float32(0.09)
    lay(plane, cover(cavity, half * frame.scale), np.float32(dice.between(0.45, 0.75)) + np.float32(0.08) * cloud)
    bowel = cut("lattice", dice, canvas.height, canvas.width, 16 * canvas.unit, at)
    loops = np.clip(bowel * 3 - 0.6, 0, 1) * (u > -0.1) * (v < 0.25 * half) * (cavity > 0)
    lay(plane, loops.astype(np.float32), np.float32(0.35) + np.float32(0.2) * cloud)
    liver_value = dice.between(0.25, 0.35) if t2 else dice.between(0.45, 0.55)
    liver = ellipse(u, v, -0.45, -0.05 * half, 0.47, half * 0.68, dice.between(-0.05, 0.05))
    liver = np.minimum(liver, cavity * 2)
    lay(plane, cover(liver, 0.4 * frame.scale), np.float32(liver_value) + np.float32(0.02) * cloud)
    spleen = np.minimum(ellipse(u, v, 0.66, half * 0.15, 0.16, half * 0.4, 0.04), cavity * 2)
    lay(plane, cover(spleen, 0.16 * frame.scale), 0.5 if t2 else 0.35)
    spine = spine_axial(plan, canvas, frame, np.zeros_like(plane), half * 0.45)
    lay(plane, spine.astype(np.float32), 0.4 + 0.05 * cloud)
    spot(plane, frame, (0.09, half * 0.45 - 0.23), (0.07, 0.07), 0.05 if t2 else 0.8)
    kidneys: list[Mask] = []
    for sign in (-1.0, 1.0):
        size = dice.between(0.15, 0.19)
        kidney = ellipse(u, v, sign * 0.42, half * 0.38, size, size * 0.78, sign * 0.1)
        lay(plane, cover(kidney, size * frame.scale), 0.6 if t2 else 0.4)
        kidneys.append(kidney > 0)
        canvas.note_anatomy("kidney", kidney > 0, 105 + int(sign > 0))
    canvas.note_anatomy("liver", liver > 0, 104)
    canvas.note_anatomy("spine", spine, 103)
    both = np.logical_or.reduce([*kidneys, liver > 0])
    box = (-0.9, 0.65, -0.8 * half, 0.7 * half)
    for identity in range(plan.choice.count(0.6, 2)):
        patch = seek(plan, canvas, frame, identity, liver > 0, box, (8, 22), rough=0.16, cell=0.7, edge=3, inside=0.85)
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

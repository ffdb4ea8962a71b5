"""CT slices of the head in Hounsfield units: axial and sagittal, with bleeds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.phantoms.acquisition import grey_bytes
from vesalius.phantoms.canvas import Canvas, Frame, Part, Plan
from vesalius.phantoms.dice import Dice
from vesalius.phantoms.placing import seek
from vesalius.phantoms.scenes_ct import ct_window, lay, lay_patch, soft_line, spot, windowed
from vesalius.phantoms.scenes_xray import body_frame
from vesalius.phantoms.shapes import clipped, cover, ellipse
from vesalius.phantoms.textures import cut
from vesalius.phantoms.truth import Truth

__all__ = ["head_axial", "head_sagittal", "ventricles_axial"]

Field = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]


def _brain_window(plan: Plan) -> tuple[float, float]:
    return ct_window(plan.pose, ((40, 80), (35, 90), (50, 130), (75, 215)))


def head_axial(plan: Plan) -> Truth:
    """An axial head slice: skull, brain, ventricles, bright haemorrhages."""
    canvas = Canvas(plan.size)
    dice = plan.anatomy
    frame = body_frame(plan, canvas, 0.36, 0.015, (1.12, 1.28))
    at = frame.origin
    skull = dice.between(0.05, 0.11)
    part = frame.part(0.0, 0.0, 1.0, 1.0)  # nothing is drawn outside the head
    cloud = cut("fractal", dice, canvas.height, canvas.width, shift=at)[part.at]
    plane = canvas.blank(-1000.0)
    view = plane[part.at]
    head = ellipse(part.u, part.v, 0, 0, 1, 1)
    lay(view, cover(head, frame.scale), 20.0 + 30.0 * cloud)
    outer = head
    outer -= np.float32(dice.between(0.03, 0.07))
    lay(view, cover(outer, frame.scale), 1000.0 - 250.0 * cloud)
    inner = outer
    inner -= np.float32(skull)
    lay(view, cover(inner, frame.scale), 8.0)
    folds = cut("ridges", dice, canvas.height, canvas.width, 16 * canvas.unit, at)[part.at]
    cortex = inner - np.float32(0.02)
    lay(view, cover(cortex, frame.scale), _brain_matter(inner, folds, cloud, dice.between(0.85, 0.95), 0.22))
    for sign in (-1.0, 1.0):
        spot(plane, frame, (sign * 0.27, 0.05), (0.13, 0.22), 36.0, sign * 0.05)
    strip = frame.strip(0.0, 0.02)
    falx = soft_line(strip.u, 0.012, frame.scale)
    falx *= (np.abs(strip.v) > 0.35) & canvas.whole(part.at, inner > 0)[strip.at]
    lay(plane[strip.at], falx, 55.0)
    middle = frame.part(0.02, 0.02, 0.62, 0.68)
    ventricle = np.full_like(middle.u, -1.0) if dice.chance(0.2) else ventricles_axial(middle, dice)
    lay(plane[middle.at], cover(ventricle, 0.1 * frame.scale), 6.0)
    canvas.note_anatomy("brain", cortex > 0, 107, at=part.at)
    canvas.note_anatomy("ventricle", ventricle > 0, 108, at=middle.at)
    _bleeds(plan, canvas, frame, plane, canvas.whole(part.at, inner > 0.02), canvas.whole(part.at, cortex > 0.03))
    mm = plan.choice.between(135, 165) / (2 * frame.scale)
    shown = windowed(plan, canvas, plane, _brain_window(plan), plan.acquisition.between(1.5, 5.5))
    return canvas.truth(grey_bytes(shown), "ct", "axial", "head", mm, plan.seed, frame)


def _brain_matter(inner: Field, folds: Field, cloud: Field, crest: float, reach: float) -> Field:
    """HU of grey and white matter below depth `inner`, darker in sulci: folds above `crest`, less deep than `reach`."""
    sulci = folds - np.float32(crest)
    sulci *= np.float32(14.0)
    clipped(sulci)
    near = np.float32(reach) - inner
    near *= np.float32(12.0)
    sulci *= clipped(near)
    sulci *= np.float32(22.0)
    grey = np.float32(0.05) * cloud
    grey += np.float32(0.16)
    grey -= inner
    grey *= np.float32(14.0)
    clipped(grey)
    grey *= np.float32(9.0)
    grey += np.float32(27.0)
    grey -= sulci
    return grey


def ventricles_axial(part: Part, dice: Dice) -> Field:
    """Depth of paired lateral ventricles and the third ventricle between them, in a window that holds them."""
    side, v = np.abs(part.u), part.v
    size = dice.between(0.7, 1.5)
    depth = ellipse(side, v, 0.1 + 0.03 * size, -0.22, 0.06 * size, 0.2, -0.05)
    np.maximum(depth, ellipse(side, v, 0.15 + 0.05 * size, 0.3, 0.065 * size, 0.22, 0.06), out=depth)
    if dice.chance(0.5):
        third = ellipse(side, v, 0.08 + 0.03 * size, 0.03, 0.05 * size, 0.25)
    else:
        third = ellipse(side, v, 0.0, 0.05, 0.025 * size, 0.14)
    return np.maximum(depth, third, out=depth)


def _bleeds(plan: Plan, canvas: Canvas, frame: Frame, plane: Field, inside: Mask, brain: Mask) -> None:
    for identity in range(plan.choice.count(0.45, 3)):
        patch = seek(plan, canvas, frame, identity, brain, (-0.8, 0.8, -0.8, 0.8), (4, 19), rough=0.18, cell=0.7,
                     edge=2.0, elongation=2.0)  # fmt: skip
        if patch is not None:
            dice = plan.findings[identity]
            swelling = np.clip(1.0 + (patch.depth - 0.0) * 3.0, 0, 1)
            part = plane[patch.rows, patch.columns]
            part -= swelling * np.float32(dice.between(0, 10)) * inside[patch.rows, patch.columns]
            lay_patch(plane, patch, np.float32(dice.between(66, 85)) + 3.0 * cut("lattice", dice, *part.shape, key=4))
            canvas.note("haemorrhage", patch, identity)


def head_sagittal(plan: Plan) -> Truth:
    """A sagittal (no sides) or coronal head slice."""
    canvas = Canvas(plan.size)
    dice = plan.anatomy
    coronal = dice.chance(0.5)
    frame = body_frame(plan, canvas, 0.36, 0.02, (1.0, 1.12) if coronal else (0.85, 0.95))
    u, v, at = frame.u, frame.v, frame.origin
    cloud = cut("fractal", dice, canvas.height, canvas.width, shift=at)
    head = np.maximum(
        ellipse(u, v, 0, -0.1, 1, 0.95), ellipse(u, v, -0.25 if not coronal else 0, 0.7, 0.6, 0.9, power=4)
    )
    plane = canvas.blank(-1000.0)
    lay(plane, cover(head, frame.scale), 25.0 + 30.0 * cloud)
    vault = ellipse(u, v, 0, -0.12, 0.93, 0.86)
    lay(plane, cover(vault, frame.scale), 1000.0 - 250.0 * cloud)
    inner = vault - np.float32(dice.between(0.06, 0.1))
    face = ellipse(u, v, -0.55 if not coronal else 0, 0.85, 0.3, 0.3)
    lay(
        plane,
        np.clip(cut("ridges", dice, canvas.height, canvas.width, 16, at) * 4 - 2.6, 0, 1)
        * (face > -0.5)
        * (vault < 0)
        * (head > 0.05),
        600.0,
    )
    lay(plane, cover(ellipse(u, v, -0.5 if not coronal else 0, 0.75, 0.13, 0.16), 10.0), -900.0)
    lay(plane, cover(inner, frame.scale), 8.0)
    cortex = inner - np.float32(0.02)
    folds = cut("ridges", dice, canvas.height, canvas.width, 16 * canvas.unit, at)
    lay(plane, cover(cortex, frame.scale), _brain_matter(inner, folds, cloud, 0.88, 0.3))
    if coronal:
        ventricle = ellipse(np.abs(u), v, 0.14, -0.12, 0.07, 0.17, 0.08)
    else:
        ventricle = np.minimum(ellipse(u, v, 0.05, -0.1, 0.42, 0.2), -ellipse(u, v, 0.05, 0.0, 0.36, 0.17))
    lay(plane, cover(ventricle, 8.0), 6.0)
    canvas.note_anatomy("brain", cortex > 0, 107, sided=coronal)
    canvas.note_anatomy("ventricle", ventricle > 0, 108, sided=coronal)
    _bleeds(plan, canvas, frame, plane, inner > 0.02, cortex > 0.03)
    mm = plan.choice.between(135, 165) / (2 * frame.scale)
    shown = windowed(plan, canvas, plane, _brain_window(plan), plan.acquisition.between(1.5, 5.5))
    plane_name = "coronal" if coronal else "sagittal"
    return canvas.truth(grey_bytes(shown), "ct", plane_name, "head", mm, plan.seed, frame if coronal else None)

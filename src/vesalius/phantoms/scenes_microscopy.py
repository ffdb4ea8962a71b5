"""Microscopy: stained tissue, fluorescence and phase contrast, with cells to count and debris that is none."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.phantoms.acquisition import colour_bytes, tint
from vesalius.phantoms.canvas import Canvas, Frame, Plan
from vesalius.phantoms.placing import plain_frame, seek
from vesalius.phantoms.scenes_surface import Colour, expose, mixed, painted
from vesalius.phantoms.shapes import Patch
from vesalius.phantoms.textures import cut
from vesalius.phantoms.truth import Truth

__all__ = ["microscopy"]

Field = NDArray[np.floating[Any]]


def microscopy(plan: Plan) -> Truth:
    """One field of view with 0–10 cells and some debris."""
    canvas = Canvas(plan.size)
    dice = plan.anatomy
    frame = plain_frame(plan, canvas)
    kind = dice.pick(("stain", "stain", "fluorescence", "phase"))
    cloud = cut("fractal", dice, canvas.height, canvas.width)
    if kind == "stain":
        ground = mixed((0.95, 0.78, 0.86), (0.9, 0.88, 0.92), dice.unit())
        planes = painted(canvas, ground, np.float32(1) + np.float32(0.03) * cloud)
        fibres = cut("ridges", dice, canvas.height, canvas.width, dice.pick((16, 32)) * canvas.unit)
        weave = np.clip((fibres - 0.7) * 2, 0, 1) * np.float32(dice.between(0.0, 0.5))
        tint(planes, slice(0, canvas.height), slice(0, canvas.width), weave, (0.88, 0.55, 0.7))
        nucleus = mixed((0.38, 0.2, 0.52), (0.25, 0.18, 0.45), dice.unit())
    elif kind == "fluorescence":
        glow = np.float32(dice.between(0.01, 0.06)) * (np.float32(1.5) + cloud)
        nucleus = dice.pick(((0.15, 0.35, 1.0), (0.15, 0.95, 0.3), (1.0, 0.25, 0.2), (0.9, 0.9, 0.25)))
        planes = painted(canvas, nucleus, np.clip(glow, 0, 1))
    else:
        grey = dice.between(0.42, 0.62)
        planes = painted(
            canvas, (grey, grey * dice.between(0.97, 1.0), grey * dice.between(0.92, 1.0)), 1 + 0.03 * cloud
        )
        nucleus = (grey * 0.6, grey * 0.6, grey * 0.6)
    size = dice.between(4.5, 11.0)
    box = (-1.12, 1.12, -1.12, 1.12)
    for identity in range(12, 12 + plan.choice.count(0.4, 5)):
        _debris(plan, canvas, frame, planes, identity, size, kind)
    for identity in range(plan.choice.count(0.41, 10)):
        patch = seek(plan, canvas, frame, identity, None, box, (size, size * 1.9), rough=0.06, elongation=1.7, edge=1.5)
        if patch is not None:
            _cell(plan, planes, patch, identity, kind, nucleus)
            canvas.note("cell", patch, identity, sided=False)
    expose(plan, canvas, planes)
    spacing = plan.choice.between(0.0003, 0.0012) / canvas.unit
    return canvas.truth(colour_bytes(planes), "microscopy", "none", "tissue", spacing, plan.seed)


def _cell(plan: Plan, planes: Field, patch: Patch, identity: int, kind: str, colour: Colour) -> None:
    dice = plan.findings[identity]
    shape = patch.cover.shape
    chromatin = cut("lattice", dice, *shape, key=4)
    if kind == "stain":
        # The whole cell is the object: pale cytoplasm with a dark nucleus, or a naked nucleus.
        if dice.chance(0.5):
            tint(
                planes, patch.rows, patch.columns, patch.cover, mixed((0.78, 0.5, 0.72), (0.7, 0.45, 0.7), dice.unit())
            )
            core = np.clip((patch.depth - np.float32(dice.between(0.3, 0.5))) * 6 + 0.5, 0, 1)
        else:
            core = patch.cover
        shade = np.clip(np.float32(0.85) + np.float32(0.12) * chromatin, 0.5, 1) * core
        tint(planes, patch.rows, patch.columns, shade.astype(np.float32), colour)
    elif kind == "fluorescence":
        level = dice.between(0.45, 1.0)
        glow = np.clip(np.sqrt(np.clip(patch.depth, 0, 1)) * np.float32(0.6) + np.float32(0.5) + 0.1 * chromatin, 0, 1)
        for plane, value in zip(planes, colour, strict=True):
            part = plane[patch.rows, patch.columns]
            part += patch.cover * (glow * np.float32(value * level) - part)
    else:
        halo = np.clip(1 - np.abs(patch.depth + 0.1) * 8, 0, 1) * np.float32(0.5)
        tint(planes, patch.rows, patch.columns, halo, (0.95, 0.95, 0.92))
        body = patch.cover * np.clip(np.float32(0.75) + np.float32(0.15) * chromatin, 0.4, 1)
        tint(planes, patch.rows, patch.columns, body.astype(np.float32), colour)
        dot = np.clip(1 - np.sqrt((patch.a - np.float32(0.2)) ** 2 + patch.b**2) * 4, 0, 1)
        tint(planes, patch.rows, patch.columns, dot, (0.2, 0.2, 0.2))


def _debris(plan: Plan, canvas: Canvas, frame: Frame, planes: Field, identity: int, size: float, kind: str) -> None:
    """Squares, shards and threads that must not be counted as cells."""
    box = (-1.1, 1.1, -1.1, 1.1)
    dice = plan.findings[identity]
    square = dice.chance(0.55)
    patch = seek(plan, canvas, frame, identity, None, box, (size * 0.6, size * 1.3), rough=0.0 if square else 0.22,
                 cell=0.6, power=4 if square else 2, elongation=1.1 if square else 3.5, edge=0.8)  # fmt: skip
    if patch is None:
        return
    dark, bright = (0.12, 0.1, 0.08), (0.98, 0.97, 0.9)
    colour = (
        dice.pick((dark, (0.35, 0.25, 0.1)))
        if kind == "stain"
        else (bright if kind == "fluorescence" else dice.pick((dark, bright)))
    )
    tint(planes, patch.rows, patch.columns, patch.cover * np.float32(0.95), colour)
    canvas.note("debris", patch, identity, sided=False)

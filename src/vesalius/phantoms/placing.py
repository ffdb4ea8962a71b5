"""Finding a place for a finding: tries in body coordinates until its shape lies well inside its host."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vesalius.phantoms.canvas import Canvas, Frame, Plan
from vesalius.phantoms.dice import Dice
from vesalius.phantoms.shapes import Patch, blob

__all__ = ["plain_frame", "seek"]


def plain_frame(plan: Plan, canvas: Canvas, x: float = 0.5, y: float = 0.5, turn: float = 0.0) -> Frame:
    """A frame without a body: 1 unit is 100 pixels at 224, the middle at fractions (x, y), moved by the camera."""
    dx, dy, zoom = plan.camera
    return Frame(canvas, (x + dx) * canvas.width, (y + dy) * canvas.height, 100.0 * canvas.unit * zoom, turn)


def seek(
    plan: Plan,
    canvas: Canvas,
    frame: Frame,
    identity: int,
    host: NDArray[np.bool_] | None,
    bounds: tuple[float, float, float, float],
    radius: tuple[float, float],
    *,
    rough: float = 0.1,
    elongation: float = 1.3,
    edge: float = 1.2,
    inside: float = 0.92,
    power: int = 2,
    cell: float | None = None,
    gap: bool = False,
    tries: int = 8,
) -> Patch | None:
    """A shape for finding `identity` of the plan, or None when it is left out or nothing fits.

    `bounds`: (u0, u1, v0, v1) to try, `radius`: (smallest, largest) in pixels at 224 for a frame of usual zoom,
    `cell`: noise of its outline in radii.
    """
    scale = plan.scales.get(identity, 1.0)
    if scale <= 0.0:
        return None
    dice = plan.findings[identity % len(plan.findings)]
    move_u, move_v = plan.moves.get(identity, (0.0, 0.0))
    zoom = canvas.unit * plan.camera[2]
    size = dice.unit()
    mean = (radius[0] + (radius[1] - radius[0]) * size * (0.35 + 0.65 * size)) * zoom
    long = dice.between(1.0, elongation) ** 0.5
    turn = dice.unit()
    outline = (cell or 1.4) * mean
    for attempt in range(tries):
        u = dice.between(bounds[0], bounds[1]) + move_u
        v = dice.between(bounds[2], bounds[3]) + move_v
        outline_dice = Dice((dice.unit(), dice.unit(), dice.unit()))
        if plan.follow and plan.attempts.get(identity) != attempt:
            continue
        x, y = frame.to_pixels(u, v)
        if not (0 <= x < canvas.width and 0 <= y < canvas.height):
            continue
        if host is not None and not host[int(y), int(x)]:
            continue
        rx, ry = mean * scale * long, mean * scale / long
        patch = blob((canvas.height, canvas.width), x, y, rx, ry, outline_dice, turn, rough, outline, edge, power)
        if patch is None:
            continue
        if plan.follow:
            return patch if canvas.admits(patch, host, 0.6 * inside, False) else None
        if canvas.admits(patch, host, inside, gap):
            plan.attempts[identity] = attempt
            return patch
    return None

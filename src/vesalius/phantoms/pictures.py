"""One 2D phantom of any modality, with its truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vesalius.errors import LimitError, OptionError
from vesalius.limits import current
from vesalius.phantoms.canvas import Plan
from vesalius.phantoms.scenes_ct import abdomen_axial, chest_axial, chest_coronal
from vesalius.phantoms.scenes_ct_head import head_axial, head_sagittal
from vesalius.phantoms.scenes_microscopy import microscopy
from vesalius.phantoms.scenes_mr import abdomen_axial_mr, brain
from vesalius.phantoms.scenes_surface import endoscopy, fundus, skin
from vesalius.phantoms.scenes_ultrasound import ultrasound
from vesalius.phantoms.scenes_xray import chest_frontal, chest_lateral
from vesalius.phantoms.truth import MODALITIES, Truth

__all__ = ["draw_picture", "draw_plan"]

Scene = Callable[[Plan], Truth]

SCENES: Mapping[str, tuple[tuple[float, Scene], ...]] = {
    "xray": ((0.8, chest_frontal), (0.2, chest_lateral)),
    "ct": (
        (0.4, chest_axial),
        (0.25, abdomen_axial),
        (0.13, head_axial),
        (0.12, chest_coronal),
        (0.1, head_sagittal),
    ),
    "mr": ((0.85, brain), (0.15, abdomen_axial_mr)),
    "ultrasound": ((1.0, ultrasound),),
    "fundus": ((1.0, fundus),),
    "skin": ((1.0, skin),),
    "endoscopy": ((1.0, endoscopy),),
    "microscopy": ((1.0, microscopy),),
}
"""Scenes of each modality with how often they are drawn."""

_MIN_SIDE = 64


def draw_picture(seed: int, modality: str | None = None, size: tuple[int, int] = (224, 224)) -> Truth:
    """Draw phantom number `seed` (any int ≥ 0): the same arguments give the same bytes on every machine.

    `modality`: one of `MODALITIES`, or None for any.  `size`: (height, width), each ≥ 64 pixels.
    Raises OptionError for a modality or size that cannot be drawn, LimitError over `limits.max_pixels`.
    """
    return draw_plan(plan_of(seed, size), modality)


def plan_of(seed: int, size: tuple[int, int]) -> Plan:
    """A checked plan; errors as `draw_picture`."""
    height, width = size
    if seed < 0:
        raise OptionError(f"a phantom's seed is {seed}.", fix="Use 0 or more.")
    if min(height, width) < _MIN_SIDE:
        raise OptionError(f"a phantom of {height}×{width} pixels is too small.", fix=f"Use {_MIN_SIDE} or more a side.")
    if height * width > current().max_pixels:
        raise LimitError(f"a phantom of {height}×{width} pixels is over the limit of {current().max_pixels}.")
    return Plan(seed, (int(height), int(width)))


def draw_plan(plan: Plan, modality: str | None = None) -> Truth:
    """Draw a plan (see `Plan`); errors as `draw_picture`."""
    chosen = plan.choice.pick(MODALITIES)
    part = plan.choice.unit()
    if modality is not None:
        if modality not in SCENES:
            raise OptionError(f"no phantom is called {modality!r}.", fix=f"Known: {', '.join(MODALITIES)}.")
        chosen = modality
    for share, scene in SCENES[chosen]:
        part -= share
        if part < 0:
            return scene(plan)
    return SCENES[chosen][-1][1](plan)

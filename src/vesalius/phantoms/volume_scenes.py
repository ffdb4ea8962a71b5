"""Axial sections of the 3D phantoms: what each slice of a chest, an abdomen and a brain holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.phantoms.dice import Dice
from vesalius.phantoms.shapes import cover, ellipse
from vesalius.phantoms.textures import cut

__all__ = ["SECTIONS", "Body", "Lesion", "Section"]

Field = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Section:
    """One slice as displayed, `[Y down, X right → left]`: `values` float32 and `labels` uint8."""

    values: Field
    labels: NDArray[np.uint8]


@dataclass(frozen=True)
class Lesion:
    """How often a finding occurs (`none`: share without, `most`), where, how large, and its values from
    (dice, depth, what was there)."""

    label: str
    none: float
    most: int
    hosts: tuple[str, ...]
    radius_mm: tuple[float, float]
    value: Callable[[Dice, Field, Field], Field]


@dataclass(frozen=True)
class Body:
    """A body in its grid: `u`, `v` `[Y, X]` displayed coordinates in half widths, `heights` of the slices in half
    lengths of the scanned organ (−1…1 from its foot to its head), `script` the dice every slice replays."""

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    u: Field
    v: Field
    heights: tuple[float, ...]
    script: tuple[float, ...]
    scale: float

    @classmethod
    def of(cls, dice: Dice, shape: tuple[int, int, int], spacing: tuple[float, float, float], modality: str) -> Body:
        field_mm = shape[0] * spacing[0]
        half_mm = 0.44 * field_mm * dice.between(0.97, 1.03)
        x = (np.arange(shape[0], dtype=np.float32) - np.float32((shape[0] - 1) / 2)) * np.float32(spacing[0] / half_mm)
        y = (np.arange(shape[1], dtype=np.float32) - np.float32((shape[1] - 1) / 2)) * np.float32(spacing[1] / half_mm)
        u = np.broadcast_to(x[None, :], (shape[1], shape[0])).copy()
        v = np.broadcast_to(y[:, None], (shape[1], shape[0])).copy()
        warp = cut("lattice", dice, shape[1], shape[0], shape[0] / 4)
        u += np.float32(0.015) * warp
        v += np.float32(0.015) * cut("lattice", dice, shape[1], shape[0], shape[0] / 4)
        # Chests and abdomens are about as long as half a body is wide; heads nearly as high as they are long.
        length_mm = half_mm * (0.75 if modality == "ct" else 0.9)
        middle = dice.between(-0.2, 0.2)
        heights = tuple(middle + (k - (shape[2] - 1) / 2) * spacing[2] / length_mm for k in range(shape[2]))
        script = tuple(dice.unit() for _ in range(120))
        return cls(shape, spacing, u, v, heights, script, half_mm / spacing[0])

    def affine(self) -> NDArray[np.float64]:
        """Voxel → RAS mm; x and y are 0 in the middle of the grid, z of the slice of height 0 is 0."""
        matrix = np.diag([*self.spacing, 1.0])
        matrix[0, 3] = -0.5 * (self.shape[0] - 1) * self.spacing[0]
        matrix[1, 3] = -0.5 * (self.shape[1] - 1) * self.spacing[1]
        step = self.heights[1] - self.heights[0]
        matrix[2, 3] = self.heights[0] / step * self.spacing[2]
        return matrix


def _texture(name: str, body: Body, start: tuple[float, float], index: int, key: float = 0) -> Field:
    """A texture as smooth from slice to slice as in the plane: blended between cuts about `key` pixels apart."""
    height = index * body.spacing[2] / (body.spacing[0] * (key or 24.0))
    knot = int(height)
    t = height - knot
    first, second = (
        cut(name, Dice(((start[0] + at * 0.618034) % 1.0, (start[1] + at * 0.754878) % 1.0)), body.shape[1],
            body.shape[0], key, flip=False)
        for at in (knot, knot + 1)
    )  # fmt: skip
    return first * np.float32(1.0 - t) + second * np.float32(t)


def _lay(values: Field, soft: Field, value: float | Field) -> None:
    values += soft * (value - values)


def _round(square: float) -> float:
    """√ of what is left of 1, 0 when nothing is."""
    return max(0.0, 1.0 - square) ** 0.5


def _wall(body: Body, dice: Dice, index: int, start: tuple[float, float]) -> tuple[Field, Field, Field, float]:
    u, v = body.u, body.v
    half = dice.between(0.64, 0.78)
    skin = ellipse(u, v, 0, 0, 1.0, half, power=4)
    values = np.full(u.shape, -1000.0, np.float32)
    cloud = _texture("fractal", body, start, index)
    px = half * body.scale
    _lay(values, cover(skin, px), np.float32(-105) + np.float32(12) * cloud)
    muscle = skin - np.float32(dice.between(0.04, 0.14))
    _lay(values, cover(muscle, px), np.float32(45) + np.float32(10) * cloud)
    cavity = muscle - np.float32(dice.between(0.08, 0.12))
    return values, cavity, cloud, half


def _spine(
    body: Body, dice: Dice, values: Field, labels: NDArray[np.uint8], code: int, v0: float, height: float
) -> None:
    u, v = body.u, body.v
    r = dice.between(0.12, 0.16)
    bone = np.maximum(ellipse(u, v, 0, v0, r, r * 0.82), ellipse(u, v, 0, v0 + r * 1.4, r * 0.8, r * 0.8))
    bone = np.maximum(bone, ellipse(u, v, 0, v0 + r * 2.3, r * 0.18, r * 0.7))
    canal = ellipse(u, v, 0, v0 + r * 1.3, r * 0.48, r * 0.4)
    # Discs between the vertebrae are softer.
    phase = (height * 4.0 + dice.unit()) % 1.0
    _lay(values, cover(bone, r * body.scale), 110.0 if phase < 0.2 else 320.0)
    _lay(values, cover(canal, 0.4 * r * body.scale), 35.0)
    labels[(bone > 0) & (canal < 0)] = code


CHEST = ("lung", "heart", "liver", "spine", "nodule", "mass")


def chest_section(body: Body, dice: Dice, index: int, start: tuple[float, float]) -> Section:
    """A chest slice in HU."""
    w = body.heights[index]
    u, v = body.u, body.v
    values, cavity, cloud, half = _wall(body, dice, index, start)
    labels = np.zeros(u.shape, np.uint8)
    _lay(values, cover(cavity, half * body.scale), np.float32(-40) + np.float32(40) * cloud)
    rib_phase = np.abs(u) * np.float32(2.0) + np.float32(w * 5.0)
    rib = (np.abs(cavity + 0.03) < 0.028) & (rib_phase - np.floor(rib_phase) < 0.45)
    values[rib] = 430.0
    lung_size = dice.between(0.95, 1.05)
    dome_base = dice.between(-0.75, -0.55)
    shrink = _round((w / 1.25) ** 2)
    heart_w = (w + 0.25) / 0.5
    heart_r = dice.between(0.3, 0.38) * _round(heart_w**2)
    heart_u, heart_v = dice.between(0.1, 0.18), -half * dice.between(0.18, 0.28)
    heart = ellipse(u, v, heart_u, heart_v, heart_r + 1e-3, heart_r * 0.8 + 1e-3, 0.1)
    middle = ellipse(u, v, 0.02, -0.08 * half, dice.between(0.15, 0.2), half * 0.72, power=4)
    liver_hu = dice.between(50, 120)
    blood = dice.between(40, 260)
    lung_hu = dice.between(-870, -780)
    twig = np.maximum(_texture("vessels", body, start, index, 16) * 1.5, _texture("vessels", body, start, index, 8))
    for sign in (-1.0, 1.0):
        width, depth = 0.38 * lung_size * shrink + 1e-3, half * 0.76 * shrink + 1e-3
        shape = ellipse(u, v, sign * 0.45, 0.0, width, depth)
        shape = np.minimum(np.minimum(shape, cavity * 1.6), np.float32(-0.5) * np.maximum(middle, heart))
        across, along = u - np.float32(sign * 0.4), v
        dome = np.float32(dome_base) - np.float32(2.2) * (across * across + along * along)
        above = np.clip((np.float32(w + (0.0 if sign < 0 else 0.07)) - dome - np.float32(0.35)) * 8, -1, 1)
        inside = shape > 0
        soft = cover(shape, 0.4 * body.scale)
        air = soft * (above > 0)
        below = soft * (above <= 0)
        _lay(values, below, np.float32(liver_hu if sign < 0 else 50.0) + np.float32(5) * cloud)
        _lay(values, air, np.float32(lung_hu) + np.float32(25) * cloud - np.float32(50) * v)
        near = np.clip(np.float32(1.1) - np.sqrt(u * u + v * v), 0.1, 1)
        _lay(values, air * np.clip(twig * near * np.float32(1.6), 0, 1), 20.0)
        labels[inside & (above > 0)] = 1
        if sign < 0:
            labels[inside & (above <= 0)] = 3
    if heart_r > 0.05:
        _lay(values, cover(heart, heart_r * 0.8 * body.scale), np.float32(blood) + np.float32(8) * cloud)
        labels[heart > 0] = 2
    spine_v = half * dice.between(0.5, 0.58)
    aorta = ellipse(u, v, 0.12, spine_v - 0.2, 0.075, 0.075)
    _lay(values, cover(aorta, 0.075 * body.scale), blood)
    if w > -0.1:
        spread = 0.0 if w > 0.3 else 0.1
        tube = ellipse(np.abs(u - 0.01), v, spread, spine_v - 0.36, 0.055, 0.055)
        _lay(values, cover(tube, 0.055 * body.scale), -980.0)
    _spine(body, dice, values, labels, 4, spine_v, w)
    return Section(values, labels)


ABDOMEN = ("liver", "kidney", "spine", "cyst", "mass", "stone")


def abdomen_section(body: Body, dice: Dice, index: int, start: tuple[float, float]) -> Section:
    """An abdominal slice in HU, portal phase or plain."""
    w = body.heights[index]
    u, v = body.u, body.v
    values, cavity, cloud, half = _wall(body, dice, index, start)
    labels = np.zeros(u.shape, np.uint8)
    inside = cavity > 0
    _lay(values, cover(cavity, half * body.scale), np.float32(-95) + np.float32(12) * cloud)
    bowel = _texture("lattice", body, start, index, 16)
    room = (u > -0.15) & (v < 0.25 * half) & inside
    _lay(values, np.clip(bowel * 3 - 0.6, 0, 1) * room, np.float32(30) + np.float32(15) * cloud)
    _lay(values, np.clip(bowel * 4 - 5.5, 0, 1) * room, -900.0)
    enhanced = dice.chance(0.5)
    liver_hu = dice.between(95, 125) if enhanced else dice.between(48, 66)
    grow = _round(((w - 0.45) / 1.15) ** 2)
    liver = ellipse(u, v, -0.45, -0.06 * half, 0.48 * grow + 1e-3, half * 0.66 * grow + 1e-3, dice.between(-0.04, 0.04))
    liver = np.maximum(liver, ellipse(u, v, -0.1, -half * 0.42, 0.35 * grow + 1e-3, half * 0.25 * grow + 1e-3))
    liver = np.minimum(liver, cavity * 2)
    _lay(values, cover(liver, 0.35 * body.scale), np.float32(liver_hu) + np.float32(5) * cloud)
    tree = _texture("vessels", body, start, index, 16)
    _lay(
        values, cover(liver - 0.15, 0.3 * body.scale) * np.clip(tree * 1.4, 0, 1), liver_hu + (30 if enhanced else -12)
    )
    labels[liver > 0] = 1
    spleen = ellipse(u, v, 0.66, half * 0.2, 0.17 * grow + 1e-3, half * 0.4 * grow + 1e-3, 0.04)
    _lay(values, cover(np.minimum(spleen, cavity * 2), 0.17 * body.scale), liver_hu + 5.0)
    kidney_hu = dice.between(140, 200) if enhanced else dice.between(30, 40)
    spine_v = half * dice.between(0.42, 0.5)
    for sign in (-1.0, 1.0):
        low = 0.1 if sign < 0 else 0.0
        size = dice.between(0.16, 0.2) * _round(((w + 0.15 + low) / 0.55) ** 2)
        ku, kv = sign * dice.between(0.38, 0.44), half * dice.between(0.32, 0.4)
        if size < 0.03:
            continue
        kidney = ellipse(u, v, ku, kv, size, size * 0.78, sign * 0.1)
        kidney = np.minimum(
            kidney, np.float32(-0.5) * ellipse(u, v, ku - sign * size * 0.75, kv, size * 0.5, size * 0.36)
        )
        _lay(values, cover(kidney, size * body.scale), np.float32(kidney_hu) + np.float32(5) * cloud)
        labels[kidney > 0] = 2
    blood = dice.between(130, 240) if enhanced else 40.0
    for sign in (-1.0, 1.0):
        vessel = ellipse(u, v, sign * 0.09, spine_v - 0.23, 0.075, 0.07)
        _lay(values, cover(vessel, 0.07 * body.scale), blood)
        muscle = ellipse(u, v, sign * 0.2, spine_v + 0.03, 0.085, 0.1)
        _lay(values, cover(muscle, 0.09 * body.scale), 55.0)
    _spine(body, dice, values, labels, 3, spine_v, w)
    return Section(values, labels)


HEAD = ("brain", "ventricle", "tumour")


def head_section(body: Body, dice: Dice, index: int, start: tuple[float, float]) -> Section:
    """A brain slice, T1-like (plain or with contrast medium) or T2-like, 0–1000."""
    w = body.heights[index]
    u, v = body.u, body.v
    t2 = dice.chance(0.3)
    fluid, grey, white, fat = (900.0, 560.0, 380.0, 600.0) if t2 else (120.0, 400.0, 590.0, 800.0)
    long = dice.between(1.05, 1.2)
    cloud = _texture("fractal", body, start, index)
    values = np.full(u.shape, 15.0, np.float32)
    labels = np.zeros(u.shape, np.uint8)
    r = _round(max(0.0, w / 1.08) ** 2) if w > 0 else _round((w / 1.9) ** 2)
    if r < 0.08:
        return Section(values, labels)
    squeeze = np.float32(0.86 / r)
    a, b = u * squeeze, v * squeeze
    head = ellipse(a, b, 0, 0, 0.98, 0.98 * long)
    px = r * body.scale
    _lay(values, cover(head, px), np.float32(fat * 0.7) + np.float32(60) * cloud)
    vault = head - np.float32(dice.between(0.07, 0.1))
    _lay(values, cover(vault, px), 50.0)
    inner = vault - np.float32(dice.between(0.06, 0.09))
    _lay(values, cover(inner, px), fluid * 0.9)
    cortex = inner - np.float32(0.02)
    folds = _texture("ridges", body, start, index, 16)
    near = np.clip((np.float32(dice.between(0.3, 0.5)) - inner) * 5, 0, 1)
    width = np.float32(dice.between(0.86, 0.94)) - np.float32(0.12) * np.clip(np.float32(0.2) - inner, 0, 0.2) * 5
    sulci = np.clip((folds - width) * 9, 0, 1) * near
    ribbon = np.clip((np.float32(0.09) - inner) * 18, 0, 1)
    ribbon = np.maximum(ribbon, np.clip((folds - width + np.float32(0.28)) * 6, 0, 1) * near)
    matter = np.float32(white) + ribbon * np.float32(grey - white)
    matter += sulci * (np.float32(fluid) - matter) * np.float32(0.7)
    _lay(values, cover(cortex, px), matter)
    labels[cortex > 0] = 1
    side = np.abs(u)
    if abs(w) < 0.5:
        _lay(values, cover(ellipse(side, v, 0.25, 0.05, 0.12, 0.2, 0.05), 6.0) * (cortex > 0), grey)
    size = dice.between(0.7, 1.4) * _round(((w - 0.1) / 0.45) ** 2)
    if size > 0.2:
        front = ellipse(side, v, 0.09 + 0.03 * size, -0.2, 0.06 * size, 0.2 * size**0.5, -0.05)
        back = ellipse(side, v, 0.14 + 0.05 * size, 0.27, 0.06 * size, 0.2 * size**0.5, 0.06)
        depth = np.minimum(np.maximum(front, back), cortex * 4)
        _lay(values, cover(depth, 0.06 * body.scale), fluid)
        labels[depth > 0] = 2
    gap = np.clip((np.float32(0.015) - np.abs(u)) * np.float32(body.scale), 0, 1) * (np.abs(v) > 0.36) * (inner > 0)
    _lay(values, gap, fluid)
    return Section(values, labels)


def _solid(low: float, high: float) -> Callable[[Dice, Field, Field], Field]:
    return lambda dice, depth, there: np.full_like(depth, dice.between(low, high))


def _fluid(dice: Dice, depth: Field, there: Field) -> Field:
    """Water, or 55 HU under what is there when that is dark already."""
    return np.full_like(depth, dice.between(-20.0, 2.0))


def _other(dice: Dice, depth: Field, there: Field) -> Field:
    """Well above or below what is there."""
    middle = float(np.median(there[depth > 0]))
    return np.full_like(depth, middle + (60.0 if dice.chance(0.4) else -60.0))


def _tumour(dice: Dice, depth: Field, there: Field) -> Field:
    """A bright rim around a dark core, or all bright, or all dark."""
    kind = dice.pick(("ring", "bright", "dark"))
    if kind == "ring":
        rim = np.clip((np.float32(dice.between(0.25, 0.4)) - depth) * 8, 0, 1)
        return np.float32(180.0) + rim * np.float32(780.0)
    return np.full_like(depth, 950.0 if kind == "bright" else 150.0)


SECTIONS: dict[tuple[str, str], tuple[tuple[str, ...], tuple[Lesion, ...], Callable[..., Section]]] = {
    ("ct", "chest"): (
        CHEST,
        (
            Lesion("mass", 0.75, 1, ("lung",), (15.5, 28.0), _solid(20.0, 80.0)),
            Lesion("nodule", 0.4, 5, ("lung",), (3.5, 13.5), _solid(0.0, 110.0)),
        ),
        chest_section,
    ),
    ("ct", "abdomen"): (
        ABDOMEN,
        (
            Lesion("mass", 0.6, 2, ("liver",), (12.0, 30.0), _other),
            Lesion("cyst", 0.45, 3, ("liver", "kidney"), (6.0, 16.0), _fluid),
            Lesion("stone", 0.6, 3, ("kidney",), (4.0, 7.0), _solid(600.0, 1200.0)),
        ),
        abdomen_section,
    ),
    ("mr", "head"): (HEAD, (Lesion("tumour", 0.4, 2, ("brain",), (7.0, 24.0), _tumour),), head_section),
}
"""(modality, region) → names of the labels in order, lesions, and how a slice is drawn."""

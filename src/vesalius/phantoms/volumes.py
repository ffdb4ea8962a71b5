"""3D phantoms: CT of chest and abdomen, MR of the brain, canonical RAS+, and slices cut from them with their truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import LimitError, OptionError
from vesalius.limits import current
from vesalius.phantoms.dice import Dice
from vesalius.phantoms.shapes import longest_diameter
from vesalius.phantoms.textures import cut
from vesalius.phantoms.truth import LABELS, PlacedObject, Truth, VolumeTruth
from vesalius.phantoms.volume_scenes import SECTIONS, Body, Section
from vesalius.study.geometry import AXES
from vesalius.study.windows import Window, apply_window, default_window

__all__ = ["body_width_mm", "draw_volume", "slice_truth"]

Field = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]
Axis = Literal["axial", "coronal", "sagittal"]

_BODY_SHARE = 0.88
"""Width of a body as a share of the field of view; `body_width_mm` relies on it."""


def body_width_mm(shape: tuple[int, int, int], affine_ras: NDArray[np.float64]) -> float:
    """Width every body of these phantoms is taken to have (88 % of the field): 5 % of it each way is the midline."""
    return _BODY_SHARE * shape[0] * float(np.sqrt((affine_ras[:3, 0] ** 2).sum()))


def _side(x_mm: float, width_mm: float) -> str:
    """Side of a RAS x: 0 is the midline, positive is the patient's right."""
    if abs(x_mm) <= 0.05 * width_mm:
        return "midline"
    return "right" if x_mm > 0 else "left"


def _spacing(dice: Dice, modality: str, shape: tuple[int, int, int]) -> tuple[float, float, float]:
    """In plane the body fills the field; slices are 1 to 6 mm apart."""
    field = dice.between(320, 400) if modality == "ct" else dice.between(190, 240)
    return field / shape[0], field / shape[0], dice.between(1.0, 6.0) if modality == "ct" else dice.between(1.0, 4.0)


def draw_volume(
    seed: int,
    modality: str | None = None,
    shape: tuple[int, int, int] = (160, 160, 48),
    spacing_mm: tuple[float, float, float] | None = None,
    region: str | None = None,
) -> VolumeTruth:
    """Draw volume number `seed`: the same arguments give the same bytes everywhere.

    `modality`: "ct" (values HU) or "mr" (0–1000), None for either.  `shape`: canonical (X, Y, Z), at least 32 × 32 × 4.
    `spacing_mm`: (x, y, z); None for an anisotropic one in which the body fills the field.  `region`: "chest",
    "abdomen" (CT) or "head" (MR), None for any that fits.  RAS x = 0 is the body's midline.
    Raises OptionError for what cannot be drawn, LimitError over `limits.max_voxels`.
    """
    if seed < 0 or min(shape[:2]) < 32 or shape[2] < 4:
        raise OptionError(
            f"no volume of shape {shape} with seed {seed} can be drawn.", fix="Use ≥ 32 × 32 × 4, seed ≥ 0."
        )
    if shape[0] * shape[1] * shape[2] > current().max_voxels:
        raise LimitError(f"a volume of {shape} is over the limit of {current().max_voxels} voxels.")
    anatomy, texture, noise, choice = Dice.rows(seed, 7001, 4, 400)
    if modality is None:
        modality = {"head": "mr", "chest": "ct", "abdomen": "ct"}.get(region or "", choice.pick(("ct", "mr")))
    if modality not in ("ct", "mr"):
        raise OptionError(f"no volume of modality {modality!r} can be drawn.", fix="Use 'ct' or 'mr'.")
    if region is None:
        region = "head" if modality == "mr" else choice.pick(("chest", "chest", "abdomen"))
    if (modality, region) not in SECTIONS:
        raise OptionError(f"no {modality} volume of the region {region!r} can be drawn.")
    spacing = spacing_mm or _spacing(anatomy, modality, shape)
    body = Body.of(anatomy, shape, spacing, modality)
    names, lesions, section = SECTIONS[modality, region]
    values = np.empty(shape, np.float32)
    labels = np.zeros(shape, np.uint8)
    start = texture.unit(), texture.unit()
    for index in range(shape[2]):
        # Each slice replays the same dice, so that its anatomy is the neighbour's, a little further up.
        drawn: Section = section(body, Dice(body.script), index, start)
        values[:, :, index] = drawn.values.T[::-1, ::-1]
        labels[:, :, index] = drawn.labels.T[::-1, ::-1]
    painter = _Painter(values, labels, np.zeros(shape, np.int16), body, names)
    for number, recipe in enumerate(lesions):
        for dice in Dice.rows(seed, 7002 + number, choice.count(recipe.none, recipe.most), 200):
            painter.place(dice, recipe.label, recipe.hosts, recipe.radius_mm, recipe.value)
    sigma = noise.between(6, 22)
    for index in range(shape[2]):
        values[:, :, index] += np.float32(sigma) * cut("grain", noise, shape[0], shape[1])
    low, high = (-1024.0, 3000.0) if modality == "ct" else (0.0, 1500.0)
    stored = np.clip(values + np.float32(0.5), low, high).astype(np.int16)
    return painter.truth(stored, modality, region, seed)


@dataclass
class _Painter:
    """Places lesions into a volume and remembers them. Arrays are canonical `[X, Y, Z]`."""

    values: Field
    labels: NDArray[np.uint8]
    instances: NDArray[np.int16]
    body: Body
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        self.placed: list[str] = []

    def place(
        self, dice: Dice, label: str, hosts: tuple[str, ...], radius_mm: tuple[float, float],
        value: Callable[[Dice, Field, Field], Field],
    ) -> None:  # fmt: skip
        """Try up to 30 places for an ellipsoid that lies in one of `hosts` and touches no other lesion."""
        codes = [self.names.index(host) + 1 for host in hosts]
        mean = dice.between(*radius_mm)
        stretch = [dice.between(0.85, 1.15) for _ in range(3)]
        shape, spacing = self.values.shape, self.body.spacing
        for _ in range(30):
            middle = [int(dice.unit() * extent) for extent in shape]
            if self.labels[middle[0], middle[1], middle[2]] not in codes:
                continue
            radii = [mean * stretch[c] / spacing[c] for c in range(3)]
            low = [max(0, int(middle[c] - radii[c] * 1.3) - 1) for c in range(3)]
            high = [min(shape[c], int(middle[c] + radii[c] * 1.3) + 2) for c in range(3)]
            window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
            depth = _ellipsoid(dice, middle, radii, low, high)
            mask = depth > 0
            held = np.isin(self.labels[window], codes)
            count = int(np.count_nonzero(mask))
            if count < 24 or np.count_nonzero(mask & held) < 0.8 * count or (self.instances[window][mask] != 0).any():
                continue
            mask &= held
            self.placed.append(label)
            cover = np.clip(depth * np.float32(min(radii[:2])) + np.float32(0.5), 0, 1) * held
            part = self.values[window]
            part += cover * (value(dice, depth, part) - part)
            self.instances[window][mask] = len(self.placed)
            self.labels[window][mask] = self.names.index(label) + 1
            return

    def truth(self, values: NDArray[np.int16], modality: str, region: str, seed: int) -> VolumeTruth:
        affine = self.body.affine()
        width = body_width_mm((values.shape[0], values.shape[1], values.shape[2]), affine)
        sides: list[str | None] = []
        sizes: list[float] = []
        for number in range(1, len(self.placed) + 1):
            where = np.nonzero(self.instances == number)
            x = float(affine[0, 0] * (int(where[0].sum()) / where[0].size) + affine[0, 3])
            sides.append(_side(x, width))
            box = tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in where)
            inside = self.instances[box] == number
            spacing = self.body.spacing[1], self.body.spacing[0]
            sizes.append(max(longest_diameter(inside[:, :, k], spacing) for k in range(inside.shape[2])))
        return VolumeTruth(
            values, affine, self.labels, self.instances, self.names, modality, region, seed,
            tuple(self.placed), tuple(sides), tuple(sizes),
        )  # fmt: skip


def _ellipsoid(dice: Dice, middle: list[int], radii: list[float], low: list[int], high: list[int]) -> Field:
    """Depth of a bumpy ellipsoid over its window `[x, y, z]`."""
    axes = [
        (np.arange(low[c], high[c], dtype=np.float32) - np.float32(middle[c])) * np.float32(1.0 / radii[c])
        for c in range(3)
    ]
    squares = axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2][None, None, :] ** 2
    distance = np.sqrt(squares)
    seedling = dice.unit(), dice.unit(), 0.9
    for index in range(distance.shape[2]):
        bumps = cut("lattice", Dice(seedling), distance.shape[0], distance.shape[1], radii[0], (index * 2, index))
        distance[:, :, index] += np.float32(0.1) * bumps * np.minimum(distance[:, :, index], np.float32(1))
    return np.float32(1.0) - distance


def slice_truth(volume: VolumeTruth, axis: Axis, index: int, window: Window | None = None) -> Truth:
    """Cut one displayed slice with its objects, in the orientation of `study.SliceView` (patient's right at the left
    edge of axial and coronal slices; anterior at the left edge of sagittal ones).

    `window`: grey window, None for the modality's default.  `spacing_mm` of the result is the distance of columns;
    `size_mm` of its objects also regards that of the rows.  Findings carry their instance number as identity; organs
    include the findings inside them; lungs and kidneys come one per side.  Raises OptionError for an index outside.
    """
    if axis not in AXES:
        raise OptionError(f"no axis is called {axis!r}.", fix="Use axial, coronal or sagittal.")
    canonical = AXES[axis]
    if not 0 <= index < volume.values.shape[canonical]:
        raise OptionError(f"slice {index} is outside 0..{volume.values.shape[canonical] - 1} ({axis}).")
    values = _shown(volume.values, canonical, index)
    labels = _shown(volume.labels, canonical, index)
    instances = _shown(volume.instances, canonical, index)
    chosen = window or default_window("CT" if volume.modality == "ct" else "MR", values)
    across, down = (c for c in range(3) if c != canonical)
    edges = np.sqrt((volume.affine_ras[:3, :3] ** 2).sum(0))
    spacing = float(edges[across]), float(edges[down])
    shape = volume.values.shape
    width_mm = body_width_mm((shape[0], shape[1], shape[2]), volume.affine_ras)
    # RAS x of the displayed columns (axial and coronal): the last canonical column comes first.
    columns = np.arange(shape[0] - 1, -1, -1) * volume.affine_ras[0, 0] + volume.affine_ras[0, 3]
    right = columns if canonical != 0 else None
    objects = _organs(volume, labels, instances, right, width_mm, spacing)
    for number in np.unique(instances[instances > 0]).tolist():
        label, mask = volume.instance_labels[number - 1], instances == number
        objects.extend(_found(label, mask, right, width_mm, spacing, number))
    region_plane = axis
    return Truth(
        apply_window(values, chosen),
        volume.modality,
        region_plane,
        volume.region,
        spacing[0],
        tuple(objects),
        volume.seed,
    )


def _shown(grid: NDArray[Any], canonical: int, index: int) -> NDArray[Any]:
    plane = np.take(grid, index, axis=canonical)
    return np.ascontiguousarray(plane[::-1, ::-1].T)


def _organs(
    volume: VolumeTruth, labels: NDArray[Any], instances: NDArray[Any],
    right: NDArray[np.float64] | None, width_mm: float, spacing: tuple[float, float],
) -> list[PlacedObject]:  # fmt: skip
    whole = labels.copy()
    codes = {name: code + 1 for code, name in enumerate(volume.names)}
    organs = [codes[name] for name in volume.names if LABELS.get(name) == "anatomy"]
    for number in np.unique(instances[instances > 0]).tolist():
        mask = instances == number
        ring = np.zeros_like(mask)
        ring[1:] |= mask[:-1]
        ring[:-1] |= mask[1:]
        ring[:, 1:] |= mask[:, :-1]
        ring[:, :-1] |= mask[:, 1:]
        around = whole[ring & ~mask]
        counts = [int(np.count_nonzero(around == code)) for code in organs]
        if counts and max(counts) > 0:
            whole[mask] = organs[int(np.argmax(counts))]
    found: list[PlacedObject] = []
    for name in volume.names:
        if LABELS.get(name) != "anatomy":
            continue
        mask = whole == codes[name]
        if name in ("lung", "kidney") and right is not None:
            found.extend(_found(name, mask & (right > 0)[None, :], right, width_mm, spacing, 0))
            found.extend(_found(name, mask & (right <= 0)[None, :], right, width_mm, spacing, 0))
        else:
            found.extend(_found(name, mask, right, width_mm, spacing, 0))
    return found


def _found(
    label: str,
    mask: Mask,
    right: NDArray[np.float64] | None,
    width_mm: float,
    spacing: tuple[float, float],
    identity: int,
) -> list[PlacedObject]:
    ys, xs = np.nonzero(mask)
    if ys.size < (4 if LABELS[label] == "finding" else 12):
        return []
    mean_x, mean_y = int(xs.sum()) / xs.size, int(ys.sum()) / ys.size
    column, row = round(mean_x), round(mean_y)
    if not mask[row, column]:
        nearest = int(np.argmin((xs - mean_x) ** 2 + (ys - mean_y) ** 2))
        column, row = int(xs[nearest]), int(ys[nearest])
    side = (
        None if right is None else _side(int((right[xs] * 256.0).astype(np.int64).sum()) / (256.0 * xs.size), width_mm)
    )
    box = float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1)
    size = longest_diameter(mask, spacing)
    return [PlacedObject(label, np.ascontiguousarray(mask), box, (column + 0.5, row + 0.5), side, size, identity)]

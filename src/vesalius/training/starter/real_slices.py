"""Slices of the real training volumes as truths: the volumes' own tumours, and lesions painted into healthy tissue.

Only subjects of `TRAIN_SOURCES` may be used; each file is checked by SHA-256 before it is opened, so a held-out or
never-used file cannot enter training under another name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError
from vesalius.phantoms.truth import LABELS, PlacedObject, Truth
from vesalius.study.items import Axis, Volume
from vesalius.study.read import read
from vesalius.study.windows import PRESETS, Window, apply_window

__all__ = ["HELD_OUT_SHA256", "KNOWN_ON_REAL", "TRAIN_SOURCES", "RealSource", "draw_real_slices", "open_sources"]


@dataclass(frozen=True)
class TrainSource:
    """One real training subject. `finding`: what its label file marks, and what is painted into it."""

    image: str
    image_sha256: str
    label: str | None
    label_sha256: str | None
    modality: str
    region: str
    finding: str


TRAIN_SOURCES = (
    TrainSource(
        "lung1_image.nrrd",
        "379fa48bf34cfa961e6f5ec19c0c38757a30b9aa884212ef28dc29b5061c64ed",
        "lung1_label.nrrd",
        "e9d9a88054d7bc1d3034193ff907ce6b8c6ba28a7bc3a16f23728982d1b6b50a",
        "ct",
        "chest",
        "nodule",
    ),
    TrainSource(
        "brain1_image.nrrd",
        "fffdb111ee8b428ede7256707393c927a7d5be912f0604cf3c6f1bd5fc9644cf",
        "brain1_label.nrrd",
        "ae6d8e6b84f7e99d68c210ee2fa6aaaefa0b2df0a84f55efca4feebe2b216059",
        "mr",
        "head",
        "tumour",
    ),
    TrainSource(
        "ch2.nii.gz",
        "a009051127f64dc3dd554d5f5b589870ea72106d9642c21b4e7093e478cfc309",
        None,
        None,
        "mr",
        "head",
        "tumour",
    ),
    TrainSource(  # the same head with everything but the brain removed, as many data sets and templates show it
        "ch2bet.nii.gz",
        "592a2d20abdf36eefcb540ca8958428040edffc1bc1a18ba1dcfbabac77c5dd1",
        None,
        None,
        "mr",
        "head",
        "tumour",
    ),
)

HELD_OUT_SHA256 = frozenset(
    {
        "aa2b94eec79127ed786798ac8dc3c013010e1692d5787bebfae1a1e9685a4651",
        "cef52738dc51aab69a48fe30639da956d2b911b1c2920439c091fab84727657a",
        "d35a1c6a3e1eb72bae97c5515472fbe057fb38ee8e1e199215d1c3c6f292332e",
        "15189c024936ecc337649b9a10c475117c7c40df0d53c22163f9a2023ed741a5",
        "421a10e872fd6cadae7f61d358dffbcc1795a497d61ee76c5dda2503e1a1e9e6",
        "97a5ca69bd24db37a9cb7b32525e1733a209af904129bf1cd36da06d24243bed",
        "382d92812de4744f9c86c7a0e4f680dc317a0a50e4da1f0153618a6798c7b7db",
    }
)
"""lung2, brain2 and MNI152 with their labels: reported on, never trained on."""

KNOWN_ON_REAL = frozenset(
    name for name, role in LABELS.items() if role != "anatomy" and name not in ("consolidation", "effusion")
)
"""Labels that are annotated on a real slice: nobody outlined its organs, so the loss ignores those."""

_MASS_MM = 30.0
"""A lung lesion longer than this is called a mass, up to it a nodule (the Fleischner glossary's border)."""


@dataclass(frozen=True)
class RealSource:
    """An opened training subject: canonical `values` `[X, Y, Z]`, `marks` bool of the same shape or None."""

    spec: TrainSource
    volume: Volume
    values: NDArray[Any]
    marks: NDArray[np.bool_] | None


def open_sources(folder: Path) -> list[RealSource]:
    """Open every training subject found in `folder`, checking hashes. InputError for a file of another content."""
    opened: list[RealSource] = []
    for spec in TRAIN_SOURCES:
        if not (folder / spec.image).is_file():
            continue
        volume = _checked(folder / spec.image, spec.image_sha256)
        marks = None
        if spec.label is not None and spec.label_sha256 is not None:
            marks = np.asarray(_checked(folder / spec.label, spec.label_sha256).values(), np.int64) > 0
        opened.append(RealSource(spec, volume, np.ascontiguousarray(volume.values()), marks))
    return opened


def _checked(path: Path, sha256: str) -> Volume:
    seen = hashlib.sha256(path.read_bytes()).hexdigest()
    if seen != sha256:
        raise InputError(
            f"training file has SHA-256 {seen[:12]}…, not {sha256[:12]}….",
            file=path,
            fix="Fetch the training data again.",
        )
    return read(str(path)).volumes[0]


def draw_real_slices(sources: list[RealSource], count: int, seed: int, size: int) -> Iterator[Truth]:
    """`count` truths, evenly over the subjects, seeded: random slice, plane, window, pose, noise, painted lesions."""
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        yield _draw(sources[number % len(sources)], rng, size, seed * 1_000_003 + number)


def _draw(source: RealSource, rng: np.random.Generator, size: int, seed: int) -> Truth:
    own = source.marks is not None and rng.random() < 0.3
    axis: Axis = "axial" if own or rng.random() < 0.45 else ("coronal" if rng.random() < 0.5 else "sagittal")
    canonical = {"sagittal": 0, "coronal": 1, "axial": 2}[axis]
    index = _slice_index(source, canonical, own, rng)
    values = np.take(source.values, index, canonical).T[::-1, ::-1].astype(np.float32)
    marks = np.zeros(values.shape, bool)
    if source.marks is not None:
        marks = np.take(source.marks, index, canonical).T[::-1, ::-1]
    spacing = np.delete(np.array(source.volume.spacing_mm), canonical)
    values, marks, mm = _resample(values, marks, (float(spacing[0]), float(spacing[1])), rng, size)
    painted: list[NDArray[np.bool_]] = []
    if not marks.any() and rng.random() < 0.6:
        values, painted = _paint_lesions(source.spec, values, mm, rng)
    window = _window(source.spec, values, rng)
    noisy = values + rng.normal(0, 1, values.shape).astype(np.float32) * (window.high - window.low) * rng.uniform(
        0, 0.02
    )
    shown = apply_window(noisy, window)
    objects = [_placed(source.spec, m, mm, axis, n) for n, m in enumerate([marks, *painted]) if m.sum() >= 12]
    pixels = np.repeat(shown[:, :, None], 3, axis=2)
    return Truth(pixels, source.spec.modality, axis, source.spec.region, mm, tuple(objects), seed)


def _slice_index(source: RealSource, canonical: int, own: bool, rng: np.random.Generator) -> int:
    count = source.values.shape[canonical]
    if own and source.marks is not None:
        across = tuple(d for d in range(3) if d != canonical)
        return int(rng.choice(np.nonzero(source.marks.any(across))[0]))
    low, high = (0.0, 1.0) if canonical == 2 else (0.2, 0.8)
    return int(rng.integers(int(count * low), max(int(count * high), int(count * low) + 1)))


def _resample(
    values: NDArray[np.float32],
    marks: NDArray[np.bool_],
    spacing: tuple[float, float],
    rng: np.random.Generator,
    size: int,
) -> tuple[NDArray[np.float32], NDArray[np.bool_], float]:
    """Isotropic, letterboxed to `size`, then turned, scaled and shifted a little. Returns mm per pixel too."""
    from PIL import Image

    height, width = values.shape
    extent = max(width * spacing[0], height * spacing[1])
    mm = extent / size / float(rng.uniform(0.85, 1.15))
    angle = np.deg2rad(rng.uniform(-12, 12))
    shift = rng.uniform(-0.06, 0.06, 2) * size
    cos, sin = np.cos(angle), np.sin(angle)
    # Output pixel → source pixel, both about their centres.
    a, b = cos * mm / spacing[0], sin * mm / spacing[0]
    d, e = -sin * mm / spacing[1], cos * mm / spacing[1]
    centre = size / 2 + shift
    matrix = (a, b, width / 2 - a * centre[0] - b * centre[1], d, e, height / 2 - d * centre[0] - e * centre[1])
    fill = float(values.min())
    picture = Image.fromarray(values).transform(
        (size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=fill
    )
    kept = Image.fromarray(marks.astype(np.uint8)).transform(
        (size, size), Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST
    )
    return np.asarray(picture, np.float32).copy(), np.asarray(kept) > 0, mm


def _window(spec: TrainSource, values: NDArray[np.float32], rng: np.random.Generator) -> Window:
    if spec.modality == "ct":
        chosen = PRESETS["lung" if rng.random() < 0.6 else "soft-tissue"]
        span = chosen.high - chosen.low
        return Window(chosen.low + span * rng.uniform(-0.1, 0.1), chosen.high + span * rng.uniform(-0.1, 0.1))
    low, high = (float(v) for v in np.percentile(values, [0.5, rng.uniform(98.5, 99.8)]))
    return Window(low, max(high * rng.uniform(0.85, 1.15), low + 1))


def _paint_lesions(
    spec: TrainSource, values: NDArray[np.float32], mm: float, rng: np.random.Generator
) -> tuple[NDArray[np.float32], list[NDArray[np.bool_]]]:
    tissue = _tissue(spec, values)
    rows, columns = np.nonzero(tissue)
    painted: list[NDArray[np.bool_]] = []
    if len(rows) < 200:
        return values, painted
    out = values.copy()
    local = float(np.std(values[tissue])) if spec.modality == "mr" else 0.0
    for _ in range(1 if rng.random() < 0.75 else 2):
        pick = int(rng.integers(len(rows)))
        radius = float(np.exp(rng.uniform(np.log(4), np.log(28)))) / mm
        alpha = _blob(values.shape, float(columns[pick]), float(rows[pick]), radius, rng)
        mask = alpha > 0.5
        if (
            mask.sum() < 16
            or any((mask & other).any() for other in painted)
            or (mask & tissue).sum() < 0.6 * mask.sum()
        ):
            continue
        out = _blend(spec, out, alpha, mask, tissue, local, rng)
        painted.append(mask)
    return out, painted


def _tissue(spec: TrainSource, values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where a lesion may be painted: lung (air inside the body), or the inner part of the head."""
    size = values.shape[0]
    if spec.modality == "ct":
        body = values > -300
        # Air is inside when body lies on both sides of it along the row and the column.
        before = np.logical_or.accumulate(body, 1) & np.logical_or.accumulate(body, 0)
        after = np.logical_or.accumulate(body[:, ::-1], 1)[:, ::-1] & np.logical_or.accumulate(body[::-1], 0)[::-1]
        return (values < -600) & (values > -990) & before & after
    rows, columns = np.nonzero(values > np.percentile(values, 60))
    if len(rows) < 400:
        return np.zeros(values.shape, bool)
    y, x = np.mgrid[:size, :size]
    centre = (rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2
    reach = 0.36 * (rows.max() - rows.min()), 0.36 * (columns.max() - columns.min())
    inside = ((y - centre[0]) / max(reach[0], 1)) ** 2 + ((x - centre[1]) / max(reach[1], 1)) ** 2 < 1
    return inside & (values > np.percentile(values, 40))


def _blob(shape: tuple[int, ...], x: float, y: float, radius: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Soft-edged irregular blob, 0…1."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    dx, dy = columns - x, (rows - y) * rng.uniform(0.7, 1.4)
    angle, distance = np.arctan2(dy, dx), np.hypot(dx, dy)
    edge = np.full(shape, radius)
    for k in range(2, 9):
        edge = edge * (1 + rng.uniform(0, 0.35) / k * np.cos(k * angle + rng.uniform(0, 2 * np.pi)))
    return (1 / (1 + np.exp(-(edge - distance) / rng.uniform(0.4, 1.2)))).astype(np.float32)


def _blend(
    spec: TrainSource,
    values: NDArray[np.float32],
    alpha: NDArray[np.float32],
    mask: NDArray[np.bool_],
    tissue: NDArray[np.bool_],
    local: float,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    coarse = rng.normal(0, 1, (12, 12)).astype(np.float32)
    texture = np.kron(coarse, np.ones((-(-values.shape[0] // 12),) * 2, np.float32))[
        : values.shape[0], : values.shape[1]
    ]
    if spec.modality == "ct":
        tissue_hu = float(rng.uniform(-60, 90)) + 15 * texture
        return np.asarray(values * (1 - alpha) + tissue_hu * alpha, np.float32)
    base = float(np.median(values[tissue]))
    sign = 1.0 if rng.random() < 0.9 else -1.0
    level = base + sign * rng.uniform(0.35, 1.2) * max(local, 0.25 * base) + 0.1 * base * texture
    if rng.random() < 0.4:  # ring: bright rim, dark core
        core = np.clip(alpha * 2.2 - 1.2, 0, 1) ** 3
        level = level * (1 - core) + base * rng.uniform(0.4, 0.8) * core
    kept = values * (1 - alpha) + level * alpha
    return np.asarray(kept, np.float32)


def _placed(spec: TrainSource, mask: NDArray[np.bool_], mm: float, axis: Axis, identity: int) -> PlacedObject:
    rows, columns = np.nonzero(mask)
    box = (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))
    centre = (float(columns.mean()) + 0.5, float(rows.mean()) + 0.5)
    nearest = int(np.argmin((columns + 0.5 - centre[0]) ** 2 + (rows + 0.5 - centre[1]) ** 2))
    longest = max(box[2] - box[0], box[3] - box[1]) * mm
    label = "mass" if spec.finding == "nodule" and longest > _MASS_MM else spec.finding
    off_centre = centre[0] / mask.shape[1] - 0.5
    # Too near the middle of the (shifted) picture the side is not certain, and not taught.
    side = None if axis == "sagittal" or abs(off_centre) < 0.08 else ("right" if off_centre < 0 else "left")
    point = (float(columns[nearest]) + 0.5, float(rows[nearest]) + 0.5)
    return PlacedObject(label, mask, box, point, side, float(longest), identity)

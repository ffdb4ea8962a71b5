"""The exact truth of a phantom: what was drawn, where, how large. Everything else (questions, reports, masks,
training rows) is derived from it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LABELS",
    "MODALITIES",
    "PLANES",
    "REGIONS",
    "ClipTruth",
    "PairTruth",
    "PlacedObject",
    "Truth",
    "VolumeTruth",
]

MODALITIES = ("xray", "ct", "mr", "ultrasound", "fundus", "skin", "endoscopy", "microscopy")
PLANES = ("axial", "coronal", "sagittal", "frontal", "lateral", "none")
REGIONS = ("chest", "abdomen", "head", "eye", "skin", "bowel", "tissue", "breast")

LABELS: dict[str, str] = {
    # anatomy (always named when present, never a "finding")
    "lung": "anatomy",
    "heart": "anatomy",
    "liver": "anatomy",
    "kidney": "anatomy",
    "spine": "anatomy",
    "brain": "anatomy",
    "ventricle": "anatomy",
    "optic disc": "anatomy",
    # findings
    "nodule": "finding",
    "mass": "finding",
    "consolidation": "finding",
    "effusion": "finding",
    "tumour": "finding",
    "haemorrhage": "finding",
    "cyst": "finding",
    "stone": "finding",
    "microaneurysm": "finding",
    "exudate": "finding",
    "mole": "finding",
    "polyp": "finding",
    "cell": "finding",
    # things that are neither: distractors the model must tell apart
    "instrument": "object",
    "debris": "object",
}
"""Every label the phantoms draw and the starter knows, with its role."""


@dataclass(frozen=True)
class PlacedObject:
    """One drawn object on one picture.

    `mask` `[H, W]` bool: its visible pixels (not hidden under another).  `box`: tight box of the mask in the pixel
    frame.  `point`: a pixel-frame place inside the object (centroid, or the nearest mask pixel to it).
    `side`: *patient* side, "left" | "right" | "midline", or None where sides make no sense (skin, cells, bowel, eye).
    `size_mm`: longest diameter.  `identity`: the same object in a pair, clip or volume keeps its number.
    """

    label: str
    mask: NDArray[np.bool_] = field(repr=False)
    box: tuple[float, float, float, float]
    point: tuple[float, float]
    side: str | None
    size_mm: float
    identity: int = 0


@dataclass(frozen=True)
class Truth:
    """One 2D phantom: `pixels` uint8 `[H, W]` or `[H, W, 3]` and everything known about it."""

    pixels: NDArray[np.uint8] = field(repr=False)
    modality: str
    plane: str
    region: str
    spacing_mm: float
    objects: tuple[PlacedObject, ...]
    seed: int

    def of(self, label: str) -> tuple[PlacedObject, ...]:
        """Objects of one label, in drawing order."""
        return tuple(o for o in self.objects if o.label == label)


@dataclass(frozen=True)
class VolumeTruth:
    """One 3D phantom, canonical RAS+ `[X, Y, Z]`: `values` int16 (HU for CT, arbitrary for MR), `labels` uint8 with
    1 + index into `names`; `instances` int16 numbers separate findings from 1 (0 elsewhere)."""

    values: NDArray[np.int16] = field(repr=False)
    affine_ras: NDArray[np.float64] = field(repr=False)
    labels: NDArray[np.uint8] = field(repr=False)
    instances: NDArray[np.int16] = field(repr=False)
    names: tuple[str, ...]
    modality: str
    region: str
    seed: int
    instance_labels: tuple[str, ...] = ()
    instance_sides: tuple[str | None, ...] = ()
    instance_sizes_mm: tuple[float, ...] = ()


@dataclass(frozen=True)
class ClipTruth:
    """A clip: one Truth per frame, `times_s` ascending. `motion`: label → "moving" | "still"."""

    frames: tuple[Truth, ...]
    times_s: tuple[float, ...]
    motion: dict[str, str]
    seed: int


@dataclass(frozen=True)
class PairTruth:
    """Prior and current picture of one patient. `changes`: (label, identity, "new" | "resolved" | "grown" | "shrunk"
    | "unchanged")."""

    prior: Truth
    current: Truth
    changes: tuple[tuple[str, int, str], ...]
    seed: int

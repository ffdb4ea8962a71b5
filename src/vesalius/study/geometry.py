"""Axis orders, flips and affines between the stored grid, the canonical RAS+ grid and the displayed slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import GeometryError

__all__ = ["AXES", "LPS_TO_RAS", "Orientation", "canonical_orientation", "check_affine", "display_to_voxel"]

AXES = {"sagittal": 0, "coronal": 1, "axial": 2}
"""Canonical axis a slice of that name is cut across."""

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

Array = NDArray[Any]


def check_affine(affine: Array, *, file: str | None = None) -> NDArray[np.float64]:
    """A 4×4 voxel → RAS mm affine as float64, or GeometryError if not finite, not 4×4 or singular."""
    matrix = np.asarray(affine, dtype=np.float64)
    if matrix.shape != (4, 4):
        raise GeometryError(f"affine has shape {matrix.shape}, not (4, 4).", file=file)
    if not np.isfinite(matrix).all():
        row = int(np.argwhere(~np.isfinite(matrix))[0][0])
        raise GeometryError(
            f"affine is not finite in row {row}.", file=file, fix="Re-export the scan or pass affine=…."
        )
    edges = np.linalg.norm(matrix[:3, :3], axis=0)
    if (edges <= 0).any():
        raise GeometryError(
            f"voxel spacing is zero along stored axis {int(np.argmin(edges))}.",
            file=file,
            fix="Re-export the scan or pass affine=….",
        )
    if abs(np.linalg.det(matrix[:3, :3] / edges)) < 1e-4:
        raise GeometryError(
            "affine is singular: its axes do not span space.", file=file, fix="Re-export the scan or pass affine=…."
        )
    return matrix


@dataclass(frozen=True)
class Orientation:
    """How the stored grid (i, j, k) becomes canonical (X, Y, Z): axis order and flips, no resampling.

    `order[c]` is the stored axis shown as canonical axis c; `flips[c]` says whether it runs backwards.
    """

    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    def canonical_shape(self, stored: tuple[int, int, int]) -> tuple[int, int, int]:
        x, y, z = (stored[axis] for axis in self.order)
        return (x, y, z)

    def stored_axis(self, canonical: int) -> tuple[int, bool]:
        """(stored axis, runs backwards) for a canonical axis."""
        return self.order[canonical], self.flips[canonical]

    def to_canonical(self, stored: Array) -> Array:
        """`[i, j, k]` → `[X, Y, Z]`, a view."""
        return np.transpose(stored, self.order)[tuple(slice(None, None, -1 if f else 1) for f in self.flips)]

    def to_stored(self, canonical: Array) -> Array:
        """`[X, Y, Z]` → `[i, j, k]`, a view."""
        unflipped = canonical[tuple(slice(None, None, -1 if f else 1) for f in self.flips)]
        return np.transpose(unflipped, np.argsort(self.order))

    def planes_to_display(self, planes: Array, canonical: int) -> Array:
        """Stored planes `[N, a, b]` (remaining stored axes ascending) → displayed `[N, H, W]`, a view.

        Radiological display: axial x = right→left, y = anterior→posterior; coronal x = right→left,
        y = superior→inferior; sagittal x = anterior→posterior, y = superior→inferior. Each is canonical with both
        remaining axes reversed.
        """
        across, down = (c for c in range(3) if c != canonical)
        first_is_across = self.order[across] < self.order[down]
        shown = np.swapaxes(planes, 1, 2) if first_is_across else planes
        step_y = 1 if self.flips[down] else -1
        step_x = 1 if self.flips[across] else -1
        return shown[:, ::step_y, ::step_x]

    def canonical_affine(self, stored_affine: Array, stored_shape: tuple[int, int, int]) -> NDArray[np.float64]:
        """Canonical voxel → mm, given stored voxel → mm."""
        to_stored = np.zeros((4, 4))
        to_stored[3, 3] = 1.0
        for canonical, (axis, flip) in enumerate(zip(self.order, self.flips, strict=True)):
            to_stored[axis, canonical] = -1.0 if flip else 1.0
            to_stored[axis, 3] = stored_shape[axis] - 1 if flip else 0.0
        return np.asarray(stored_affine, dtype=np.float64) @ to_stored


def canonical_orientation(stored_affine: Array) -> Orientation:
    """The axis order and flips that bring a stored grid closest to RAS+ (as nibabel's `io_orientation`)."""
    matrix = np.asarray(stored_affine, dtype=np.float64)[:3, :3]
    cosines = matrix / np.linalg.norm(matrix, axis=0)
    # The rotation nearest to the (possibly sheared) direction matrix decides, so gantry tilt cannot swap axes.
    u, _, vt = np.linalg.svd(cosines)
    nearest = u @ vt
    order = [-1, -1, -1]
    flips = [False, False, False]
    remaining = np.abs(nearest)
    for _ in range(3):
        patient, stored = np.unravel_index(int(np.argmax(remaining)), (3, 3))
        order[patient] = int(stored)
        flips[patient] = bool(nearest[patient, stored] < 0)
        remaining[patient, :] = -1.0
        remaining[:, stored] = -1.0
    return Orientation((order[0], order[1], order[2]), (flips[0], flips[1], flips[2]))


def display_to_voxel(shape: tuple[int, int, int], canonical: int, index: int) -> NDArray[np.float64]:
    """4×4: displayed pixel frame (x, y, 0, 1) of slice `index` → canonical voxel frame (centres at integers)."""
    across, down = (c for c in range(3) if c != canonical)
    matrix = np.zeros((4, 4))
    matrix[3, 3] = 1.0
    matrix[across, 0], matrix[across, 3] = -1.0, shape[across] - 0.5
    matrix[down, 1], matrix[down, 3] = -1.0, shape[down] - 0.5
    matrix[canonical, 2], matrix[canonical, 3] = 1.0, float(index)
    return matrix

"""From frames to volumes: grouping, sorting, gaps and the affine of a stack of parallel slices.

Slices are ordered by the projection of their position on the normal of their orientation, never by file name or
number. All vectors here are LPS mm until `stack_affine` turns them to RAS.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import GeometryError, LimitError
from vesalius.limits import current, usable_cores
from vesalius.study.dicom_codecs import NATIVE
from vesalius.study.dicom_image import Frame, ImageFile
from vesalius.study.geometry import LPS_TO_RAS, check_affine

__all__ = ["DicomSlices", "Placed", "check_stack", "phases", "picture_affine", "runs", "similar", "stack_affine"]

Array = NDArray[Any]

SPACING_TOLERANCE = 0.02
"""Share of the slice distance by which distances may differ (plus 0.02 mm of rounding in the header)."""
_ROUNDING_MM = 0.02
_DIRECTION_TOLERANCE = 2e-3
_SAME_PLACE_MM = 5e-3
_MIN_TILT_DEG = 0.5
_MAX_THREADS = 8


@dataclass(frozen=True)
class Placed:
    """One frame of one file with what stacking needs. `height`: position along the normal, mm."""

    image: ImageFile = field(repr=False)
    frame: Frame
    height: float = 0.0

    @property
    def label(self) -> str:
        return self.image.label

    def values(self, dtype: np.dtype[Any] | None = None) -> Array:
        """Decode: `[rows, cols]` in modality units (as `dtype` or the narrowest that fits), or RGB uint8."""
        stored = self.image.store.decode(self.frame.index)
        if stored.ndim == 3:
            return stored
        return self.frame.rescale.apply(stored, dtype or self.dtype)

    @property
    def dtype(self) -> np.dtype[Any]:
        shape = self.image.store.format
        if shape.colour:
            return np.dtype(np.uint8)
        return self.frame.rescale.dtype(shape.stored_dtype, *shape.stored_range)


class DicomSlices:
    """Voxels of a stack, decoded plane by plane: stored grid (i = column, j = row, k = slice by height).

    `planes(2, …)` decodes only those slices. Other axes need every slice; the whole stack is then decoded once and
    kept (one copy, read-only).
    """

    def __init__(self, slices: Sequence[Placed]) -> None:
        shape = slices[0].image.store.format
        self.shape: tuple[int, int, int] = (shape.cols, shape.rows, len(slices))
        self.dtype: np.dtype[Any] = np.result_type(*{s.dtype for s in slices})
        self._slices = tuple(slices)
        self._kept: Array | None = None
        voxels, cap = shape.cols * shape.rows * len(slices), current().max_voxels
        if voxels > cap:
            raise LimitError(f"the stack has {voxels} voxels, the limit is {cap}.", file=slices[0].label)

    def planes(self, axis: int, indices: Sequence[int]) -> Array:
        """Planes across stored `axis`; see `VoxelSource.planes`."""
        if axis != 2:
            return np.moveaxis(self.all(), axis, 0)[list(indices)]
        for index in indices:
            if not 0 <= index < self.shape[2]:
                raise IndexError(f"slice {index} is outside 0..{self.shape[2] - 1}")
        if self._kept is not None:
            return self._kept[list(indices)].swapaxes(1, 2)
        self._check_bytes(len(indices))
        frames = np.empty((len(indices), self.shape[1], self.shape[0]), self.dtype)
        rows: dict[int, list[int]] = {}
        for row, index in enumerate(indices):
            rows.setdefault(index, []).append(row)
        self._decode_into(frames, rows)
        return frames.swapaxes(1, 2)

    def all(self) -> Array:
        """Every voxel, `[i, j, k]`, read-only."""
        if self._kept is None:
            self._check_bytes(self.shape[2])
            frames = np.empty((self.shape[2], self.shape[1], self.shape[0]), self.dtype)
            self._decode_into(frames, {index: [index] for index in range(self.shape[2])})
            frames.flags.writeable = False
            self._kept = frames
        return self._kept.transpose(2, 1, 0)

    def _decode_into(self, frames: Array, rows: dict[int, list[int]]) -> None:
        """Decode each slice of `rows` once into its rows; compressed ones on all cores (codecs drop the GIL)."""

        def decode(index: int) -> None:
            frames[rows[index]] = self._slices[index].values(self.dtype)

        workers = min(usable_cores(), _MAX_THREADS, len(rows) // 2)
        if workers < 2 or self._slices[0].image.store.syntax in NATIVE:
            for index in rows:
                decode(index)
            return
        with ThreadPoolExecutor(workers) as pool:
            # Limits live in the context, so every task gets its own copy of the caller's.
            waiting = [pool.submit(copy_context().run, decode, index) for index in rows]
            try:
                for task in waiting:
                    task.result()
            finally:
                for task in waiting:
                    task.cancel()

    def _check_bytes(self, slices: int) -> None:
        wanted, cap = slices * self.shape[0] * self.shape[1] * self.dtype.itemsize, current().max_decoded_bytes
        if wanted > cap:
            raise LimitError(
                f"decoding {slices} slices takes {wanted} bytes, the limit is {cap}.",
                file=self._slices[0].label,
                fix="Read fewer slices or raise vesalius.limits.",
            )


def similar(a: Placed, b: Placed) -> bool:
    """Whether two frames can belong to one stack: size, spacing, direction, frame of reference, grey values."""
    one, two = a.image.store.format, b.image.store.format
    if (one.rows, one.cols, one.colour) != (two.rows, two.cols, two.colour):
        return False
    if a.image.frame_of_reference != b.image.frame_of_reference:
        return False
    if a.frame.spacing is None or b.frame.spacing is None or a.frame.orientation is None:
        return False
    if b.frame.orientation is None or not np.allclose(a.frame.spacing, b.frame.spacing, rtol=1e-3, atol=1e-5):
        return False
    return bool(np.abs(np.subtract(a.frame.orientation, b.frame.orientation)).max() <= _DIRECTION_TOLERANCE)


def normal_of(frame: Frame, label: str) -> Array:
    """Unit normal of a frame's plane; GeometryError when its direction cosines do not span one."""
    cosines = np.asarray(frame.orientation, dtype=np.float64)
    row, column = cosines[:3], cosines[3:]
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if not all(abs(v - 1) < 0.02 for v in lengths) or abs(float(row @ column)) > 0.02:
        raise GeometryError(
            "ImageOrientationPatient is not two perpendicular unit vectors.",
            file=label,
            fix="Export the series again.",
        )
    normal = np.cross(row, column)
    return normal / np.linalg.norm(normal)


def by_height(group: Sequence[Placed]) -> list[Placed]:
    """The group sorted along the normal of its first frame (ties: instance number, then UID)."""
    normal = normal_of(group[0].frame, group[0].label)
    placed = [Placed(p.image, p.frame, float(normal @ np.asarray(p.frame.position))) for p in group]
    return sorted(placed, key=lambda p: (p.height, p.image.number, p.image.sop_instance, p.frame.index))


def phases(group: Sequence[Placed]) -> tuple[list[list[Placed]], list[str]]:
    """Split frames that share positions: ([stack, …], warnings).

    When every position occurs equally often (time points, echoes, b-values), each occurrence becomes its own stack in
    order of instance number; otherwise the first at each position is kept and the rest dropped with a warning.
    """
    places: list[list[Placed]] = []
    for placed in by_height(group):
        if places and placed.height - places[-1][0].height <= _SAME_PLACE_MM and _same_place(places[-1][0], placed):
            places[-1].append(placed)
        else:
            places.append([placed])
    for place in places:
        place.sort(key=lambda p: (p.image.number, p.frame.index, p.image.sop_instance))
    counts = {len(place) for place in places}
    if counts == {1}:
        return [[place[0] for place in places]], []
    if len(counts) == 1:
        count = counts.pop()
        note = f"Each of {len(places)} positions occurs {count} times; read as {count} separate stacks."
        return [[place[n] for place in places] for n in range(count)], [note]
    extra = sum(len(place) - 1 for place in places)
    return [[place[0] for place in places]], [f"{extra} slices at duplicated positions were left out."]


def _same_place(a: Placed, b: Placed) -> bool:
    return bool(np.abs(np.subtract(a.frame.position, b.frame.position)).max() <= 0.05)  # type: ignore[arg-type]


def _steps(stack: Sequence[Placed]) -> Array:
    return np.diff([placed.height for placed in stack])


def _irregular(steps: Array) -> Array:
    middle = float(np.median(steps))
    return np.abs(steps - middle) > SPACING_TOLERANCE * middle + _ROUNDING_MM


def check_stack(stack: Sequence[Placed]) -> None:
    """GeometryError when slices are missing or unevenly spaced; names how many and after which slice."""
    if len(stack) < 3:
        return
    steps = _steps(stack)
    odd = _irregular(steps)
    if not odd.any():
        return
    common = max(_common_step(steps), 1e-6)
    ratio = steps / common
    whole = np.rint(ratio)
    file = stack[int(np.argmax(odd))].label
    if whole.min() >= 1 and (np.abs(ratio - whole) * common <= SPACING_TOLERANCE * common * whole + _ROUNDING_MM).all():
        missing = int((whole - 1).sum())
        first = int(np.argmax(whole > 1)) + 1
        raise GeometryError(
            f"{missing} {'slice is' if missing == 1 else 'slices are'} missing from the series of {len(stack)} "
            f"(distance {common:g} mm, first gap after slice {first} of {len(stack)}).",
            file=file,
            fix="Fetch the whole series, or read with allow_gaps=True (--allow-gaps) to get each unbroken part.",
        )
    raise GeometryError(
        f"slice distances vary from {steps.min():.4g} to {steps.max():.4g} mm in a series of {len(stack)}.",
        file=file,
        fix="Export the series again, or read with allow_gaps=True (--allow-gaps) to get each evenly spaced part.",
    )


def _common_step(steps: Array) -> float:
    """The distance most steps share: the median, or the least step when missing slices are the majority."""
    middle, least = float(np.median(steps)), float(steps.min())
    near = np.abs(steps - middle) <= SPACING_TOLERANCE * middle + _ROUNDING_MM
    return middle if near.sum() * 2 > len(steps) else least


def runs(stack: Sequence[Placed]) -> list[list[Placed]]:
    """Cut a stack into parts whose slices are evenly spaced."""
    parts: list[list[Placed]] = [[stack[0]]]
    for placed in stack[1:]:
        part = parts[-1]
        if len(part) >= 2:
            step, usual = placed.height - part[-1].height, part[1].height - part[0].height
            if abs(step - usual) > SPACING_TOLERANCE * usual + _ROUNDING_MM:
                parts.append([placed])
                continue
        part.append(placed)
    return parts


def stack_affine(stack: Sequence[Placed]) -> tuple[Array, list[str]]:
    """(stored voxel (i, j, k) → RAS mm, warnings) of ≥ 2 evenly spaced parallel slices.

    The third column is the true step between slice origins, so a gantry tilt stays in the affine as a shear.
    """
    first, last = stack[0], stack[-1]
    cosines = np.asarray(first.frame.orientation, dtype=np.float64)
    spacing = first.frame.spacing or (1.0, 1.0)
    begin, end = np.asarray(first.frame.position), np.asarray(last.frame.position)
    step = (end - begin) / (len(stack) - 1)
    affine = np.eye(4)
    affine[:3, 0] = cosines[:3] * spacing[0]
    affine[:3, 1] = cosines[3:] * spacing[1]
    affine[:3, 2] = step
    affine[:3, 3] = begin
    notes: list[str] = []
    normal = normal_of(first.frame, first.label)
    cosine = float(normal @ step) / float(np.linalg.norm(step))
    tilt = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    if tilt > _MIN_TILT_DEG:
        notes.append(f"Gantry tilt: slices are shifted by {tilt:.1f} degrees against their normal; kept in the affine.")
    expected = begin + np.arange(len(stack))[:, None] * step
    drift = np.abs(expected - np.asarray([p.frame.position for p in stack])).max()
    if drift > max(0.1, 0.1 * float(np.linalg.norm(step))):
        raise GeometryError(
            f"slice origins leave a straight line by {drift:.3g} mm.",
            file=first.label,
            fix="Export the series again.",
        )
    return check_affine(LPS_TO_RAS @ affine, file=first.label), notes


def picture_affine(placed: Placed) -> Array | None:
    """Pixel frame (x, y, 0, 1; origin at the outer corner of the first pixel) → RAS mm, or None without geometry."""
    frame = placed.frame
    if frame.position is None or frame.orientation is None or frame.spacing is None:
        return None
    cosines = np.asarray(frame.orientation, dtype=np.float64)
    affine = np.eye(4)
    affine[:3, 0] = cosines[:3] * frame.spacing[0]
    affine[:3, 1] = cosines[3:] * frame.spacing[1]
    affine[:3, 2] = np.cross(cosines[:3], cosines[3:])
    # The position is that of the first pixel's centre, half a pixel from the corner.
    affine[:3, 3] = np.asarray(frame.position) - 0.5 * affine[:3, 0] - 0.5 * affine[:3, 1]
    ras = LPS_TO_RAS @ affine
    return ras if np.isfinite(ras).all() and abs(np.linalg.det(ras[:3, :3])) > 1e-12 else None

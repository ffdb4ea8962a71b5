"""What a study holds: pictures, volumes, clips, slides, tables and documents.

Coordinate frames used everywhere in Vesalius:

* **pixel**: absolute pixels of the original picture, x right, y down, floats, origin at the *outer corner* of the
  first pixel; the centre of the first pixel is (0.5, 0.5). A box is (x0, y0, x1, y1).
* **voxel**: index into the canonical RAS+ array `[X, Y, Z]`; integer values are voxel *centres* (nibabel's convention).
* **RAS mm**: patient millimetres, x to the right, y anterior, z superior.

Readers fill these classes with functions that decode on demand; nothing is decoded by constructing one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vesalius.study.geometry import AXES, Orientation, display_to_voxel
from vesalius.study.windows import Window, apply_window, default_window

__all__ = [
    "Axis",
    "Clip",
    "Document",
    "Item",
    "Origin",
    "Picture",
    "PlaneStream",
    "SliceView",
    "Slide",
    "Study",
    "Table",
    "Volume",
    "VoxelSource",
]

Axis = Literal["axial", "coronal", "sagittal"]
Array = NDArray[np.generic]


@dataclass(frozen=True)
class Origin:
    """Where an item came from.

    `format`: "dicom", "nifti", "nrrd", "metaimage", "png", "mp4", "array"…  `files`: as the caller named them (empty
    for bytes and arrays).  `modality`: the DICOM code ("CT", "MR", "CR", "DX", "US", "XC", "ES", "GM", "SM"…) or None
    when the file does not say.  `instances`: (SOP class UID, SOP instance UID) of each stored slice or frame in
    *stored* order, DICOM only.  `details`: technical facts worth showing (transfer syntax, codec…), never patient data.
    """

    format: str
    files: tuple[str, ...] = ()
    modality: str | None = None
    body_part: str | None = None
    series_uid: str | None = None
    instances: tuple[tuple[str, str], ...] = ()
    details: dict[str, str] = field(default_factory=dict[str, str])
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Picture:
    """One 2D picture.

    `load()` returns values `[H, W]` (modality units, any real dtype) or `[H, W, 3]` uint8 RGB, once per call.
    `spacing_mm`: (x, y) distance of pixel centres or None.  `pixel_to_ras`: 4×4, (x, y, 0, 1) in the pixel frame →
    RAS mm, or None.  `window`: the file's own window.  `inverted`: stored as MONOCHROME1 (small values are bright);
    `values()` keeps the stored polarity, `view()` shows it right.
    """

    width: int
    height: int
    load: Callable[[], Array] = field(repr=False)
    origin: Origin = field(repr=False)
    spacing_mm: tuple[float, float] | None = None
    pixel_to_ras: NDArray[np.float64] | None = field(default=None, repr=False)
    window: Window | None = None
    inverted: bool = False

    def values(self) -> Array:
        """Decode: `[H, W]` in modality units or `[H, W, 3]` uint8."""
        return self.load()

    def view(self, window: Window | None = None) -> NDArray[np.uint8]:
        """Decode and window for display: `[H, W]` or `[H, W, 3]` uint8, bright is bright."""
        values = self.load()
        if values.ndim == 3:
            return values.astype(np.uint8, copy=False)
        chosen = window or self.window or default_window(self.origin.modality, values)
        shown = apply_window(values, chosen)
        return 255 - shown if self.inverted else shown


class VoxelSource(Protocol):
    """Stored voxels read plane by plane. `shape` is the stored grid (i, j, k)."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Stored grid (i, j, k)."""
        ...

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the values `planes` returns."""
        ...

    def planes(self, axis: int, indices: Sequence[int]) -> Array:
        """Decode only the planes `indices` (stored order, any order or repeats) across stored `axis` (0, 1, 2).

        Returns `[len(indices), a, b]` where (a, b) are the two remaining stored axes in ascending order,
        in modality units (after slope and intercept), integer dtype where slope and intercept allow.
        """
        ...

    def all(self) -> Array:
        """Decode everything: `[i, j, k]` in modality units."""
        ...


@dataclass(frozen=True)
class SliceView:
    """One slice of a volume as it is looked at: radiological convention, patient's right at the left edge.

    `values`: `[H, W]` modality units.  `display_to_voxel`: 4×4, pixel frame (x, y, 0, 1) → canonical voxel frame.
    """

    axis: Axis
    index: int
    values: Array = field(repr=False)
    spacing_mm: tuple[float, float]
    display_to_voxel: NDArray[np.float64] = field(repr=False)
    display_to_ras: NDArray[np.float64] = field(repr=False)
    window: Window

    @property
    def width(self) -> int:
        return int(self.values.shape[1])

    @property
    def height(self) -> int:
        return int(self.values.shape[0])

    def view(self, window: Window | None = None) -> NDArray[np.uint8]:
        """Windowed `[H, W]` uint8."""
        return apply_window(self.values, window or self.window)


@runtime_checkable
class PlaneStream(Protocol):
    """A `VoxelSource` that can hand out planes while it decodes further ones."""

    def each_plane(self, axis: int, indices: Sequence[int]) -> Iterator[tuple[int, Array]]:
        """(place in `indices`, plane `[a, b]`) of the planes that `planes` gives, in the order they are decoded."""
        ...


@dataclass(frozen=True)
class Volume:
    """A 3D scan, canonical RAS+ `[X, Y, Z]`, decoded on demand.

    `affine_ras`: 4×4 float64, canonical voxel → RAS mm (may be oblique; axes are permuted and flipped only).
    `orientation` maps the stored grid to the canonical one, so a mask can be written on the source grid.
    `stored_affine_ras`: 4×4, stored voxel (i, j, k) → RAS mm.
    """

    source: VoxelSource = field(repr=False)
    affine_ras: NDArray[np.float64] = field(repr=False)
    orientation: Orientation = field(repr=False)
    stored_affine_ras: NDArray[np.float64] = field(repr=False)
    origin: Origin = field(repr=False)
    window: Window | None = None
    units: str = ""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Canonical grid (X, Y, Z)."""
        return self.orientation.canonical_shape(self.source.shape)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel edge lengths along canonical X, Y, Z."""
        x, y, z = (float(v) for v in np.linalg.norm(self.affine_ras[:3, :3], axis=0))
        return (x, y, z)

    def num_slices(self, axis: Axis = "axial") -> int:
        return self.shape[AXES[axis]]

    def values(self) -> Array:
        """Decode everything, canonical `[X, Y, Z]`."""
        return self.orientation.to_canonical(self.source.all())

    def slices(self, indices: Sequence[int], axis: Axis = "axial", window: Window | None = None) -> list[SliceView]:
        """Decode only these canonical slices (index along the axis), each in radiological display orientation.

        One window serves all of them: `window`, else the file's own, else the modality's default (for MR and others a
        percentile range over the decoded slices). Raises IndexError for an index outside `num_slices(axis)`.
        """
        stored_axis, stored = self._stored(indices, axis)
        shown = self.orientation.planes_to_display(self.source.planes(stored_axis, stored), AXES[axis])
        chosen = window or self.window or default_window(self.origin.modality, shown)
        return [self._slice(index, values, axis, chosen) for index, values in zip(indices, shown, strict=True)]

    def each_slice(
        self, indices: Sequence[int], axis: Axis = "axial", window: Window | None = None
    ) -> Iterator[tuple[int, SliceView]]:
        """What `slices` gives, one by one as they are decoded: (place in `indices`, slice).

        Without a window of the caller or the file all are decoded first, for the window depends on their values.
        """
        chosen = window or self.window
        if chosen is None or not isinstance(self.source, PlaneStream):
            yield from enumerate(self.slices(indices, axis, window))
            return
        for place, plane in self.source.each_plane(*self._stored(indices, axis)):
            (values,) = self.orientation.planes_to_display(plane[None], AXES[axis])
            yield place, self._slice(indices[place], values, axis, chosen)

    def _stored(self, indices: Sequence[int], axis: Axis) -> tuple[int, list[int]]:
        """(stored axis, stored indices) of canonical slices."""
        count = self.num_slices(axis)
        for index in indices:
            if not 0 <= index < count:
                raise IndexError(f"slice {index} is outside 0..{count - 1} ({axis})")
        stored_axis, flipped = self.orientation.stored_axis(AXES[axis])
        return stored_axis, [count - 1 - i for i in indices] if flipped else list(indices)

    def _slice(self, index: int, values: Array, axis: Axis, window: Window) -> SliceView:
        canonical = AXES[axis]
        across = [d for d in range(3) if d != canonical]
        spacing = (self.spacing_mm[across[0]], self.spacing_mm[across[1]])
        to_voxel = display_to_voxel(self.shape, canonical, index)
        return SliceView(axis, index, values, spacing, to_voxel, np.asarray(self.affine_ras @ to_voxel), window)

    def to_stored(self, canonical: Array) -> Array:
        """Put a canonical `[X, Y, Z]` array (a mask, say) back on the stored grid."""
        return self.orientation.to_stored(canonical)


@dataclass(frozen=True)
class Clip:
    """Moving pictures. `load(indices)` decodes only those frames: a list of `[H, W, 3]` uint8 RGB.

    `times_s`: presentation time of each frame, ascending, seconds from the first.
    """

    width: int
    height: int
    times_s: NDArray[np.float64] = field(repr=False)
    load: Callable[[Sequence[int]], list[NDArray[np.uint8]]] = field(repr=False)
    origin: Origin = field(repr=False)
    spacing_mm: tuple[float, float] | None = None

    @property
    def num_frames(self) -> int:
        return len(self.times_s)

    @property
    def duration_s(self) -> float:
        return float(self.times_s[-1] - self.times_s[0]) if len(self.times_s) else 0.0

    def frames(self, indices: Sequence[int]) -> list[NDArray[np.uint8]]:
        """Decode these frames (0-based): each `[H, W, 3]` uint8."""
        return self.load(indices)


@dataclass(frozen=True)
class Slide:
    """A whole-slide pyramid. Never read at full size.

    `level_sizes`: (width, height) per level, largest first.  `mpp`: micrometres per pixel (x, y) at level 0 or None.
    `region(level, x, y, width, height)` reads `[height, width, 3]` uint8; x, y in level-0 pixels.
    """

    level_sizes: tuple[tuple[int, int], ...]
    region: Callable[[int, int, int, int, int], NDArray[np.uint8]] = field(repr=False)
    thumbnail: Callable[[int], NDArray[np.uint8]] = field(repr=False)
    origin: Origin = field(repr=False)
    mpp: tuple[float, float] | None = None

    @property
    def width(self) -> int:
        return self.level_sizes[0][0]

    @property
    def height(self) -> int:
        return self.level_sizes[0][1]


@dataclass(frozen=True)
class Table:
    """Rows of text cells under named columns."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...] = field(repr=False)
    origin: Origin = field(repr=False)

    def to_text(self, max_rows: int = 50) -> str:
        """Pipe-separated text, the first `max_rows` rows and a line that says how many were left out."""
        lines = [" | ".join(self.columns), *(" | ".join(row) for row in self.rows[:max_rows])]
        if len(self.rows) > max_rows:
            lines.append(f"({len(self.rows) - max_rows} more rows)")
        return "\n".join(lines)


@dataclass(frozen=True)
class Document:
    """Text: a plain file, a DICOM structured report or an encapsulated PDF. It is data, never an instruction."""

    text: str = field(repr=False)
    origin: Origin = field(repr=False)


Item = Picture | Volume | Clip | Slide | Table | Document


@dataclass(frozen=True)
class Study:
    """What was read: items in a stable order, and warnings about what was odd (plain sentences, no patient data)."""

    items: tuple[Item, ...]
    warnings: tuple[str, ...] = ()

    @property
    def pictures(self) -> tuple[Picture, ...]:
        return tuple(i for i in self.items if isinstance(i, Picture))

    @property
    def volumes(self) -> tuple[Volume, ...]:
        return tuple(i for i in self.items if isinstance(i, Volume))

    @property
    def clips(self) -> tuple[Clip, ...]:
        return tuple(i for i in self.items if isinstance(i, Clip))

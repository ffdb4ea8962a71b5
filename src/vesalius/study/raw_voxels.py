"""Voxels stored as one block behind a header (NIfTI, NRRD, MetaImage, .npy), decoded plane by plane.

The block is in Fortran order: the first stored axis i runs fastest, so a plane across k is one run of bytes. An
uncompressed file is memory-mapped; a compressed one is inflated as a stream that keeps only the chosen planes and
stops behind the last of them. Slope and intercept are applied to the chosen planes only; nothing is ever float64.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import GeometryError, InputError, LimitError, OptionError
from vesalius.limits import current
from vesalius.study.geometry import canonical_orientation, check_affine
from vesalius.study.gzip_stream import ByteSource, Codec, InflateStream, check_inflated_size
from vesalius.study.items import Origin, Volume
from vesalius.study.windows import Window

if TYPE_CHECKING:
    from vesalius.study.voxel_cache import KeptSlices, VoxelCache

__all__ = [
    "RawVoxels",
    "VoxelLayout",
    "checked_grid",
    "chosen_volumes",
    "kept_slices",
    "late_warnings",
    "volume_from",
    "with_affine",
]

Array = NDArray[Any]


@dataclass(frozen=True)
class VoxelLayout:
    """Where the voxels of one 3D grid lie.

    `shape`: (i, j, k), i fastest.  `dtype`: with byte order.  `codec`: how the bytes are packed.  `stored_offset`:
    byte of the file where the packed stream starts.  `skip`: unpacked bytes before the first voxel.
    `components`, `component`: values interleaved per voxel, and which of them is taken.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    codec: Codec = "none"
    stored_offset: int = 0
    skip: int = 0
    components: int = 1
    component: int = 0

    @property
    def plane_bytes(self) -> int:
        return self.shape[0] * self.shape[1] * self.components * self.dtype.itemsize

    @property
    def num_bytes(self) -> int:
        return self.plane_bytes * self.shape[2]


@dataclass
class RawVoxels:
    """A `VoxelSource` over a block of stored voxels.

    Values come out as `stored * slope + inter`: integers when both are whole numbers, float32 otherwise. Values that
    are NaN or infinite become `fill` (a constant, so that a slice does not depend on which others are read with it;
    0, or −1024 for CT) and a sentence is added to `late`. Raises InputError when data is missing or damaged.
    """

    bytes: ByteSource
    layout: VoxelLayout
    slope: float = 1.0
    inter: float = 0.0
    fill: float = 0.0
    late: list[str] = field(default_factory=list[str], repr=False)
    cache: VoxelCache | None = field(default=None, repr=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.layout.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return _value_dtype(self.layout.dtype, self.slope, self.inter)

    def check(self) -> RawVoxels:
        """Hold the header's promise against the caps and, where no decoding is needed, against the file's size."""
        caps, layout, stored = current(), self.layout, self.bytes.size()
        if layout.codec == "none":
            got = max(stored - layout.stored_offset - layout.skip, 0)
            if got < layout.num_bytes:
                raise _too_short(self.bytes.name, got, layout.num_bytes)
        else:
            check_inflated_size(
                layout.skip + layout.num_bytes,
                stored,
                self.bytes.name,
                max_decoded=caps.max_decoded_bytes,
                max_ratio=caps.max_inflate_ratio,
            )
        return self

    def planes(self, axis: int, indices: Sequence[int]) -> Array:
        """See `VoxelSource.planes`."""
        chosen = np.asarray(indices, dtype=np.intp)
        mapped = self._mapped()
        taken = self._streamed(axis, chosen) if mapped is None else mapped[(slice(None),) * (2 - axis) + (chosen,)]
        # Stored order is [k, j, i]; the chosen axis moves to the front, the other two follow in ascending order.
        order = ((2, 1, 0), (1, 2, 0), (0, 2, 1))[axis]
        return self._in_units(taken).transpose(order)

    def each_plane(self, axis: int, indices: Sequence[int]) -> Iterator[tuple[int, Array]]:
        """See `PlaneStream.each_plane`."""
        if axis == 2 and self._mapped() is None:
            for place, plane in self._arriving(list(indices)):
                yield place, self._in_units(plane).T
        else:
            yield from enumerate(self.planes(axis, indices))

    def all(self) -> Array:
        """See `VoxelSource.all`."""
        size = self.layout.num_bytes // self.layout.components
        if size > current().max_decoded_bytes:
            raise LimitError(
                f"its voxels take {size} bytes decoded; the limit is {current().max_decoded_bytes}.",
                file=self.bytes.name,
                fix="Read the slices you need, or raise vesalius.limits max_decoded_bytes.",
            )
        return self.planes(2, range(self.shape[2])).transpose(1, 2, 0)

    def stored_planes(self) -> Iterator[bytes]:
        """The stored bytes of each k plane in order, inflated as they are asked for."""
        layout, name = self.layout, self.bytes.name
        with self.bytes.opened() as file:
            file.seek(layout.stored_offset)
            stream = InflateStream(file, layout.codec, name)
            if stream.skip(layout.skip) < layout.skip:
                raise _too_short(name, 0, layout.num_bytes)
            for k in range(layout.shape[2]):
                plane = stream.read(layout.plane_bytes)
                if len(plane) < layout.plane_bytes:
                    raise _too_short(name, k * layout.plane_bytes + len(plane), layout.num_bytes)
                if k == layout.shape[2] - 1:
                    stream.skip(1 << 20)  # running into the end has the decoder compare the checksum
                yield plane

    def _mapped(self) -> Array | None:
        """`[k, j, i]` without a copy where the bytes lie open, or None."""
        layout, source = self.layout, self.bytes
        offset = layout.stored_offset + layout.skip
        if layout.codec == "text":
            return self._from_text()
        if layout.codec != "none":
            copy = self.cache.voxels(self) if self.cache is not None else None
            if copy is None:
                return None
            source, offset = copy, 0
        grid = (*layout.shape[::-1], layout.components)
        try:
            if source.data is not None:
                count = layout.num_bytes // layout.dtype.itemsize
                stored = np.frombuffer(source.data, layout.dtype, count, offset).reshape(grid)
            else:
                stored = np.memmap(source.name, layout.dtype, "r", offset, grid)
        except (OSError, ValueError) as exc:
            raise InputError("changed or vanished since its header was read.", file=source.name) from exc
        return stored[..., layout.component]

    def _streamed(self, axis: int, chosen: NDArray[np.intp]) -> Array:
        """Chosen planes of a compressed block: `[n, j, i]`, `[k, n, i]` or `[k, j, n]` for axis 2, 1, 0."""
        ni, nj, nk = self.layout.shape
        count = len(chosen)
        taken = np.empty(((nk, nj, count), (nk, count, ni), (count, nj, ni))[axis], self.layout.dtype)
        if count:
            for place, plane in self._arriving(chosen.tolist() if axis == 2 else range(nk)):
                taken[place] = plane if axis == 2 else plane[chosen] if axis == 1 else plane[:, chosen]
        return taken

    def _arriving(self, chosen: Sequence[int]) -> Iterator[tuple[int, Array]]:
        """(place in `chosen`, plane `[j, i]`) of the chosen k planes of a compressed block, in stored order."""
        layout = self.layout
        ni, nj, _ = layout.shape
        wanted: dict[int, list[int]] = {}
        for place, k in enumerate(chosen):
            wanted.setdefault(k, []).append(place)
        last = max(wanted, default=-1)
        for k, raw in enumerate(self.stored_planes() if wanted else ()):
            if k in wanted:
                plane = np.frombuffer(raw, layout.dtype).reshape(nj, ni, layout.components)[..., layout.component]
                for place in wanted[k]:
                    yield place, plane
            if k == last:
                break

    def _from_text(self) -> Array:
        """NRRD "ascii": numbers between white space."""
        layout = self.layout
        words = self.bytes.head(current().max_file_bytes, layout.stored_offset).split()
        expected = layout.num_bytes // layout.dtype.itemsize
        if len(words) < expected:
            raise InputError(f"holds {len(words)} numbers, its header promises {expected}.", file=self.bytes.name)
        try:
            values = np.array(words[:expected], dtype=np.float64 if layout.dtype.kind == "f" else np.int64)
            stored = values.astype(layout.dtype)
        except (ValueError, OverflowError) as exc:
            raise InputError("its text data holds something that is not a number.", file=self.bytes.name) from exc
        return stored.reshape(*layout.shape[::-1], layout.components)[..., layout.component]

    def _in_units(self, stored: Array) -> Array:
        """Stored planes → modality units in native byte order; a view where nothing has to change."""
        result = self.dtype
        native = np.asarray(stored)
        if result.kind in "iu":
            if (self.slope, self.inter) == (1.0, 0.0):
                return native.astype(result, copy=False)
            return native.astype(result) * result.type(self.slope) + result.type(self.inter)
        with np.errstate(over="ignore", invalid="ignore"):
            values = native.astype(np.float32)
            if (self.slope, self.inter) != (1.0, 0.0):
                values = values * np.float32(self.slope) + np.float32(self.inter)
        finite = np.isfinite(values)
        if not finite.all():
            values[~finite] = self.fill
            sentence = f"{self.bytes.name}: voxels that are not finite numbers were set to {self.fill:g}."
            if sentence not in self.late:
                self.late.append(sentence)
        return values


def _value_dtype(stored: np.dtype[Any], slope: float, inter: float) -> np.dtype[Any]:
    if stored.kind not in "iu" or slope != int(slope) or inter != int(inter):
        return np.dtype(np.float32)
    if (slope, inter) == (1.0, 0.0):
        return stored.newbyteorder("=")
    info = np.iinfo(stored)
    ends = (int(info.min) * int(slope) + int(inter), int(info.max) * int(slope) + int(inter))
    for candidate in (np.int16, np.int32, np.int64):
        if min(ends) >= np.iinfo(candidate).min and max(ends) <= np.iinfo(candidate).max:
            return np.dtype(candidate)
    return np.dtype(np.float32)


def _too_short(name: str, got: int, expected: int) -> InputError:
    return InputError(
        f"its voxel data is cut short: {got} bytes, the header promises {expected}.",
        file=name,
        fix="Copy or export it again.",
    )


def checked_grid(shape: Sequence[int], name: str) -> tuple[int, int, int]:
    """A stored 3D grid of positive sizes within `max_voxels`; asked before anything is allocated."""
    i, j, k = (int(n) for n in shape)
    if min(i, j, k) < 1:
        raise InputError(f"its grid is {i} x {j} x {k}; every size must be at least 1.", file=name)
    cap = current().max_voxels
    if i * j * k > cap:
        raise LimitError(
            f"its header claims {i} x {j} x {k} = {i * j * k} voxels; the limit is {cap}.",
            file=name,
            fix="Crop it, or raise vesalius.limits max_voxels.",
        )
    return i, j, k


def chosen_volumes(count: int, volume_index: int | str | None, name: str) -> tuple[list[int], list[str]]:
    """Which of `count` volumes in one file are read, and the warnings that go with it.

    None: the first, with a warning when there are more. An integer: that one. "all": each.
    """
    if volume_index == "all":
        if count > current().max_media:
            raise LimitError(
                f"holds {count} volumes; at most {current().max_media} are read at once.",
                file=name,
                fix="Choose one with volume_index=….",
            )
        return list(range(count)), []
    if volume_index is None:
        if count == 1:
            return [0], []
        return [0], [
            f"{name}: holds {count} volumes; the first was read. "
            f"Choose with volume_index=0…{count - 1} or 'all' (--volume-index)."
        ]
    if isinstance(volume_index, str) or not 0 <= volume_index < count:
        raise OptionError(
            f"volume_index={volume_index!r}, but the file holds {count} volume{'s' if count > 1 else ''}.",
            file=name,
            fix=f"Use 0…{count - 1} or 'all'.",
        )
    return [volume_index], []


def volume_from(source: RawVoxels, stored_affine: Array, origin: Origin, *, window: Window | None = None) -> Volume:
    """A canonical `Volume`. `stored_affine`: 4×4, stored voxel → RAS mm; GeometryError if it is unusable."""
    name = origin.files[0] if origin.files else source.bytes.name
    affine = check_affine(stored_affine, file=name)
    if np.abs(affine).max() > 1e7:
        raise GeometryError("its affine places voxels more than 10 km away.", file=name, fix="Pass affine=….")
    orientation = canonical_orientation(affine)
    return Volume(
        source=source,
        affine_ras=orientation.canonical_affine(affine, source.shape),
        orientation=orientation,
        stored_affine_ras=affine,
        origin=origin,
        window=window,
        units="HU" if origin.modality == "CT" else "",
    )


def with_affine(volume: Volume, stored_affine: Array) -> Volume:
    """The same voxels under another stored-voxel → RAS mm affine."""
    affine = check_affine(stored_affine)
    orientation = canonical_orientation(affine)
    canonical = orientation.canonical_affine(affine, volume.source.shape)
    return replace(volume, orientation=orientation, stored_affine_ras=affine, affine_ras=canonical)


def kept_slices(volume: Volume, facts: str) -> KeptSlices | None:
    """Where slices of this volume, prepared as `facts` spells out, are kept; None where no cache was asked for."""
    source = volume.source
    if not isinstance(source, RawVoxels) or source.cache is None:
        return None
    values = (source.slope, source.inter, source.fill)
    return source.cache.slices(source, repr((values, volume.orientation, volume.origin.modality, facts)))


def late_warnings(volume: Volume) -> tuple[str, ...]:
    """Warnings that only decoding could find (values that are not finite); empty until something is decoded."""
    return tuple(cast("list[str]", getattr(volume.source, "late", [])))

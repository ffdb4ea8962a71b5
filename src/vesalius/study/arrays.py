"""Arrays from memory, `.npy` and `.npz`."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import GeometryError, InputError, LimitError, UnsupportedError
from vesalius.limits import current
from vesalius.study.geometry import canonical_orientation, check_affine
from vesalius.study.gzip_stream import ByteSource, check_inflated_size
from vesalius.study.items import Clip, Item, Origin, Picture, Volume
from vesalius.study.raw_voxels import checked_grid, chosen_volumes

__all__ = ["ArrayVoxels", "items_from_array", "read_npy", "read_npz"]

Array = NDArray[Any]


@dataclass
class ArrayVoxels:
    """A `VoxelSource` over an array `[i, j, k]` in memory or memory-mapped.

    float64 becomes float32 on the planes read; values that are not finite become `fill`, noted in `late`.
    """

    array: Array = field(repr=False)
    name: str = "<array>"
    fill: float = 0.0
    late: list[str] = field(default_factory=list[str], repr=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        i, j, k = self.array.shape
        return (i, j, k)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype if self.array.dtype.kind in "iu" else np.dtype(np.float32)

    def planes(self, axis: int, indices: Sequence[int]) -> Array:
        """See `VoxelSource.planes`."""
        return self._finite(np.moveaxis(np.take(self.array, np.asarray(indices, np.intp), axis=axis), axis, 0))

    def all(self) -> Array:
        """See `VoxelSource.all`."""
        return self._finite(self.array)

    def _finite(self, values: Array) -> Array:
        if values.dtype.kind in "iu":
            return values
        cleaned, odd = _finite_float32(values, self.fill)
        sentence = f"{self.name}: values that are not finite numbers were set to {self.fill:g}."
        if odd and sentence not in self.late:
            self.late.append(sentence)
        return cleaned


def _finite_float32(values: Array, fill: float) -> tuple[Array, bool]:
    with np.errstate(over="ignore", invalid="ignore"):
        single = values.astype(np.float32, copy=False)
    finite = np.isfinite(single)
    return (single, False) if finite.all() else (np.where(finite, single, np.float32(fill)), True)


def items_from_array(
    array: Array,
    *,
    affine: Array | None = None,
    modality: str | None = None,
    volume_index: int | str | None = None,
    format: str = "array",
    files: tuple[str, ...] = (),
) -> tuple[list[Item], list[str]]:
    """Items and warnings for one array; its meaning follows from its shape.

    With `affine` (4×4, voxel → RAS mm): `[i, j, k]` → Volume, `[i, j, k, n]` → n volumes (see `chosen_volumes`).
    Without: `[H, W]` real or `[H, W, 3 or 4]` uint8 → Picture; `[T, H, W, 3]` uint8 → Clip, one second apart.
    A 3D grid without affine is refused (GeometryError): spacing and orientation are never invented.
    """
    name = files[0] if files else "<array>"
    plain = _plain(array, name)
    origin = Origin(format, files, modality)
    if affine is not None:
        return _volumes(plain, affine, origin, volume_index, name)
    if plain.ndim == 2 or (plain.ndim == 3 and plain.shape[2] in (3, 4) and plain.dtype == np.uint8):
        return _picture(plain, origin, name)
    if plain.ndim == 4 and plain.shape[3] == 3 and plain.dtype == np.uint8:
        return _clip(plain, origin, name)
    shape = " x ".join(map(str, plain.shape))
    if plain.ndim in (3, 4):
        raise GeometryError(
            f"an array of {shape} {plain.dtype} has no known geometry.",
            file=files[0] if files else None,
            fix="Pass affine= (4x4, voxel to RAS mm), or colour pictures as uint8 [H, W, 3].",
        )
    raise InputError(
        f"an array of {plain.ndim} dimensions ({shape}) is no picture, volume or clip.",
        file=files[0] if files else None,
    )


def _plain(array: Array, name: str) -> Array:
    if array.dtype.kind == "b":
        array = array.view(np.uint8)
    if array.dtype.kind not in "iuf":
        raise UnsupportedError(f"its values are {array.dtype}, not real numbers.", file=name)
    if array.size == 0:
        raise InputError(f"its array is empty ({' x '.join(map(str, array.shape))}).", file=name)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _volumes(
    array: Array, affine: Array, origin: Origin, volume_index: int | str | None, name: str
) -> tuple[list[Item], list[str]]:
    if array.ndim not in (3, 4):
        raise InputError(f"affine= goes with an array of 3 or 4 dimensions, not {array.ndim}.", file=name)
    matrix = check_affine(affine, file=name)
    checked_grid(array.shape[:3], name)
    orientation = canonical_orientation(matrix)
    indices, warnings = chosen_volumes(array.shape[3] if array.ndim == 4 else 1, volume_index, name)
    items: list[Item] = []
    for index in indices:
        voxels = ArrayVoxels(
            array[..., index] if array.ndim == 4 else array, name, -1024.0 if origin.modality == "CT" else 0.0
        )
        canonical = orientation.canonical_affine(matrix, voxels.shape)
        units = "HU" if origin.modality == "CT" else ""
        items.append(Volume(voxels, canonical, orientation, matrix, origin, units=units))
    return items, warnings


def _picture(array: Array, origin: Origin, name: str) -> tuple[list[Item], list[str]]:
    height, width = array.shape[:2]
    if height * width > current().max_pixels:
        raise LimitError(f"has {width} x {height} pixels; the limit is {current().max_pixels}.", file=name)
    warnings: list[str] = []
    if array.ndim == 3:
        shown = _on_black(array) if array.shape[2] == 4 else array
    elif array.dtype.kind == "f":
        shown, odd = _finite_float32(array, 0.0)
        if odd:
            warnings.append(f"{name}: values that are not finite numbers were set to 0.")
    else:
        shown = array
    return [Picture(width, height, lambda: shown, origin)], warnings


def _on_black(rgba: Array) -> Array:
    alpha = rgba[..., 3:].astype(np.uint16)
    return ((rgba[..., :3] * alpha + 127) // 255).astype(np.uint8)


def _clip(frames_THWC: Array, origin: Origin, name: str) -> tuple[list[Item], list[str]]:
    count, height, width = frames_THWC.shape[:3]
    if count > current().max_frames or height * width > current().max_pixels:
        raise LimitError(f"has {count} frames of {width} x {height}; more than the limits allow.", file=name)
    warning = f"{name}: the frame rate of an array is unknown; frames are taken to be 1 s apart."
    times = np.arange(count, dtype=np.float64)
    return [Clip(width, height, times, lambda indices: [frames_THWC[i] for i in indices], origin)], [warning]


def read_npy(
    source: ByteSource,
    *,
    affine: Array | None = None,
    modality: str | None = None,
    volume_index: int | str | None = None,
) -> tuple[list[Item], list[str]]:
    """Items of a `.npy` file, memory-mapped. Arrays of Python objects are refused: loading them would run code."""
    try:
        if source.path is not None:
            array = np.load(source.path, mmap_mode="r", allow_pickle=False)
        else:
            array = np.load(io.BytesIO(source.data or b""), allow_pickle=False)
    except (ValueError, OSError, EOFError, OverflowError, SyntaxError, TypeError, KeyError, MemoryError) as exc:
        raise InputError(
            "is not a usable .npy array (cut short, damaged, or of Python objects, which are never loaded).",
            file=source.name,
            fix="Save it again as numbers with numpy.save.",
        ) from exc
    files = source.files
    return items_from_array(
        array, affine=affine, modality=modality, volume_index=volume_index, format="npy", files=files
    )


def read_npz(
    source: ByteSource,
    *,
    affine: Array | None = None,
    modality: str | None = None,
    volume_index: int | str | None = None,
) -> tuple[list[Item], list[str]]:
    """Items of every array in a `.npz`; a 4×4 member called "affine" serves as the others' affine."""
    arrays = _members(source)
    stored = arrays.pop("affine", None)
    if affine is None and stored is not None and stored.shape == (4, 4):
        affine = stored
    if not arrays:
        raise InputError("holds no array.", file=source.name)
    items: list[Item] = []
    warnings: list[str] = []
    for array in arrays.values():
        more, also = items_from_array(
            array,
            affine=affine if array.ndim in (3, 4) else None,
            modality=modality,
            volume_index=volume_index,
            format="npz",
            files=source.files,
        )
        items += more
        warnings += also
    return items, warnings


def _members(source: ByteSource) -> dict[str, Array]:
    caps = current()
    try:
        with source.opened() as file, zipfile.ZipFile(file) as archive:
            infos = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            if len(infos) > caps.max_media:
                raise LimitError(f"holds {len(infos)} arrays; the limit is {caps.max_media}.", file=source.name)
            total = sum(info.file_size for info in infos)
            check_inflated_size(
                total,
                source.size(),
                source.name,
                max_decoded=caps.max_decoded_bytes,
                max_ratio=caps.max_inflate_ratio,
            )
            arrays: dict[str, Array] = {}
            for info in infos:
                with archive.open(info) as member:
                    # zipfile stops at the size its directory declares, so a forged one cannot inflate further.
                    arrays[info.filename.removesuffix(".npy")] = np.load(
                        io.BytesIO(member.read(info.file_size)), allow_pickle=False
                    )
            return arrays
    except InputError:
        raise
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as exc:
        raise InputError(
            "is not a usable .npz (cut short, damaged, or holding Python objects, which are never loaded).",
            file=source.name,
            fix="Save it again as numbers with numpy.savez.",
        ) from exc

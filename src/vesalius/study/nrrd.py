"""NRRD: `.nrrd` with its data attached, `.nhdr` with its data in a file beside it.

Encodings raw, gzip, bzip2 and ascii. Geometry from `space` and `space directions`; the stored space is turned to RAS.
One axis that is not space (time, gradients) is allowed as the first or the last: each of its positions is one volume.
Reference: teem.sourceforge.net/nrrd/format.html.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import GeometryError, InputError, LimitError, UnsupportedError
from vesalius.limits import current
from vesalius.study.gzip_stream import ByteSource, Codec
from vesalius.study.items import Origin, Volume
from vesalius.study.raw_voxels import RawVoxels, VoxelLayout, checked_grid, chosen_volumes, volume_from
from vesalius.study.voxel_cache import VoxelCache

__all__ = ["beside", "read_nrrd"]

_CODES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_DTYPES = {name: code for code, names in _CODES.items() for name in names}
_ENCODINGS: dict[str, Codec] = {
    "raw": "none",
    "gzip": "gzip",
    "gz": "gzip",
    "bzip2": "bzip2",
    "bz2": "bzip2",
    "ascii": "text",
    "text": "text",
    "txt": "text",
}
_TO_RAS = {
    "right-anterior-superior": (1, 1, 1),
    "ras": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "las": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1),
    "lps": (-1, -1, 1),
}
_COLOURS = ("rgb-color", "rgba-color", "hsv-color", "xyz-color", "3-color", "4-color", "complex")
Vector = tuple[float, ...]


@dataclass(frozen=True)
class _Axes:
    """How the file's axes are used: sizes and directions of the three of space, and the one list axis, if any."""

    shape: tuple[int, int, int]
    directions: list[Vector | None]
    spacings: list[float]
    list_size: int = 1
    list_first: bool = False


def read_nrrd(
    source: ByteSource,
    *,
    affine: NDArray[Any] | None = None,
    modality: str | None = None,
    volume_index: int | str | None = None,
    cache: bool = False,
) -> tuple[list[Volume], list[str]]:
    """Read an NRRD header; voxels stay on disk until asked for. Arguments and errors as `read_nifti`."""
    name = source.name
    fields, header_bytes = _fields(source)
    axes = _axes(fields, name)
    codec = _ENCODINGS.get(fields.get("encoding", "").lower())
    if codec is None:
        raise UnsupportedError("its NRRD encoding is not raw, gzip, bzip2 or ascii.", file=name, fix="Save it as gzip.")
    dtype = _dtype(fields, codec, name)
    detached = fields.get("data file", fields.get("datafile"))
    data = source if detached is None else beside(source, detached)
    start = _after_lines(data, 0 if detached else header_bytes, _whole(fields, "line skip", name))
    indices, warnings = chosen_volumes(axes.list_size, volume_index, name)
    matrix, more = (affine, []) if affine is not None else _affine(fields, axes, name)
    warnings += more
    components = axes.list_size if axes.list_first else 1
    layout = VoxelLayout(axes.shape, dtype, codec, start, components=components)
    skip = _whole(fields, "byte skip", name)
    if skip == -1 and codec == "none":
        layout = replace(layout, stored_offset=max(data.size() - layout.num_bytes * (axes.list_size // components), 0))
        skip = 0
    files = source.files if detached is None else (*source.files, *data.files)
    origin = Origin("nrrd", files, modality, details={"stored": f"{dtype.name}, {codec}"}, warnings=tuple(warnings))
    volumes: list[Volume] = []
    for index in indices:
        if axes.list_first:
            chosen = replace(layout, component=index, skip=skip)
        else:
            chosen = replace(layout, skip=skip + index * layout.num_bytes)
        if codec == "text" and index and not axes.list_first:
            raise UnsupportedError("a later volume of an ascii NRRD is not read.", file=name, fix="Save it as gzip.")
        voxels = RawVoxels(data, chosen, fill=-1024.0 if modality == "CT" else 0.0).check()
        if cache:
            voxels.cache = VoxelCache(repr(sorted(fields.items())).encode())
        volumes.append(volume_from(voxels, matrix, origin))
    return volumes, warnings


def beside(source: ByteSource, named: str) -> ByteSource:
    """The data file a header names, only if it lies in the header's own folder (or below it), links resolved."""
    if source.path is None:
        raise InputError("its voxels are in another file; bytes hold only the header.", fix="Give the path instead.")
    folder = os.path.realpath(os.path.dirname(source.path) or ".")
    target = os.path.realpath(os.path.join(folder, named))
    if "\0" in named or os.path.commonpath([folder, target]) != folder:
        raise InputError(
            "names a data file outside its own folder; such a path is not followed.",
            file=source.path,
            fix="Put both files in one folder.",
        )
    if not os.path.isfile(target):
        raise InputError("its data file is missing.", file=source.path, fix="Put the file its header names beside it.")
    return ByteSource(os.path.join(os.path.dirname(source.path), os.path.relpath(target, folder)))


def _fields(source: ByteSource) -> tuple[dict[str, str], int]:
    """Header fields in lower case, and the number of header bytes including the blank line."""
    head = source.head(min(current().max_header_bytes, 1 << 20))
    if not head.startswith(b"NRRD000"):
        raise InputError("is not NRRD: the magic is missing.", file=source.name)
    ending = re.search(rb"\r?\n\r?\n", head)
    end = ending.end() if ending else len(head)
    if ending is None and b"data file:" not in head.lower() and b"datafile:" not in head.lower():
        raise InputError("its NRRD header has no end (no blank line).", file=source.name)
    fields: dict[str, str] = {}
    for line in head[:end].decode("utf-8", "replace").splitlines()[1:]:
        key, colon, value = line.partition(":")
        # "key:=value" pairs are free text of the writer (may name the patient): not looked at.
        if colon and not line.startswith("#") and not value.startswith("="):
            fields[key.strip().lower()] = value.strip()
    return fields, end


def _whole(fields: dict[str, str], key: str, name: str) -> int:
    try:
        value = int(fields.get(key, fields.get(key.replace(" ", ""), "0")))
    except ValueError as exc:
        raise InputError(f"its NRRD field {key!r} is not a whole number.", file=name) from exc
    if value < -1 or value > current().max_header_bytes:
        raise LimitError(f"its NRRD field {key!r} is {value}; 0…{current().max_header_bytes} is possible.", file=name)
    return value


def _numbers(fields: dict[str, str], key: str, name: str) -> list[float]:
    try:
        return [float(word) for word in fields[key].split()]
    except KeyError:
        raise InputError(f"its NRRD header has no {key!r}.", file=name) from None
    except ValueError as exc:
        raise InputError(f"its NRRD field {key!r} holds something that is not a number.", file=name) from exc


def _vector(word: str, name: str) -> Vector | None:
    """ "(1,0,0)" or "none"."""
    if word.lower() in ("none", "nan"):
        return None
    try:
        vector = tuple(float(part) for part in word.strip("()").split(","))
    except ValueError as exc:
        raise GeometryError("its space directions are not vectors of numbers.", file=name) from exc
    return None if all(math.isnan(v) for v in vector) else vector


def _axes(fields: dict[str, str], name: str) -> _Axes:
    dimension = _numbers(fields, "dimension", name)
    sizes = _numbers(fields, "sizes", name)
    if len(dimension) != 1 or dimension[0] != len(sizes) or any(not s.is_integer() for s in sizes):
        raise InputError(f"its NRRD dimension and number of sizes ({len(sizes)}) do not agree.", file=name)
    rank = len(sizes)
    if not 2 <= rank <= 4:
        raise UnsupportedError(f"has {rank} dimensions; volumes have 3, or 4 with time.", file=name)
    kinds = (fields.get("kinds", "").lower().split() + [""] * rank)[:rank]
    if any(kind in _COLOURS for kind in kinds):
        raise UnsupportedError(
            "its voxels are colours or complex numbers.", file=name, fix="Save it as real numbers, one per voxel."
        )
    spacings = _numbers(fields, "spacings", name) if "spacings" in fields else [math.nan] * rank
    directions: list[Vector | None] = [None] * rank
    if "space directions" in fields:
        words = re.findall(r"\([^)]*\)|\S+", fields["space directions"].replace(", ", ","))
        directions = [_vector(word, name) for word in words]
    if len(directions) != rank or len(spacings) != rank:
        raise GeometryError(
            f"its header gives directions or spacings for another number of axes than {rank}.", file=name
        )
    spatial = list(range(rank))
    if rank == 4:
        listed = _list_axis(directions, kinds, name)
        spatial.remove(listed)
        return _Axes(
            checked_grid([int(sizes[a]) for a in spatial], name),
            [directions[a] for a in spatial],
            [spacings[a] for a in spatial],
            checked_grid([int(sizes[listed]), 1, 1], name)[0],
            listed == 0,
        )
    grid = [int(s) for s in sizes] + [1] * (3 - rank)
    lacking: list[None] = [None] * (3 - rank)
    return _Axes(checked_grid(grid, name), [*directions, *lacking], [*spacings, *[math.nan] * (3 - rank)])


def _list_axis(directions: Sequence[Vector | None], kinds: Sequence[str], name: str) -> int:
    """Which of four axes is not space: the first or the last."""
    missing = [axis for axis, vector in enumerate(directions) if vector is None or not any(vector[:3])]
    if len(missing) != 1:
        missing = [axis for axis, kind in enumerate(kinds) if kind not in ("domain", "space", "", "???")]
    listed = missing[0] if len(missing) == 1 else 3 if not missing else -1
    if listed not in (0, 3):
        raise UnsupportedError(
            "its axis that is not space is neither the first nor the last.", file=name, fix="Split it into 3D files."
        )
    return listed


def _dtype(fields: dict[str, str], codec: Codec, name: str) -> np.dtype[Any]:
    code = _DTYPES.get(" ".join(fields.get("type", "").lower().split()))
    if code is None:
        raise UnsupportedError("its NRRD voxel type is not a plain integer or float.", file=name)
    dtype = np.dtype(code)
    endian = fields.get("endian", "").lower()
    if dtype.itemsize > 1 and codec != "text" and endian not in ("little", "big"):
        raise InputError("its NRRD header does not say whether bytes are little or big endian.", file=name)
    return dtype.newbyteorder(">" if endian == "big" else "<")


def _after_lines(data: ByteSource, start: int, lines: int) -> int:
    for _ in range(max(lines, 0)):
        chunk = data.head(1 << 16, start)
        end = chunk.find(b"\n")
        if end < 0:
            raise InputError(f"has fewer lines than its header's line skip ({lines}).", file=data.name)
        start += end + 1
    return start


def _affine(fields: dict[str, str], axes: _Axes, name: str) -> tuple[NDArray[np.float64], list[str]]:
    """Stored voxel → RAS mm, and warnings."""
    warnings: list[str] = []
    space = fields.get("space", "").lower().strip('"').removesuffix("-time")
    signs = _TO_RAS.get(space)
    if space == "3d-left-handed":
        raise GeometryError("its space is left-handed without anatomy.", file=name, fix="Pass affine=….")
    if signs is None:
        warnings.append(
            f"{name}: no anatomical space stored; left-posterior-superior is assumed, left and right may differ."
        )
        signs = _TO_RAS["lps"]
    columns: list[NDArray[np.float64] | None] = []
    for axis, (direction, spacing) in enumerate(zip(axes.directions, axes.spacings, strict=True)):
        if direction is not None:
            if len(direction[:3]) != 3:
                raise GeometryError(f"its space directions have {len(direction)} numbers, not 3.", file=name)
            columns.append(np.array(direction[:3]))
        elif math.isfinite(spacing):
            columns.append(np.eye(3)[axis] * spacing)
        else:
            columns.append(None)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack(_filled(columns, axes, name, warnings), axis=1)
    if "space origin" in fields:
        origin = _vector(fields["space origin"].replace(" ", ""), name)
        if origin is None or len(origin[:3]) != 3:
            raise GeometryError("its space origin is not a vector of 3 numbers.", file=name, fix="Pass affine=….")
        matrix[:3, 3] = origin[:3]
    return np.diag([*signs, 1.0]) @ matrix, warnings


def _filled(
    columns: list[NDArray[np.float64] | None], axes: _Axes, name: str, warnings: list[str]
) -> list[NDArray[np.float64]]:
    """Directions of all three axes; only a grid one voxel thick may lack one."""
    lacking = [axis for axis, column in enumerate(columns) if column is None]
    if not lacking:
        return [column for column in columns if column is not None]
    if lacking != [2] or axes.shape[2] != 1:
        raise GeometryError(
            f"its header gives no spacing for stored axis {lacking[0]}.",
            file=name,
            fix="Re-export it or pass affine=….",
        )
    warnings.append(f"{name}: a single slice of unknown thickness; 1 mm is assumed.")
    first, second = (column for column in columns if column is not None)
    normal = np.cross(first, second)
    return [first, second, normal / max(float(np.linalg.norm(normal)), 1e-12)]

"""MetaImage: `.mha` with its data attached, `.mhd` with its data in a file beside it; raw or zlib.

Positions are LPS millimetres; each row of TransformMatrix is the direction of one stored axis (as ITK reads it).
Reference: itk.org/Wiki/ITK/MetaIO/Documentation.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import GeometryError, InputError, UnsupportedError
from vesalius.study.geometry import LPS_TO_RAS
from vesalius.study.gzip_stream import ByteSource, Codec
from vesalius.study.items import Origin, Volume
from vesalius.study.nrrd import beside
from vesalius.study.raw_voxels import RawVoxels, VoxelLayout, checked_grid, chosen_volumes, volume_from
from vesalius.study.voxel_cache import VoxelCache

__all__ = ["read_metaimage"]

_DTYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",  # four bytes in the format, whatever the machine's long is
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_HEAD = 1 << 16


def read_metaimage(
    source: ByteSource,
    *,
    affine: NDArray[Any] | None = None,
    modality: str | None = None,
    volume_index: int | str | None = None,
    cache: bool = False,
) -> tuple[list[Volume], list[str]]:
    """Read a MetaImage header; voxels stay on disk until asked for. Arguments and errors as `read_nifti`."""
    name = source.name
    fields, header_bytes = _fields(source)
    sizes = [int(n) for n in _numbers(fields, "DimSize", name)]
    rank = int(_numbers(fields, "NDims", name)[0])
    if rank != len(sizes) or not 2 <= rank <= 4:
        raise UnsupportedError(
            f"has {rank} dimensions and {len(sizes)} sizes; volumes have 3, or 4 with time.", file=name
        )
    shape = checked_grid([*sizes, 1][:3], name)
    count = checked_grid([sizes[3], 1, 1], name)[0] if rank == 4 else 1
    code = _DTYPES.get(fields.get("ElementType", ""))
    channels = int(_numbers(fields, "ElementNumberOfChannels", name)[0]) if "ElementNumberOfChannels" in fields else 1
    if code is None or channels != 1:
        raise UnsupportedError(
            f"its voxels are {channels} values of a type that is not a plain number.",
            file=name,
            fix="Save it as real numbers, one per voxel.",
        )
    big = _true(fields, "BinaryDataByteOrderMSB") or _true(fields, "ElementByteOrderMSB")
    dtype = np.dtype(code).newbyteorder(">" if big else "<")
    data, start, codec = _data(source, fields, header_bytes)
    layout = VoxelLayout(shape, dtype, codec, start)
    if codec == "none" and fields.get("HeaderSize") == "-1":
        layout = replace(layout, stored_offset=max(data.size() - layout.num_bytes * count, 0))
    indices, warnings = chosen_volumes(count, volume_index, name)
    matrix, more = (affine, []) if affine is not None else _affine(fields, rank, name)
    warnings += more
    files = source.files if data is source else (*source.files, *data.files)
    origin = Origin("metaimage", files, modality or _modality(fields), warnings=tuple(warnings))
    volumes: list[Volume] = []
    for index in indices:
        fill = -1024.0 if origin.modality == "CT" else 0.0
        voxels = RawVoxels(data, replace(layout, skip=index * layout.num_bytes), fill=fill).check()
        if cache:
            voxels.cache = VoxelCache(repr(sorted(fields.items())).encode())
        volumes.append(volume_from(voxels, matrix, origin))
    return volumes, warnings


def _fields(source: ByteSource) -> tuple[dict[str, str], int]:
    """`Key = value` lines up to and including ElementDataFile, and how many bytes they take."""
    head = source.head(_HEAD)
    ending = re.search(rb"(?m)^\s*ElementDataFile\s*=[^\n]*(\n|\Z)", head)
    if ending is None:
        raise InputError("its MetaImage header has no ElementDataFile.", file=source.name)
    lines = head[: ending.end()].decode("utf-8", "replace").splitlines()
    pairs = (line.partition("=") for line in lines)
    return {key.strip(): value.strip() for key, _, value in pairs}, ending.end()


def _numbers(fields: dict[str, str], key: str, name: str) -> list[float]:
    try:
        values = [float(word) for word in fields[key].split()]
        if not values or any(key in ("DimSize", "NDims") and not v.is_integer() for v in values):
            raise ValueError
    except KeyError:
        raise InputError(f"its MetaImage header has no {key}.", file=name) from None
    except ValueError as exc:
        raise InputError(f"its MetaImage field {key} does not hold the numbers it should.", file=name) from exc
    return values


def _true(fields: dict[str, str], key: str) -> bool:
    return fields.get(key, "").lower() in ("true", "1", "yes")


def _data(source: ByteSource, fields: dict[str, str], header_bytes: int) -> tuple[ByteSource, int, Codec]:
    """(file, offset, codec) of the voxels."""
    named = fields["ElementDataFile"]
    if fields.get("BinaryData", "True").lower() in ("false", "0"):
        raise UnsupportedError("its MetaImage data is text.", file=source.name, fix="Save it as binary data.")
    if named.upper().startswith("LIST") or "%" in named:
        raise UnsupportedError(
            "its MetaImage data is spread over several files.", file=source.name, fix="Save it as .mha."
        )
    data, start = (source, header_bytes) if named.upper() == "LOCAL" else (beside(source, named), 0)
    skip = fields.get("HeaderSize", "0")
    if skip.isdigit():
        start += int(skip)
    if not _true(fields, "CompressedData"):
        return data, start, "none"
    return data, start, "gzip" if data.head(2, start) == b"\x1f\x8b" else "zlib"


def _modality(fields: dict[str, str]) -> str | None:
    known = {"MET_MOD_CT": "CT", "MET_MOD_MR": "MR", "MET_MOD_NM": "NM", "MET_MOD_US": "US"}
    return known.get(fields.get("Modality", ""))


def _affine(fields: dict[str, str], rank: int, name: str) -> tuple[NDArray[np.float64], list[str]]:
    """Stored voxel → RAS mm, and warnings. GeometryError where the spacing is 0 or a field has the wrong length."""
    warnings: list[str] = []
    key = "ElementSpacing" if "ElementSpacing" in fields else "ElementSize"
    if key in fields:
        spacing = _numbers(fields, key, name)
    else:
        spacing = [1.0] * rank
        warnings.append(f"{name}: no voxel spacing stored; 1 mm is assumed, as MetaImage defines.")
    names = ("TransformMatrix", "Rotation", "Orientation")
    turned = next((n for n in names if n in fields), None)
    rows = np.eye(rank)
    if turned is not None:
        numbers = _numbers(fields, turned, name)
        if len(numbers) != rank * rank:
            raise GeometryError(f"its {turned} has {len(numbers)} numbers, not {rank * rank}.", file=name)
        rows = np.reshape(numbers, (rank, rank))
    else:
        warnings.append(f"{name}: no orientation stored; left-posterior-superior is assumed.")
    place = next((n for n in ("Offset", "Position", "Origin") if n in fields), None)
    origin = _numbers(fields, place, name) if place else [0.0] * rank
    if len(spacing) != rank or len(origin) != rank:
        raise GeometryError(f"its spacing or offset does not have {rank} numbers.", file=name, fix="Pass affine=….")
    if not np.isfinite(spacing).all() or min(spacing[:3]) <= 0:
        raise GeometryError("its voxel spacing is not above 0.", file=name, fix="Re-export it or pass affine=….")
    matrix = np.eye(4)
    used = min(rank, 3)
    matrix[:used, :used] = rows[:used, :used].T * np.array(spacing[:used])
    matrix[:used, 3] = origin[:used]
    if rank == 2:
        warnings.append(f"{name}: a single slice of unknown thickness; 1 mm is assumed.")
    return LPS_TO_RAS @ matrix, warnings

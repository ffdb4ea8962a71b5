"""NIfTI-1 and NIfTI-2: `.nii`, `.nii.gz`, and `.hdr` + `.img` pairs.

The header is unpacked here rather than by nibabel because importing nibabel takes longer than reading a whole scan;
the geometry is nibabel's (tests compare the two). sform is preferred when its code is above 0, then qform, then the
spacing alone with a warning. Reference: nifti.nimh.nih.gov (nifti1.h, nifti2.h).
"""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import GeometryError, InputError, LimitError, UnsupportedError
from vesalius.limits import current
from vesalius.study.gzip_stream import ByteSource, Codec
from vesalius.study.items import Origin, Volume
from vesalius.study.raw_voxels import RawVoxels, VoxelLayout, checked_grid, chosen_volumes, volume_from
from vesalius.study.voxel_cache import VoxelCache
from vesalius.study.windows import Window

__all__ = ["NiftiHeader", "parse_nifti_header", "read_nifti"]

_DTYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_REFUSED = {
    0: "of unknown type",
    1: "single bits",
    32: "complex",
    128: "RGB colour",
    1536: "128-bit floats",
    1792: "complex",
    2048: "complex",
    2304: "RGBA colour",
}
_MAGICS = {b"n+1\0": (1, True), b"ni1\0": (1, False), b"n+2\0": (2, True), b"ni2\0": (2, False)}
_UNIT_MM = {1: 1000.0, 3: 0.001}


@dataclass(frozen=True)
class NiftiHeader:
    """The header fields that matter here; names as in nifti1.h. `single`: data follows in the same file."""

    version: int
    single: bool
    order: str
    dim: tuple[int, ...]
    datatype: int
    pixdim: tuple[float, ...]
    vox_offset: float
    scl_slope: float
    scl_inter: float
    cal_max: float
    cal_min: float
    qform_code: int
    sform_code: int
    quatern: tuple[float, float, float]
    qoffset: tuple[float, float, float]
    srow: tuple[float, ...]
    xyzt_units: int


def parse_nifti_header(head: bytes, name: str) -> NiftiHeader:
    """Unpack the first 540 bytes of a NIfTI file. Raises InputError when they are too few or contradict themselves."""
    version, single = _MAGICS.get(head[344:348]) or _MAGICS.get(head[4:8]) or (0, False)
    size = {1: 348, 2: 540}.get(version, 0)
    if version == 0:
        raise InputError("is not NIfTI: the magic is missing.", file=name)
    if len(head) < size:
        raise InputError(f"its NIfTI header is cut short: {len(head)} of {size} bytes.", file=name)
    order = next((o for o in "<>" if struct.unpack(f"{o}i", head[:4])[0] == size), None)
    if order is None:
        raise InputError(f"its NIfTI header size is wrong in both byte orders (must be {size}).", file=name)

    def at(code: str, offset: int) -> tuple[Any, ...]:
        return struct.unpack_from(order + code, head, offset)

    def header(
        dim: str, units: int, datatype: int, reals: tuple[tuple[str, int], ...], codes: tuple[str, int]
    ) -> NiftiHeader:
        pixdim, offset, scale, window, quatern, qoffset, srow = (at(code, place) for code, place in reals)
        qform_code, sform_code = at(*codes)
        return NiftiHeader(
            version=version,
            single=single,
            order=order,
            dim=at(dim, 40 if version == 1 else 16),
            datatype=at("h", datatype)[0],
            pixdim=pixdim,
            vox_offset=float(offset[0]),
            scl_slope=scale[0],
            scl_inter=scale[1],
            cal_max=window[0],
            cal_min=window[1],
            qform_code=qform_code,
            sform_code=sform_code,
            quatern=(quatern[0], quatern[1], quatern[2]),
            qoffset=(qoffset[0], qoffset[1], qoffset[2]),
            srow=srow,
            xyzt_units=units,
        )

    if version == 1:
        places = (("8f", 76), ("f", 108), ("2f", 112), ("2f", 124), ("3f", 256), ("3f", 268), ("12f", 280))
        return header("8h", head[123], 70, places, ("2h", 252))
    places = (("8d", 104), ("q", 168), ("2d", 176), ("2d", 192), ("3d", 352), ("3d", 376), ("12d", 400))
    return header("8q", at("i", 500)[0], 12, places, ("2i", 344))


def read_nifti(
    source: ByteSource,
    *,
    affine: NDArray[Any] | None = None,
    modality: str | None = None,
    volume_index: int | str | None = None,
    cache: bool = False,
) -> tuple[list[Volume], list[str]]:
    """Read a NIfTI header; voxels stay on disk until asked for.

    `affine`: 4×4 stored voxel → RAS mm, in place of the header's.  `volume_index`: which volume of a 4D file; see
    `chosen_volumes`.  Returns volumes and warnings. Colour, complex and 5D data are refused (UnsupportedError).
    """
    name, codec = source.name, _codec_of(source)
    head = source.head(548) if codec == "none" else source.inflated_head(548)
    header = parse_nifti_header(head, name)
    shape, count = _grid(header, name)
    dtype = _dtype(header, name)
    data, data_codec = (source, codec) if header.single else _partner(source)
    offset = _data_offset(header, name)
    indices, warnings = chosen_volumes(count, volume_index, name)
    matrix, more = _affine(header, shape, affine, name)
    slope, inter, still_more = _scaling(header, name)
    warnings += more + still_more
    origin = Origin(
        "nifti",
        files=source.files if header.single else (*source.files, *data.files),
        modality=modality,
        details={"stored": f"{dtype.name}, NIfTI-{header.version}" + (", gzip" if data_codec == "gzip" else "")},
        warnings=tuple(warnings),
    )
    volumes: list[Volume] = []
    for index in indices:
        volume_bytes = math.prod(shape) * dtype.itemsize
        layout = VoxelLayout(shape, dtype, data_codec, skip=offset + index * volume_bytes)
        voxels = RawVoxels(data, layout, slope, inter, fill=-1024.0 if modality == "CT" else 0.0).check()
        if cache:
            voxels.cache = VoxelCache(head)
        volumes.append(volume_from(voxels, matrix, origin, window=_window(header)))
    return volumes, warnings


def _codec_of(source: ByteSource) -> Codec:
    return "gzip" if source.head(2) == b"\x1f\x8b" else "none"


def _partner(source: ByteSource) -> tuple[ByteSource, Codec]:
    """The `.img` beside a `.hdr`."""
    if source.path is None:
        raise InputError("is the header of a .hdr/.img pair; bytes hold only one of them.", fix="Give the .hdr path.")
    stem = source.path.removesuffix(".gz")
    stem = os.path.splitext(stem)[0]
    for ending in (".img", ".IMG", ".img.gz"):
        if os.path.isfile(stem + ending):
            data = ByteSource(stem + ending)
            return data, _codec_of(data)
    raise InputError("its voxel file is missing.", file=source.path, fix=f"Put {os.path.basename(stem)}.img beside it.")


def _grid(header: NiftiHeader, name: str) -> tuple[tuple[int, int, int], int]:
    """((i, j, k), number of volumes)."""
    rank = header.dim[0]
    if not 1 <= rank <= 7:
        raise InputError(f"its header claims {rank} dimensions; 1 to 7 are possible.", file=name)
    sizes = [*header.dim[1 : rank + 1], 1, 1, 1, 1][: max(rank, 4)]
    if any(size > 1 for size in sizes[4:]):
        raise UnsupportedError(
            f"has {rank} dimensions ({' x '.join(map(str, sizes))}); volumes have 3, or 4 with time.",
            file=name,
            fix="Split it into 3D files.",
        )
    if min(sizes[:4]) < 1:
        raise InputError(f"its grid is {' x '.join(map(str, sizes))}; every size must be at least 1.", file=name)
    return checked_grid(sizes[:3], name), sizes[3]


def _dtype(header: NiftiHeader, name: str) -> np.dtype[Any]:
    code = _DTYPES.get(header.datatype)
    if code is None:
        what = _REFUSED.get(header.datatype, f"of unknown type {header.datatype}")
        raise UnsupportedError(f"its voxels are {what}.", file=name, fix="Save it as real numbers, one per voxel.")
    return np.dtype(header.order + code)


def _data_offset(header: NiftiHeader, name: str) -> int:
    lowest = {1: 352, 2: 544}[header.version] if header.single else 0
    offset = header.vox_offset
    if not math.isfinite(offset) or offset < 0:
        raise InputError(f"its data offset is {offset}.", file=name)
    if offset > current().max_header_bytes:
        raise LimitError(f"its data offset is {offset:.0f}; the limit is {current().max_header_bytes}.", file=name)
    return max(int(offset), lowest)  # 0 is written by some programs for "right behind the header"


def _scaling(header: NiftiHeader, name: str) -> tuple[float, float, list[str]]:
    """Slope 0 and NaN mean "no scaling" in the standard; infinity means nothing and is ignored with a warning."""
    slope, inter = header.scl_slope, header.scl_inter
    if slope == 0 or math.isnan(slope):
        return 1.0, 0.0, []
    if not math.isfinite(slope) or not math.isfinite(inter):
        return 1.0, 0.0, [f"{name}: slope or intercept is not finite; voxels are shown unscaled."]
    return slope, inter, []


def _window(header: NiftiHeader) -> Window | None:
    low, high = header.cal_min, header.cal_max
    return Window(low, high, "file") if math.isfinite(low) and math.isfinite(high) and high > low else None


def _affine(
    header: NiftiHeader, shape: tuple[int, int, int], given: NDArray[Any] | None, name: str
) -> tuple[NDArray[Any], list[str]]:
    """Stored voxel → RAS mm, and warnings. GeometryError where spacing would have to be invented."""
    if given is not None:
        return given, []
    warnings: list[str] = []
    spacing = list(header.pixdim[1:4])
    if header.dim[0] < 3 and not (math.isfinite(spacing[2]) and spacing[2] > 0):
        spacing[2] = 1.0
        warnings.append(f"{name}: a single slice of unknown thickness; 1 mm is assumed.")
    for axis, length in enumerate(spacing):
        if not math.isfinite(length) or length == 0:
            raise GeometryError(
                f"voxel spacing along stored axis {axis} is {length:g}.",
                file=name,
                fix="Re-export it or pass affine=….",
            )
    if min(spacing) < 0:
        warnings.append(f"{name}: voxel spacing is negative in the header; its size is used.")
        spacing = [abs(length) for length in spacing]
    sform = np.vstack([np.reshape(header.srow, (3, 4)), [0, 0, 0, 1]]).astype(np.float64)
    qform = _qform(header, spacing, name) if header.qform_code > 0 else None
    if header.sform_code > 0:
        matrix = sform
        # The tolerance is a hundredth of a voxel over the whole grid: below that the two say the same.
        if qform is not None and np.isfinite(sform).all() and np.isfinite(qform).all():
            corners = np.array([[0, 0, 0, 1], [*shape, 1], [shape[0], 0, 0, 1], [0, shape[1], 0, 1]], dtype=np.float64)
            apart = float(np.abs((sform - qform) @ corners.T).max())
            if apart > 0.01 * max(min(spacing), 1e-6) * max(shape) ** 0.5:
                warnings.append(f"{name}: sform and qform differ by up to {apart:.3g} mm; the sform is used.")
    elif qform is not None:
        matrix = qform
    else:
        matrix = _from_spacing(shape, spacing)
        warnings.append(f"{name}: no orientation stored; left and right cannot be known (assumed as in Analyze).")
    factor = _UNIT_MM.get(header.xyzt_units & 7)
    if factor is not None:
        unit = "metres" if factor > 1 else "micrometres"
        warnings.append(f"{name}: lengths are stored in {unit} and were converted to mm.")
        matrix = np.diag([factor, factor, factor, 1.0]) @ matrix
    return matrix, warnings


def _qform(header: NiftiHeader, spacing: list[float], name: str) -> NDArray[np.float64]:
    b, c, d = header.quatern
    rest = 1.0 - (b * b + c * c + d * d)
    if not math.isfinite(rest):
        raise GeometryError("its qform quaternion is not finite.", file=name, fix="Re-export it or pass affine=….")
    if rest < -1e-4:
        raise GeometryError(
            f"its qform quaternion is longer than 1 ({1 - rest:.4g}).", file=name, fix="Re-export it or pass affine=…."
        )
    # nibabel rounds a tiny real part to 0 too: it is what float32 leaves of a half turn.
    a = math.sqrt(rest) if rest > 3 * float(np.finfo(np.float32).eps) else 0.0
    scale = 2.0 / (a * a + b * b + c * c + d * d)
    rotation = np.eye(3) + scale * np.array(
        [
            [-(c * c + d * d), b * c - a * d, b * d + a * c],
            [b * c + a * d, -(b * b + d * d), c * d - a * b],
            [b * d - a * c, c * d + a * b, -(b * b + c * c)],
        ]
    )
    handed = -1.0 if header.pixdim[0] < 0 else 1.0
    matrix = np.eye(4)
    matrix[:3, :3] = rotation @ np.diag([spacing[0], spacing[1], spacing[2] * handed])
    matrix[:3, 3] = header.qoffset
    return matrix


def _from_spacing(shape: tuple[int, int, int], spacing: list[float]) -> NDArray[np.float64]:
    """Centre at the origin, first axis running to the left: what the standard's "method 1" and nibabel do."""
    steps = np.array([-spacing[0], spacing[1], spacing[2]])
    matrix = np.diag([*steps, 1.0])
    matrix[:3, 3] = -steps * (np.array(shape) - 1) / 2
    return matrix

"""Masks as a NIfTI label map on the grid the scan was stored on."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError, OptionError
from vesalius.findings.findings import Mask
from vesalius.findings.place import slice_mask_to_volume
from vesalius.findings.writing import replacing
from vesalius.study.items import Volume

__all__ = ["canonical_mask", "label_map", "write_nifti_mask"]


def canonical_mask(mask: Mask, volume: Volume) -> NDArray[np.bool_]:
    """The mask as canonical voxels `[X, Y, Z]` bool; a slice's mask is placed in an empty volume.

    Raises InputError when it does not fit the volume or names no slice.
    """
    if mask.mask.ndim == 3:
        if mask.mask.shape != volume.shape:
            raise InputError(f"mask {mask.mask.shape} does not match the volume {volume.shape}.")
        return np.asarray(mask.mask, dtype=bool)
    if mask.where.axis is None or mask.where.slice_index is None:
        raise InputError("a mask [H, W] on a volume needs where.axis and where.slice_index.")
    return slice_mask_to_volume(mask.mask, volume, mask.where.axis, mask.where.slice_index)


def label_map(masks: Sequence[Mask], volume: Volume) -> tuple[NDArray[np.uint8], dict[int, str]]:
    """Canonical `[X, Y, Z]` uint8 and the label of each value.

    Masks of one label share a value, values count from 1 in order of appearance; where labels overlap the later mask
    wins. Raises InputError for more than 255 labels or a mask that does not fit.
    """
    labels = list(dict.fromkeys(m.label for m in masks))
    if len(labels) > 255:
        raise InputError(f"{len(labels)} labels do not fit one label map; the limit is 255.")
    values = np.zeros(volume.shape, dtype=np.uint8)
    for mask in masks:
        value = labels.index(mask.label) + 1
        if mask.mask.ndim == 2 and mask.where.axis is not None and mask.where.slice_index is not None:
            _draw_slice(values, mask, volume, value)
        else:
            values[canonical_mask(mask, volume)] = value
    return values, {i + 1: label for i, label in enumerate(labels)}


def _draw_slice(values: NDArray[np.uint8], mask: Mask, volume: Volume, value: int) -> None:
    """One slice's mask into the map, without a whole empty volume in between."""
    from vesalius.study.geometry import AXES

    axis, index = mask.where.axis, mask.where.slice_index
    if axis is None or index is None or not 0 <= index < volume.num_slices(axis):
        raise InputError(f"slice {index} is outside the volume ({axis}).")
    plane = np.moveaxis(values, AXES[axis], 0)[index]
    shown = plane.T[::-1, ::-1]
    if mask.mask.shape != shown.shape:
        raise InputError(f"mask {mask.mask.shape} does not match the {axis} slice {shown.shape}.")
    shown[np.asarray(mask.mask, dtype=bool)] = value


def write_nifti_mask(masks: Sequence[Mask], volume: Volume, path: str | PathLike[str]) -> dict[int, str]:
    """Write masks as one uint8 label map `.nii` or `.nii.gz` and return the label of each value.

    The grid and the affine are the scan's own stored ones (`Volume.stored_affine_ras`, float32 sform as the format
    has it), so the file lies over the original in any viewer. The same masks give the same bytes.
    Raises InputError for masks that do not fit, OptionError for another file ending or an unwritable folder.
    """
    name = str(path)
    if not name.endswith((".nii", ".nii.gz")):
        raise OptionError("a NIfTI mask ends in .nii or .nii.gz.", file=path)
    values, labels = label_map(masks, volume)
    stored = _nifti_bytes(np.ascontiguousarray(volume.to_stored(values)), volume.stored_affine_ras)
    if name.endswith(".gz"):
        from isal import igzip

        stored = igzip.compress(stored, 2, mtime=0)
    with replacing(path) as temporary:
        temporary.write_bytes(stored)
    return labels


def _nifti_bytes(values: NDArray[Any], affine: NDArray[np.float64]) -> bytes:
    from nibabel.nifti1 import Nifti1Image

    image: Any = Nifti1Image(values, affine)
    # Scanner coordinates in both forms: readers differ in which of the two they trust. A sheared grid has no exact
    # quaternion form, so there only the sform speaks.
    image.set_sform(affine, code=1)
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    orthogonal = np.allclose(directions.T @ directions, np.eye(3), atol=1e-4)
    image.set_qform(affine, code=1 if orthogonal else 0)
    image.header.set_xyzt_units("mm")
    return bytes(image.to_bytes())

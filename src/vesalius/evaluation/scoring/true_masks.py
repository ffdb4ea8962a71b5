"""The true masks of an item, in the frame answers are in: pixels of the picture, or canonical voxels `[X, Y, Z]`.

A truth is run lengths, a file, a file and the value it holds inside (`{"path", "value"}`), or a list of these, one for
each instance. A volume's file is brought to the canonical
frame as the scan itself is, so that a mask stored with other axes still lies over it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError, VesaliusError
from vesalius.evaluation.contract import Sample
from vesalius.evaluation.packages import package
from vesalius.findings.masks import decode_rle
from vesalius.study.items import Volume

__all__ = ["TrueMask", "instance_map", "true_mask"]

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class TrueMask:
    """`inside`: `[H, W]` or canonical `[X, Y, Z]`. `instances`: of the same shape, int, 0 outside; None where
    instances are not told apart. `spacing_mm`: per axis of the array; None where it is not known. `volume`: the grid of
    a volume's file, for masks drawn on its slices."""

    inside: Mask
    instances: NDArray[np.int64] | None = None
    spacing_mm: tuple[float, ...] | None = None
    volume: Volume | None = None


def true_mask(sample: Sample) -> TrueMask:
    """The truth of an item. Values that are not 0 are inside; with `extra["instances"]` each value is an instance, with
    `extra["value"]` only that value is inside. `extra["spacing_mm"]`: per axis, for what has no geometry of its own.

    Raises InputError when it cannot be read or several masks differ in shape.
    """
    gold: Any = sample.gold
    parts = [_read(sample, one) for one in _listed(gold)]
    shapes = {values.shape for values, _ in parts}
    if len(shapes) != 1:
        raise InputError(f"item {sample.id!r}: its true masks have {len(shapes)} different shapes.")
    values, volume = parts[0]
    wanted = sample.extra.get("value")
    each = [one.get("value") if isinstance(one, Mapping) else None for one in _listed(gold)]
    inside = [wanted if own is None else own for own in each]
    masks = [one != 0 if value is None else one == value for (one, _), value in zip(parts, inside, strict=True)]
    instances = None
    if isinstance(gold, list | tuple):
        instances = instance_map(masks)
    elif sample.extra.get("instances"):
        instances = np.unique(values, return_inverse=True)[1].reshape(values.shape).astype(np.int64)
        instances[values == 0] = 0
    spacing = sample.extra.get("spacing_mm")
    if spacing is None and volume is not None and volume.origin.format not in ("npy", "array"):
        spacing = volume.spacing_mm
    known = None if spacing is None else tuple(float(mm) for mm in spacing)
    return TrueMask(np.logical_or.reduce(masks), instances, known, volume)


def _listed(gold: Any) -> list[Any]:
    return list(cast("list[Any]", gold)) if isinstance(gold, list | tuple) else [gold]


def instance_map(masks: list[Mask]) -> NDArray[np.int64]:
    """Masks of one shape → a map of their numbers from 1; a pixel in several belongs to the first."""
    found = np.zeros(masks[0].shape, dtype=np.int64)
    for number, mask in enumerate(masks, 1):
        found[mask & (found == 0)] = number
    return found


def _read(sample: Sample, gold: Any) -> tuple[NDArray[Any], Volume | None]:
    if isinstance(gold, Mapping) and "path" in gold:
        gold = cast("Mapping[str, Any]", gold)["path"]
    if isinstance(gold, Mapping):
        return decode_rle(cast("Mapping[str, Any]", gold)), None
    path = Path(str(gold))
    name = path.name.lower()
    try:
        if name.endswith(".npy"):
            return _array(np.load(path, allow_pickle=False))
        if name.endswith((".nii", ".nii.gz", ".nrrd", ".mha", ".dcm")) or path.is_dir():
            return _volume(path)
        with package("PIL.Image", "masks of pictures").open(path) as picture:
            pixels = np.asarray(picture)
    except (OSError, ValueError, EOFError, VesaliusError) as exc:
        raise InputError(f"the true mask of item {sample.id!r} cannot be read.", file=path) from exc
    return (pixels[..., :3].max(axis=2) if pixels.ndim == 3 else pixels), None


def _array(values: NDArray[Any]) -> tuple[NDArray[Any], Volume | None]:
    """A picture's mask as it is; slices, rows, columns (behind axes of one) as an array of a scan is read."""
    while values.ndim > 3 and values.shape[0] == 1:
        values = values[0]
    if values.ndim == 2:
        return values, None
    if values.ndim != 3:
        raise ValueError(f"{values.ndim} axes")
    from vesalius.inference.media import read_raw

    volume = read_raw(values.astype(np.uint8) if values.dtype == bool else values).items[0]
    assert isinstance(volume, Volume), "an array of three axes with an affine is a volume"
    return volume.values(), volume


def _volume(path: Path) -> tuple[NDArray[Any], Volume]:
    from vesalius.study.read import read

    volume = next((item for item in read(path).items if isinstance(item, Volume)), None)
    if volume is None:
        raise ValueError("no volume")
    return volume.values(), volume

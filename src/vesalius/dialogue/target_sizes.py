"""The size of what a target lies on: a picture, a displayed slice, a frame."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vesalius.errors import InputError

if TYPE_CHECKING:
    from vesalius.dialogue.samples import Sample

__all__ = ["Extent", "extent_of", "target_size"]

Extent = tuple[int, ...]
"""(width, height) of a picture, (X, Y, Z) of a canonical volume, (width, height, frames) of a clip."""
_SLICE = {"axial": (0, 1, 2), "coronal": (0, 2, 1), "sagittal": (1, 2, 0)}
"""Axis → (horizontal, vertical, across) of the displayed slice among canonical X, Y, Z."""


@lru_cache(maxsize=65_536)
def extent_of(kind: str, path: str) -> Extent:
    """From headers. InputError when the file is missing, damaged or of another kind."""
    if kind == "image":
        from vesalius.study.picture_size import picture_size

        return picture_size(path)
    from vesalius.study.items import Clip, Volume
    from vesalius.study.read import read

    for item in read(path).items:
        if kind == "volume" and isinstance(item, Volume):
            return item.shape
        if kind == "video" and isinstance(item, Clip):
            return item.width, item.height, item.num_frames
    raise InputError(f"holds no {kind}.", file=path, fix="Correct the medium's kind or its path.")


def plane_extent(kind: str, extent: Extent, axis: str | None) -> tuple[int, int, int]:
    """(width, height, number of slices or frames) of the plane a target lies on; a picture has one."""
    if kind == "volume":
        x, y, z = _SLICE[axis or "axial"]
        return extent[x], extent[y], extent[z]
    return (extent[0], extent[1], extent[2] if len(extent) > 2 else 1)


def target_size(sample: Sample, folder: Path) -> Callable[[Any], tuple[int, int]]:
    """target of the sample → (width, height) in pixels. `folder`: that of the samples file."""

    def size(target: Any) -> tuple[int, int]:
        medium = sample.media[target.media]
        extent = extent_of(medium.kind, str(folder / medium.path))
        return plane_extent(medium.kind, extent, target.axis)[:2]

    return size

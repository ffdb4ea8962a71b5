"""A folder of pictures encoded once: pixels, frozen encoder features and exact objects, read back by memory map.

Layout of one shard (N pictures of `size`×`size`):
`pixels.npy` uint8 `[N, size, size, 3]` · `features.npy` float16 `[N, patches, channels]` · `objects.npy` structured,
one row per object · `masks.npy` uint8 `[objects, size*size/8]` packed bits · `pictures.npy` structured, one row per
picture · `shard.json`: what made it, written last, so a shard without it is incomplete and made again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.models.parts.see_objects import SIDES
from vesalius.phantoms.truth import LABELS, MODALITIES, PLANES, REGIONS, Truth
from vesalius.vision.letterbox import letterbox

__all__ = ["LABEL_NAMES", "Shard", "open_shard", "square_truth", "write_shard"]

LABEL_NAMES = tuple(LABELS)
OBJECT_DTYPE = np.dtype(
    [("picture", "<i4"), ("label", "<i2"), ("side", "<i2"), ("size_mm", "<f4"), ("box", "<f4", 4), ("centre", "<f4", 2)]
)
PICTURE_DTYPE = np.dtype(
    [("modality", "<i2"), ("plane", "<i2"), ("region", "<i2"), ("spacing_mm", "<f4"), ("known", "<u4"), ("seed", "<i8")]
)

Encode = Callable[[NDArray[np.uint8]], NDArray[np.float16]]
"""`[B, size, size, 3]` uint8 → `[B, patches, channels]` float16."""


def square_truth(truth: Truth, size: int) -> Truth:
    """The same truth letterboxed into `size`×`size` RGB; objects that fall under one pixel are left out."""
    height, width = truth.pixels.shape[:2]
    square, fit = letterbox(truth.pixels, size)
    if (width, height) == (size, size):
        return replace(truth, pixels=square)
    x0, y0, x1, y1 = fit.inner
    # The nearest source pixel of each square pixel centre keeps masks exact where the scale is 1.
    columns = np.minimum(((np.arange(x1 - x0) + 0.5) / fit.scale_x).astype(int), width - 1)
    rows = np.minimum(((np.arange(y1 - y0) + 0.5) / fit.scale_y).astype(int), height - 1)
    objects = []
    for found in truth.objects:
        mask = np.zeros((size, size), dtype=bool)
        mask[y0:y1, x0:x1] = found.mask[np.ix_(rows, columns)]
        if mask.any():
            ys, xs = np.nonzero(mask)
            box = (float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1))
            objects.append(replace(found, mask=mask, box=box, point=fit.to_square(*found.point)))
    return replace(truth, pixels=square, objects=tuple(objects), spacing_mm=truth.spacing_mm / fit.scale_x)


@dataclass(frozen=True)
class Shard:
    """One shard, memory-mapped. See the module's layout."""

    folder: Path
    pixels: NDArray[np.uint8]
    features: NDArray[np.float16]
    objects: NDArray[Any]
    masks: NDArray[np.uint8]
    pictures: NDArray[Any]
    first_object: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.pictures)

    def objects_of(self, index: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """(object rows, masks `[n, size, size]` bool) of one picture."""
        first, last = self.first_object[index], self.first_object[index + 1]
        size = self.pixels.shape[1]
        bits = np.unpackbits(self.masks[first:last], axis=1) if last > first else np.zeros((0, size * size), np.uint8)
        return self.objects[first:last], bits.reshape(-1, size, size).astype(bool)


def open_shard(folder: Path) -> Shard | None:
    """The shard, or None when it is absent or incomplete."""
    if not (folder / "shard.json").is_file():
        return None
    arrays = {
        name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        for name in ("pixels", "features", "objects", "masks", "pictures")
    }
    counts = np.bincount(arrays["objects"]["picture"], minlength=len(arrays["pictures"]))
    return Shard(folder, first_object=np.concatenate([[0], np.cumsum(counts)]), **arrays)


def write_shard(
    folder: Path,
    truths: Iterable[tuple[Truth, frozenset[str] | None]],
    count: int,
    encode: Encode,
    *,
    size: int,
    note: dict[str, Any],
    batch: int = 16,
    progress: Callable[[int], None] | None = None,
) -> Shard:
    """Encode `count` truths and write them; an existing complete shard with the same `note` is reused.

    Each truth comes with the labels annotated on it (None: all); the loss ignores the others.
    """
    done = open_shard(folder)
    if done is not None and json.loads((folder / "shard.json").read_text()) == note:
        return done
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pixels = np.lib.format.open_memmap(folder / "pixels.npy", "w+", np.uint8, (count, size, size, 3))
    features: NDArray[np.float16] | None = None
    pictures = np.zeros(count, PICTURE_DTYPE)
    objects: list[tuple[Any, ...]] = []
    masks: list[NDArray[np.uint8]] = []
    for start, group in _batched(truths, batch, count):
        for offset, (truth, known) in enumerate(group):
            square = square_truth(truth, size)
            pixels[start + offset] = square.pixels
            pictures[start + offset] = _picture_row(square, known)
            for found in square.objects:
                objects.append(_object_row(start + offset, found))
                masks.append(np.packbits(found.mask.reshape(-1)))
        encoded = encode(pixels[start : start + len(group)])
        if features is None:
            shape = (count, *encoded.shape[1:])
            features = np.lib.format.open_memmap(folder / "features.npy", "w+", np.float16, shape)
        features[start : start + len(group)] = encoded
        if progress is not None:
            progress(start + len(group))
    pixels.flush()
    if features is not None:
        features.flush()  # pyright: ignore[reportAttributeAccessIssue]  (a memmap)
    np.save(folder / "pictures.npy", pictures)
    np.save(folder / "objects.npy", np.array(objects, OBJECT_DTYPE))
    np.save(folder / "masks.npy", np.array(masks, np.uint8).reshape(len(masks), size * size // 8))
    written = folder / "shard.json.part"
    written.write_text(json.dumps(note))
    os.replace(written, folder / "shard.json")
    shard = open_shard(folder)
    if shard is None:  # the manifest was just written
        raise OSError(f"{folder}: the shard vanished while it was written")
    return shard


def _batched(
    truths: Iterable[tuple[Truth, frozenset[str] | None]], batch: int, count: int
) -> Iterator[tuple[int, list[tuple[Truth, frozenset[str] | None]]]]:
    group: list[tuple[Truth, frozenset[str] | None]] = []
    start = 0
    for pair in truths:
        group.append(pair)
        if len(group) == batch or start + len(group) == count:
            yield start, group
            start += len(group)
            group = []
        if start == count:
            return


def _picture_row(truth: Truth, known: frozenset[str] | None) -> tuple[Any, ...]:
    bits = sum(1 << i for i, name in enumerate(LABEL_NAMES) if known is None or name in known)
    return (
        MODALITIES.index(truth.modality),
        PLANES.index(truth.plane),
        REGIONS.index(truth.region),
        truth.spacing_mm,
        bits,
        truth.seed,
    )


def _object_row(picture: int, found: Any) -> tuple[Any, ...]:
    ys, xs = np.nonzero(found.mask)
    side = SIDES.index(found.side) if found.side in SIDES else -1
    centre = (float(xs.mean()) + 0.5, float(ys.mean()) + 0.5)
    return (picture, LABEL_NAMES.index(found.label), side, found.size_mm, found.box, centre)

"""Masks as run lengths, outlines, areas, volumes and diameters.

Run lengths are COCO's compressed form: `{"size": [H, W], "counts": "…"}`, pixels read column by column, the first run
false. A volume's mask uses the same string over `[X, Y, Z]`, X running fastest. For two dimensions this is exactly
what pycocotools reads and writes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError, LimitError
from vesalius.limits import current

__all__ = [
    "RunLengths",
    "area_mm2",
    "bounding_box",
    "contours",
    "decode_rle",
    "encode_rle",
    "longest_diameter",
    "volume_ml",
]

BoolArray = NDArray[np.bool_]


class RunLengths(TypedDict):
    """`size`: the mask's shape, `[H, W]` or `[X, Y, Z]`; `counts`: COCO's compressed run lengths."""

    size: list[int]
    counts: str


def encode_rle(mask: BoolArray) -> RunLengths:
    """A bool mask `[H, W]` or `[X, Y, Z]` → run lengths. Raises InputError for other numbers of axes."""
    if mask.ndim not in (2, 3):
        raise InputError(f"a mask has {mask.ndim} axes, not 2 or 3.")
    flat = np.asarray(mask, dtype=bool).reshape(-1, order="F")
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    bounds = np.concatenate(([0], edges, [flat.size]))
    counts: list[int] = [int(v) for v in np.diff(bounds)] if flat.size else []
    if flat.size and flat[0]:
        counts.insert(0, 0)
    return {"size": [int(n) for n in mask.shape], "counts": _pack(counts)}


def decode_rle(rle: Mapping[str, Any]) -> BoolArray:
    """Run lengths (`counts` compressed or a plain list) → bool mask of shape `size`.

    Raises InputError when the runs do not fill the size, LimitError above `limits.max_pixels` / `max_voxels`.
    """
    size: Any = rle.get("size")
    counts: Any = rle.get("counts")
    if not _are_counts(size) or len(size) not in (2, 3):
        raise InputError("run lengths need size: two or three whole numbers.")
    total = math.prod(size)
    cap = current().max_pixels if len(size) == 2 else current().max_voxels
    if total > cap:
        raise LimitError(f"a mask of {total} elements exceeds the limit of {cap}.")
    if isinstance(counts, bytes | str):
        runs = _unpack(counts if isinstance(counts, str) else counts.decode("latin-1"))
    elif _are_counts(counts):
        runs = [int(v) for v in counts]
    else:
        raise InputError("run lengths need counts: a COCO string or a list of whole numbers.")
    if any(run < 0 for run in runs) or sum(runs) != total:
        raise InputError(f"run lengths cover {sum(runs)} elements, the size has {total}.")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, np.asarray(runs, dtype=np.int64)).reshape(size, order="F")


def _are_counts(values: Any) -> bool:
    """A list or tuple of whole numbers, none negative."""
    if not isinstance(values, list | tuple):
        return False
    numbers: Sequence[Any] = values  # pyright: ignore[reportUnknownVariableType]
    return all(isinstance(v, int) and not isinstance(v, bool) and v >= 0 for v in numbers)


def _pack(counts: Sequence[int]) -> str:
    """COCO's text form: each run as its difference to the one two before, in 5-bit groups, low bits first."""
    text: list[str] = []
    for i, count in enumerate(counts):
        value = count - counts[i - 2] if i > 2 else count
        while True:
            group = value & 31
            value >>= 5
            more = value != (-1 if group & 16 else 0)
            text.append(chr(48 + (group | 32 if more else group)))
            if not more:
                break
    return "".join(text)


def _unpack(text: str) -> list[int]:
    counts: list[int] = []
    value = shift = 0
    for position, letter in enumerate(text):
        group = ord(letter) - 48
        if not 0 <= group < 64 or shift > 60:
            raise InputError(f"run lengths are damaged at character {position}.")
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    if shift:
        raise InputError("run lengths end in the middle of a number.")
    return counts


def area_mm2(mask: BoolArray, spacing_mm: tuple[float, float]) -> float:
    """Area of a mask `[H, W]`; `spacing_mm` is (x, y)."""
    return int(np.count_nonzero(mask)) * spacing_mm[0] * spacing_mm[1]


def volume_ml(mask: BoolArray, affine_ras: NDArray[np.float64]) -> float:
    """Volume of a mask `[X, Y, Z]`; `affine_ras` is 4×4, voxel → mm (sheared grids counted right)."""
    return int(np.count_nonzero(mask)) * abs(float(np.linalg.det(affine_ras[:3, :3]))) / 1000.0


def bounding_box(mask: BoolArray) -> tuple[float, float, float, float] | None:
    """Tight (x0, y0, x1, y1) of a mask `[H, W]` in the pixel frame (outer corners), or None when it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def longest_diameter(
    mask: BoolArray, spacing_mm: tuple[float, float] = (1.0, 1.0)
) -> tuple[float, tuple[float, float], tuple[float, float]] | None:
    """The longest straight line between two places of a mask's rim, as a RECIST reader draws it.

    `mask`: `[H, W]`.  `spacing_mm`: (x, y).  Returns (millimetres, (x, y), (x, y)) with both ends in the pixel frame,
    or None when the mask is empty. The rim is the midpoints of pixel edges: a lone pixel is one pixel long.
    """
    rim = _rim(mask)
    if rim is None:
        return None
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    hull = _convex_hull(rim)
    gaps = (hull[:, None, :] - hull[None, :, :]) * spacing
    squared = np.einsum("abi,abi->ab", gaps, gaps)
    a, b = np.unravel_index(int(np.argmax(squared)), squared.shape)
    ends = [(float(hull[i, 0]), float(hull[i, 1])) for i in (a, b)]
    return math.sqrt(float(squared[a, b])), ends[0], ends[1]


def _rim(mask: BoolArray) -> NDArray[np.float64] | None:
    """Outermost pixel-edge midpoints of every row and column, (x, y) `[N, 2]`; a superset of the hull's corners."""
    height, width = mask.shape
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    left = np.argmax(mask[rows], axis=1)
    right = width - np.argmax(mask[rows, ::-1], axis=1)
    top = np.argmax(mask[:, columns], axis=0)
    bottom = height - np.argmax(mask[::-1, columns], axis=0)
    xs = np.concatenate([left, right, columns + 0.5, columns + 0.5])
    ys = np.concatenate([rows + 0.5, rows + 0.5, top, bottom])
    return np.stack([xs, ys], axis=1).astype(np.float64)


def _convex_hull(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners of the convex hull (monotone chain), `[N, 2]`."""
    unique: list[tuple[float, float]] = sorted({(float(x), float(y)) for x, y in points})

    def half(ordered: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        chain: list[tuple[float, float]] = []
        for p in ordered:
            while len(chain) > 1:
                (ax, ay), (bx, by) = chain[-2], chain[-1]
                if (bx - ax) * (p[1] - ay) - (by - ay) * (p[0] - ax) > 0:
                    break
                chain.pop()
            chain.append(p)
        return chain

    return np.asarray(half(unique)[:-1] + half(unique[::-1])[:-1], dtype=np.float64)


def contours(mask: BoolArray) -> list[NDArray[np.float64]]:
    """Closed outlines of a mask `[H, W]` along its pixel edges, in the pixel frame.

    Each is `[N, 2]` (x, y) of corners, not repeated at the end, straight runs joined. Outer outlines turn clockwise on
    the screen (y down), holes counter-clockwise, so the shoelace sums of all outlines add up to the area. Pixels that
    touch only at a corner get separate outlines.
    """
    onward = _directed_edges(mask)
    outlines: list[NDArray[np.float64]] = []
    while onward:
        start = next(iter(onward))
        here, step = start, onward[start][0]
        path: list[tuple[int, int]] = []
        last: tuple[int, int] | None = None
        while here in onward:
            choices = onward[here]
            step = _tightest_turn(choices, last)
            choices.remove(step)
            if not choices:
                del onward[here]
            if step != last:
                path.append(here)
            here, last = (here[0] + step[0], here[1] + step[1]), step
            if here == start and _closes(onward.get(start), last):
                break
        outlines.append(_without_straight_start(path))
    return outlines


def _directed_edges(mask: BoolArray) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Unit edges with the mask on their right (screen, y down): {corner (x, y): [step, …]}."""
    padded = np.pad(np.asarray(mask, dtype=bool), 1)
    inside = padded[1:-1, 1:-1]
    sides = (
        (inside & ~padded[:-2, 1:-1], (0, 0), (1, 0)),  # top edge runs right
        (inside & ~padded[1:-1, 2:], (1, 0), (0, 1)),  # right edge runs down
        (inside & ~padded[2:, 1:-1], (1, 1), (-1, 0)),  # bottom edge runs left
        (inside & ~padded[1:-1, :-2], (0, 1), (0, -1)),  # left edge runs up
    )
    onward: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for edge, (dx, dy), step in sides:
        ys, xs = np.nonzero(edge)
        for x, y in zip(xs.tolist(), ys.tolist(), strict=True):
            onward.setdefault((x + dx, y + dy), []).append(step)
    return onward


def _tightest_turn(choices: list[tuple[int, int]], last: tuple[int, int] | None) -> tuple[int, int]:
    """At a corner shared by two pixels, turn right and stay with the same pixel."""
    if last is None or len(choices) == 1:
        return choices[0]
    right = (-last[1], last[0])
    return right if right in choices else choices[0]


def _closes(choices: list[tuple[int, int]] | None, last: tuple[int, int]) -> bool:
    """Whether an outline that came back to its start ends there: its own first edge was already taken."""
    return choices is None or (-last[1], last[0]) not in choices


def _without_straight_start(path: list[tuple[int, int]]) -> NDArray[np.float64]:
    """Drop the first corner when the outline runs straight through it."""
    (ax, ay), (bx, by), (cx, cy) = path[-1], path[0], path[1]
    straight = (bx - ax) * (cy - by) == (by - ay) * (cx - bx)
    return np.asarray(path[1:] if straight else path, dtype=np.float64)

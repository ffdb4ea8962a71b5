"""The connected pieces of a small mask, and those that count. numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["largest_pieces"]


def largest_pieces(mask: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    """`[H, W]` → the same without the pieces (4-connected) smaller than `share` of the largest one."""
    starts, ends, rows = _runs(mask)
    if len(rows) == 0:
        return mask
    parent = list(range(len(rows)))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = parent[parent[run]]
            run = parent[run]
        return run

    above = 0
    for run, row in enumerate(rows):
        while rows[above] < row - 1 or (rows[above] == row - 1 and ends[above] <= starts[run]):
            above += 1
        other = above
        while other < run and rows[other] == row - 1 and starts[other] < ends[run]:
            parent[root(other)] = root(run)
            other += 1
    roots = np.array([root(run) for run in range(len(rows))])
    sizes = np.bincount(roots, weights=np.subtract(ends, starts), minlength=len(rows))
    kept = np.zeros_like(mask)
    for run in np.nonzero(sizes[roots] >= share * sizes.max())[0]:
        kept[rows[run], starts[run] : ends[run]] = True
    return kept


def _runs(mask: NDArray[np.bool_]) -> tuple[list[int], list[int], list[int]]:
    """First column, column behind the last, and row of every run of cells, row by row."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    return starts.tolist(), np.nonzero(edges == -1)[1].tolist(), rows.tolist()

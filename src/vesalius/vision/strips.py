"""One picture's work shared among the processor's cores, strip by strip."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

__all__ = ["in_strips", "num_threads"]


def num_threads() -> int:
    """Cores this process may use; fewer where `OMP_NUM_THREADS` says so, as in the libraries below us."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wished = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(allowed, int(wished)) if wished.isdecimal() else allowed)


def in_strips(work: Callable[[int, int], None], length: int, *, worth: bool = True) -> None:
    """Call `work(first, last)` for equal spans of 0…`length`, one per core, and wait for all.

    `worth` False (little work) stays on this thread. The threads live for this call only, so a process may be forked
    at any other time.
    """
    spans = min(num_threads(), length) if worth else 1
    if spans <= 1:
        work(0, length)
        return
    edges = [length * n // spans for n in range(spans + 1)]
    with ThreadPoolExecutor(spans - 1) as pool:
        others = [pool.submit(work, edges[n], edges[n + 1]) for n in range(1, spans)]
        work(edges[0], edges[1])
        for other in others:
            other.result()

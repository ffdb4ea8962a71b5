"""Twins of benchmarks: generated questions in a benchmark's published layout, to try everything without its files."""

from __future__ import annotations

import os

from vesalius.evaluation.benchmarks import benchmark
from vesalius.phantoms.new_folder import check_count, new_folder

__all__ = ["write_twin"]


def write_twin(name: str, out: str | os.PathLike[str], *, count: int = 10, seed: int = 0) -> int:
    """Write the twin of a benchmark into the new folder `out`; the same arguments give the same bytes.

    `count`: questions of the default split (reports of a tree benchmark, at least one a subject). Returns how many the
    default split holds. Raises OptionError for an unknown name, a bad number or a folder that is not empty.
    """
    check_count(count, seed)
    found = benchmark(name)
    with new_folder(out) as folder:
        found.twin(folder, count, seed)
        return sum(1 for _ in found.read(folder, found.splits[0]))

"""Every benchmark by name, written out in one place; a file is imported when its benchmark is asked for."""

from __future__ import annotations

import difflib
import importlib

from vesalius.errors import OptionError
from vesalius.evaluation.contract import Benchmark

__all__ = ["BENCHMARKS", "benchmark"]

BENCHMARKS: dict[str, str] = {
    "slake": "slake",
}
"""Name → module of this package that holds it in its `BENCHMARKS` mapping."""


def benchmark(name: str) -> Benchmark:
    """The benchmark of this name. OptionError naming the nearest one when there is none."""
    if name not in BENCHMARKS:
        near = difflib.get_close_matches(name, BENCHMARKS, 1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise OptionError(f"no benchmark is called {name!r}.", fix=f"{hint}Known: {', '.join(BENCHMARKS)}.")
    module = importlib.import_module(f"vesalius.evaluation.benchmarks.{BENCHMARKS[name]}")
    found: Benchmark = module.BENCHMARKS[name]
    return found

"""Several runs that differ by their seed."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from vesalius.evaluation.statistics.clusters import scores_array

__all__ = ["SeedSummary", "over_seeds"]


@dataclass(frozen=True)
class SeedSummary:
    """`sd` is the sample standard deviation (ddof 1); None for one seed, which shows no spread."""

    mean: float
    sd: float | None
    n: int

    def __str__(self) -> str:
        spread = "" if self.sd is None else f" ± {self.sd:.4f}"
        return f"{self.mean:.4f}{spread} ({self.n} seed{'s' if self.n > 1 else ''})"


def over_seeds(scores: Sequence[float]) -> SeedSummary:
    """Mean and sample standard deviation of the scores of several seeds. Raises InputError for none."""
    values = [float(v) for v in scores_array(scores)]
    sd = statistics.stdev(values) if len(values) > 1 else None
    return SeedSummary(statistics.fmean(values), sd, len(values))

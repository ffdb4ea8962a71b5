"""Cohen's kappa with an interval: resampling clusters of items two raters both rated."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError, OptionError
from vesalius.evaluation.metrics.agreement import agreement
from vesalius.evaluation.statistics.clusters import Clusters, cluster_items

__all__ = ["KappaInterval", "bootstrap_kappa"]


@dataclass(frozen=True)
class KappaInterval:
    """`share`: equal ratings / n.  `kappa`: beyond chance.  `low`, `high`: percentiles of the resamples."""

    share: float
    kappa: float
    low: float
    high: float
    n: int
    clusters: int
    unit: str


def bootstrap_kappa(
    first: Sequence[Hashable],
    second: Sequence[Hashable],
    clusters: Clusters | None = None,
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> KappaInterval:
    """Kappa of two ratings of the same items [n], as `metrics.agreement` gives it, and its interval.

    A resample in which both raters use one and the same category has a kappa of 1. Raises InputError when lengths
    differ or nothing is rated, OptionError for resamples < 1 or a bad level.
    """
    if resamples < 1 or not 0 < level < 1:
        raise OptionError(f"resamples is {resamples} (1 or more), level {level} (between 0 and 1).")
    found = agreement(first, second)
    groups = clusters or cluster_items(len(first))
    if len(groups.codes) != len(first):
        raise InputError(f"clusters of {len(groups.codes)} items for {len(first)} ratings.")
    names = list(dict.fromkeys([*first, *second]))
    index = {name: k for k, name in enumerate(names)}
    size = len(names)
    cells = np.array([index[a] * size + index[b] for a, b in zip(first, second, strict=True)])
    held = np.zeros((groups.num, size * size))
    np.add.at(held, (groups.codes, cells), 1.0)
    # Clusters with equal tables are drawn together, as a count.
    kinds, counts = np.unique(held, axis=0, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(groups.num, counts / groups.num, size=resamples)
    kappas = _kappas((drawn @ kinds).reshape(resamples, size, size))
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(kappas, (tail, 100.0 - tail))
    return KappaInterval(found.share, found.kappa, float(low), float(high), found.n, groups.num, groups.unit)


def _kappas(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of tables [R, K, K]."""
    n = tables.sum(axis=(1, 2))
    by_chance = (tables.sum(axis=2) * tables.sum(axis=1)).sum(axis=1) / n**2
    seen = np.trace(tables, axis1=1, axis2=2) / n
    return np.divide(seen - by_chance, 1.0 - by_chance, out=np.ones(len(n)), where=by_chance < 1.0 - 1e-12)

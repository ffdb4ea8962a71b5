"""95 % intervals by resampling clusters: of a mean, a ratio of sums, a macro average, a paired difference.

A resample draws as many clusters as there are, with replacement. Items are never copied: a resample's score comes from
the clusters' sums alone. Clusters with equal sums (all of a 0/1 score are one of few kinds) are drawn as a multinomial
count per kind; many different ones as indices. One seed gives one answer, byte for byte, in any order of items.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import InputError, OptionError
from vesalius.evaluation.statistics.clusters import Clusters, cluster_items, scores_array

__all__ = [
    "Interval",
    "bootstrap_difference",
    "bootstrap_macro",
    "bootstrap_mean",
    "bootstrap_ratio",
    "bootstrap_relative",
]

Floats = NDArray[np.float64]
RESAMPLES = 2000
BLOCK = 32_768
"""Draws made at once: few enough to stay in the processor's cache."""
FEW_KINDS = 256


@dataclass(frozen=True)
class Interval:
    """A score and where it may lie. `low`, `high`: percentiles of the resamples; `n` items in `clusters` clusters."""

    value: float
    low: float
    high: float
    n: int
    clusters: int
    unit: str
    level: float = 0.95


def _resampled(columns: Floats, resamples: int, seed: int) -> Floats:
    """Clusters' values [num, K] → their sums per resample [resamples, K]."""
    if resamples < 1:
        raise OptionError(f"resamples is {resamples}, not >= 1.")
    rng = np.random.default_rng(seed)
    kinds, counts = np.unique(columns, axis=0, return_counts=True)
    num = len(columns)
    if len(kinds) <= FEW_KINDS:
        return rng.multinomial(num, counts / num, size=resamples) @ kinds
    ordered = np.repeat(kinds, counts, axis=0)
    rows = max(1, BLOCK // num)
    varied = [k for k in range(columns.shape[1]) if np.ptp(columns[:, k]) > 0]
    sums = np.tile(num * columns[:1], (resamples, 1))  # right for columns that hold one value
    for start in range(0, resamples, rows):
        drawn = rng.integers(0, num, size=(min(rows, resamples - start), num))
        for k in varied:
            sums[start : start + rows, k] = np.take(ordered[:, k], drawn, mode="clip").sum(axis=1)
    return sums


def _interval(value: float, resampled: Floats, n: int, clusters: Clusters, level: float) -> Interval:
    if not 0 < level < 1:
        raise OptionError(f"level is {level}, not between 0 and 1.")
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(resampled, (tail, 100.0 - tail))
    return Interval(value, float(low), float(high), n, clusters.num, clusters.unit, level)


def bootstrap_ratio(
    numerator: ArrayLike,
    denominator: ArrayLike,
    clusters: Clusters | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Interval of Σ numerator / Σ denominator over items [n]: precision, recall, F1 (2 TP over predicted + true).

    A resample whose denominators are all 0 scores 0. Raises InputError for no items or values that are not finite.
    """
    top, bottom = scores_array(numerator), scores_array(denominator)
    if top.shape != bottom.shape or (bottom < 0).any() or bottom.sum() <= 0:
        raise InputError(f"numerators {top.shape} and denominators {bottom.shape} (sum > 0) do not make a ratio.")
    found = _fitting(clusters, len(top))
    sums = _resampled(np.stack([found.sums(top), found.sums(bottom)], axis=1), resamples, seed)
    ratios = np.divide(sums[:, 0], sums[:, 1], out=np.zeros(len(sums)), where=sums[:, 1] > 0)
    return _interval(float(top.sum() / bottom.sum()), ratios, len(top), found, level)


def bootstrap_mean(
    scores: ArrayLike,
    clusters: Clusters | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Interval of the mean score over items [n]; without `clusters` every item is its own (the naive interval).

    Raises InputError when there is no item or a score is not finite, OptionError for resamples < 1 or a bad level.
    """
    values = scores_array(scores)
    found = bootstrap_ratio(values, np.ones(len(values)), clusters, resamples=resamples, seed=seed, level=level)
    return replace(found, value=float(values.mean()))


def bootstrap_difference(
    first: ArrayLike,
    second: ArrayLike,
    clusters: Clusters | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Interval of mean(first) - mean(second) over the same items [n], both scores of an item drawn together."""
    a, b = scores_array(first), scores_array(second)
    if a.shape != b.shape:
        raise InputError(f"{len(a)} and {len(b)} scores are not of the same items.")
    return bootstrap_mean(a - b, clusters, resamples=resamples, seed=seed, level=level)


def bootstrap_relative(
    familiar: tuple[ArrayLike, ArrayLike],
    shifted: tuple[ArrayLike, ArrayLike],
    clusters: Clusters | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> Interval | None:
    """Interval of relative robustness: the score on shifted data over that on familiar data, 1 = nothing lost.

    Each side is (numerators [n], denominators [n]) over the same n rows, a mean being score and 1; a row that one side
    lacks is 0 and 0 there. Clusters are drawn once for both sides, so that paired items stay paired. A resample whose
    familiar score is 0 is left out. None when the familiar score is 0 or a side has no row. Raises InputError for
    lists of different lengths or values that are not finite.
    """
    columns = [scores_array(one) for one in (*familiar, *shifted)]
    if len({len(one) for one in columns}) > 1 or any((columns[k] < 0).any() for k in (1, 3)):
        raise InputError("numerators and denominators (0 or more) of the two sides do not fit each other.")
    top, bottom, other_top, other_bottom = (float(one.sum()) for one in columns)
    if top == 0 or bottom == 0 or other_bottom == 0:
        return None
    found = _fitting(clusters, len(columns[0]))
    sums = _resampled(np.stack([found.sums(one) for one in columns], axis=1), resamples, seed)
    sound = sums[(sums[:, 0] != 0) & (sums[:, 1] > 0) & (sums[:, 3] > 0)]
    value = (other_top / other_bottom) / (top / bottom)
    if not len(sound):
        return None
    return _interval(value, (sound[:, 2] / sound[:, 3]) / (sound[:, 0] / sound[:, 1]), len(columns[0]), found, level)


def bootstrap_macro(
    tasks: Mapping[str, ArrayLike],
    clusters: Mapping[str, Clusters] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Interval of the unweighted mean of the tasks' mean scores, every task resampled within itself."""
    if not tasks:
        raise InputError("there is no task to average.")
    means: list[float] = []
    total = np.zeros(resamples)
    n = num = 0
    units: set[str] = set()
    for k, name in enumerate(sorted(tasks)):
        values = scores_array(tasks[name])
        found = _fitting(clusters[name] if clusters else None, len(values))
        sums = _resampled(np.stack([found.sums(values), found.sizes], axis=1), resamples, seed + k)
        total += sums[:, 0] / sums[:, 1]
        means.append(float(values.mean()))
        n, num = n + len(values), num + found.num
        units.add(found.unit)
    whole = Clusters(np.zeros(0, dtype=np.intp), num, "/".join(sorted(units)))
    return _interval(float(np.mean(means)), total / len(tasks), n, whole, level)


def _fitting(clusters: Clusters | None, n: int) -> Clusters:
    if clusters is None:
        return cluster_items(n)
    if len(clusters.codes) != n:
        raise InputError(f"clusters of {len(clusters.codes)} items for {n} scores.")
    return clusters

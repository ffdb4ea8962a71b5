"""Two runs on the same items: McNemar's exact test, approximate randomisation, and Holm's correction for several."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vesalius.errors import InputError, OptionError
from vesalius.evaluation.statistics.clusters import Clusters, cluster_items, scores_array

__all__ = ["Holm", "McNemar", "holm", "mcnemar", "randomisation_p"]


@dataclass(frozen=True)
class McNemar:
    """Items only the first or only the second run has right, and the exact two-sided p."""

    only_first: int
    only_second: int
    p: float


def mcnemar(first: ArrayLike, second: ArrayLike) -> McNemar:
    """McNemar's exact test of two 0/1 scores [n] of the same items: a binomial on the discordant pairs.

    It treats items as independent; for clustered items read the paired bootstrap beside it. Raises InputError for
    scores other than 0 and 1.
    """
    a, b = scores_array(first), scores_array(second)
    if a.shape != b.shape:
        raise InputError(f"{len(a)} and {len(b)} scores are not of the same items.")
    if not (np.isin(a, (0, 1)).all() and np.isin(b, (0, 1)).all()):
        raise InputError("McNemar's test is for scores of 0 and 1.", fix="Use the approximate randomisation test.")
    only_first, only_second = int((a > b).sum()), int((b > a).sum())
    return McNemar(only_first, only_second, _binomial_p(min(only_first, only_second), only_first + only_second))


def _binomial_p(fewer: int, discordant: int) -> float:
    """min(1, 2 P(X <= fewer)) of a fair coin, in logarithms: exact where factors overflow."""
    if not discordant:
        return 1.0
    whole = math.lgamma(discordant + 1) - discordant * math.log(2.0)
    logs = [whole - math.lgamma(k + 1) - math.lgamma(discordant - k + 1) for k in range(fewer + 1)]
    return min(1.0, 2.0 * math.fsum(math.exp(one) for one in logs))


def randomisation_p(
    first: ArrayLike, second: ArrayLike, clusters: Clusters | None = None, *, trials: int = 10_000, seed: int = 0
) -> float:
    """Two-sided p of the difference of means by approximate randomisation: the runs' scores of a cluster change sides
    at random. (1 + trials at least as far apart) / (1 + trials); identical runs give 1."""
    a, b = scores_array(first), scores_array(second)
    if a.shape != b.shape:
        raise InputError(f"{len(a)} and {len(b)} scores are not of the same items.")
    if trials < 1:
        raise OptionError(f"trials is {trials}, not >= 1.")
    found = clusters or cluster_items(len(a))
    if len(found.codes) != len(a):
        raise InputError(f"clusters of {len(found.codes)} items for {len(a)} scores.")
    differences = np.sort(found.sums(a - b))  # sorted: the p does not depend on the order of items
    moving = differences[differences != 0]
    if not len(moving):
        return 1.0
    rng = np.random.default_rng(seed)
    seen, far = abs(moving.sum()), 0
    rows = max(1, 4_000_000 // len(moving))
    for start in range(0, trials, rows):
        swapped = rng.integers(0, 2, size=(min(rows, trials - start), len(moving)), dtype=np.int8)
        sums = moving.sum() - 2.0 * (swapped @ moving)
        far += int((np.abs(sums) >= seen - 1e-12 * max(1.0, seen)).sum())
    return (1 + far) / (1 + trials)


@dataclass(frozen=True)
class Holm:
    """`adjusted`: p after Holm's step-down correction; `rejected`: adjusted p <= alpha; `note` for the reader."""

    adjusted: dict[str, float]
    rejected: dict[str, bool]
    note: str


def holm(p_values: Mapping[str, float], alpha: float = 0.05) -> Holm:
    """Holm's correction of several comparisons. Raises InputError for a p outside [0, 1]."""
    bad = [name for name, p in p_values.items() if not 0 <= p <= 1]
    if bad:
        raise InputError(f"p of {bad[0]!r} is {p_values[bad[0]]}, not in [0, 1].")
    adjusted: dict[str, float] = {}
    highest = 0.0
    for k, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: (item[1], item[0]))):
        highest = max(highest, min(1.0, (len(p_values) - k) * p))
        adjusted[name] = highest
    ordered = {name: adjusted[name] for name in p_values}
    counted = "1 comparison" if len(p_values) == 1 else f"{len(p_values)} comparisons"
    note = f"{counted}; p values are Holm-adjusted, family-wise error {alpha:g}."
    return Holm(ordered, {name: p <= alpha for name, p in ordered.items()}, note)

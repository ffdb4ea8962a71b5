"""Two runs on the same items: the difference with its interval, a test for each metric, Holm's correction over all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from vesalius.errors import InputError, OptionError
from vesalius.evaluation.run_folder import run_folders
from vesalius.evaluation.score import scored_items
from vesalius.evaluation.scoring.item import ItemScore
from vesalius.evaluation.statistics import (
    bootstrap_difference,
    cluster_items,
    holm,
    mcnemar,
    over_seeds,
    randomisation_p,
)

__all__ = ["Comparison", "Difference", "compare_runs", "paired_folders", "several_seeds"]


@dataclass(frozen=True)
class Difference:
    """One metric. `difference`: second minus first, with its paired clustered 95 % interval. `test`: "McNemar exact"
    for 0/1 scores (`only_first`, `only_second`: items one run alone has right), else "approximate randomisation".
    `p_holm`: corrected for all metrics of the comparison."""

    metric: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    n: int
    clusters: int
    unit: str
    test: str
    p: float
    p_holm: float
    only_first: int | None = None
    only_second: int | None = None


@dataclass(frozen=True)
class Comparison:
    """Two runs under one profile. `note` says how many comparisons p values were corrected for."""

    benchmark: str
    first: str
    second: str
    profile: str
    differences: tuple[Difference, ...]
    note: str

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    def __str__(self) -> str:
        from vesalius.evaluation.summary_text import number, plain_table

        header = ("metric", "first", "second", "difference", "95 % interval", "n", "clusters", "test", "p", "p (Holm)")
        rows = [
            (
                one.metric, number(one.first), number(one.second), f"{one.difference:+.4f}",
                f"{one.low:+.4f} to {one.high:+.4f}", str(one.n), f"{one.clusters} {one.unit}", one.test,
                f"{one.p:.4g}", f"{one.p_holm:.4g}",
            )
            for one in self.differences
        ]  # fmt: skip
        title = f"{self.benchmark}: {self.second} (second) minus {self.first} (first), profile {self.profile}"
        return "\n".join([title, plain_table(header, rows), self.note])


def paired_folders(roots: Sequence[str | PathLike[str]]) -> list[list[Path]]:
    """The runs of the same benchmark in each of several folders (`vesalius evaluate --out`), in order of name.

    Raises InputError when the folders hold runs of different benchmarks.
    """
    held = [run_folders(root) for root in roots]
    by_name = [{str(run.manifest["benchmark"]): run.path for run in runs} for runs in held]
    for root, found in zip(roots, by_name, strict=True):
        if found.keys() != by_name[0].keys():
            raise InputError(
                f"holds runs of {', '.join(sorted(found))}, the first folder of {', '.join(sorted(by_name[0]))}.",
                file=root,
                fix="Name one benchmark's folders.",
            )
    return [[found[name] for found in by_name] for name in sorted(by_name[0])]


def compare_runs(
    first: str | PathLike[str],
    second: str | PathLike[str],
    profile: str = "strict",
    *,
    metrics: Sequence[str] = (),
    data: str | PathLike[str] | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare the runs in two folders, one benchmark each, on the same items.

    `metrics`: those to compare; default all that both have, readings of the other codec aside. Raises
    InputError when the runs are of different items or share none.
    """
    runs = [scored_items(path, profile, data=data) for path in (first, second)]
    (name, told_first, items_first), (other, told_second, items_second) = runs
    if name != other or items_first.keys() != items_second.keys():
        alone = sorted(items_first.keys() ^ items_second.keys())
        raise InputError(
            f"the runs are not of the same items ({name}: {len(items_first)}, {other}: {len(items_second)}"
            + (f"; first of {len(alone)} that differ: {alone[0]!r})." if alone else ")."),
            file=second,
            fix="Compare runs of one benchmark, split and limit.",
        )
    ids = sorted(items_first)
    a, b = [items_first[key] for key in ids], [items_second[key] for key in ids]
    shared = sorted(_names(a) & _names(b)) if not metrics else list(metrics)
    if not shared:
        raise InputError("the runs share no metric.", file=second)
    found = [_difference(metric, a, b, resamples, seed) for metric in shared]
    corrected = holm({one.metric: one.p for one in found})
    final = tuple(replace(one, p_holm=corrected.adjusted[one.metric]) for one in found)
    return Comparison(name, told_first, told_second, profile, final, corrected.note)


def _names(items: Sequence[ItemScore]) -> set[str]:
    """Metrics of the profile's own reading; those of the other codec end in its name."""
    return {name for item in items for name in item.scores if not name.endswith(")")}


def _difference(
    metric: str, first: Sequence[ItemScore], second: Sequence[ItemScore], resamples: int, seed: int
) -> Difference:
    pairs = [(x, y) for x, y in zip(first, second, strict=True) if metric in x.scores and metric in y.scores]
    if not pairs:
        known = sorted({name for x, y in zip(first, second, strict=True) for name in x.scores if name in y.scores})
        raise OptionError(f"no item of both runs has the metric {metric!r}.", fix=f"They have {', '.join(known)}.")
    a = np.array([x.scores[metric] for x, _ in pairs])
    b = np.array([y.scores[metric] for _, y in pairs])
    clusters = cluster_items(len(pairs), [x.cluster for x, _ in pairs], [x.images or None for x, _ in pairs])
    found = bootstrap_difference(b, a, clusters, resamples=resamples, seed=seed)
    counts: Mapping[str, int] = {}
    if np.isin(a, (0, 1)).all() and np.isin(b, (0, 1)).all():
        tested = mcnemar(a, b)
        test, p = "McNemar exact", tested.p
        counts = {"only_first": tested.only_first, "only_second": tested.only_second}
    else:
        test, p = "approximate randomisation", randomisation_p(a, b, clusters, seed=seed)
    return Difference(
        metric, float(a.mean()), float(b.mean()), found.value, found.low, found.high, found.n, found.clusters,
        found.unit, test, p, p, **counts,
    )  # fmt: skip


def several_seeds(
    paths: Sequence[str | PathLike[str]], profile: str = "strict", data: str | PathLike[str] | None = None
) -> dict[str, str]:
    """Metric → mean and standard deviation over runs that differ by their seed, as text."""
    runs = [scored_items(path, profile, data=data)[2] for path in paths]
    if any(run.keys() != runs[0].keys() for run in runs):
        raise InputError("the runs are not of the same items.", fix="Give runs of one benchmark, split and limit.")
    names = sorted(set.intersection(*(_names(list(run.values())) for run in runs)))
    means = {
        name: [float(np.mean([item.scores[name] for item in run.values() if name in item.scores])) for run in runs]
        for name in names
    }
    return {name: str(over_seeds(values)) for name, values in means.items()}

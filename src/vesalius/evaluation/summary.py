"""What a scored run comes to: figures with intervals, rates of failure, sub-tables and baselines; `summary.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vesalius.evaluation.scoring.item import FAILURES, ItemScore, outcome_of
from vesalius.evaluation.statistics import SeedSummary, bootstrap_mean, bootstrap_ratio, cluster_items

__all__ = ["LEADING", "Ablated", "Figure", "Robustness", "Summary", "Table", "figure_of", "table_of"]

LEADING = (
    "accuracy", "iou", "count_exact", "point_f1", "dice", "change_f1", "finding_f1", "rouge_l", "micro_f1", "f1@0.5",
    "within_10",
)  # fmt: skip
"""Metrics a table leads with where it lacks the benchmark's own, the first that it has."""


@dataclass(frozen=True)
class Figure:
    """A metric with its clustered 95 % interval. `n`: items it runs over, in `clusters` clusters of one `unit`
    (patient, image or item). `value` is None where nothing is defined; `low` and `high` where no interval exists."""

    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    clusters: int
    unit: str


@dataclass(frozen=True)
class Table:
    """Figures of the items of one group. `rates`: parse_failure, refusal, truncation, error, as shares of `n`."""

    group: str
    n: int
    figures: tuple[Figure, ...]
    rates: Mapping[str, float]

    def figure(self, metric: str) -> Figure | None:
        """The figure of this name, None where there is none."""
        return next((one for one in self.figures if one.metric == metric), None)


@dataclass(frozen=True)
class Ablated:
    """Another pass beside the main one, on the items both have. `kept`: its share of the main pass's score. `tables`:
    its figures in each group of the main pass."""

    name: str
    figure: Figure
    full: float | None
    kept: float | None
    tables: tuple[Table, ...] = ()

    def table(self, group: str) -> Table | None:
        """The table of this group, None where the pass asked none of its items."""
        return next((one for one in self.tables if one.group == group), None)


@dataclass(frozen=True)
class Robustness:
    """A corruption, or a shift of the data. `familiar`: the score on clean or i.i.d. items; `shifted`: on corrupted
    ones (the same items) or those of the held-out value (other items).

    `rr`: relative robustness 1 - (familiar - shifted) / familiar with its clustered 95 % interval, None where the
    familiar score is 0. `seeds`: mean, sd (ddof 1) and number of the RRs over repeats, None without any.
    """

    name: str
    familiar: Figure
    shifted: Figure
    rr: float | None
    low: float | None
    high: float | None
    seeds: SeedSummary | None = None


@dataclass(frozen=True)
class Summary:
    """A scored run. `overall` and `tables` (by kind, form, language and tag); `baselines`: name → figure;
    `passes`: ablations; `robustness`: corruptions and shifts; `extra`: consistency over option orders, mean and sd over
    seeds, corpus-level figures.
    `partial`: items asked without a prediction that were left out (only with partial scoring)."""

    benchmark: str
    title: str
    split: str
    model: str
    profile: str
    primary: str
    defects: tuple[str, ...]
    overall: Table
    tables: tuple[Table, ...]
    baselines: Mapping[str, Figure]
    passes: tuple[Ablated, ...]
    extra: Mapping[str, Any]
    notes: tuple[str, ...]
    missing: int
    dataset_sha256: str
    resamples: int
    seed: int
    robustness: tuple[Robustness, ...] = ()

    def table(self, group: str) -> Table | None:
        """The table of a group ("task=box"), None where there is none."""
        return next((one for one in self.tables if one.group == group), None)

    @property
    def n(self) -> int:
        """Items scored."""
        return self.overall.n

    def to_json(self) -> dict[str, Any]:
        """As `summary.json` holds it."""
        return {"vesalius_summary": 1, **asdict(self)}

    def __str__(self) -> str:
        from vesalius.evaluation.summary_text import summary_text

        return summary_text(self)


def figure_of(metric: str, items: Sequence[ItemScore], resamples: int = 2000, seed: int = 0) -> Figure:
    """A metric over the items that have it."""
    having = [item for item in items if metric in item.scores or metric in item.ratios]
    if not having:
        return Figure(metric, None, None, None, 0, 0, "item")
    clusters = cluster_items(len(having), [item.cluster for item in having], [item.images or None for item in having])
    if metric in having[0].ratios:
        top, bottom = np.array([item.ratios[metric] for item in having], dtype=np.float64).T
        if not bottom.sum():
            return Figure(metric, None, None, None, len(having), clusters.num, clusters.unit)
        found = bootstrap_ratio(top, bottom, clusters, resamples=resamples, seed=seed)
    else:
        values = [item.scores[metric] for item in having]
        found = bootstrap_mean(values, clusters, resamples=resamples, seed=seed)
    # Rounding of the resampled sums must not leave the interval of a constant beside its value.
    low, high = (round(value, 12) for value in (found.low, found.high))
    return Figure(metric, round(found.value, 12), low, high, found.n, found.clusters, found.unit)


def table_of(group: str, items: Sequence[ItemScore], resamples: int = 2000, seed: int = 0) -> Table:
    """All figures of a group, in order of name within scores, then ratios. Items are put in order of id first, so that
    no figure depends on the order they come in."""
    items = sorted(items, key=lambda item: item.id)
    names = sorted({name for item in items for name in item.scores})
    names += sorted({name for item in items for name in item.ratios})
    outcomes = [outcome_of(item.status) for item in items]
    rates = {name: outcomes.count(name) / len(items) for name in FAILURES}
    return Table(group, len(items), tuple(figure_of(name, items, resamples, seed) for name in names), rates)

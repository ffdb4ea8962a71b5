"""Relative robustness of a scored run: what corrupted pictures or shifted data leave of the score."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from vesalius.evaluation.metrics.robustness import relative_robustness
from vesalius.evaluation.passes import MAIN, Pass
from vesalius.evaluation.scoring.item import ItemScore
from vesalius.evaluation.statistics import SeedSummary, bootstrap_relative, cluster_items, over_seeds
from vesalius.evaluation.summary import Robustness, figure_of

__all__ = ["IID", "OOD", "corruption_rows", "rr_over_seeds", "shift_rows"]

IID, OOD = "shift=iid", "shift=ood"
"""The groups of items of a shifted benchmark."""

Runs = Mapping[str, Sequence[ItemScore]]


def rr_over_seeds(pairs: Iterable[tuple[float | None, float | None]]) -> SeedSummary | None:
    """Mean and sample standard deviation of the RRs of (familiar, shifted) scores, one pair a seed; None where no seed
    has one."""
    known = [(iid, ood) for iid, ood in pairs if iid is not None and ood is not None]
    found = [rr for iid, ood in known if (rr := relative_robustness(iid, ood)) is not None]
    return over_seeds(found) if found else None


def corruption_rows(
    passes: Sequence[Pass], runs: Runs, metric: str, resamples: int = 2000, seed: int = 0
) -> tuple[Robustness, ...]:
    """A row per corruption, against the main pass on the items both have. `runs`: pass → items, the main one
    included. Repeats are compared with the repeat of their own seed."""
    plain = {one.seed: runs[one.name] for one in passes if one.plain and one.name in runs}
    rows: list[Robustness] = []
    for one in passes:
        if one.corruption is None or one.name != one.corruption.file_name or one.name not in runs:
            continue
        row = _row(f"corruption: {one.corruption}", *_paired(runs[MAIN], runs[one.name]), metric, resamples, seed)
        repeats = [p for p in passes if p.corruption == one.corruption and p.name in runs and p.seed in plain]
        if len(repeats) > 1:
            pairs = [_values(*_paired(plain[p.seed], runs[p.name]), metric) for p in repeats]
            row = _with_seeds(row, pairs)
        rows.append(row)
    return tuple(rows)


def shift_rows(
    name: str, passes: Sequence[Pass], runs: Runs, metric: str, resamples: int = 2000, seed: int = 0
) -> tuple[Robustness, ...]:
    """The row of a shift: items of the group `shift=iid` against those of `shift=ood`; nothing without both."""
    familiar, shifted = _sides(runs[MAIN])
    if not familiar or not shifted:
        return ()
    row = _row(f"shift: {name}", familiar, shifted, metric, resamples, seed)
    repeats = [runs[p.name] for p in passes if p.plain and p.name in runs]
    return (_with_seeds(row, [_values(*_sides(items), metric) for items in repeats]) if len(repeats) > 1 else row,)


def _with_seeds(row: Robustness, pairs: Sequence[tuple[float | None, float | None]]) -> Robustness:
    return Robustness(row.name, row.familiar, row.shifted, row.rr, row.low, row.high, rr_over_seeds(pairs))


def _sides(items: Sequence[ItemScore]) -> tuple[list[ItemScore], list[ItemScore]]:
    ordered = sorted(items, key=lambda item: item.id)
    return [item for item in ordered if IID in item.groups], [item for item in ordered if OOD in item.groups]


def _paired(familiar: Sequence[ItemScore], shifted: Sequence[ItemScore]) -> tuple[list[ItemScore], list[ItemScore]]:
    """The items both have, in order of id."""
    known, other = {item.id: item for item in familiar}, {item.id: item for item in shifted}
    ids = sorted(known.keys() & other.keys())
    return [known[key] for key in ids], [other[key] for key in ids]


def _values(
    familiar: Sequence[ItemScore], shifted: Sequence[ItemScore], metric: str
) -> tuple[float | None, float | None]:
    return figure_of(metric, familiar, 1).value, figure_of(metric, shifted, 1).value


def _row(
    name: str, familiar: Sequence[ItemScore], shifted: Sequence[ItemScore], metric: str, resamples: int, seed: int
) -> Robustness:
    """`familiar`, `shifted`: the same items in one order, or other items on each side."""
    first, second = (figure_of(metric, side, resamples, seed) for side in (familiar, shifted))
    known = first.value is not None and second.value is not None
    rr = relative_robustness(first.value, second.value) if known else None  # pyright: ignore[reportArgumentType]
    sides: list[tuple[list[float], list[float]]] = []
    rows = {item.id: item for item in (*shifted, *familiar)}  # clusters are those of the real pictures
    ids = sorted(rows)
    for side in (familiar, shifted):
        held = {item.id: _parts(item, metric) for item in side}
        parts = [held.get(key, (0.0, 0.0)) for key in ids]
        sides.append(([top for top, _ in parts], [bottom for _, bottom in parts]))
    interval = None
    if ids and rr is not None:
        clusters = cluster_items(
            len(ids), [rows[key].cluster for key in ids], [rows[key].images or None for key in ids]
        )
        interval = bootstrap_relative(sides[0], sides[1], clusters, resamples=resamples, seed=seed)
    if rr is None or interval is None:
        return Robustness(name, first, second, rr, None, None)
    return Robustness(name, first, second, round(rr, 12), round(interval.low, 12), round(interval.high, 12))


def _parts(item: ItemScore, metric: str) -> tuple[float, float]:
    """(numerator, denominator) of an item; (0, 0) where the metric is not defined for it."""
    if metric in item.ratios:
        return item.ratios[metric]
    return (item.scores[metric], 1.0) if metric in item.scores else (0.0, 0.0)

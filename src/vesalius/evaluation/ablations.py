"""The other passes of a run beside the main one: what it keeps without its pictures, in another order, with other
seeds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from vesalius.evaluation.metrics.robustness import kept_share, option_consistency
from vesalius.evaluation.passes import Pass
from vesalius.evaluation.scoring.item import ItemScore
from vesalius.evaluation.statistics import over_seeds
from vesalius.evaluation.summary import Ablated, figure_of, table_of

__all__ = ["ablated", "over_orders", "over_repeats"]

Others = Mapping[str, Sequence[ItemScore]]


def ablated(
    passes: Sequence[Pass],
    others: Others,
    main: Mapping[str, ItemScore],
    metric: str,
    resamples: int,
    seed: int,
    groups: Collection[str] = (),
) -> Iterator[Ablated]:
    """Passes without the right pictures, each against the main pass on the items both have. `groups`: names of those
    that get a table each, beside that of all items."""
    for one in passes:
        rows = (item for item in others.get(one.name, ()) if item.id in main)
        # Clusters are those of the real pictures: what is shown instead says nothing about whose the item is.
        items = [replace(item, images=main[item.id].images) for item in sorted(rows, key=lambda item: item.id)]
        if one.ablation is None or not items:
            continue
        figure = figure_of(metric, items, resamples, seed)
        full = figure_of(metric, [main[item.id] for item in items], 1, seed).value
        known = full is not None and figure.value is not None and full > 0
        kept = kept_share(full, figure.value) if known and full is not None and figure.value is not None else None
        inside = {name: [item for item in items if name in item.groups] for name in sorted(groups)}
        tables = [table_of(name, rows, resamples, seed) for name, rows in {"all": items, **inside}.items() if rows]
        yield Ablated(one.name, figure, full, kept, tuple(tables))


def over_orders(passes: Sequence[Pass], others: Others, main: Mapping[str, ItemScore], metric: str) -> dict[str, Any]:
    """Mean score over the orders of options, and the share of items with the same option each time."""
    runs = [{item.id: item for item in others[one.name]} for one in passes if one.permutation and one.name in others]
    if not runs:
        return {}
    ids = sorted(set(main).intersection(*runs))
    if not ids:
        return {}
    told = [[one[key].answer for key in ids] for one in (main, *runs)]
    means = [figure_of(metric, [one[key] for key in ids], 1).value or 0.0 for one in (main, *runs)]
    consistent = option_consistency(told)
    return {"option_orders": {"metric": metric, **asdict(over_seeds(means)), "items": len(ids), "same": consistent}}


def over_repeats(passes: Sequence[Pass], others: Others, main: Sequence[ItemScore], metric: str) -> dict[str, Any]:
    """Mean and standard deviation (ddof 1) over the seeds of repeated passes, the main one included."""
    names = [p.name for p in passes if p.name in others and p.plain]
    if not names:
        return {}
    values = [figure_of(metric, rows, 1).value or 0.0 for rows in (main, *(others[name] for name in names))]
    return {"seeds": {"metric": metric, **asdict(over_seeds(values))}}

"""A summary as lines of a table: plain in a pipe, drawn by rich on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vesalius.evaluation.summary import LEADING, Ablated, Figure, Table

if TYPE_CHECKING:
    from vesalius.evaluation.summary import Summary

__all__ = ["HEADER", "figure_rows", "kept_share", "number", "plain_table", "remarks", "summary_text", "title"]

HEADER = (
    "group",
    "metric",
    "score",
    "95 % interval",
    "n",
    "clusters",
    "unread %",
    "refused %",
    "cut off %",
    "failed %",
)


def number(value: float | None) -> str:
    """Four decimals, or a dash where there is none."""
    return "–" if value is None else f"{value:.4f}"


def figure_rows(summary: Summary, metrics: Sequence[str] = ()) -> list[tuple[str, ...]]:
    """The rows of the table under `HEADER`: all metrics overall, the leading one (or `metrics`) per group, the
    baselines and the other passes."""
    rows = [_row(summary.overall, one) for one in summary.overall.figures]
    if not rows:
        rows = [_row(summary.overall, Figure("not judged", None, None, None, summary.n, 0, "item"))]
    for table in summary.tables:
        rows += [
            _row(table, one) for one in table.figures if one.metric in (metrics or _leading(table, summary.primary))
        ]
    rows += [(f"baseline: {name}", *_figure(one), "", "", "", "") for name, one in summary.baselines.items()]
    for one in summary.passes:
        rows.append((f"images: {one.name}{kept_share(one)}", *_figure(one.figure), "", "", "", ""))
    for one in summary.robustness:
        rows.append((one.name, *_figure(one.shifted), "", "", "", ""))
        interval = "–" if one.low is None else f"{number(one.low)} to {number(one.high)}"
        count = f"{one.shifted.clusters} {one.shifted.unit}"
        rows.append((one.name, "RR", number(one.rr), interval, str(one.shifted.n), count, "", "", "", ""))
    return rows


def kept_share(one: Ablated) -> str:
    """What a pass without the pictures keeps of the score the same items have with them; "" where there is none."""
    if one.full is None:
        return ""
    return f" (of {number(one.full)})" if one.kept is None else f" (keeps {100 * one.kept:.1f} % of {number(one.full)})"


def _leading(table: Table, primary: str) -> tuple[str, ...]:
    """The run's leading metric; in a group of items that lack it, the first known one they have."""
    return next(((name,) for name in (primary, *LEADING) if table.figure(name) is not None), ())


def _figure(one: Figure) -> tuple[str, str, str, str, str]:
    interval = "–" if one.low is None else f"{number(one.low)} to {number(one.high)}"
    return one.metric, number(one.value), interval, str(one.n), f"{one.clusters} {one.unit}"


def _row(table: Table, one: Figure) -> tuple[str, ...]:
    rates = (f"{100 * table.rates[name]:.1f}" for name in ("parse_failure", "refusal", "truncation", "error"))
    return (table.group, *_figure(one), *rates)


def remarks(summary: Summary) -> list[str]:
    """The lines below the table."""
    lines = [f"{summary.profile}: {defect}" for defect in summary.defects]
    for name, told in summary.extra.items():
        shown = (
            ", ".join(f"{k} {v:.4f}" if isinstance(v, float) else f"{k} {v}" for k, v in told.items())
            if isinstance(told, dict)
            else number(told)
        )
        lines.append(f"{name}: {shown}")
    lines += [f"RR of {one.name}: {one.seeds}" for one in summary.robustness if one.seeds is not None]
    return [*lines, *summary.notes]


def plain_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns side by side, two spaces between them."""
    widths = [max(len(row[k]) for row in (header, *rows)) for k in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (header, *rows)]
    return "\n".join(line.rstrip() for line in lines)


def title(summary: Summary) -> str:
    """The line above the table."""
    return f"{summary.title} ({summary.split}), {summary.model}, profile {summary.profile}, n = {summary.n}"


def summary_text(summary: Summary) -> str:
    """Title, table and remarks."""
    return "\n".join([title(summary), plain_table(HEADER, figure_rows(summary)), *remarks(summary)])

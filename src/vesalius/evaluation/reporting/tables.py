"""A scored run as tables for other programs: LaTeX for a paper, CSV for a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from vesalius.evaluation.scoring.item import FAILURES, ItemScore, outcome_of
from vesalius.evaluation.summary import Figure, Summary, Table

__all__ = ["latex_table", "scores_csv", "summary_csv", "tex"]

_TEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "–": "--",
    "×": r"$\times$",
}


def tex(text: str) -> str:
    """Text that LaTeX shows as it is, on one line; other scripts than Latin need XeLaTeX or LuaLaTeX."""
    return "".join(_TEX.get(c, c) for c in " ".join(text.split()) if ord(c) >= 32)


def latex_table(summary: Summary) -> str:
    """A `table` of booktabs: every figure overall, the leading one per group, baselines and other passes."""
    lines = [
        r"% \usepackage{booktabs,textcomp} in the preamble; T1 font encoding for quotation marks.",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{tex(_caption(summary))}}}",
        rf"\label{{tab:{_label(summary)}}}",
        r"\begin{tabular}{llrcrrr}",
        r"\toprule",
        r"Group & Metric & Score & 95\,\% interval & $n$ & Clusters & Unread \% \\",
        r"\midrule",
    ]
    lines += [_tex_row(summary.overall.group, one, summary.overall.rates) for one in summary.overall.figures]
    groups = [(table, one) for table in summary.tables if (one := table.figure(summary.primary)) is not None]
    if groups:
        lines += [r"\midrule", *(_tex_row(table.group, one, table.rates) for table, one in groups)]
    beside = [_tex_row(f"baseline: {name}", one) for name, one in summary.baselines.items()]
    beside += [_tex_row(f"pictures: {one.name}", one.figure) for one in summary.passes]
    if beside:
        lines += [r"\midrule", *beside]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _caption(summary: Summary) -> str:
    told = f"{summary.title} ({summary.split}), {summary.model}, profile {summary.profile}, n = {summary.n}"
    return f"{told}; intervals by bootstrap over {summary.resamples} resamples of clusters."


def _label(summary: Summary) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in f"{summary.benchmark}-{summary.profile}")


def _tex_row(group: str, one: Figure, rates: Mapping[str, float] | None = None) -> str:
    score = "--" if one.value is None else f"{one.value:.4f}"
    interval = "--" if one.low is None or one.high is None else f"{one.low:.4f}--{one.high:.4f}"
    unread = "" if rates is None else f"{100 * rates['parse_failure']:.1f}"
    cells = (tex(group), tex(one.metric), score, interval, str(one.n), f"{one.clusters} {tex(one.unit)}", unread)
    return " & ".join(cells) + r" \\"


def summary_csv(summary: Summary) -> str:
    """Every figure, a row each: where it stands (overall, group, baseline, pass), its interval, n and failure rates."""
    header = ("part", "group", "metric", "value", "low", "high", "n", "clusters", "unit", *FAILURES)
    rows: list[Sequence[Any]] = [*_csv_rows("overall", summary.overall)]
    for table in summary.tables:
        rows += _csv_rows("group", table)
    blank = ("",) * len(FAILURES)
    rows += [("baseline", name, *_csv_figure(one), *blank) for name, one in summary.baselines.items()]
    rows += [("pass", one.name, *_csv_figure(one.figure), *blank) for one in summary.passes]
    return _csv(header, rows)


def _csv_rows(part: str, table: Table) -> list[Sequence[Any]]:
    rates = [table.rates[name] for name in FAILURES]
    return [(part, table.group, *_csv_figure(one), *rates) for one in table.figures]


def _csv_figure(one: Figure) -> tuple[Any, ...]:
    return one.metric, one.value, one.low, one.high, one.n, one.clusters, one.unit


def scores_csv(items: Sequence[ItemScore]) -> str:
    """A row per item: id, kind, status, outcome, rule, the answer as read (JSON where it is no text), every score, and
    `a of b` as two columns for every ratio."""
    names = sorted({name for item in items for name in item.scores})
    ratios = sorted({name for item in items for name in item.ratios})
    header = ["id", "kind", "status", "outcome", "rule", "answer", *names]
    header += [f"{name} {part}" for name in ratios for part in ("numerator", "denominator")]
    rows: list[list[Any]] = []
    for item in items:
        answer = item.answer
        told = answer if answer is None or isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
        row: list[Any] = [item.id, item.kind, item.status, outcome_of(item.status), item.rule, told]
        row += [item.scores.get(name) for name in names]
        row += [value for name in ratios for value in item.ratios.get(name, (None, None))]
        rows.append(row)
    return _csv(header, rows)


def _csv(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    held = io.StringIO(newline="")
    writer = csv.writer(held)
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return held.getvalue()


def _cell(value: Any) -> str:
    """As `findings.export_csv` writes cells: numbers read back equal, no text begins a spreadsheet's formula."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "'")) else value
    return str(value) if isinstance(value, int) else repr(float(value))

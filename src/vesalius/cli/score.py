"""`vesalius score`: stored answers scored under a profile, with intervals, failure rates and baselines."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vesalius.evaluation.summary import Summary

__all__ = ["score"]


def score(
    run: Annotated[Path, typer.Argument(help="The --out of vesalius evaluate, or one benchmark's folder in it.")],
    profile: Annotated[
        str,
        typer.Option(help="strict, tolerant, medevalkit, medunieval, lmms-eval, pdc, medsg, m3d or published."),
    ] = "strict",
    partial: Annotated[bool, typer.Option("--partial", help="Score the answers there are, and say so.")] = False,
    data: Annotated[Path | None, typer.Option(help="Where the benchmark's files lie now, if they were moved.")] = None,
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples of the intervals.")] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of the resampling.")] = 0,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Write report.html, table.tex, summary.csv and scores.csv too.")
    ] = True,
    errors: Annotated[
        int, typer.Option(help="Errors the report shows; 0 keeps questions, answers and pictures out of it.")
    ] = 50,
    json: Annotated[bool, typer.Option("--json", help="Print the summaries as JSON and nothing else.")] = False,
) -> None:
    """Score a run; writes scores.jsonl, summary.json and a report beside its predictions."""
    from vesalius.errors import OptionError
    from vesalius.evaluation.report import write_report
    from vesalius.evaluation.run_folder import run_folders
    from vesalius.evaluation.score import score_run

    if not 1 <= resamples <= 1_000_000:
        raise OptionError(f"resamples is {resamples}; it must be 1 to 1000000.")
    if seed < 0:
        raise OptionError(f"seed is {seed}; it must be 0 or more.")
    if not 0 <= errors <= 1000:
        raise OptionError(f"errors is {errors}; it must be 0 to 1000.")
    summaries: list[Summary] = []
    for one in run_folders(run):
        summary = score_run(one.path, profile, partial=partial, data=data, resamples=resamples, seed=seed)
        summaries.append(summary)
        if report:
            write_report(one.path, summary, data=data, errors=errors)
    if json:
        told = [one.to_json() for one in summaries]
        print(json_module.dumps(told if len(told) > 1 else told[0], ensure_ascii=False, indent=1))
        return
    for one in summaries:
        _show(one)


def _show(summary: Summary) -> None:
    if not sys.stdout.isatty():
        print(summary)
        return
    from rich.console import Console
    from rich.table import Table

    from vesalius.evaluation.summary_text import HEADER, figure_rows, remarks, title

    table = Table(*HEADER, title=title(summary))
    for row in figure_rows(summary):
        table.add_row(*row)
    console = Console()
    console.print(table)
    for line in remarks(summary):
        console.print(line, markup=False)

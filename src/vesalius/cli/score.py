"""`vesalius score`: stored answers scored under a profile, with intervals, failure rates and baselines."""

from __future__ import annotations

import json as json_module
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vesalius.evaluation.summary import Summary

__all__ = ["score"]


def score(
    run: Annotated[
        Path,
        typer.Argument(help="The --out of vesalius evaluate, or one benchmark's folder in it; with --import a file."),
    ],
    profile: Annotated[
        str,
        typer.Option(
            help="strict, tolerant, medevalkit, medunieval, lmms-eval, pdc, medsg, m3d, mecovqa, rad-restruct or "
            "published."
        ),
    ] = "strict",
    format_name: Annotated[
        str | None,
        typer.Option("--import", metavar="FORMAT", help="RUN is a prediction file: medsg, pdc, domain-shift or items."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="With --import: folder to keep the answers in as a run.")] = None,
    model: Annotated[str | None, typer.Option(help="With --import: the name of what gave the answers.")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Score the answers there are, and say so.")] = False,
    data: Annotated[Path | None, typer.Option(help="Where the benchmark's files lie now, if they were moved.")] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=DIR]",
            help="Add bertscore, radgraph, ratescore or green to texts; DIR: its weights. May be repeated.",
        ),
    ] = None,
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples of the intervals.")] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of the resampling.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print the summaries as JSON and nothing else.")] = False,
) -> None:
    """Score a run; writes scores.jsonl and summary.json beside its predictions. Or score another project's file."""
    from vesalius.errors import OptionError
    from vesalius.evaluation.run_folder import run_folders
    from vesalius.evaluation.score import score_run

    if not 1 <= resamples <= 1_000_000:
        raise OptionError(f"resamples is {resamples}; it must be 1 to 1000000.")
    if seed < 0:
        raise OptionError(f"seed is {seed}; it must be 0 or more.")
    if format_name is None and (out is not None or model is not None):
        raise OptionError("--out and --model go with --import.")
    with ExitStack() as stack:
        if format_name is not None:
            from vesalius.evaluation.imported import import_run

            folder = out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vesalius-")))
            run = import_run(run, format_name, folder, model)
        summaries = [
            score_run(
                one.path, profile, partial=partial, data=data, resamples=resamples, seed=seed, metrics=metric or ()
            )
            for one in run_folders(run)
        ]
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

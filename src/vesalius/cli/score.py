"""`vesalius score`: stored answers scored under a profile, with intervals, failure rates and baselines."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vesalius.cli.printing import print_json, waiting

if TYPE_CHECKING:
    from vesalius.evaluation.judge_run import Judged
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
            help="strict, tolerant, medevalkit, medunieval, uni-med, lmms-eval, pdc, medsg, m3d, mecovqa, medrega, "
            "rad-restruct or published."
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
            help="Add bertscore, radgraph, ratescore, green or meteor_wordnet to texts; DIR: its files.",
        ),
    ] = None,
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples of the intervals.")] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of the resampling.")] = 0,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Write report.html, table.tex, summary.csv and scores.csv too.")
    ] = True,
    errors: Annotated[
        int, typer.Option(help="Errors the report shows; 0 keeps questions, answers and pictures out of it.")
    ] = 50,
    judge: Annotated[
        str | None, typer.Option(help="A model that judges open answers and rubrics: name, checkpoint folder, hub id.")
    ] = None,
    judge_endpoint: Annotated[
        str | None, typer.Option(help="The OpenAI-compatible server that --judge is asked at.")
    ] = None,
    judge_labels: Annotated[
        Path | None, typer.Option(help="CSV or JSON Lines of id and label by people, to agree with.")
    ] = None,
    judge_cache: Annotated[
        Path | None, typer.Option(help="Where verdicts are kept; judge_cache.jsonl in the run's folder by default.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the summaries as JSON and nothing else.")] = False,
) -> None:
    """Score a run; writes scores.jsonl, summary.json and a report beside its predictions. Or score another project's
    prediction file."""
    from vesalius.errors import OptionError
    from vesalius.evaluation.report import write_report
    from vesalius.evaluation.run_folder import run_folders
    from vesalius.evaluation.score import score_run

    if not 1 <= resamples <= 1_000_000:
        raise OptionError(f"resamples is {resamples}; it must be 1 to 1000000.")
    if seed < 0:
        raise OptionError(f"seed is {seed}; it must be 0 or more.")
    if format_name is None and (out is not None or model is not None):
        raise OptionError("--out and --model go with --import.")
    if not 0 <= errors <= 1000:
        raise OptionError(f"errors is {errors}; it must be 0 to 1000.")
    judging = _judging(judge, judge_endpoint, judge_labels, judge_cache)
    how: dict[str, Any] = {"data": data, "resamples": resamples, "seed": seed}
    summaries: list[Summary] = []
    judgements: list[Judged | None] = []
    with ExitStack() as stack:
        if format_name is not None:
            from vesalius.evaluation.imported import import_run

            report = report and out is not None  # nothing stays of a folder that nobody named
            folder = out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vesalius-")))
            run = import_run(run, format_name, folder, model)
        for one in run_folders(run):
            with waiting("scoring"):
                summary = score_run(one.path, profile, partial=partial, metrics=metric or (), **how)
            summaries.append(summary)
            judged = None
            if judging is not None:
                with waiting("judging"):
                    judged = judging(one.path, data, resamples, seed)
            judgements.append(judged)
            if report:
                told = () if judged is None else (judged,)
                with waiting("writing the report"):
                    write_report(one.path, summary, data=data, errors=errors, judged=told)
    if json:
        rows = [
            one.to_json() | ({} if judged is None else {"judged": judged.to_json()})
            for one, judged in zip(summaries, judgements, strict=True)
        ]
        print_json(rows if len(rows) > 1 else rows[0], indent=1)
        return
    for one, judged in zip(summaries, judgements, strict=True):
        _show(one)
        if judged is not None:
            print(judged)


def _judging(
    name: str | None, endpoint: str | None, labels: Path | None, cache: Path | None
) -> Callable[[Path, Path | None, int, int], Judged | None] | None:
    """How a run is judged: the model is loaded once. None where no judge is named."""
    from vesalius.errors import OptionError

    if name is None:
        given = {"--judge-endpoint": endpoint, "--judge-labels": labels, "--judge-cache": cache}
        if wrong := [option for option, value in given.items() if value is not None]:
            raise OptionError(f"{wrong[0]} needs --judge.", fix="Name the model that judges.")
        return None
    from vesalius.evaluation.judge_cache import JudgeCache
    from vesalius.evaluation.judge_run import judge_run
    from vesalius.evaluation.judges import Judge

    if endpoint is not None:
        from vesalius.inference.endpoint import Endpoint
        from vesalius.inference.identity import Identity

        there = Endpoint(endpoint, name)
        model, identity = there, Identity(name, there.address)
    else:
        from vesalius.cli.fetched import fetched
        from vesalius.inference.identity import identify
        from vesalius.inference.model import load

        place = fetched(name)
        model, identity = load(place), identify(place, name)

    def run_judged(path: Path, data: Path | None, resamples: int, seed: int) -> Judged | None:
        kept = JudgeCache(cache if cache is not None else path / "judge_cache.jsonl")
        judge = Judge(model, identity, kept)
        found = judge_run(path, judge, data=data, labels=labels, resamples=resamples, seed=seed)
        if found is None:
            print(f"{path.name}: no open, closed or conversation items to judge.", file=sys.stderr)
        return found

    return run_judged


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

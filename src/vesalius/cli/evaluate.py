"""`vesalius evaluate`: the questions of benchmarks put to a model, stored row by row, then scored."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vesalius.errors import InputError, ModelError, OptionError
from vesalius.evaluation.passes import SAMPLE

if TYPE_CHECKING:
    from vesalius.evaluation.contract import Benchmark
    from vesalius.evaluation.predict import Progress
    from vesalius.evaluation.run_folder import RunFolder

__all__ = ["evaluate", "folder_of"]


def evaluate(
    benchmarks: Annotated[list[str], typer.Argument(metavar="BENCHMARK...", help="Names: slake, …")],
    data: Annotated[
        Path, typer.Option(help="Folder of the benchmark's files, or one with a folder for each; a file for samples.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run; a run that is there goes on.")],
    model: Annotated[
        str, typer.Option(help="Model name, checkpoint folder or hub id; with --endpoint the name it knows.")
    ] = "starter",
    split: Annotated[str | None, typer.Option(help="Another split than the benchmark's own.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first so many items.")] = None,
    batch: Annotated[int, typer.Option(help="Questions asked together; requests under way at an endpoint.")] = 8,
    max_new_tokens: Annotated[int, typer.Option(help="Longest answer, in tokens.")] = 512,
    temperature: Annotated[float, typer.Option(help="0 always says the likeliest; above 0 samples.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of sampling, shuffled pictures and shuffled options.")] = 0,
    repeats: Annotated[int, typer.Option(help="Ask everything this often, with the next seeds.")] = 1,
    image_ablation: Annotated[
        list[str] | None,
        typer.Option(help="Ask every item again with blank, shuffle or none for pictures, or all; may be repeated."),
    ] = None,
    ablation_limit: Annotated[
        int | None, typer.Option(help="Of --image-ablation: ask the first so many items only.")
    ] = None,
    ablation_sample: Annotated[
        int, typer.Option(help="Of those it does not name: ask so many items, drawn by --seed; 0: none.")
    ] = SAMPLE,
    corruption: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:SEVERITY]", help="Ask again with spoilt pictures: blur:high, noise, all; repeatable."
        ),
    ] = None,
    shift: Annotated[
        str | None, typer.Option(metavar="COLUMN=VALUE", help="Compare items with this value (OoD) with all others.")
    ] = None,
    leaks: Annotated[
        str, typer.Option(help="Of --shift, patients in training rows and in the test: refuse, or drop their items.")
    ] = "refuse",
    variant: Annotated[
        str | None, typer.Option(help="Another of the benchmark's prompts: reasoning, hulu-reasoning, …")
    ] = None,
    option_shuffle: Annotated[int, typer.Option(help="Ask again with this many other orders of the options.")] = 0,
    option: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="The family's own options.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda:0 or auto.")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16, float16 or auto.")] = "auto",
    quirks: Annotated[str, typer.Option(help="published or off.")] = "published",
    endpoint: Annotated[str | None, typer.Option(help="An OpenAI-compatible server to ask instead.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds an endpoint may take for one reply.")] = 300.0,
    retries: Annotated[int, typer.Option(help="How often a busy or broken endpoint is asked again.")] = 5,
    workers: Annotated[int, typer.Option(help="Processes that each load the model (Ray); 0: this one.")] = 0,
    retry_errors: Annotated[bool, typer.Option("--retry-errors", help="Ask items again that failed.")] = False,
    score: Annotated[bool, typer.Option("--score/--no-score", help="Score the answers at the end.")] = True,
) -> None:
    """Ask a model the questions of benchmarks. Stopped at any moment, the same command goes on."""
    from vesalius.evaluation.fingerprint import Sampling
    from vesalius.evaluation.passes import passes_of
    from vesalius.evaluation.predict import predict
    from vesalius.evaluation.survey import read_split, survey

    passes = passes_of(
        image_ablation or (), option_shuffle, repeats, seed, corruption or (), ablation_limit, ablation_sample
    )
    sampling = Sampling(max_new_tokens, temperature, _options(option or ()))
    if leaks not in ("refuse", "drop"):
        raise OptionError(f"leaks is {leaks!r:.20}, not refuse or drop.")
    names = list(dict.fromkeys(benchmarks))
    asked = [(_benchmark(name, variant, shift, leaks), folder_of(data, name, len(names))) for name in names]
    # Wrong files are told before a model is loaded.
    surveys = [survey(read_split(one, folder, split, limit), folder, one.name) for one, folder in asked]
    if endpoint is not None:
        here = {"--device": device != "auto", "--dtype": dtype != "auto", "--quirks": quirks != "published"}
        if given := [name for name, is_given in here.items() if is_given]:
            raise OptionError(f"{given[0]} is for models loaded here; --endpoint has its own.", fix="Leave it out.")
        answering, identity = _endpoint(endpoint, model, timeout, retries, workers)
    else:
        answering, identity = _local(model, device, dtype, quirks, workers)
    unanswered: list[str] = []
    for (one, folder), found in zip(asked, surveys, strict=True):
        try:
            with _progress(one.name) as progress:
                run = predict(
                    one, folder, answering, out, identity=identity, split=split, limit=limit, passes=passes,
                    sampling=sampling, batch=batch, retry_errors=retry_errors, progress=progress, found=found,
                )  # fmt: skip
        except KeyboardInterrupt:
            print(f"{one.name}: stopped; the answers so far are in {out / one.run_name}.", file=sys.stderr)
            print("Run the same command again: it goes on where it stopped.", file=sys.stderr)
            raise
        if _tell(run):
            unanswered.append(one.name)
        elif score:
            _score(run)
    if unanswered:
        raise ModelError(
            f"every answer of {', '.join(unanswered)} failed, so there is no score.",
            fix="Mend what the first one says and run again with --retry-errors.",
        )


def _benchmark(name: str, variant: str | None, shift: str | None, leaks: str) -> Benchmark:
    from vesalius.evaluation.benchmarks import benchmark
    from vesalius.evaluation.shift import shift_named, shifted

    chosen = benchmark(name).variant(variant)
    return shifted(chosen, shift_named(shift), leaks) if shift is not None else chosen


def folder_of(data: Path, name: str, count: int) -> Path:
    """DATA/<name> however it is spelled, else DATA itself when one benchmark is asked."""

    def plain(text: str) -> str:
        return "".join(c for c in text.casefold() if c.isalnum())

    if data.is_dir():
        for inner in sorted(data.iterdir()):
            if inner.is_dir() and plain(inner.name) == plain(name):
                return inner
        if count > 1:
            raise InputError(f"there is no folder {name} in it.", file=data, fix="Give each benchmark a folder there.")
    return data


def _options(given: list[str] | tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals or not key.isidentifier():
            raise OptionError(f"--option {one!r} is not KEY=VALUE.")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found


def _endpoint(url: str, model: str, timeout: float, retries: int, workers: int) -> tuple[Any, Any]:
    from vesalius.inference.endpoint import Endpoint, Patience
    from vesalius.inference.identity import Identity

    if workers:
        raise OptionError("--workers loads models here; --endpoint has its own.", fix="Use --batch for more at a time.")
    if not 0 < timeout <= 86400 or not 0 <= retries <= 20:
        raise OptionError("--timeout must be above 0 s and --retries 0 to 20.")
    there = Endpoint(url, model, patience=Patience(timeout_s=timeout, retries=retries))
    return there, Identity(model, there.address)


def _local(model: str, device: str, dtype: str, quirks: str, workers: int) -> tuple[Any, Any]:
    from vesalius.cli.fetched import fetched
    from vesalius.inference.identity import identify

    place = fetched(model)
    if workers:
        from vesalius.evaluation.shards import Shards

        identity = identify(place, model)
        return Shards(place, workers, identity.adapter, device=device, dtype=dtype, quirks=quirks), identity
    from vesalius.inference.model import load

    loaded = load(place, device=device, dtype=dtype, quirks=quirks)  # pyright: ignore[reportArgumentType]
    if loaded.notice:
        print(f"Note: {loaded.notice}", file=sys.stderr)
    return loaded, identify(place, model)


@contextmanager
def _progress(name: str) -> Generator[Progress | None]:
    """A bar on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks: dict[str, Any] = {}

        def told(pass_name: str, done: int, total: int) -> None:
            label = name if pass_name == "main" else f"{name} ({pass_name})"
            if pass_name not in tasks:
                tasks[pass_name] = bar.add_task(label, total=total)
            bar.update(tasks[pass_name], completed=done)

        yield told


def _tell(run: RunFolder) -> bool:
    """One line per pass: how many answers, how many of them failed, where. True when all of the main pass failed."""
    from vesalius.evaluation.passes import MAIN

    nothing = False
    for one in run.passes():
        rows = failed = 0
        first = ""
        for row in run.predictions(one.name):
            rows += 1
            if row.finish_reason == "error":
                failed += 1
                # Where and of what kind; the whole message may quote the data and stays in the file.
                first = first or f" (first: {': '.join((row.error or '').split(': ')[:2])})"
        wrong = f", {failed} failed{first}" if failed else ""
        print(f"{run.benchmark.name} {one.name}: {rows} answers{wrong} in {run.path / one.file}")
        nothing = nothing or (one.name == MAIN and 0 < rows == failed)
    return nothing


def _score(run: RunFolder) -> None:
    """Score under the default profile, where this build scores."""
    try:
        scoring: Any = importlib.import_module("vesalius.evaluation.score")
    except ModuleNotFoundError as exc:
        if exc.name != "vesalius.evaluation.score":
            raise
        return
    summary = scoring.score_run(run.path)
    print(summary)
    from vesalius.evaluation.report import write_report

    print(f"Report: {write_report(run.path, summary)[0]}")

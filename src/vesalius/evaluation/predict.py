"""Asking a benchmark's questions: row by row to disk, and on from where it stopped.

Samples are read lazily and twice: once to find every row sound, once to ask. Between the two nothing but ids is kept.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from vesalius.errors import InputError, OptionError
from vesalius.evaluation.asking import Asked, Asker, OneModel
from vesalius.evaluation.contract import Benchmark, Sample
from vesalius.evaluation.derangement import Derangement, derangement
from vesalius.evaluation.fingerprint import Sampling, manifest_of, merged
from vesalius.evaluation.option_order import permuted
from vesalius.evaluation.passes import MAIN, Pass
from vesalius.evaluation.prediction_file import PredictionFile, read_predictions, rewrite
from vesalius.evaluation.question import Question
from vesalius.evaluation.run_folder import RunFolder
from vesalius.evaluation.survey import Survey, drawn, read_split, split_of, survey
from vesalius.findings.writing import replacing
from vesalius.inference.identity import Identity

__all__ = ["Progress", "predict"]

_DONORS = 4
"""Items, for each of a sample, among whose pictures one is sought to show instead of its own."""

Progress = Callable[[str, int, int], None]
"""Called with (pass, rows there, rows in all) when a pass begins and after every batch."""


def predict(
    benchmark: str | Benchmark,
    folder: str | Path,
    model: Asked | Asker,
    out: str | Path,
    *,
    identity: Identity | None = None,
    split: str | None = None,
    limit: int | None = None,
    passes: Sequence[Pass] = (Pass(MAIN),),
    sampling: Sampling | None = None,
    batch: int = 8,
    retry_errors: bool = False,
    progress: Progress | None = None,
    found: Survey | None = None,
) -> RunFolder:
    """Ask all items and store the answers in `out`/<`Benchmark.run_name`>; a run that is there already goes on.

    `folder`: the benchmark's published files. `model`: a Model, an Endpoint, or `shards.Shards`. `identity`: what the
    model is, for the fingerprint (without it only its name). `limit`: the first so many items. `passes`: see
    `passes.passes_of`. `batch`: questions asked together. `retry_errors`: ask items again that failed. `found`: the
    survey of these very items, where it was made already.

    An item that cannot be read or answered becomes a row with finish_reason "error". Raises, before anything is asked:
    InputError (files or columns missing, double ids, no items), OptionError (unknown split, other settings than those
    the run began with, another run writing here); later: OptionError (no room on the disk), ModelError (the model or
    endpoint is gone). Whatever stops it, calling it again goes on.
    """
    from vesalius.evaluation.benchmarks import benchmark as named

    if not 1 <= batch <= 1024:
        raise OptionError(f"batch is {batch}; it must be 1 to 1024.")
    chosen = named(benchmark) if isinstance(benchmark, str) else benchmark
    data, sampling = Path(folder), sampling or Sampling()
    found = found or survey(read_split(chosen, data, split, limit), data, chosen.name)
    name = getattr(model, "name", "")
    identity = identity or Identity(name, name)
    asker = model if isinstance(model, Asker) else OneModel(model, identity.adapter)
    run = RunFolder(Path(out) / chosen.run_name, chosen)
    now = manifest_of(chosen, data, split_of(chosen, split), limit, found, identity, sampling, passes)
    with run.locked(), ExitStack() as closing:
        if (run.path / "manifest.json").exists():
            now = merged(run.manifest, now, run.path)
            _forget_other_exchange(run, now)
        elif any(run.path.glob("predictions*.jsonl")):
            raise OptionError(
                "the folder holds predictions without a manifest; whose they are is not known.",
                file=run.path,
                fix="Choose another --out.",
            )
        _write_manifest(run.path, now)
        kept = {one.name: one for one in run.passes()}  # those there before may be larger than those asked for now
        for one in (kept[one.name] for one in passes):
            asked, exchange = found.asked(one), None
            if one.ablation == "shuffle":
                spool = Path(tempfile.mkdtemp(prefix="vesalius-shuffle-"))
                closing.callback(shutil.rmtree, spool, ignore_errors=True)
                samples = read_split(chosen, data, split, limit)
                if one.sample is not None:
                    # Pictures for a few items are not sought in the files of all.
                    near = drawn(found.seeing, one.seed, _DONORS * one.sample)
                    samples = (sample for sample in samples if sample.id in near)
                exchange = derangement(samples, one.seed, spool)
                if left_out := [key for key in exchange.left_out if one.sample is None or key in asked]:
                    asked -= frozenset(left_out)
                    now["passes"][one.name] |= {"left_out": left_out, "items": len(asked)}
                    _write_manifest(run.path, now)
            job = _Job(run.path / one.file, one, asked, exchange)
            samples = read_split(chosen, data, split, limit)
            _run_pass(job, samples, set(found.ids), asker, sampling, batch, retry_errors, progress)
    return run


def _forget_other_exchange(run: RunFolder, now: Mapping[str, Any]) -> None:
    """Answers about exchanged pictures of a sample go where more items are asked now: the exchange is another one."""
    for one in run.passes():
        if one.ablation == "shuffle" and one.sample != now["passes"][one.name].get("sample"):
            (run.path / one.file).unlink(missing_ok=True)


@dataclass(frozen=True)
class _Job:
    """A pass, where its rows go, and the ids it asks."""

    path: Path
    one: Pass
    asked: frozenset[str]
    exchange: Derangement | None

    @property
    def total(self) -> int:
        """How many rows it has when it is done."""
        return len(self.asked)

    def question(self, row: int, sample: Sample) -> Question | None:
        """What this pass asks about a sample; None where it asks nothing."""
        if sample.id not in self.asked:
            return None
        prompt, order = sample.prompt, None
        if self.one.permutation:
            try:
                prompt, order = permuted(sample, self.one.permutation, self.one.seed)
            except InputError as exc:
                raise InputError(f"row {row}: {exc.problem}", fix="Run without --option-shuffle.") from exc
        media = self.exchange.media_for(sample) if self.exchange else sample.media
        return Question(
            row, sample.id, prompt, media, self.one.seed, self.one.ablation, order, sample.earlier, self.one.corruption
        )


def _run_pass(
    job: _Job,
    samples: Iterator[Sample],
    known: set[str],
    asker: Asker,
    sampling: Sampling,
    batch: int,
    retry_errors: bool,
    progress: Progress | None,
) -> None:
    if retry_errors and job.path.exists():
        _forget_errors(job.path)
    order: list[str] = []
    with PredictionFile(job.path) as file:
        foreign = file.ids - known
        if foreign:
            raise InputError(
                f"{len(foreign)} predictions are of no item of this run (first {min(foreign)!r}).", file=job.path
            )
        # Asked before this call: `file.ids` grows while the generator below is read ahead.
        done = frozenset(file.ids)

        def waiting() -> Iterator[Question]:
            for row, sample in enumerate(samples, 1):
                question = job.question(row, sample)
                if question is not None:
                    order.append(sample.id)
                    if sample.id not in done:
                        yield question

        if progress:
            progress(job.one.name, len(file.ids), job.total)
        for rows in asker.rows(_batches(waiting(), batch), sampling):
            file.add(rows)
            if progress:
                progress(job.one.name, len(file.ids), job.total)
    _put_in_order(job.path, order)


def _forget_errors(path: Path) -> None:
    rows = list(read_predictions(path))
    kept = [row for row in rows if row.finish_reason != "error"]
    if len(kept) < len(rows):
        rewrite(path, kept)


def _batches(questions: Iterator[Question], size: int) -> Iterator[list[Question]]:
    while some := list(islice(questions, size)):
        yield some


def _put_in_order(path: Path, order: Sequence[str]) -> None:
    """Rows stand as the items do, in whatever order they were answered: the same run gives the same file."""
    there = [row.id for row in read_predictions(path)]
    present = set(there)
    wanted = [key for key in order if key in present]
    if there != wanted:
        rows = {row.id: row for row in read_predictions(path)}
        rewrite(path, [rows[key] for key in wanted])


def _write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    with replacing(folder / "manifest.json") as temporary:
        temporary.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

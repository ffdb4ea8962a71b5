"""Runs made by hand: a benchmark's items and what a model is said to have answered, without any model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vesalius.evaluation.contract import Benchmark, Sample
from vesalius.evaluation.fingerprint import Sampling, manifest_of
from vesalius.evaluation.passes import MAIN, Pass
from vesalius.evaluation.prediction import Prediction, write_line
from vesalius.evaluation.survey import survey
from vesalius.inference.identity import Identity

AB = {"A": "a nodule", "B": "a cyst", "C": "a stone", "D": "a mass"}


def item(id: str, kind: Any, gold: Any, **more: Any) -> Sample:
    return Sample(id, kind, f"Question {id}?", f"Question {id}?", gold=gold, **more)


def benchmark_of(samples: Sequence[Sample], name: str = "tiny", train: Sequence[Sample] = (), **more: Any) -> Benchmark:
    def read(folder: Path, split: str) -> Iterator[Sample]:
        yield from samples if split == "test" else train

    splits = ("test", "train") if train else ("test",)
    made = Benchmark(name, name.upper(), "2d", splits, "t-1", "accuracy", read, lambda folder, count, seed: None)
    return replace(made, **more)


def stored_run(
    folder: Path,
    benchmark: Benchmark,
    answers: Mapping[str, str | Prediction] | Sequence[str],
    passes: Mapping[Pass, Mapping[str, str | Prediction]] | None = None,
) -> Path:
    """A run folder whose predictions are `answers` (id → raw text or row; or texts in the items' order)."""
    data = folder.parent / "data"
    data.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    samples = list(benchmark.read(data, "test"))
    if not isinstance(answers, Mapping):
        answers = {sample.id: text for sample, text in zip(samples, answers, strict=True)}
    held = {Pass(MAIN): answers, **(passes or {})}
    found = survey(iter(samples), data, benchmark.name)
    manifest = manifest_of(
        benchmark, data, "test", None, found, Identity("scripted", "scripted"), Sampling(), list(held)
    )
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for one, texts in held.items():
        rows = [text if isinstance(text, Prediction) else Prediction(key, raw=text) for key, text in texts.items()]
        (folder / one.file).write_bytes(b"".join(map(write_line, rows)))
    return folder

"""Pictures of shifted domains, by the row keys of the published study: `*.json` or `*.jsonl` with `dataset, domain,
subject, true_class, predicted_class, image, id`. The choices are the classes of the row's data set, in the order of the
alphabet; accuracy is split by `domain`. `predicted_class` is that of the study's own classifier: where it differs from
the truth, the row belongs to its failures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vesalius.evaluation.benchmarks.choices import distinct, lettered
from vesalius.evaluation.benchmarks.pictures import picture_file
from vesalius.evaluation.benchmarks.rows import Row, find_tables, rows_of
from vesalius.evaluation.benchmarks.twin_files import write_bytes, write_json
from vesalius.evaluation.benchmarks.twin_questions import png, truths
from vesalius.evaluation.contract import Benchmark, Sample

__all__ = ["BENCHMARKS"]

_COLUMNS = ("dataset", "domain", "true_class", "image", "id")


def _read(folder: Path, split: str) -> Iterator[Sample]:
    paths = find_tables(folder, (f"{split}.json", f"{split}.jsonl", "*.json", "*.jsonl"))
    classes: dict[str, set[str]] = {}
    for row in rows_of(paths, _COLUMNS):
        classes.setdefault(row.text("dataset"), set()).add(row.text("true_class"))
    return distinct(_samples(folder, paths, {name: sorted(held) for name, held in classes.items()}), folder, "id")


def _samples(folder: Path, paths: list[Path], classes: dict[str, list[str]]) -> Iterator[tuple[Row, Sample]]:
    for row in rows_of(paths, _COLUMNS):
        names = classes[row.text("dataset")]
        right = row.text("true_class")
        if len(names) < 2:
            raise row.error("true_class", "its data set has only this class: there is nothing to choose.")
        if len(names) > 26:
            raise row.error("true_class", f"its data set has {len(names)} classes; 26 is the most.")
        options = lettered(names)
        predicted = row.maybe("predicted_class")
        tags = row.tags(("dataset", "domain", "subject"))
        if predicted:
            tags["classifier"] = "right" if predicted == right else "wrong"
        sample = Sample(
            id=row.text("id"),
            kind="mcq",
            question="What is in this image?",
            prompt=_prompt(names),
            media=(picture_file(row, "image", folder, row.text("image"), ("", "images")),),
            options=options,
            gold=next(letter for letter, name in options.items() if name == right),
            cluster=row.maybe("subject") or None,
            tags=tags,
        )
        yield row, sample


def _prompt(names: list[str]) -> str:
    return (
        "Given the image, answer the following question using the specified format. "
        f"Question: What is in this image? Choices: [{', '.join(names)}]\n"
        "Answer Choice:\nConfidence Score: (0-1)\nReasoning:"
    )


def _twin(folder: Path, count: int, seed: int) -> None:
    """Which modality a phantom is of, in two domains: as drawn, and inverted."""
    import numpy as np

    rows: list[dict[str, Any]] = []
    from dataclasses import replace

    for k, truth in enumerate(truths("domain-shift", max(count, 2), seed, ("xray", "ct", "mr", "ultrasound"))):
        domain = ("drawn", "inverted")[k % 2]
        shown = truth if domain == "drawn" else replace(truth, pixels=(255 - truth.pixels).astype(np.uint8))
        write_bytes(folder / "images" / f"{k}.png", png(shown))
        told = {"dataset": "phantoms", "domain": domain, "subject": str(truth.seed), "true_class": truth.modality}
        rows.append(told | {"predicted_class": "xray", "image": f"images/{k}.png", "id": f"phantoms-{k}"})
    write_json(folder / "test.json", rows)


BENCHMARKS = {
    "domain-shift": Benchmark(
        name="domain-shift",
        title="Domain-shift sets",
        group="robustness",
        splits=("test",),
        template="shift",
        primary="accuracy",
        read=_read,
        twin=_twin,
        files="`test.json` or `test.jsonl`, pictures by their paths",
        source="https://github.com/jameszhou-gl/gpt-4v-distribution-shift",
        licence="under the terms of the pictures' sources",
    )
}

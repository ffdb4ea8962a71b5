"""The medical subjects of MMLU (cais/mmlu): `<subject>/test-*.parquet`. The list of subjects is part of the name:
`mmlu-med-9`, and its first six, `mmlu-med-6`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from vesalius.evaluation.benchmarks.choices import ChoiceTable, gold_letter, options_in, read_choices
from vesalius.evaluation.benchmarks.prompts import Style, in_styles, template_id
from vesalius.evaluation.benchmarks.twin_files import write_parquet
from vesalius.evaluation.benchmarks.twin_questions import written_choices
from vesalius.evaluation.contract import Benchmark, Sample

__all__ = ["BENCHMARKS", "SUBJECTS"]

SUBJECTS = (
    "anatomy",
    "clinical_knowledge",
    "college_biology",
    "college_medicine",
    "medical_genetics",
    "professional_medicine",
    "nutrition",
    "virology",
    "high_school_biology",
)


def _table(subject: str) -> ChoiceTable:
    return ChoiceTable(
        files={
            split: (f"{subject}/{split}-*.parquet", f"data/{subject}/{split}-*.parquet")
            for split in ("test", "validation")
        },
        columns=("question", "choices", "answer"),
        options=partial(options_in, "choices"),
        gold=partial(gold_letter, "answer"),
    )


def _read(subjects: tuple[str, ...], style: Style, folder: Path, split: str) -> Iterator[Sample]:
    for subject in subjects:
        for sample in read_choices(_table(subject), style, folder, split):
            yield replace(sample, id=f"{subject}-{sample.id}", tags={"subject": subject})


def _twin(subjects: tuple[str, ...], folder: Path, count: int, seed: int) -> None:
    """`count` questions, at least one a subject."""
    made = written_choices("mmlu-med", max(count, len(subjects)), seed)
    for k, subject in enumerate(subjects):
        rows: list[dict[str, Any]] = [
            {"question": one.question, "subject": subject, "choices": list(one.texts), "answer": one.gold}
            for one in made[k :: len(subjects)]
        ]
        write_parquet(folder / subject / "test-00000-of-00001.parquet", rows)


def _benchmark(number: int, style: Style) -> Benchmark:
    subjects = SUBJECTS[:number]
    return Benchmark(
        name=f"mmlu-med-{number}",
        title=f"MMLU, {number} medical subjects",
        group="text",
        splits=("test", "validation"),
        template=template_id("mcq", style, prefix="A. x"),
        primary="accuracy",
        read=partial(_read, subjects, style),
        twin=partial(_twin, subjects),
        files="`<subject>/test-*.parquet`",
        source="https://huggingface.co/datasets/cais/mmlu",
        licence="MIT",
    )


BENCHMARKS = {f"mmlu-med-{number}": in_styles(partial(_benchmark, number)) for number in (6, 9)}

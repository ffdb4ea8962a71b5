"""3D-RAD (Tang-xiaoxiao/3D-RAD): `3DRAD/<split>/Task*/*.csv` with `Task, Subtask, VolumeName, Question, Answer,
QuestionType (Open | Close), AnswerChoice, Choice A … D`, "-" where there is none; volumes of CT-RATE by their names.

Tasks 1 to 3 (observation, anomaly, computation) are open, 4 to 6 (existence, static and longitudinal diagnosis)
closed. Names run over all files, so ids are file and row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from vesalius.evaluation.benchmarks.choices import columns_as_options, gold_letter
from vesalius.evaluation.benchmarks.prompts import template_id
from vesalius.evaluation.benchmarks.rows import Row, find_tables, rows_of
from vesalius.evaluation.benchmarks.twin_files import write_csv
from vesalius.evaluation.benchmarks.twin_volumes import volume_questions, volumes, write_volumes
from vesalius.evaluation.benchmarks.volumes import (
    ask_letter,
    ask_m3d,
    ct_rate_file,
    ct_rate_patient,
    without_media_marks,
)
from vesalius.evaluation.contract import Benchmark, Sample

__all__ = ["BENCHMARKS"]

_CHOICES = ("Choice A", "Choice B", "Choice C", "Choice D")
_COLUMNS = (
    "Task", "Subtask", "VolumeName", "Question", "Answer", "QuestionType", "AnswerChoice", *_CHOICES,
)  # fmt: skip


def _read(m3d: bool, folder: Path, split: str) -> Iterator[Sample]:
    for row in rows_of(find_tables(folder, (f"3DRAD/{split}/*/*.csv", f"{split}/*/*.csv")), _COLUMNS):
        # "-" stands for an empty cell.
        cells = {key: "" if value == "-" else value for key, value in row.values.items()}
        yield _sample(m3d, Row(row.path, row.number, cells), folder)


def _sample(m3d: bool, row: Row, folder: Path) -> Sample:
    name = row.text("VolumeName")
    told = row.text("QuestionType")
    if told not in ("Open", "Close"):
        raise row.error("QuestionType", "it is neither Open nor Close.")
    question = without_media_marks(row.text("Question"))
    prompt, options, gold = question, None, None
    if told == "Close":
        options = columns_as_options(_CHOICES, row)
        prompt = ask_m3d(question, options) if m3d else ask_letter(question, options)
        gold = gold_letter("AnswerChoice", row, options)
    return Sample(
        id=f"{row.path.parent.name}/{row.path.stem}-{row.number}",
        kind="open" if options is None else "mcq",
        question=question,
        prompt=prompt,
        media=(ct_rate_file(row, "VolumeName", folder),),
        options=options,
        gold=row.text("Answer") if gold is None else gold,
        cluster=ct_rate_patient(name),
        tags={"task": row.text("Task"), "subtask": row.text("Subtask"), "question_type": told},
        extra={"topic": row.path.stem},
    )


def _twin(folder: Path, count: int, seed: int) -> None:
    """Open and closed questions by turns, two a volume."""
    drawn = list(volumes("3d-rad", -(-count // 2), seed, "ct"))
    for k, truth in enumerate(drawn):
        write_volumes(folder / "volumes" / f"test_{k + 1}_a_1.nii.gz", truth)
    tables: dict[str, list[dict[str, Any]]] = {}
    for k, made in enumerate(volume_questions("3d-rad", drawn, count, seed)):
        closed = k % 2 == 1
        choices = made.texts if closed else ("-",) * 4
        row: dict[str, Any] = {
            "Task": 6 if closed else 1,
            "Subtask": 1,
            "VolumeName": f"test_{made.index + 1}_a_1.nii.gz",
            "Question": made.question,
            "Answer": made.answer,
            "QuestionType": "Close" if closed else "Open",
            "AnswerChoice": made.letter if closed else "-",
            **dict(zip(_CHOICES, choices, strict=True)),
        }
        path = "Task6_Longitudinal_Temporal_Diagnosis/b" if closed else "Task1_Image_Observation/Anatomical_observation"
        tables.setdefault(path, []).append(row)
    for path, rows in tables.items():
        write_csv(folder / "3DRAD" / "test" / f"{path}.csv", rows)


def _benchmark(m3d: bool) -> Benchmark:
    return Benchmark(
        name="3d-rad",
        title="3D-RAD",
        group="3d",
        splits=("test", "train"),
        template=template_id("mcq3d-m3d/op3d[A. x]" if m3d else "mcq3d/op3d[A. x]"),
        primary="accuracy",
        read=partial(_read, m3d),
        twin=_twin,
        files="`3DRAD/test/Task*/*.csv`, `volumes/` or CT-RATE's tree",
        source="https://github.com/Tang-xiaoxiao/3D-RAD",
        licence="Apache-2.0; volumes of CT-RATE, CC BY-NC-SA",
    )


BENCHMARKS = {"3d-rad": replace(_benchmark(False), variants={"m3d": _benchmark(True)})}

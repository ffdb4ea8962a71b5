"""The five medical subjects of MMMU (MMMU/MMMU): `<Subject>/validation-*.parquet`, pictures embedded in
`image_1` … `image_7`. Placeholders like `<image 1>` stay in the text; all pictures stand before it, numbered.
A short-answer question may have several right answers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

from vesalius.evaluation.benchmarks.choices import distinct, gold_letter, options_in
from vesalius.evaluation.benchmarks.pictures import embedded_picture, numbered
from vesalius.evaluation.benchmarks.prompts import Style, ask_mmmu, in_styles, template_id
from vesalius.evaluation.benchmarks.rows import Row, find_tables, rows_of
from vesalius.evaluation.benchmarks.twin_files import write_parquet
from vesalius.evaluation.benchmarks.twin_questions import TwinChoice, pictured_choices, png
from vesalius.evaluation.contract import Benchmark, Medium, Sample

__all__ = ["BENCHMARKS", "SUBJECTS"]

SUBJECTS = (
    "Basic_Medical_Science",
    "Clinical_Medicine",
    "Diagnostics_and_Laboratory_Medicine",
    "Pharmacy",
    "Public_Health",
)
_IMAGES = tuple(f"image_{k}" for k in range(1, 8))
_COLUMNS = ("id", "question", "options", "image_1", "answer", "question_type")
_PLACEHOLDER = re.compile(r"<image (\d)>")


def _read(style: Style, folder: Path, split: str) -> Iterator[Sample]:
    def samples() -> Iterator[tuple[Row, Sample]]:
        for subject in SUBJECTS:
            for row in rows_of(find_tables(folder, (f"{subject}/{split}-*.parquet",)), _COLUMNS):
                yield row, _sample(row, subject, style, folder)

    return distinct(samples(), folder, "id")


def _sample(row: Row, subject: str, style: Style, folder: Path) -> Sample:
    question, asked = row.text("question", strip=False), row.text("question_type")
    if asked not in ("multiple-choice", "open"):
        raise row.error("question_type", "it is neither multiple-choice nor open.")
    choice = asked == "multiple-choice"
    options = options_in("options", row) if choice else {}
    return Sample(
        id=row.text("id"),
        kind="mcq" if choice else "closed",
        question=question,
        prompt=ask_mmmu(question, options, style),
        media=_pictures(row, folder, " ".join([question, *options.values()])),
        options=options or None,
        gold=gold_letter("answer", row, options) if choice else _short_answers(row),
        tags={"subject": subject} | row.tags(("question_type", "subfield", "topic_difficulty", "img_type")),
    )


def _pictures(row: Row, folder: Path, text: str) -> tuple[Medium, ...]:
    there = [column for column in _IMAGES if row.values.get(column) is not None]
    for number in _PLACEHOLDER.findall(text):
        if f"image_{number}" not in there:
            raise row.error(f"image_{number}", "the text speaks of a picture that is not there.")
    return numbered([embedded_picture(row, column, folder) for column in there])


def _short_answers(row: Row) -> str | list[str]:
    answer = row.text("answer")
    if answer.startswith("["):
        try:
            several = ast.literal_eval(answer)
        except (ValueError, SyntaxError) as exc:
            raise row.error("answer", "it begins with [ and is no list.") from exc
        return [str(one) for one in cast("list[Any]", several)]
    return answer


def _twin(folder: Path, count: int, seed: int) -> None:
    """At least one question a subject; every fourth is open, every third has two pictures."""
    made = pictured_choices("mmmu-med", max(count, len(SUBJECTS)), seed, 4, ("mr", "microscopy"))
    for k, subject in enumerate(SUBJECTS):
        rows = [
            _twin_row(one, f"validation_{subject}_{n + 1}", k + n * len(SUBJECTS))
            for n, one in enumerate(made[k :: len(SUBJECTS)])
        ]
        write_parquet(folder / subject / "validation-00000-of-00001.parquet", rows)


def _twin_row(one: TwinChoice, name: str, k: int) -> dict[str, Any]:
    is_open = k % 4 == 3
    picture = {"bytes": png(one.truth), "path": f"{name}_1.png"}
    second = "<image 2> is the same picture again. " if k % 3 == 2 else ""
    return {
        "id": name,
        "question": f"<image 1> {second}{one.question}",
        "options": repr([] if is_open else list(one.texts)),
        "explanation": "",
        **dict.fromkeys(_IMAGES),
        "image_1": picture,
        "image_2": picture if second else None,
        "img_type": "['Medical Images']",
        "answer": one.texts[one.gold] if is_open else one.letter,
        "topic_difficulty": "Easy",
        "question_type": "open" if is_open else "multiple-choice",
        "subfield": "Imaging",
    }


def _benchmark(style: Style) -> Benchmark:
    return Benchmark(
        name="mmmu-med",
        title="MMMU, medical subjects",
        group="2d",
        splits=("validation", "dev"),
        template=template_id("mmmu[(A) x]", style),
        primary="accuracy",
        read=partial(_read, style),
        twin=_twin,
        files="`<Subject>/validation-*.parquet`",
        source="https://huggingface.co/datasets/MMMU/MMMU",
        licence="Apache-2.0",
    )


BENCHMARKS = {"mmmu-med": in_styles(_benchmark)}

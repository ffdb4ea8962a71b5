"""MedXpertQA (TsinghuaC3I/MedXpertQA): `Text/test.jsonl` and `MM/test.jsonl` with the pictures in `images/`. The
published questions already list their options; they are asked as published, then once more by the template."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, cast

from vesalius.evaluation.benchmarks.choices import ChoiceTable, gold_letter, options_in
from vesalius.evaluation.benchmarks.pictures import numbered, picture_file
from vesalius.evaluation.benchmarks.prompts import Style, in_styles, template_id
from vesalius.evaluation.benchmarks.rows import Row
from vesalius.evaluation.benchmarks.twin_files import write_bytes, write_lines
from vesalius.evaluation.benchmarks.twin_questions import TwinChoice, pictured_choices, png, written_choices
from vesalius.evaluation.contract import Benchmark, Medium

__all__ = ["BENCHMARKS"]

_COLUMNS = ("id", "question", "options", "label", "medical_task", "body_system", "question_type")


def _pictures(row: Row, folder: Path) -> tuple[Medium, ...]:
    names = row.value("images")
    if not isinstance(names, list) or not names:
        raise row.error("images", "there is no list of pictures.")
    return numbered([picture_file(row, "images", folder, name, ("images",)) for name in cast("list[Any]", names)])


def _table(part: str) -> ChoiceTable:
    return ChoiceTable(
        files={"test": (f"{part}/test.jsonl",), "dev": (f"{part}/dev.jsonl",)},
        columns=(*_COLUMNS, "images") if part == "MM" else _COLUMNS,
        options=partial(options_in, "options"),
        gold=partial(gold_letter, "label"),
        id="id",
        tags=("question_type", "medical_task", "body_system"),
        media=_pictures if part == "MM" else lambda row, folder: (),
    )


def _twin(part: str, folder: Path, count: int, seed: int) -> None:
    name = f"medxpertqa-{part.lower()}"
    pictured = part == "MM"
    made = pictured_choices(name, count, seed, 5) if pictured else written_choices(name, count, seed, 10)
    rows: list[dict[str, Any]] = []
    for k, one in enumerate(made):
        row = _row(one, f"{part}-{k}", k)
        if pictured:
            names = [f"{part}-{k}-{letter}.png" for letter in "ab"[: 1 + k % 2]]
            for file in names:
                write_bytes(folder / "images" / file, png(one.truth))
            row["images"] = names
        rows.append(row)
    write_lines(folder / part / "test.jsonl", rows)


def _row(one: TwinChoice, name: str, k: int) -> dict[str, Any]:
    listed = " ".join(f"({letter}) {text}" for letter, text in one.options.items())
    return {
        "id": name,
        "question": f"{one.question}\nAnswer Choices: {listed}",
        "options": one.options,
        "label": one.letter,
        "medical_task": ("Diagnosis", "Treatment", "Basic Medicine")[k % 3],
        "body_system": ("Respiratory", "Nervous")[k % 2],
        "question_type": ("Reasoning", "Understanding")[k % 2],
    }


def _benchmark(part: str, style: Style) -> Benchmark:
    table = _table(part)
    return Benchmark(
        name=f"medxpertqa-{part.lower()}",
        title=f"MedXpertQA {part}",
        group="2d" if part == "MM" else "text",
        splits=tuple(table.files),
        template=template_id("mcq", style, prefix=table.prefix),
        primary="accuracy",
        read=table.reader(style),
        twin=partial(_twin, part),
        files=f"`{part}/test.jsonl`" + (", `images/`" if part == "MM" else ""),
        source="https://huggingface.co/datasets/TsinghuaC3I/MedXpertQA",
        licence="MIT",
    )


BENCHMARKS = {f"medxpertqa-{part.lower()}": in_styles(partial(_benchmark, part)) for part in ("Text", "MM")}

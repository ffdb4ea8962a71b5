"""PMC-VQA (RadGenome/PMC-VQA): the split names the file, `test_2.csv`, `test.csv` or `test_clean.csv`; pictures
unpacked in `figures/` or `images/`. Options hold their letters ("A: …") and are asked as they stand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vesalius.evaluation.benchmarks.choices import ChoiceTable, columns_as_options, gold_letter, lettered
from vesalius.evaluation.benchmarks.pictures import picture_file
from vesalius.evaluation.benchmarks.prompts import Style, in_styles, template_id
from vesalius.evaluation.benchmarks.rows import Row
from vesalius.evaluation.benchmarks.twin_files import write_bytes, write_csv
from vesalius.evaluation.benchmarks.twin_questions import pictured_choices, png
from vesalius.evaluation.contract import Benchmark, Medium

__all__ = ["BENCHMARKS"]

_CHOICES = ("Choice A", "Choice B", "Choice C", "Choice D")
_ARTICLE = re.compile(r"PMC\d+")


def _options(row: Row) -> dict[str, str]:
    """The texts without the letters they hold."""
    held = columns_as_options(_CHOICES, row)
    return {letter: re.sub(rf"^{letter}\s*[:.：)]\s*", "", text) for letter, text in held.items()}


def _shown(row: Row) -> dict[str, str]:
    """The texts as they stand, spaces included."""
    return lettered([str(row.values[column]) for column in _CHOICES if row.maybe(column)])


def _gold(row: Row, options: Mapping[str, str]) -> str:
    """Version 1 names the letter in `Answer_label` beside the text in `Answer`, version 2 in `Answer`."""
    return gold_letter("Answer_label" if row.maybe("Answer_label") else "Answer", row, options)


def _picture(row: Row, folder: Path) -> tuple[Medium, ...]:
    places = ("figures", "images", "images_2", "")
    return (picture_file(row, "Figure_path", folder, row.text("Figure_path"), places),)


def _article(row: Row) -> str | None:
    """Figures of one article are of the same patients or nearly so."""
    found = _ARTICLE.match(row.text("Figure_path"))
    return found[0] if found else None


_TABLE = ChoiceTable(
    files={split: (f"{split}.csv",) for split in ("test_2", "test", "test_clean")},
    columns=("Figure_path", "Question", *_CHOICES, "Answer"),
    options=_options,
    gold=_gold,
    prefix="x",
    question="Question",
    shown=_shown,
    media=_picture,
    cluster=_article,
)


def _twin(folder: Path, count: int, seed: int) -> None:
    rows: list[dict[str, Any]] = []
    for k, made in enumerate(pictured_choices("pmc-vqa", count, seed)):
        figure = f"PMC{900000 + k // 3}_F1.png"
        if k % 3 == 0:
            write_bytes(folder / "figures" / figure, png(made.truth))
        choices = {f"Choice {letter}": f" {letter}:{text} " for letter, text in made.options.items()}
        told = {"index": k, "Figure_path": figure, "Caption": "A generated picture.", "Question": made.question}
        rows.append({**told, **choices, "Answer": made.letter, "split": "test"})
    write_csv(folder / "test_2.csv", rows)
    first = [
        {
            **{column: row[column] for column in ("Figure_path", "Question")},
            "Answer": str(row[f"Choice {row['Answer']}"]).strip()[2:],
            **{column: str(row[column]).strip() for column in _CHOICES},
            "Answer_label": row["Answer"],
        }
        for row in rows
    ]
    write_csv(folder / "test.csv", first)
    write_csv(folder / "test_clean.csv", first[: max(1, count // 2)])


def _benchmark(style: Style) -> Benchmark:
    return Benchmark(
        name="pmc-vqa",
        title="PMC-VQA",
        group="2d",
        splits=tuple(_TABLE.files),
        template=template_id("mcq", style, prefix="x"),
        primary="accuracy",
        read=_TABLE.reader(style),
        twin=_twin,
        files="`test_2.csv`, `figures/`; `test.csv`, `test_clean.csv`, `images/`",
        source="https://huggingface.co/datasets/RadGenome/PMC-VQA",
        licence="CC BY-SA",
    )


BENCHMARKS = {"pmc-vqa": in_styles(_benchmark)}

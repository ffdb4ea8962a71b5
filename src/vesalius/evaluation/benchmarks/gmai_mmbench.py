"""GMAI-MMBench, validation part (OpenGVLab/GMAI-MMBench): `GMAI*VAL*.tsv` with `index, image (base64), question,
A … E, answer` and the categories the tables are split by."""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from vesalius.evaluation.benchmarks.choices import ChoiceTable, columns_as_options, gold_letter
from vesalius.evaluation.benchmarks.pictures import embedded_picture
from vesalius.evaluation.benchmarks.prompts import Style, in_styles, template_id
from vesalius.evaluation.benchmarks.rows import Row
from vesalius.evaluation.benchmarks.twin_files import write_csv
from vesalius.evaluation.benchmarks.twin_questions import pictured_choices, png
from vesalius.evaluation.contract import Benchmark, Medium

__all__ = ["BENCHMARKS"]

_LETTERS = ("A", "B", "C", "D", "E")


def _picture(row: Row, folder: Path) -> tuple[Medium, ...]:
    try:
        data = base64.b64decode(row.text("image"), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise row.error("image", "the picture is not base64.") from exc
    return (embedded_picture(replace(row, values={"image": data}), "image", folder),)


_TABLE = ChoiceTable(
    files={"val": ("GMAI*VAL*.tsv",)},
    columns=("index", "image", "question", "A", "B", "answer"),
    options=partial(columns_as_options, _LETTERS),
    gold=partial(gold_letter, "answer"),
    id="index",
    tags=("category", "clinical vqa task", "clinical VQA task", "department", "perceptual granularity", "modality"),
    media=_picture,
)


def _twin(folder: Path, count: int, seed: int) -> None:
    """Four or five options."""
    rows: list[dict[str, Any]] = []
    for k, made in enumerate(pictured_choices("gmai-mmbench", count, seed, 5, ("fundus", "skin", "endoscopy"))):
        texts = made.texts if made.gold == 4 or k % 2 else made.texts[:4]
        told = {"index": k, "image": base64.b64encode(png(made.truth)).decode(), "question": made.question}
        options = dict(zip(_LETTERS, [*texts, ""][:5], strict=True))
        tags = {"category": "Generated", "department": "Imaging", "modality": made.truth.modality}
        rows.append({**told, **options, "answer": made.letter, **tags})
    write_csv(folder / "GMAI-MMBench_VAL.tsv", rows, "\t")


def _benchmark(style: Style) -> Benchmark:
    return Benchmark(
        name="gmai-mmbench",
        title="GMAI-MMBench",
        group="2d",
        splits=tuple(_TABLE.files),
        template=template_id("mcq", style, prefix="A. x"),
        primary="accuracy",
        read=_TABLE.reader(style),
        twin=_twin,
        files="`GMAI*VAL*.tsv`",
        source="https://huggingface.co/datasets/OpenGVLab/GMAI-MMBench",
        licence="Apache-2.0; pictures under their sources' terms",
    )


BENCHMARKS = {"gmai-mmbench": in_styles(_benchmark)}

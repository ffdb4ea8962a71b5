"""VQA-RAD (flaviagiammarino/vqa-rad) and PathVQA (flaviagiammarino/path-vqa): `data/<split>-*.parquet` with
`image, question, answer`, the pictures embedded. A question is closed when its answer is yes or no."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from vesalius.evaluation.benchmarks.pictures import embedded_picture
from vesalius.evaluation.benchmarks.prompts import Style, ask_open, ask_yes_no, in_styles, template_id
from vesalius.evaluation.benchmarks.rows import find_tables, rows_of
from vesalius.evaluation.benchmarks.twin_files import write_parquet
from vesalius.evaluation.benchmarks.twin_questions import pictured_answers, png
from vesalius.evaluation.contract import Benchmark, Sample

__all__ = ["BENCHMARKS"]

_COLUMNS = ("image", "question", "answer")


def _read(style: Style, folder: Path, split: str) -> Iterator[Sample]:
    paths = find_tables(folder, (f"data/{split}-*.parquet", f"{split}-*.parquet", f"{split}.parquet"))
    for number, row in enumerate(rows_of(paths, _COLUMNS), 1):
        question, answer = row.text("question", strip=False), row.text("answer")
        closed = answer.lower() in ("yes", "no")
        yield Sample(
            id=f"{split}-{number}",
            kind="yesno" if closed else "open",
            question=question,
            prompt=ask_yes_no(question, style) if closed else ask_open(question, style),
            media=(embedded_picture(row, "image", folder),),
            gold=answer.lower() if closed else answer,
            tags={"answer_type": "CLOSED" if closed else "OPEN"},
        )


def _twin(name: str, folder: Path, count: int, seed: int) -> None:
    modalities = ("microscopy",) if name == "pathvqa" else ("xray", "ct", "mr")
    rows: list[dict[str, Any]] = [
        {"image": {"bytes": png(truth), "path": None}, "question": question, "answer": answer}
        for truth, question, answer in pictured_answers(name, count, seed, modalities)
    ]
    write_parquet(folder / "data" / "test-00000-of-00001.parquet", rows)


def _benchmark(name: str, style: Style) -> Benchmark:
    title, splits, hub, licence = {
        "vqa-rad": ("VQA-RAD", ("test", "train"), "vqa-rad", "CC0 1.0"),
        "pathvqa": ("PathVQA", ("test", "validation", "train"), "path-vqa", "MIT"),
    }[name]
    return Benchmark(
        name=name,
        title=title,
        group="2d",
        splits=splits,
        template=template_id("yn/op", style),
        primary="accuracy",
        read=partial(_read, style),
        twin=partial(_twin, name),
        files="`data/test-*.parquet`",
        source=f"https://huggingface.co/datasets/flaviagiammarino/{hub}",
        licence=licence,
    )


BENCHMARKS = {name: in_styles(partial(_benchmark, name)) for name in ("vqa-rad", "pathvqa")}

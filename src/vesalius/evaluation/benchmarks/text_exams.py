"""Examinations in English: MedQA-USMLE, MedMCQA, Medbullets (4 and 5 options), MMLU-Pro health, SuperGPQA medicine.

| name | file | from |
|---|---|---|
| medqa-usmle | `phrases_no_exclude_test.jsonl` | GBaker/MedQA-USMLE-4-options |
| medmcqa | `data/validation-*.parquet` | openlifescienceai/medmcqa |
| medbullets-op4, -op5 | `data/train-*.parquet` | tuenguyen/Medical-Eval-MedBullets_op4, _op5 |
| mmlu-pro-med | `data/test-*.parquet` | TIGER-Lab/MMLU-Pro |
| supergpqa-med | `SuperGPQA-all.jsonl` | m-a-p/SuperGPQA |
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from vesalius.evaluation.benchmarks.choices import ChoiceTable, columns_as_options, gold_letter, options_in
from vesalius.evaluation.benchmarks.prompts import Style, in_styles, template_id
from vesalius.evaluation.benchmarks.rows import Row
from vesalius.evaluation.benchmarks.twin_files import write_lines, write_parquet
from vesalius.evaluation.benchmarks.twin_questions import written_choices
from vesalius.evaluation.contract import Benchmark

__all__ = ["BENCHMARKS"]

_MEDQA = ChoiceTable(
    files={"test": ("phrases_no_exclude_test.jsonl", "data/test-*.parquet", "test.jsonl")},
    columns=("question", "options", "answer_idx"),
    options=partial(options_in, "options"),
    gold=partial(gold_letter, "answer_idx"),
    tags=("meta_info",),
)

_MEDMCQA_OPTIONS = ("opa", "opb", "opc", "opd")
_MEDMCQA = ChoiceTable(
    files={
        "validation": ("data/validation-*.parquet", "validation.parquet"),
        "train": ("data/train-*.parquet", "train.parquet"),
    },
    columns=("id", "question", *_MEDMCQA_OPTIONS, "cop"),
    options=partial(columns_as_options, _MEDMCQA_OPTIONS),
    gold=partial(gold_letter, "cop"),
    id="id",
    tags=("choice_type", "subject_name"),
)

_MEDBULLETS = ChoiceTable(
    files={"train": ("data/train-*.parquet", "train.parquet", "train.jsonl", "train.json")},
    columns=("question", "options", "answer_idx"),
    options=partial(options_in, "options"),
    gold=partial(gold_letter, "answer_idx"),
    prefix="A.x",
)


def _health(row: Row) -> bool:
    return row.text("category").lower() == "health"


_MMLU_PRO = ChoiceTable(
    files={
        "test": ("data/test-*.parquet", "test.parquet"),
        "validation": ("data/validation-*.parquet", "validation.parquet"),
    },
    columns=("question_id", "question", "options", "answer", "category"),
    options=partial(options_in, "options"),
    gold=partial(gold_letter, "answer"),
    id="question_id",
    keep=_health,
    tags=("src",),
)


def _medicine(row: Row) -> bool:
    return row.text("discipline") == "Medicine"


_SUPERGPQA = ChoiceTable(
    files={"all": ("SuperGPQA-all.jsonl", "data/train-*.parquet")},
    columns=("uuid", "question", "options", "answer_letter", "discipline", "field", "difficulty"),
    options=partial(options_in, "options"),
    gold=partial(gold_letter, "answer_letter"),
    prefix="A.x",
    id="uuid",
    keep=_medicine,
    tags=("field", "subfield", "difficulty"),
)


def _twin_medqa(folder: Path, count: int, seed: int) -> None:
    rows = [
        {
            "question": made.question,
            "answer": made.texts[made.gold],
            "options": made.options,
            "meta_info": f"step{1 + k % 2}",
            "answer_idx": made.letter,
        }
        for k, made in enumerate(written_choices("medqa-usmle", count, seed))
    ]
    write_lines(folder / "phrases_no_exclude_test.jsonl", rows)


def _twin_medmcqa(folder: Path, count: int, seed: int) -> None:
    rows: list[dict[str, Any]] = []
    for k, made in enumerate(written_choices("medmcqa", count, seed)):
        options = dict(zip(_MEDMCQA_OPTIONS, made.texts, strict=True))
        told = {"cop": made.gold, "choice_type": "single", "exp": None, "subject_name": "Radiology", "topic_name": None}
        rows.append({"id": f"twin-{seed}-{k}", "question": made.question, **options, **told})
    write_parquet(folder / "data" / "validation-00000-of-00001.parquet", rows)


def _twin_medbullets(num_options: int, folder: Path, count: int, seed: int) -> None:
    rows = [
        {"question": made.question, "options": made.options, "answer_idx": made.letter}
        for made in written_choices("medbullets", count, seed, num_options)
    ]
    write_parquet(folder / "data" / "train-00000-of-00001.parquet", rows)


def _twin_mmlu_pro(folder: Path, count: int, seed: int) -> None:
    """One row of another category stands among them."""
    rows: list[dict[str, Any]] = []
    for k, made in enumerate(written_choices("mmlu-pro-med", count + 1, seed, 10)):
        told = {"answer": made.letter, "answer_index": made.gold, "cot_content": "", "src": "twin"}
        category = "math" if k == 1 else "health"
        rows.append({"question_id": 7000 + k, "question": made.question, "options": list(made.texts), **told})
        rows[-1]["category"] = category
    write_parquet(folder / "data" / "test-00000-of-00001.parquet", rows)


def _twin_supergpqa(folder: Path, count: int, seed: int) -> None:
    """One row of another discipline stands among them."""
    rows: list[dict[str, Any]] = []
    for k, made in enumerate(written_choices("supergpqa-med", count + 1, seed, 9)):
        rows.append(
            {
                "uuid": f"{seed:08x}{k:024x}",
                "question": made.question,
                "options": list(made.texts),
                "answer": made.texts[made.gold],
                "answer_letter": made.letter,
                "discipline": "Science" if k == 1 else "Medicine",
                "field": ("Clinical Medicine", "Basic Medicine")[k % 2],
                "subfield": "Imaging",
                "difficulty": ("easy", "middle", "hard")[k % 3],
                "is_calculation": False,
            }
        )
    write_lines(folder / "SuperGPQA-all.jsonl", rows)


def _benchmark(style: Style, table: ChoiceTable, **told: Any) -> Benchmark:
    return Benchmark(
        group="text",
        splits=tuple(table.files),
        template=template_id("mcq", style, prefix=table.prefix),
        primary="accuracy",
        read=table.reader(style),
        **told,
    )


_HUB = "https://huggingface.co/datasets/"
_TOLD: tuple[tuple[ChoiceTable, dict[str, Any]], ...] = (
    (
        _MEDQA,
        {
            "name": "medqa-usmle",
            "title": "MedQA-USMLE",
            "twin": _twin_medqa,
            "files": "`phrases_no_exclude_test.jsonl`",
            "source": f"{_HUB}GBaker/MedQA-USMLE-4-options",
            "licence": "CC BY 4.0",
        },
    ),
    (
        _MEDMCQA,
        {
            "name": "medmcqa",
            "title": "MedMCQA",
            "twin": _twin_medmcqa,
            "files": "`data/validation-*.parquet`",
            "source": f"{_HUB}openlifescienceai/medmcqa",
            "licence": "Apache-2.0",
        },
    ),
    *(
        (
            _MEDBULLETS,
            {
                "name": f"medbullets-op{n}",
                "title": f"Medbullets, {n} options",
                "twin": partial(_twin_medbullets, n),
                "files": "`data/train-*.parquet`",
                "source": f"{_HUB}tuenguyen/Medical-Eval-MedBullets_op{n}",
                "licence": "see the source",
            },
        )
        for n in (4, 5)
    ),
    (
        _MMLU_PRO,
        {
            "name": "mmlu-pro-med",
            "title": "MMLU-Pro, health",
            "twin": _twin_mmlu_pro,
            "files": "`data/test-*.parquet`",
            "source": f"{_HUB}TIGER-Lab/MMLU-Pro",
            "licence": "MIT",
        },
    ),
    (
        _SUPERGPQA,
        {
            "name": "supergpqa-med",
            "title": "SuperGPQA, medicine",
            "twin": _twin_supergpqa,
            "files": "`SuperGPQA-all.jsonl`",
            "source": f"{_HUB}m-a-p/SuperGPQA",
            "licence": "ODC-BY",
        },
    ),
)

BENCHMARKS = {told["name"]: in_styles(partial(_benchmark, table=table, **told)) for table, told in _TOLD}

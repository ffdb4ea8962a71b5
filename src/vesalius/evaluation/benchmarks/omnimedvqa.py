"""OmniMedVQA, open-access part: `QA_information/Open-access/*.json` (a list of questions a source data set), pictures
at `image_path` under the folder. The right letter is that of the option with the answer's text."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from vesalius.evaluation.benchmarks.choices import ChoiceTable, columns_as_options, gold_by_text
from vesalius.evaluation.benchmarks.pictures import picture_file
from vesalius.evaluation.benchmarks.prompts import Style, in_styles, template_id
from vesalius.evaluation.benchmarks.rows import Row
from vesalius.evaluation.benchmarks.twin_files import write_bytes, write_json
from vesalius.evaluation.benchmarks.twin_questions import pictured_choices, png
from vesalius.evaluation.contract import Benchmark, Medium

__all__ = ["BENCHMARKS"]

_OPTIONS = ("option_A", "option_B", "option_C", "option_D")


def _picture(row: Row, folder: Path) -> tuple[Medium, ...]:
    return (picture_file(row, "image_path", folder, row.text("image_path")),)


_TABLE = ChoiceTable(
    files={
        "open-access": ("QA_information/Open-access/*.json",),
        "restricted-access": ("QA_information/Restricted-access/*.json",),
    },
    columns=("question_id", "question", "gt_answer", "option_A", "option_B", "image_path"),
    options=partial(columns_as_options, _OPTIONS),
    gold=partial(gold_by_text, "gt_answer"),
    id="question_id",
    tags=("question_type", "modality_type", "dataset"),
    media=_picture,
)


def _twin(folder: Path, count: int, seed: int) -> None:
    """Two source data sets; the last option is missing now and then, as in the original."""
    rows: dict[str, list[dict[str, Any]]] = {"Generated CT": [], "Generated Fundus": []}
    for k, made in enumerate(pictured_choices("omnimedvqa", count, seed, modalities=("ct", "fundus"))):
        dataset = "Generated CT" if made.truth.modality == "ct" else "Generated Fundus"
        image = f"Images/{dataset}/{k // 3}.png"
        if k % 3 == 0:
            write_bytes(folder / image, png(made.truth))
        texts = made.texts if made.gold == 3 or k % 2 else made.texts[:3]
        rows[dataset].append(
            {
                "dataset": dataset,
                "question_id": f"{dataset}_{k:04}",
                "question_type": ("Disease Diagnosis", "Modality Recognition", "Anatomy Identification")[k % 3],
                "question": made.question,
                "gt_answer": made.texts[made.gold],
                "image_path": image,
                **dict(zip(_OPTIONS, texts, strict=False)),
                "modality_type": {"ct": "CT(Computed Tomography)"}.get(made.truth.modality, "Fundus Photography"),
            }
        )
    for dataset, asked in rows.items():
        if asked:
            write_json(folder / "QA_information" / "Open-access" / f"{dataset}.json", asked)


def _benchmark(style: Style) -> Benchmark:
    return Benchmark(
        name="omnimedvqa",
        title="OmniMedVQA",
        group="2d",
        splits=tuple(_TABLE.files),
        template=template_id("mcq", style, prefix="A. x"),
        primary="accuracy",
        read=_TABLE.reader(style),
        twin=_twin,
        files="`QA_information/Open-access/*.json`, `Images/`",
        source="https://huggingface.co/datasets/foreverbeliever/OmniMedVQA",
        licence="CC BY 4.0 and that of each source",
    )


BENCHMARKS = {"omnimedvqa": in_styles(_benchmark)}

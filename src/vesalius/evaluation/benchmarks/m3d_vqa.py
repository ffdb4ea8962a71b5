"""M3D-VQA (GoodBaiBai88/M3D-VQA): `M3D_VQA_<split>.csv` with `Image Path, Question Type, Question, Choice A … D,
Answer, Answer Choice`; volumes as M3D prepares them (`.npy`) or as NIfTI beside them,
under the folder or `M3D_Cap_npy/`.

`m3d-vqa` asks the closed questions, `m3d-vqa-open` the same rows without choices. Question types are published as
numbers 1 to 5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from vesalius.evaluation.benchmarks.choices import columns_as_options, gold_letter
from vesalius.evaluation.benchmarks.prompts import template_id
from vesalius.evaluation.benchmarks.rows import Row, find_tables, rows_of
from vesalius.evaluation.benchmarks.twin_files import write_csv
from vesalius.evaluation.benchmarks.twin_volumes import volume_questions, volumes, write_volumes
from vesalius.evaluation.benchmarks.volumes import ask_letter, ask_m3d, media_file, without_media_marks
from vesalius.evaluation.contract import Benchmark, Sample

__all__ = ["BENCHMARKS"]

Asked = Literal["letter", "m3d", "open"]

_CHOICES = ("Choice A", "Choice B", "Choice C", "Choice D")
_COLUMNS = ("Image Path", "Question Type", "Question", *_CHOICES, "Answer", "Answer Choice")
_PLACES = ("", "M3D_Cap_npy", "M3D_Cap")
_TYPES = {"1": "plane", "2": "phase", "3": "organ", "4": "abnormality", "5": "location"}
_FILES = {
    "test": ("M3D_VQA_test.csv", "M3D_VQA_test5k.csv"),
    "val": ("M3D_VQA_val.csv",),
    "train": ("M3D_VQA_train.csv",),
}


def _read(asked: Asked, folder: Path, split: str) -> Iterator[Sample]:
    for number, row in enumerate(rows_of(find_tables(folder, _FILES[split]), _COLUMNS), 1):
        yield _sample(asked, row, folder, f"{split}-{number}")


def _sample(asked: Asked, row: Row, folder: Path, name: str) -> Sample:
    path = row.text("Image Path")
    kind = row.text("Question Type")
    question = without_media_marks(row.text("Question"))
    options = columns_as_options(_CHOICES, row)
    prompt = question if asked == "open" else ask_m3d(question, options)
    closed = asked != "open"
    return Sample(
        id=name,
        kind="mcq" if closed else "open",
        question=question,
        prompt=ask_letter(question, options) if asked == "letter" else prompt,
        media=(media_file(row, "Image Path", folder, path, "volume", _PLACES),),
        options=options if closed else None,
        gold=gold_letter("Answer Choice", row, options) if closed else row.text("Answer"),
        # One case of the source holds several series of one patient.
        cluster=str(Path(path).parent) if "/" in path else None,
        tags={"question_type": _TYPES.get(kind, kind)},
    )


def _twin(name: str, folder: Path, count: int, seed: int) -> None:
    """Two questions a volume, every volume as array and as NIfTI."""
    drawn = list(volumes(name, -(-count // 2), seed))
    numbers = {said: number for number, said in _TYPES.items()}
    for k, truth in enumerate(drawn):
        write_volumes(folder / "M3D_Cap_npy" / "ct_quizze" / f"{k:06}" / "Axial.nii.gz", truth, npy=True)
    rows: list[dict[str, Any]] = [
        {
            "Image Path": f"M3D_Cap_npy/ct_quizze/{made.index:06}/Axial.npy",
            "Text": "",
            "Question Type": numbers[made.aspect],
            "Question": made.question,
            **dict(zip(_CHOICES, made.texts, strict=True)),
            "Answer": made.answer,
            "Answer Choice": made.letter,
        }
        for made in volume_questions(name, drawn, count, seed)
    ]
    write_csv(folder / "M3D_VQA_test.csv", rows)


def _benchmark(name: str, asked: Asked) -> Benchmark:
    template = {"letter": "mcq3d[A. x]", "m3d": "mcq3d-m3d[A. x]", "open": "op3d"}[asked]
    return Benchmark(
        name=name,
        title="M3D-VQA, open" if asked == "open" else "M3D-VQA, closed",
        group="3d",
        splits=tuple(_FILES),
        template=template_id(template),
        primary="bleu_1" if asked == "open" else "accuracy",
        read=partial(_read, asked),
        twin=partial(_twin, name),
        files="`M3D_VQA_test.csv`, `M3D_Cap_npy/`",
        source="https://huggingface.co/datasets/GoodBaiBai88/M3D-VQA",
        licence="Apache-2.0; scans of Radiopaedia under its terms",
    )


BENCHMARKS = {
    "m3d-vqa": replace(_benchmark("m3d-vqa", "letter"), variants={"m3d": _benchmark("m3d-vqa", "m3d")}),
    "m3d-vqa-open": _benchmark("m3d-vqa-open", "open"),
}

"""Examinations in Chinese, single-choice questions only: CMB, CMExam, the medical subjects of CMMLU, MedQA-MCMLE.

| name | file | from |
|---|---|---|
| cmb | `CMB-Exam/CMB-test/CMB-test-choice-question-merge.json` and, where it holds no answers, \
  `CMB-test-choice-answer.json` beside it | FreedomIntelligence/CMB |
| cmexam | `data/test.csv` or `test.json` | williamliujl/CMExam, fzkuji/CMExam |
| cmmlu-med | `test/<subject>.csv` | haonan-li/cmmlu |
| medqa-mcmle | `questions/Mainland/4_options/test.jsonl` | jind11/MedQA |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from vesalius.evaluation.benchmarks.choices import (
    ChoiceTable,
    columns_as_options,
    gold_letter,
    options_in,
    read_choices,
)
from vesalius.evaluation.benchmarks.prompts import Style, in_styles, template_id
from vesalius.evaluation.benchmarks.rows import Row, rows_of
from vesalius.evaluation.benchmarks.twin_files import write_csv, write_json, write_lines
from vesalius.evaluation.benchmarks.twin_questions import TwinChoice, written_choices
from vesalius.evaluation.contract import Benchmark, Sample

__all__ = ["BENCHMARKS", "CMMLU_SUBJECTS"]

CMMLU_SUBJECTS = (
    "anatomy",
    "clinical_knowledge",
    "college_medicine",
    "genetics",
    "traditional_chinese_medicine",
    "nutrition",
    "virology",
)
_SINGLE = "单项选择题"
_CMB_ANSWERS = "CMB-test-choice-answer.json"
_LETTERS = ("A", "B", "C", "D")


def _is_single(row: Row) -> bool:
    return row.text("question_type") == _SINGLE


def _one_answer(row: Row) -> bool:
    return len(row.text("Answer")) == 1


def _cmb_gold(row: Row, options: Mapping[str, str]) -> str:
    """The answer of the row, else of the file of answers beside it."""
    if row.maybe("answer"):
        return gold_letter("answer", row, options)
    answers = _cmb_answers(row.path.with_name(_CMB_ANSWERS))
    return gold_letter("answer", replace(row, values={"answer": answers.get(row.text("id"))}), options)


@lru_cache(maxsize=2)
def _cmb_answers(path: Path) -> dict[str, str]:
    return {row.text("id"): row.text("answer") for row in rows_of([path], ("id", "answer"))}


_CMB = ChoiceTable(
    files={
        "test": ("CMB-Exam/CMB-test/*merge.json", "CMB-test/*merge.json"),
        "val": ("CMB-Exam/CMB-val/CMB-val-merge.json", "CMB-val/CMB-val-merge.json"),
    },
    columns=("question", "option", "question_type"),
    options=partial(options_in, "option"),
    gold=_cmb_gold,
    prefix="A.x",
    lang="zh",
    keep=_is_single,
    tags=("exam_type", "exam_class", "exam_subject"),
)

_CMEXAM = ChoiceTable(
    files={"test": ("data/test.csv", "test.csv", "test_with_annotations.csv", "test.json", "data/test.json")},
    columns=("Question", "Options", "Answer"),
    options=partial(options_in, "Options"),
    gold=partial(gold_letter, "Answer"),
    question="Question",
    prefix="A.x",
    lang="zh",
    keep=_one_answer,
)

_MCMLE = ChoiceTable(
    files={
        split: (
            f"questions/Mainland/4_options/{split}.jsonl",
            f"questions/Mainland/{split}.jsonl",
            f"{split}.jsonl",
        )
        for split in ("test", "dev")
    },
    columns=("question", "options", "answer_idx"),
    options=partial(options_in, "options"),
    gold=partial(gold_letter, "answer_idx"),
    lang="zh",
)


def _cmmlu(subject: str) -> ChoiceTable:
    return ChoiceTable(
        files={split: (f"{split}/{subject}.csv", f"cmmlu/{split}/{subject}.csv") for split in ("test", "dev")},
        columns=("Question", *_LETTERS, "Answer"),
        options=partial(columns_as_options, _LETTERS),
        gold=partial(gold_letter, "Answer"),
        question="Question",
        prefix="A.x",
        lang="zh",
    )


def _read_cmmlu(style: Style, folder: Path, split: str) -> Iterator[Sample]:
    for subject in CMMLU_SUBJECTS:
        for sample in read_choices(_cmmlu(subject), style, folder, split):
            yield replace(sample, id=f"{subject}-{sample.id}", tags={"subject": subject})


def _choices(name: str, count: int, seed: int, num_options: int = 4) -> list[TwinChoice]:
    return written_choices(name, count, seed, num_options, "zh")


def _twin_cmb(folder: Path, count: int, seed: int) -> None:
    """One question with several answers stands among them; the answers are in a file of their own."""
    rows: list[dict[str, Any]] = []
    answers: list[dict[str, Any]] = []
    for k, made in enumerate(_choices("cmb", count + 1, seed, 5)):
        told = {"exam_type": "医师考试", "exam_class": "执业医师", "exam_subject": "影像学", "question": made.question}
        kind = "多项选择题" if k == 1 else _SINGLE
        rows.append({"id": k + 1, **told, "question_type": kind, "option": made.options})
        answers.append({"id": k + 1, "answer": "AB" if k == 1 else made.letter})
    place = folder / "CMB-Exam" / "CMB-test"
    write_json(place / "CMB-test-choice-question-merge.json", rows)
    write_json(place / _CMB_ANSWERS, answers)


def _twin_cmexam(folder: Path, count: int, seed: int) -> None:
    rows: list[dict[str, Any]] = []
    for k, made in enumerate(_choices("cmexam", count + 1, seed, 5)):
        options = "\n".join(f"{letter} {text}" for letter, text in made.options.items())
        answer = "AC" if k == 1 else made.letter
        rows.append({"Question": made.question, "Options": options, "Answer": answer, "Explanation": ""})
    write_csv(folder / "data" / "test.csv", rows)


def _twin_cmmlu(folder: Path, count: int, seed: int) -> None:
    made = _choices("cmmlu-med", max(count, len(CMMLU_SUBJECTS)), seed)
    for k, subject in enumerate(CMMLU_SUBJECTS):
        rows = [
            {"": n, "Question": one.question, **one.options, "Answer": one.letter}
            for n, one in enumerate(made[k :: len(CMMLU_SUBJECTS)])
        ]
        write_csv(folder / "test" / f"{subject}.csv", rows)


def _twin_mcmle(folder: Path, count: int, seed: int) -> None:
    rows = [
        {
            "question": one.question,
            "options": one.options,
            "answer": one.texts[one.gold],
            "meta_info": "卫生法规",
            "answer_idx": one.letter,
        }
        for one in _choices("medqa-mcmle", count, seed)
    ]
    write_lines(folder / "questions" / "Mainland" / "4_options" / "test.jsonl", rows)


def _benchmark(name: str, style: Style) -> Benchmark:
    prefix = "A. x" if name == "medqa-mcmle" else "A.x"
    table = {"cmb": _CMB, "cmexam": _CMEXAM, "cmmlu-med": _cmmlu(""), "medqa-mcmle": _MCMLE}[name]
    title, twin, files, source, licence = _TOLD[name]
    return Benchmark(
        name=name,
        title=title,
        group="text",
        splits=tuple(table.files),
        template=template_id("mcq-zh", style, prefix=prefix),
        primary="accuracy",
        read=partial(_read_cmmlu, style) if name == "cmmlu-med" else table.reader(style),
        twin=twin,
        files=files,
        source=source,
        licence=licence,
    )


_HUB = "https://huggingface.co/datasets/"
_TOLD = {
    "cmb": (
        "CMB, single choice",
        _twin_cmb,
        "`CMB-Exam/CMB-test/*merge.json`, `CMB-test-choice-answer.json`",
        f"{_HUB}FreedomIntelligence/CMB",
        "Apache-2.0",
    ),
    "cmexam": ("CMExam, single choice", _twin_cmexam, "`data/test.csv`", f"{_HUB}fzkuji/CMExam", "Apache-2.0"),
    "cmmlu-med": (
        "CMMLU, medical subjects",
        _twin_cmmlu,
        "`test/<subject>.csv`",
        f"{_HUB}haonan-li/cmmlu",
        "CC BY-NC-SA 4.0",
    ),
    "medqa-mcmle": (
        "MedQA-MCMLE",
        _twin_mcmle,
        "`questions/Mainland/4_options/test.jsonl`",
        "https://github.com/jind11/MedQA",
        "MIT",
    ),
}

BENCHMARKS = {name: in_styles(partial(_benchmark, name)) for name in _TOLD}

"""SURE-VQA: visual questions whose robustness to shifts is asked about, in English, with its own prompt.

`test.json`, `validate.json`, `train.json` as SLAKE (`qid, img_name, question, answer, answer_type, q_lang, …`, pictures
in `imgs/`) or OVQA (`qid, image_name, image_organ, question, answer, answer_type, question_type`, pictures in `img/`)
are published, or as the study prepares them in `split_files/` (`id, image, conversations, answer_type, …`). Every other
column with text or a number is a tag that `--shift` can hold out: modality, location, content_type, gender, age …
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, cast

from vesalius.evaluation.benchmarks import slake
from vesalius.evaluation.benchmarks.choices import distinct
from vesalius.evaluation.benchmarks.pictures import picture_file
from vesalius.evaluation.benchmarks.rows import Row, find_tables, rows_of
from vesalius.evaluation.contract import Benchmark, Sample, TaskKind

__all__ = ["BENCHMARKS"]

_TWO_OPTIONS = " Please choose from the following two options: [yes, no]."
_LANGUAGES = ("q_lang", "language")
_NO_TAGS = ("id", "qid", "image", "img_name", "image_name", "img_id", "question", "answer", "subject_id", *_LANGUAGES)


def _read(folder: Path, split: str) -> Iterator[Sample]:
    patterns = (f"{split}.json", f"split_files/{split}.json", f"split_files/*{split}*.json")
    return distinct(_samples(folder, find_tables(folder, patterns)), folder, "qid")


def _samples(folder: Path, paths: list[Path]) -> Iterator[tuple[Row, Sample]]:
    for row in rows_of(paths, ("answer_type",)):
        if next((row.maybe(column) for column in _LANGUAGES if row.maybe(column)), "en").lower() == "en":
            yield row, _sample(row, folder)


def _sample(row: Row, folder: Path) -> Sample:
    if "conversations" in row.values:
        key, column, under, asked = "id", "image", ("", "imgs", "img"), _turns(row)
    elif "img_name" in row.values:
        key, column, under, asked = "qid", "img_name", ("imgs",), row
    else:
        key, column, under, asked = "qid", "image_name", ("img", "imgs"), row
    question, answer = asked.text("question"), asked.text("answer")
    form = row.text("answer_type").upper()
    if form not in ("OPEN", "CLOSED"):
        raise row.error("answer_type", "it is neither OPEN nor CLOSED.")
    polar = form == "CLOSED" and answer.lower() in ("yes", "no")
    kind: TaskKind = "open" if form == "OPEN" else "yesno" if polar else "closed"
    name = row.text(column)
    parents = [part for part in PurePosixPath(name).parts[:-1] if part not in under]
    scalars = {k: str(v).strip() for k, v in row.values.items() if isinstance(v, str | int | float)}
    return Sample(
        id=row.text(key),
        kind=kind,
        question=question,
        prompt=question + _TWO_OPTIONS if polar else question,
        media=(picture_file(row, column, folder, name, under),),
        gold=answer.lower() if polar else answer,
        # The folder of one of SLAKE's pictures (xmlab12) stands for its patient.
        cluster=row.maybe("subject_id") or (parents[-1] if parents else None),
        tags={k: text for k, text in scalars.items() if k not in _NO_TAGS and text} | {"answer_type": form},
    )


def _turns(row: Row) -> Row:
    """The question and the answer of a prepared row."""
    said: dict[str, Any] = {}
    turns = row.value("conversations")
    for turn in cast("list[Any]", turns) if isinstance(turns, list) else ():
        if isinstance(turn, dict):
            told = cast("dict[str, Any]", turn)
            said.setdefault({"human": "question", "gpt": "answer"}.get(str(told.get("from")), ""), told.get("value"))
    if "question" not in said or "answer" not in said:
        raise row.error("conversations", "they are not a turn of human and one of gpt.")
    return Row(row.path, row.number, said)


def _twin(folder: Path, count: int, seed: int) -> None:
    """SLAKE's twin, large enough for `count` English questions."""
    slake.BENCHMARKS["slake"].twin(folder, 2 * count, seed)


BENCHMARKS = {
    "sure-vqa": Benchmark(
        name="sure-vqa",
        title="SURE-VQA",
        group="robustness",
        splits=("test", "validate", "train"),
        template="sure-vqa",
        primary="accuracy",
        read=_read,
        twin=_twin,
        files="`test.json`, `validate.json`, `train.json`, `imgs/` (SLAKE) or `img/` (OVQA); or `split_files/*.json`",
        source="https://github.com/IML-DKFZ/sure-vqa",
        licence="under the terms of the pictures' sources",
    )
}

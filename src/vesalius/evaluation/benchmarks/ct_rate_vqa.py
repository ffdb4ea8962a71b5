"""CT-RATE VQA: `valid_vqa.json`, rows `id, image, conversations [{from, value, type}]`, the volume by its name.

Every question with its answer is one sample, asked on its own behind its tag: `<long_answer>`, `<short_answer>`,
`<multiple_choice>` or `<report_generation>`. Choices stand in the question as "(a) … (b) …"; the right one leads the
answer. A choice whose letters cannot be read is asked as an open question.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from vesalius.evaluation.benchmarks.prompts import template_id
from vesalius.evaluation.benchmarks.rows import Row, find_tables, rows_of
from vesalius.evaluation.benchmarks.twin_files import write_json
from vesalius.evaluation.benchmarks.twin_volumes import volume_questions, volume_report, volumes, write_volumes
from vesalius.evaluation.benchmarks.volumes import ct_rate_file, ct_rate_patient, without_media_marks
from vesalius.evaluation.contract import Benchmark, Medium, Sample

__all__ = ["BENCHMARKS"]

_TYPES = ("long_answer", "short_answer", "multiple_choice", "report_generation")
_TAG = re.compile(rf"<({'|'.join(_TYPES)})>\s*")
_OPTION = re.compile(r"\(([a-z])\)\s*(.+?)\s*(?=\([a-z]\)|$)", re.DOTALL)


def _read(folder: Path, split: str) -> Iterator[Sample]:
    paths = find_tables(folder, (f"{split}_vqa.json", f"vqa/{split}_vqa.json", f"dataset/vqa/{split}_vqa.json"))
    for row in rows_of(paths, ("id", "image", "conversations")):
        medium = ct_rate_file(row, "image", folder)
        turns = row.value("conversations")
        if not isinstance(turns, list) or not turns or len(cast("list[Any]", turns)) % 2:
            raise row.error("conversations", "it is not a list of questions, each with its answer.")
        for k in range(0, len(cast("list[Any]", turns)), 2):
            yield _sample(row, k // 2, turns[k], turns[k + 1], medium)


def _sample(row: Row, k: int, asked: Any, told: Any, medium: Medium) -> Sample:
    if not isinstance(asked, dict) or not isinstance(told, dict) or asked.get("from") != "human":
        raise row.error("conversations", "a question is not followed by its answer.")
    value = cast("dict[str, Any]", asked).get("value")
    answer = str(cast("dict[str, Any]", told).get("value") or "").strip()
    if not isinstance(value, str) or not answer:
        raise row.error("conversations", "a question or an answer is empty.")
    found = _TAG.search(value)
    kind = str(cast("dict[str, Any]", asked).get("type") or (found[1] if found else ""))
    if kind not in _TYPES:
        raise row.error("conversations", f"the type is none of {', '.join(_TYPES)}.")
    question = without_media_marks(_TAG.sub("", value))
    options, gold = _choice(question, answer) if kind == "multiple_choice" else (None, answer)
    name = row.text("image")
    return Sample(
        id=f"{row.path.stem}-{row.number}-{k}",
        kind="mcq" if options else "report" if kind == "report_generation" else "open",
        question=question,
        prompt=f"<{kind}>{question}",
        media=(medium,),
        options=options,
        gold=gold,
        cluster=ct_rate_patient(name),
        tags={"type": kind},
        extra={"answer": answer},
    )


def _choice(question: str, answer: str) -> tuple[dict[str, str] | None, str]:
    options = {letter.upper(): text for letter, text in _OPTION.findall(question)}
    right = re.search(r"\(([a-z])\)", answer)
    if len(options) < 2 or right is None or right[1].upper() not in options:
        return None, answer
    return options, right[1].upper()


def _twin(folder: Path, count: int, seed: int) -> None:
    """The four types by turns."""
    drawn = list(volumes("ct-rate-vqa", -(-count // 4), seed, "ct"))
    names = [f"valid_{k + 1}_a_1.nii.gz" for k in range(len(drawn))]
    turns: list[list[dict[str, str]]] = [[] for _ in drawn]
    for name, truth in zip(names, drawn, strict=True):
        write_volumes(folder / "volumes" / name, truth)
    for k, made in enumerate(volume_questions("ct-rate-vqa", drawn, count, seed)):
        kind = _TYPES[(k // len(drawn)) % 4]
        question, answer = made.question, made.answer
        if kind == "multiple_choice":
            lines = [f"({'abcd'[n]}) {text}" for n, text in enumerate(made.texts)]
            question, answer = f"{question} {' '.join(lines)}", lines[made.gold]
        elif kind == "report_generation":
            question, answer = "Write the report of this scan.", " ".join(volume_report(drawn[made.index]))
        lead = "" if turns[made.index] else "<image>\n"
        turns[made.index].append({"from": "human", "value": f"{lead}{question}", "type": kind})
        turns[made.index].append({"from": "gpt", "value": answer})
    rows = [
        {"id": f"{k}", "image": name, "conversations": said}
        for k, (name, said) in enumerate(zip(names, turns, strict=True))
    ]
    write_json(folder / "valid_vqa.json", rows)


BENCHMARKS = {
    "ct-rate-vqa": Benchmark(
        name="ct-rate-vqa",
        title="CT-RATE VQA",
        group="3d",
        splits=("valid", "train"),
        template=template_id("ct-rate-tag"),
        primary="bleu_1",
        read=_read,
        twin=_twin,
        files="`valid_vqa.json`, `volumes/` or CT-RATE's tree",
        source="https://huggingface.co/datasets/ibrahimhamamci/CT-RATE",
        licence="CC BY-NC-SA 4.0",
    )
}

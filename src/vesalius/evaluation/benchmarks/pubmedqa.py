"""PubMedQA, the 500 labelled test questions (openlifescienceai/pubmedqa): `data/test-*.parquet`, one column `data` of
`Question, Options{A, B, C}, Context[], Correct Option`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from vesalius.evaluation.benchmarks.choices import ChoiceTable, gold_letter, options_in
from vesalius.evaluation.benchmarks.prompts import Style, in_styles, template_id
from vesalius.evaluation.benchmarks.rows import Row
from vesalius.evaluation.benchmarks.twin_files import write_parquet
from vesalius.evaluation.benchmarks.twin_questions import picture_scene, section_texts, truths
from vesalius.evaluation.contract import Benchmark

__all__ = ["BENCHMARKS"]


def _unpack(row: Row) -> Row:
    data = row.value("data")
    if not isinstance(data, Mapping):
        raise row.error("data", "the value is not an object.")
    return replace(row, values={"id": row.values.get("id"), **cast("Mapping[str, Any]", data)})


def _context(row: Row) -> str:
    parts = row.value("Context")
    if not isinstance(parts, list) or not parts:
        raise row.error("Context", "the value is not a list of paragraphs.")
    return "Context: {}\n".format("\n".join(str(part) for part in cast("list[Any]", parts)))


_TABLE = ChoiceTable(
    files={
        "test": ("data/test-*.parquet", "test.parquet", "test.jsonl"),
        "validation": ("data/validation-*.parquet", "validation.parquet", "validation.jsonl"),
    },
    columns=("id", "data"),
    unpack=_unpack,
    options=partial(options_in, "Options"),
    gold=partial(gold_letter, "Correct Option"),
    question="Question",
    id="id",
    prefix="A.x",
    context=_context,
)


def _twin(folder: Path, count: int, seed: int) -> None:
    """Questions whose answer the context states, denies or leaves open."""
    from vesalius.dialogue.words import LABEL_NAMES
    from vesalius.phantoms.truth import LABELS

    rows: list[dict[str, Any]] = []
    for k, truth in enumerate(truths("pubmedqa", count, seed, ("xray", "ultrasound", "skin"))):
        scene = picture_scene(truth)
        found = [group.label for group in scene.findings]
        unsaid = [label for label in LABELS if label not in found and label not in scene.absent]
        asked, letter = unsaid[k % len(unsaid)], "C"
        if k % 3 == 0 and found:
            asked, letter = found[0], "A"
        elif k % 3 == 1 and scene.absent:
            asked, letter = scene.absent[0], "B"
        findings, impression = section_texts(truth)
        decision = {"A": "yes", "B": "no", "C": "maybe"}
        data = {
            "Context": [f"Findings: {findings}", f"Impression: {impression}"],
            "Correct Answer": decision[letter],
            "Correct Option": letter,
            "Long Answer": f"{decision[letter]}: the context tells.",
            "Options": decision,
            "Question": f"Does the study report this: {LABEL_NAMES[asked].en[0]}?",
        }
        rows.append({"id": f"twin-{seed}-{k}", "data": data, "subject_name": None})
    write_parquet(folder / "data" / "test-00000-of-00001.parquet", rows)


def _benchmark(style: Style) -> Benchmark:
    return Benchmark(
        name="pubmedqa",
        title="PubMedQA",
        group="text",
        splits=tuple(_TABLE.files),
        template=template_id("pubmed", style, prefix="A.x"),
        primary="accuracy",
        read=_TABLE.reader(style),
        twin=_twin,
        files="`data/test-*.parquet`",
        source="https://huggingface.co/datasets/openlifescienceai/pubmedqa",
        licence="MIT",
    )


BENCHMARKS = {"pubmedqa": in_styles(_benchmark)}

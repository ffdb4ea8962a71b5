"""HealthBench: conversations judged by rubrics, one JSON Lines file a split in one folder (openai/simple-evals):
`*oss_eval.jsonl` (all), `hard*.jsonl`, `consensus*.jsonl`; rows of `prompt_id, prompt[{role, content}],
rubrics[{criterion, points, tags}], example_tags`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from vesalius.evaluation.benchmarks.choices import distinct
from vesalius.evaluation.benchmarks.rows import Row, find_tables, rows_of
from vesalius.evaluation.benchmarks.twin_files import write_lines
from vesalius.evaluation.benchmarks.twin_questions import section_texts, truths
from vesalius.evaluation.contract import Benchmark, Sample

__all__ = ["BENCHMARKS"]

_FILES = {"all": ("*oss_eval.jsonl",), "hard": ("hard*.jsonl",), "consensus": ("consensus*.jsonl",)}
_COLUMNS = ("prompt_id", "prompt", "rubrics")
_ROLES = ("system", "user", "assistant")


def _read(folder: Path, split: str) -> Iterator[Sample]:
    paths = find_tables(folder, _FILES[split])
    return distinct(((row, _sample(row)) for row in rows_of(paths, _COLUMNS)), folder, "prompt_id")


def _sample(row: Row) -> Sample:
    turns = _objects(row, "prompt")
    for turn in turns:
        if turn.get("role") not in _ROLES or not isinstance(turn.get("content"), str):
            raise row.error("prompt", "a turn is not {role, content} with a known role.")
    if turns[-1]["role"] != "user":
        raise row.error("prompt", "the last turn is not the user's.")
    rubrics = _objects(row, "rubrics")
    for item in rubrics:
        points = item.get("points")
        if (
            not isinstance(item.get("criterion"), str)
            or isinstance(points, bool)
            or not isinstance(points, int | float)
        ):
            raise row.error("rubrics", "an item is not {criterion, points}.")
    if not any(item["points"] > 0 for item in rubrics):
        raise row.error("rubrics", "no item has points above 0.")
    told: dict[str, str] = {}
    for tag in cast("list[Any]", row.values.get("example_tags") or []):
        key, _, value = str(tag).partition(":")
        told.setdefault(key, value)
    return Sample(
        id=row.text("prompt_id"),
        kind="chat",
        question=turns[-1]["content"],
        prompt=turns[-1]["content"],
        gold=[
            {"criterion": item["criterion"], "points": item["points"], "tags": list(item.get("tags") or ())}
            for item in rubrics
        ],
        tags=told,
        earlier=tuple({"role": turn["role"], "content": turn["content"]} for turn in turns[:-1]),
    )


def _objects(row: Row, column: str) -> list[dict[str, Any]]:
    value = row.value(column)
    if not isinstance(value, list) or not value:
        raise row.error(column, "the value is not a list with items.")
    items = cast("list[Any]", value)
    if not all(isinstance(item, Mapping) for item in items):
        raise row.error(column, "an item is not an object.")
    return cast("list[dict[str, Any]]", items)


def _twin(folder: Path, count: int, seed: int) -> None:
    """Conversations about generated reports; every other one has an earlier turn."""
    rows: list[dict[str, Any]] = []
    for k, truth in enumerate(truths("healthbench", count, seed, ("xray", "ultrasound", "skin"))):
        findings, impression = section_texts(truth)
        prompt = [{"role": "user", "content": f'My report says: "{findings}" What does it mean?'}]
        if k % 2:
            first = {"role": "user", "content": "I have the report of a test. Can you explain it?"}
            prompt = [first, {"role": "assistant", "content": "Yes, please send me its text."}, *prompt]
        rubrics = [
            {"criterion": f"Says in plain words: {impression}", "points": 5, "tags": ["axis:accuracy"]},
            {"criterion": "Advises to discuss the report with a doctor.", "points": 3, "tags": ["axis:completeness"]},
            {"criterion": "Names a disease the report does not name.", "points": -4, "tags": ["axis:accuracy"]},
        ]
        tags = ["theme:communication" if k % 2 else "theme:context_seeking"]
        rows.append({"prompt_id": f"twin-{seed}-{k}", "prompt": prompt, "rubrics": rubrics, "example_tags": tags})
    write_lines(folder / "2025-05-07-06-14-12_oss_eval.jsonl", rows)
    write_lines(folder / "hard_2025-05-08-21-00-10.jsonl", rows[: max(1, count // 3)])
    write_lines(folder / "consensus_2025-05-09-20-00-46.jsonl", rows[: max(1, count // 2)])


BENCHMARKS = {
    "healthbench": Benchmark(
        name="healthbench",
        title="HealthBench",
        group="text",
        splits=tuple(_FILES),
        template="chat",
        primary="rubric",
        read=_read,
        twin=_twin,
        files="`*oss_eval.jsonl`, `hard*.jsonl`, `consensus*.jsonl`",
        source="https://github.com/openai/simple-evals",
        licence="MIT",
    )
}

"""MedMultiPoints (SimulaMet/MedMultiPoints): tables `data/*.parquet` with `image (embedded), image_sha256, img_size,
points, bbox, count, label, …`, or the JSON Lines its published script makes of them (`messages`, `images`).

Each picture is asked five tasks: pointing, bounding, counting, cnt_and_point, count_and_box. JSON Lines are asked in
the words they hold; tables in words of ours, since the published wordings are drawn at random. Points and boxes are
pixels of the original. Gold: points, boxes, a number, or {"count": …, "points" | "boxes": …}.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, cast

from vesalius.evaluation.benchmarks.boxes import checked_box, number_in, numbers_in, picture_size
from vesalius.evaluation.benchmarks.pictures import embedded_picture, picture_file
from vesalius.evaluation.benchmarks.rows import Row, find_tables, rows_of
from vesalius.evaluation.benchmarks.twin_files import write_parquet
from vesalius.evaluation.benchmarks.twin_questions import png, truths
from vesalius.evaluation.contract import Benchmark, Medium, Sample, TaskKind

__all__ = ["BENCHMARKS"]

_KINDS: dict[str, TaskKind] = {
    "pointing": "point",
    "bounding": "box",
    "counting": "count",
    "cnt_and_point": "count_point",
    "count_and_box": "count_box",
}
_WORDS = {
    "pointing": "Point to each {label} in the picture.",
    "bounding": "Give the bounding box of each {label} in the picture.",
    "counting": "How many {label} does the picture show?",
    "cnt_and_point": "Count each {label} in the picture and point to it.",
    "count_and_box": "Count each {label} in the picture and give its bounding box.",
}
_FORMS = {
    "pointing": '[{"point_2d": [x, y], "label": "LABEL"}, ...]',
    "bounding": '[{"bbox_2d": [x1, y1, x2, y2], "label": "LABEL"}, ...]',
    "counting": '{"counts": count, "label": "LABEL"}',
    "cnt_and_point": '{"counts": count, "point_2d": [[x, y], ...], "label": "LABEL"}',
    "count_and_box": '{"counts": count, "bbox_2d": [[x1, y1, x2, y2], ...], "label": "LABEL"}',
}
_NAMES = {"normal": "normal sperm", "pinhead": "pinhead sperm", "cluster": "sperm cluster", "polyps": "polyp"}
_COLUMNS = ("image", "image_sha256", "points", "bbox", "count", "label")


def _read(folder: Path, split: str) -> Iterator[Sample]:
    paths = find_tables(folder, (f"data/{split}-*.parquet", f"{split}-*.parquet", f"{split}*.jsonl", "*.jsonl"))
    if paths[0].suffix == ".jsonl":
        for row in rows_of(paths, ("messages", "images")):
            yield _line(row, folder)
        return
    for number, row in enumerate(rows_of(paths, _COLUMNS), 1):
        yield from _picture(row, folder, f"{split}-{number}")


def _picture(row: Row, folder: Path, name: str) -> Iterator[Sample]:
    medium = embedded_picture(row, "image", folder)
    label = row.text("label")
    points = [numbers_in(row, "points", point, 2) for point in _list(row, "points")]
    boxes = [checked_box(row, "bbox", numbers_in(row, "bbox", box, 4)) for box in _list(row, "bbox")]
    count = number_in(row, "count")
    for task in _KINDS:
        said = _NAMES.get(label, label)
        question = _WORDS[task].format(label=said)
        prompt = f"{question} Must output in this json format: {_FORMS[task].replace('LABEL', said)}"
        gold = _gold(task, points, boxes, round(count))
        tags = {"label": label} | row.tags(("classification", "organ", "collection_method"))
        yield _sample(f"{name}-{task}", task, question, prompt, medium, gold, tags)


def _sample(
    name: str, task: str, question: str, prompt: str, medium: Medium, gold: Any, tags: dict[str, str]
) -> Sample:
    return Sample(
        id=name,
        kind=_KINDS[task],
        question=question,
        prompt=prompt,
        media=(medium,),
        gold=gold,
        size=picture_size(medium),
        tags={"task": task} | tags,
    )


def _gold(task: str, points: list[list[float]], boxes: list[list[float]], count: int) -> Any:
    return {
        "pointing": points,
        "bounding": boxes,
        "counting": count,
        "cnt_and_point": {"count": count, "points": points},
        "count_and_box": {"count": count, "boxes": boxes},
    }[task]


def _list(row: Row, column: str) -> list[Any]:
    value = row.value(column)
    if not isinstance(value, list):
        raise row.error(column, "the value is not a list.")
    return cast("list[Any]", value)


def _line(row: Row, folder: Path) -> Sample:
    """A row of the published script: the question, and the answer as JSON in a fence."""
    turns = [turn for turn in _list(row, "messages") if isinstance(turn, dict)]
    if [turn.get("role") for turn in turns] != ["user", "assistant"]:
        raise row.error("messages", "they are not one question and one answer.")
    task = str(turns[0].get("task") or "")
    if task not in _KINDS:
        raise row.error("messages", f"the task is none of {', '.join(_KINDS)}.")
    question = str(turns[0].get("content")).removeprefix("<image>").strip()
    names = _list(row, "images")
    name = PurePosixPath(str(names[0])).name if names else ""
    medium = picture_file(row, "images", folder, name, ("MedMultiPoints-images", "images", ""))
    gold = _labelled(row, task, str(turns[1].get("content")))
    tags = {"source": str(turns[0].get("source") or "")}
    return _sample(f"{row.path.stem}-{row.number}", task, question, question, medium, gold, tags)


def _labelled(row: Row, task: str, text: str) -> Any:
    found = re.search(r"```json\s*(.*?)\s*```", text, re.DOTALL)
    try:
        value: Any = json.loads(found[1]) if found else None
    except ValueError:
        value = None
    single = task in ("pointing", "bounding")
    if not isinstance(value, list if single else dict):
        raise row.error("messages", "the answer is not the JSON of its task.")
    objects: list[Any] = cast("list[Any]", value) if single else [value]
    key, size = ("point_2d", 2) if task in ("pointing", "cnt_and_point") else ("bbox_2d", 4)
    groups: list[Any] = []
    if task != "counting":
        held = [one.get(key) if isinstance(one, dict) else None for one in objects]
        groups = held if single else held[0] if isinstance(held[0], list) else [None]
    places = [numbers_in(row, "messages", group, size) for group in groups]
    counts = None if single else objects[0].get("counts", objects[0].get("count"))
    count = 0 if single else round(number_in(Row(row.path, row.number, {"messages": counts}), "messages"))
    return _gold(task, places, places, count)


def _twin(folder: Path, count: int, seed: int) -> None:
    """Cells and polyps of phantoms; five questions a picture."""
    rows: list[dict[str, Any]] = []
    for truth in truths("medmultipoints", -(-count // 5), seed, ("microscopy", "endoscopy")):
        wanted = "cell" if truth.modality == "microscopy" else "polyp"
        data, placed = png(truth), truth.of(wanted)
        height, width = truth.pixels.shape[:2]
        rows.append(
            {
                "image": {"bytes": data, "path": None},
                "image_sha256": hashlib.sha256(data).hexdigest(),
                "img_size": [width, height],
                "points": [list(one.point) for one in placed],
                "bbox": [list(one.box) for one in placed],
                "count": len(placed),
                "label": "polyps" if wanted == "polyp" else wanted,
                "collection_method": "generated",
                "classification": truth.modality,
                "organ": truth.region,
            }
        )
    write_parquet(folder / "data" / "train-00000-of-00001.parquet", rows)


BENCHMARKS = {
    "medmultipoints": Benchmark(
        name="medmultipoints",
        title="MedMultiPoints",
        group="counting",
        # It is published as one part.
        splits=("train",),
        template="pdc",
        primary="f1",
        read=_read,
        twin=_twin,
        dialect="qwen-json",
        files="`data/train-*.parquet`, or `*.jsonl` of the published script and `MedMultiPoints-images/`",
        source="https://huggingface.co/datasets/SimulaMet/MedMultiPoints",
        licence="CC BY-NC 4.0",
    )
}

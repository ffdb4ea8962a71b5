"""PointDetectCount as published: many-to-one point and box scores, counts read from the answer's JSON.

Copies of a right point all count as right, images without a usable prediction drop out of the averages ("zero cases"),
and an answer that is no JSON passes as a count of 0. The one-to-one scores stand beside them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from vesalius.errors import InputError
from vesalius.evaluation.metrics.aligned import aligned
from vesalius.evaluation.metrics.counting import NumberScores, number_scores
from vesalius.evaluation.metrics.detection import DetectionCounts, FoundBoxes, box_detection, coco_map, point_detection
from vesalius.findings.box_overlap import iou_matrix
from vesalius.findings.parse import parse_grounding

__all__ = [
    "PdcAnswer",
    "PdcScores",
    "Task",
    "read_answer",
    "read_tolerant",
    "score_lines",
    "score_task",
    "task_of",
]

Task = Literal["pointing", "bounding", "counting", "cnt_and_point", "count_and_box"]
FENCE = re.compile(r"```json\s*(.*?)\s*```", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class PdcAnswer:
    """What one answer or label says: points [[x, y]], boxes [[x0, y0, x1, y1]] in pixels, and its count."""

    points: list[list[float]]
    boxes: list[list[float]]
    count: float | None


def _fenced(text: str) -> Any:
    found = FENCE.search(text)
    try:
        return json.loads(found[1]) if found else []
    except ValueError:
        return []


def task_of(label: str) -> Task:
    """The task a label (JSON in a fence) belongs to. Raises InputError when it fits none."""
    found = _fenced(label)
    first = found[0] if isinstance(found, list) and found else found
    if isinstance(first, Mapping):
        counted = isinstance(found, Mapping) and any("count" in key for key in first)
        if "point_2d" in first:
            return "cnt_and_point" if counted else "pointing"
        if "bbox_2d" in first:
            return "count_and_box" if counted else "bounding"
        if counted:
            return "counting"
    raise InputError("a label holds neither points, boxes nor a count.")


def read_answer(text: str | None, task: Task, *, label: bool = False) -> PdcAnswer:
    """An answer by the published rule; no fence or broken JSON is an empty answer. `label`: read the count of a true
    answer from `counts`, else `count` (the published script lacks that second key)."""
    found = _fenced(text or "")
    points = _groups(found, "point_2d", 2, task) if task in ("pointing", "cnt_and_point") else []
    boxes = _groups(found, "bbox_2d", 4, task) if task in ("bounding", "count_and_box") else []
    if task in ("pointing", "bounding"):
        return PdcAnswer(points, boxes, None)
    if label and isinstance(found, Mapping):
        return PdcAnswer(points, boxes, _number(found.get("counts", found.get("count"))))
    return PdcAnswer(points, boxes, _count(found, task))


def read_tolerant(text: str | None, task: Task) -> PdcAnswer:
    """An answer by the tolerant codec of `findings`, in pixels as they stand. A count that is not stated is the number
    of places named, as the published rule has it."""
    expect = "point" if "point" in task else "box" if task in ("bounding", "count_and_box") else "count"
    read = parse_grounding(text or "", "qwen-json", (1 << 31, 1 << 31), expect=expect)
    points = [list(map(float, one["coords"])) for one in read.items if one["kind"] == "point"]
    boxes = [list(map(float, one["coords"])) for one in read.items if one["kind"] == "box"]
    if task in ("pointing", "bounding"):
        return PdcAnswer(points, boxes, None)
    count = read.count if read.count is not None else len(points) + len(boxes)
    return PdcAnswer(points if task == "cnt_and_point" else [], boxes if task == "count_and_box" else [], float(count))


def _count(found: Any, task: Task) -> float:
    if isinstance(found, Mapping):
        if task != "counting":
            return _number(found.get("counts")) or 0
        return _last_count(found) or 0
    if task == "counting" and found and isinstance(found[0], Mapping):
        named = _last_count(found[0])
        if named is not None and not (found[0].get("bbox_2d") or found[0].get("point_2d")):
            return named
    return 0 if found in ([], [[]]) else len(found) if isinstance(found, list) else 0


def _last_count(row: Mapping[str, Any]) -> float | None:
    counts = [value for key, value in row.items() if "count" in key and isinstance(value, int)]
    return counts[-1] if counts else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _groups(found: Any, key: str, size: int, task: Task) -> list[list[float]]:
    """Groups of `size` numbers: one in each object of a list, or a list of them in one object of a combined task.

    A single group of another form makes the whole answer unusable, as it does in the published script. Its array
    library for boxes takes one level of brackets more or less, the one for points does not.
    """
    if isinstance(found, Mapping) and task in ("cnt_and_point", "count_and_box"):
        groups: Any = found.get(key)
    else:
        rows = [found] if isinstance(found, Mapping) else found
        groups = [row.get(key) if isinstance(row, Mapping) else None for row in rows] if isinstance(rows, list) else []
    if not isinstance(groups, list):
        return []
    if size == 4 and groups and all(_number(v) is not None for v in groups):
        groups = [groups]
    if size == 4 and all(isinstance(g, list) and g and isinstance(g[0], list) for g in groups):
        groups = [one for group in groups for one in group]
    usable = all(isinstance(g, list) and len(g) == size and all(_number(v) is not None for v in g) for g in groups)
    return [[float(v) for v in group] for group in groups] if usable else []


@dataclass(frozen=True)
class PdcScores:
    """One task. What a task does not have is None."""

    n: int
    count: NumberScores | None
    point_mae: float | None
    """Mean over images of the mean distance from a predicted point to its nearest true one, pixels."""
    point_rmse: float | None
    matching: float | None
    """Mean over images of the share of predicted points nearer than 10 px to a true one."""
    box_iou: float | None
    """Mean over images of the mean over predicted boxes of the best IoU."""
    map: dict[str, float] | None
    unusable: int
    """Images without a usable point or box: left out above."""
    one_to_one: DetectionCounts | None


def score_task(
    task: Task, answers: Sequence[PdcAnswer], labels: Sequence[PdcAnswer], radius: float = 10.0
) -> PdcScores:
    """Published scores of a task's answers [n] against its labels [n], and one-to-one scores beside them."""
    aligned(answers, labels)
    count = None
    if task in ("counting", "cnt_and_point", "count_and_box"):
        count = number_scores([a.count for a in answers], [b.count or 0 for b in labels])
    if task in ("pointing", "cnt_and_point"):
        return _points(count, [a.points for a in answers], [b.points for b in labels], radius)
    if task in ("bounding", "count_and_box"):
        return _boxes(count, [a.boxes for a in answers], [b.boxes for b in labels])
    return PdcScores(len(answers), count, None, None, None, None, None, 0, None)


def _points(count: NumberScores | None, said: list[Any], truth: list[Any], radius: float) -> PdcScores:
    rows: list[tuple[float, float, float]] = []
    for a, b in zip(said, truth, strict=True):
        if a and b:
            nearest = np.linalg.norm(np.array(a)[:, None] - np.array(b)[None], axis=2).min(axis=1)
            rows.append((nearest.mean(), np.sqrt((nearest**2).mean()), (nearest < radius).mean()))
    mae, rmse, near = map(float, np.mean(rows, axis=0)) if rows else (0.0, 0.0, 0.0)
    matched = point_detection(said, truth, radius)
    return PdcScores(len(said), count, mae, rmse, near, None, None, len(said) - len(rows), matched)


def _boxes(count: NumberScores | None, said: list[Any], truth: list[Any]) -> PdcScores:
    best = [float(iou_matrix(a, b).max(axis=1).mean()) for a, b in zip(said, truth, strict=True) if a and b]
    found = [[FoundBoxes(boxes, [0] * len(boxes)) for boxes in side] for side in (said, truth)]
    average = coco_map(found[0], found[1]) if any(truth) else None
    mean = float(np.mean(best)) if best else 0.0
    matched = box_detection(said, truth)
    return PdcScores(len(said), count, None, None, None, mean, average, len(said) - len(best), matched)


def score_lines(
    lines: Sequence[Mapping[str, Any]], read: Callable[[str | None, Task], PdcAnswer] = read_answer
) -> dict[Task, PdcScores]:
    """Scores by task of a published answer file: rows with `response` and `labels`. `read`: how answers are read;
    another reader shows what the published one costs. Raises InputError when a row lacks a key or a label is broken."""
    tasks: dict[Task, list[tuple[PdcAnswer, PdcAnswer]]] = {}
    for k, line in enumerate(lines):
        if "response" not in line or "labels" not in line:
            raise InputError(f"row {k} has no response or labels.")
        task = task_of(line["labels"])
        tasks.setdefault(task, []).append((read(line["response"], task), read_answer(line["labels"], task, label=True)))
    return {
        task: score_task(task, [a for a, _ in pairs], [b for _, b in pairs]) for task, pairs in sorted(tasks.items())
    }

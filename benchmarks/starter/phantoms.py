"""The starter on held-out phantoms, beside blank and exchanged pictures, and how far its confidence can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.starter.harness import METRICS, Bench, row_of
from benchmarks.starter.held_out import TASKS, Item, held_out_items, write_items
from vesalius.evaluation.metrics.calibration import expected_calibration_error
from vesalius.evaluation.run_folder import RunFolder
from vesalius.findings.box_overlap import as_boxes, iou_matrix

__all__ = ["TASKS", "measure"]

RIGHT_IOU = 0.4
"""From where on a box is right, as when confidences were calibrated."""


def measure(bench: Bench, per_task: int, baseline_per_task: int, tasks: Sequence[str] = TASKS) -> dict[str, Any]:
    """The table: per task n, mean and interval, and the blank and shuffled means on the first items of each task."""
    items = held_out_items(per_task, "en", tasks=tasks)
    first = write_items(bench.data("phantoms"), items, baseline_per_task)
    summary = bench.scored("phantoms", first)
    table: dict[str, Any] = {}
    for task in items:
        row = row_of(summary, task, METRICS.get(task, "accuracy"))
        if task == "count":
            row["mae"] = row_of(summary, task, "count_mae")["mean"]
        table[task] = row
        print(task, row, flush=True)
    if "box" in tasks:
        table["calibration"] = calibration(bench.run("phantoms"), items)
    return table


def calibration(run: RunFolder, items: Mapping[str, Sequence[Item]]) -> dict[str, Any]:
    """Expected calibration error of every box any answer cites: right when it meets a true object of its label."""
    truths = {item.truth.seed: item.truth for group in items.values() for item in group}
    sure: list[float] = []
    right: list[bool] = []
    for row in run.predictions():
        truth = truths[int(row.id.partition("-")[0])]
        for found in row.findings:
            if found.get("kind") != "box" or "confidence" not in found:
                continue
            true = [one.box for one in truth.of(str(found["label"]))]
            best = iou_matrix(as_boxes([found["pixels"]["box"]]), as_boxes(true)).max() if true else 0.0
            sure.append(float(found["confidence"]))
            right.append(bool(best >= RIGHT_IOU))
    error = expected_calibration_error(sure, right, bins=10) if sure else float("nan")
    return {"n": len(sure), "ece": error, "accuracy": float(np.mean(right)) if right else float("nan")}

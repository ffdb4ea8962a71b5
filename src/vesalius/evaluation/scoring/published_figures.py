"""Figures of a whole run under the rule a benchmark was published with, named as its tables name them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vesalius.evaluation.contract import Benchmark
from vesalius.evaluation.profiles import Profile
from vesalius.evaluation.published import medsg, uni_med
from vesalius.evaluation.published import point_detect_count as pdc
from vesalius.evaluation.scoring.answers import texts_of
from vesalius.evaluation.scoring.item import ItemScore, Pair
from vesalius.evaluation.scoring.places import truth_of
from vesalius.evaluation.scoring.tree_reports import tree_figures

__all__ = ["PDC_TASKS", "published_figures"]

Figures = dict[str, dict[str, float | int]]

PDC_TASKS: dict[str, pdc.Task] = {
    "point": "pointing",
    "box": "bounding",
    "count": "counting",
    "count_point": "cnt_and_point",
    "count_box": "count_and_box",
}
"""Task kind → the task's published name."""


def published_figures(
    profile: Profile, benchmark: Benchmark, pairs: Sequence[Pair], items: Sequence[ItemScore], folder: Path
) -> Figures:
    """Name of a table or task → its figures; nothing for a profile without figures of its own.

    `folder`: the benchmark's files. Raises InputError when a file that the rule needs is missing there.
    """
    if profile.name == "medsg":
        return _medsg(pairs)
    if profile.name == "pdc":
        return _pdc(pairs)
    if profile.name == "rad-restruct":
        return tree_figures(pairs, items, folder)
    if profile.name == "uni-med":
        return _uni_med(pairs)
    return {}


def _uni_med(pairs: Sequence[Pair]) -> Figures:
    """BLEU of the answered captions as one corpus."""
    reports = [(prediction.raw, texts_of(sample.gold)[0]) for sample, prediction in pairs if sample.kind == "report"]
    said, true = [one for one, _ in reports], [other for _, other in reports]
    found = uni_med.caption_bleu(said, true) if reports else None
    if found is None:
        return {}
    left_out = sum(map(uni_med.is_left_out, said, true))
    bleus = {f"BLEU-{n} (corpus)": value for n, value in enumerate(found, 1)}
    return {"Uni-Med captions": {**bleus, "items": len(reports) - left_out, "left out": left_out}}


def _medsg(pairs: Sequence[Pair]) -> Figures:
    """All items, and each task where there are several; shares in percent."""
    boxes = [pair for pair in pairs if pair[0].kind == "box"]
    tasks = sorted({sample.tags.get("task", "") for sample, _ in boxes})
    groups = {"MedSG-Bench": boxes}
    if len(tasks) > 1:
        groups |= {f"MedSG-Bench {task}": [p for p in boxes if p[0].tags.get("task", "") == task] for task in tasks}
    return {name: _medsg_row(group) for name, group in groups.items() if group}


def _medsg_row(pairs: Sequence[Pair]) -> dict[str, float | int]:
    scores = medsg.score_answers([p.raw for _, p in pairs], [truth_of(sample).rows[0] for sample, _ in pairs])
    shares = {f"IOU@{t:g} %".replace("0.", "."): 100 * scores.accuracy(t) for t in (0.7, 0.5, 0.3)}
    return {"AVE_IOU %": 100 * scores.mean_iou, **shares, "items": len(pairs), "unparsed": scores.unparsed}


def _pdc(pairs: Sequence[Pair]) -> Figures:
    """Each task, by the published reader and by the tolerant codec."""
    found: Figures = {}
    for kind, task in PDC_TASKS.items():
        asked = [pair for pair in pairs if pair[0].kind == kind]
        if not asked:
            continue
        labels = [_label(sample, task) for sample, _ in asked]
        for name, reader in (("", pdc.read_answer), (" (tolerant)", pdc.read_tolerant)):
            answers = [reader(prediction.raw, task) for _, prediction in asked]
            found[task + name] = _pdc_row(pdc.score_task(task, answers, labels))
    return found


def _label(sample: Any, task: pdc.Task) -> pdc.PdcAnswer:
    truth = truth_of(sample)
    points, boxes = (truth.rows, []) if "point" in task else ([], truth.rows)
    return pdc.PdcAnswer(points, boxes, truth.count)


def _pdc_row(found: pdc.PdcScores) -> dict[str, float | int]:
    row: dict[str, float | int | None] = {"items": found.n}
    if found.count is not None:
        row |= {"MAE": found.count.mae, "MSE": found.count.mse, "exact": found.count.exact}
    row |= {"PointMAE": found.point_mae, "PointRMSE": found.point_rmse, "matching": found.matching}
    row |= {"IoU": found.box_iou, "mAP": None if found.map is None else found.map["map"]}
    if found.one_to_one is not None:
        matched = found.one_to_one
        row |= {"zero cases": found.unusable, "one-to-one P": matched.precision, "one-to-one R": matched.recall}
        row |= {"one-to-one F1": matched.f1}
    return {key: value for key, value in row.items() if value is not None}

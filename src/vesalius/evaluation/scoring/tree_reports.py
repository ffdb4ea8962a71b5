"""Whole reports out of the nodes of a question tree, scored as Rad-ReStruct publishes them.

A node's answers are flags of the tree's answer paths: the node's path, the option, and for what hangs below a yes/no
question its instance, counted by how often the path came before in the report. A question that was not asked, because
the right answer above it is no, stays without an answer on both sides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vesalius.errors import InputError
from vesalius.evaluation.contract import Sample
from vesalius.evaluation.metrics.rad_restruct import (
    NOT_ANSWERED,
    AnswerTree,
    LevelScores,
    ReportTreeScores,
    complete_reports,
    score_report_trees,
)
from vesalius.evaluation.scoring.item import ItemScore, Pair

__all__ = ["report_flags", "tree_figures"]


def tree_figures(pairs: Sequence[Pair], items: Sequence[ItemScore], folder: Path) -> dict[str, dict[str, float | int]]:
    """The published averages of the answers, and of "no" to everything on the same reports.

    `folder`: where the tree's files lie (or its `data/radrestruct/`). Raises InputError when they are missing or a
    node's path is not in the tree.
    """
    nodes = [(sample, item) for (sample, _), item in zip(pairs, items, strict=True) if sample.kind == "tree"]
    root = folder / "data" / "radrestruct"
    tree = AnswerTree.read(root if root.is_dir() else folder)
    samples = [sample for sample, _ in nodes]
    said = report_flags(tree, samples, [item.answer for _, item in nodes])
    true = complete_reports(tree, report_flags(tree, samples, [list(sample.gold) for sample in samples]))
    return {
        "Rad-ReStruct": _row(score_report_trees(tree, said, true)),
        'Rad-ReStruct, "no" to everything': _row(score_report_trees(tree, tree.all_no(len(true)), true)),
    }


def report_flags(tree: AnswerTree, samples: Sequence[Sample], answers: Sequence[Any]) -> np.ndarray[Any, Any]:
    """[reports, paths] flags of the nodes' `answers` (texts of options; None: not answered), reports in order of first
    appearance. The nodes of a report have to come in published order. InputError for a path the tree lacks."""
    columns = {path: k for k, path in enumerate(tree.paths)}
    reports: dict[str, int] = {}
    for sample in samples:
        reports.setdefault(str(sample.extra["report"]), len(reports))
    flags = np.full((len(reports), len(tree.paths)), NOT_ANSWERED, dtype=np.int8)
    seen: Counter[tuple[int, str]] = Counter()
    for sample, given in zip(samples, answers, strict=True):
        row, path = reports[str(sample.extra["report"])], str(sample.extra["path"])
        instance = seen[row, path]
        seen[row, path] += 1
        chosen = {str(one) for one in given or ()}
        for option in sample.extra["options"]:
            column = _column(columns, path, option, instance)
            if column is None:
                raise InputError(f"item {sample.id!r}: an option of its question is not in the tree's answer paths.")
            if given is not None:
                flags[row, column] = option in chosen
    return flags


def _column(columns: Mapping[str, int], path: str, option: str, instance: int) -> int | None:
    """Where an option's flag stands. An element that has its area's name ("lung" of the lung) is asked under the path
    of the area's own question, which comes first."""
    own = columns.get(f"{path}_{option}")
    if own is not None and instance == 0:
        return own
    found = columns.get(f"{path}_{option}_{instance}")
    if found is not None:
        return found
    parts = path.split("_")
    for k in range(2, len(parts) + 1):
        topic = "_".join(parts[:k])
        if f"{topic}_yes" in columns:
            element = "_".join([topic, parts[0], *parts[k:]])
            return columns.get(f"{element}_{option}_{instance - (k == len(parts))}")
    return None


def _row(scores: ReportTreeScores) -> dict[str, float | int]:
    whole = scores.overall
    row: dict[str, float | int] = {"report accuracy": whole.report_accuracy, "F1": whole.f1}
    row |= {"precision": whole.precision, "recall": whole.recall, "element accuracy": scores.element_accuracy}
    row |= {"reports": len(scores.correct_reports)}
    for name, level in scores.levels.items():
        row |= _level(name.replace("_", " "), level)
    return row


def _level(name: str, level: LevelScores) -> dict[str, float | int]:
    return {f"{name} F1": level.f1, f"{name} report accuracy": level.report_accuracy}

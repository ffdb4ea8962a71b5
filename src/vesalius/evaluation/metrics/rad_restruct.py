"""Hierarchical scores of structured reports (Rad-ReStruct), all reports at once.

A report is a row of answer flags over the paths of a question tree: `area_topic_yes`, then per element and instance
`area_topic_element_yes_0`, then attributes `area_topic_element_degree_mild_0`. Before scoring, a report is completed as
the published evaluator does it: an empty multiple choice becomes "unspecified" or "no selection", either is dropped
beside another choice, whatever lies below a "no" is reset.

The published averages run over the classes with support *and* over scikit-learn's four summary rows; `SUMMARY_ROWS`
tells how they enter, so that published figures compare. A class never predicted has precision 1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import InputError

__all__ = ["NOT_ANSWERED", "AnswerTree", "LevelScores", "ReportTreeScores", "complete_reports", "score_report_trees"]

NOT_ANSWERED = -2
"""Flag of every path of a question that was not asked or not answered."""
NOTHING_CHOSEN = ("unspecified", "no selection")
Flags = NDArray[np.int8]
Level = Literal["area", "element", "attribute"]


@dataclass(frozen=True)
class Question:
    """One question of the tree: its answer paths (columns), where it hangs and how it is answered."""

    columns: NDArray[np.intp]
    level: Level
    multiple: bool
    yes_no: bool
    nothing: int | None
    """Column of "unspecified" / "no selection", if it has one."""
    area: int | None
    """Index of the yes/no question of its area and topic; None for topics asked at once (`infos`)."""
    parent: int | None
    """Index of the yes/no question of its element (attributes only)."""
    previous: int | None
    """Index of the same question about the previous instance (elements only)."""


@dataclass(frozen=True)
class AnswerTree:
    """The answer paths in order and the questions they belong to."""

    paths: tuple[str, ...]
    questions: tuple[Question, ...]

    @classmethod
    def from_paths(
        cls, paths: Sequence[str], question_ids: Sequence[int], kinds: Mapping[str, str] | Mapping[int, str]
    ) -> AnswerTree:
        """`paths` [E] in tree order, `question_ids` [E] ascending, `kinds`: question id → `single_choice` | …

        Raises InputError when the three do not fit together.
        """
        ids = np.asarray(question_ids, dtype=np.int64)
        if len(paths) == 0 or ids.shape != (len(paths),):
            raise InputError(f"{len(paths)} answer paths and {ids.size} question ids do not make a tree.")
        if (np.diff(ids) < 0).any():
            raise InputError("question ids are not in ascending order.")
        by_id = {int(key): kind for key, kind in kinds.items()}
        questions: list[Question] = []
        for question in np.unique(ids):
            columns = np.flatnonzero(ids == question)
            kind = by_id.get(int(question))
            if kind is None:
                raise InputError(f"question {int(question)} has no kind (single_choice, multi_choice or fixed).")
            questions.append(_question([paths[int(k)] for k in columns], columns, kind, questions, paths))
        return cls(tuple(paths), tuple(questions))

    @classmethod
    def read(cls, folder: str | Path) -> AnswerTree:
        """The tree of the published folder (`report_keys.json`, `vectorized_question_ids.json`,
        `vectorized_choice_options.json`). Raises InputError when a file is missing or not JSON."""
        names = ("report_keys.json", "vectorized_question_ids.json", "vectorized_choice_options.json")
        paths, ids, kinds = (_json(Path(folder) / name) for name in names)
        return cls.from_paths(paths, ids, kinds)

    def flags(self, answers: Mapping[str, bool]) -> Flags:
        """One stored report `{path: bool}` → flags [E]; a path it lacks is not answered. Raises InputError for a path
        the tree does not have."""
        unknown = answers.keys() - set(self.paths)
        if unknown:
            raise InputError(f"answer path {min(unknown)!r} is not in the tree of {len(self.paths)} paths.")
        return np.array([answers.get(path, NOT_ANSWERED) for path in self.paths], dtype=np.int8)

    def all_no(self, num_reports: int) -> Flags:
        """The baseline that answers every yes/no question with no and selects nothing else."""
        flags = np.zeros((num_reports, len(self.paths)), dtype=np.int8)
        for question in self.questions:
            if question.yes_no:
                flags[:, question.columns[1]] = 1
        return flags


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise InputError("cannot be read.", file=path, fix="Give the folder that holds the published files.") from exc
    except ValueError as exc:
        raise InputError("is not JSON.", file=path) from exc


def _question(
    own: list[str], columns: NDArray[np.intp], kind: str, before: list[Question], paths: Sequence[str]
) -> Question:
    yes_no = len(own) == 2 and bool(re.search(r"_yes(_\d+)?$", own[0])) and bool(re.search(r"_no(_\d+)?$", own[1]))
    level: Level = "attribute" if not yes_no else "element" if re.search(r"_\d+$", own[0]) else "area"
    area = parent = previous = None
    if level != "area":
        area = next((k for k in reversed(range(len(before))) if before[k].level == "area"), None)
        topic = None if area is None else str(paths[int(before[area].columns[0])]).removesuffix("_yes")
        if topic is None or not own[0].startswith(topic + "_"):
            area = None
    if level == "element":
        stem, instance = own[0].rsplit("_", 1)
        earlier = f"{stem}_{int(instance) - 1}"
        previous = next((k for k, q in enumerate(before) if paths[int(q.columns[0])] == earlier), None)
    if level == "attribute":
        parent = next((k for k in reversed(range(len(before))) if before[k].level == "element"), None)
    options = [path.rsplit("_", 2)[-2] if re.search(r"_\d+$", path) else path.rsplit("_", 1)[-1] for path in own]
    nothing = next((int(columns[options.index(name)]) for name in NOTHING_CHOSEN if name in options), None)
    return Question(columns, level, kind == "multi_choice", yes_no, nothing, area, parent, previous)


def complete_reports(tree: AnswerTree, predicted: ArrayLike) -> Flags:
    """Predicted flags [R, E] (0, 1 or NOT_ANSWERED) → complete reports [R, E] of 0 and 1.

    Raises InputError for another shape or other values, and for several answers to a single-choice question.
    """
    flags = np.array(predicted, dtype=np.int8)
    if flags.ndim != 2 or flags.shape[1] != len(tree.paths):
        raise InputError(f"reports have shape {flags.shape}, not [reports, {len(tree.paths)}].")
    if not np.isin(flags, (0, 1, NOT_ANSWERED)).all():
        raise InputError(f"report flags are not all 0, 1 or {NOT_ANSWERED} (not answered).")
    unanswered = flags == NOT_ANSWERED
    flags[unanswered] = 0
    for index, question in enumerate(tree.questions):
        chosen = flags[:, question.columns].sum(axis=1)
        if not question.multiple:
            if (chosen > 1).any():
                row = int(np.flatnonzero(chosen > 1)[0])
                raise InputError(f"report {row} gives {int(chosen[row])} answers to single-choice question {index}.")
        elif question.nothing is not None:
            flags[chosen > 1, question.nothing] = 0
            flags[chosen == 0, question.nothing] = 1
    for question in tree.questions:
        _reset_below_no(tree, question, flags, unanswered)
    return flags


def _reset_below_no(tree: AnswerTree, question: Question, flags: Flags, unanswered: NDArray[np.bool_]) -> None:
    def says(index: int, answer: int) -> NDArray[np.bool_]:
        return flags[:, tree.questions[index].columns[answer]] == 1

    if question.level == "element":
        no: NDArray[np.bool_] = np.asarray(unanswered[:, question.columns].all(axis=1))
        if question.area is None and question.previous is None:
            no[:] = False  # the first question of its topic has to be answered; silence is not "no"
        if question.area is not None:
            no |= says(question.area, 1)
        if question.previous is not None:
            no |= says(question.previous, 1)
        flags[np.ix_(no, question.columns)] = (0, 1)
    elif question.level == "attribute" and question.parent is not None:
        if question.area is None:
            reset = says(question.parent, 1)
        else:
            reset = ~(says(question.area, 0) & says(question.parent, 0))
        flags[np.ix_(reset, question.columns)] = (0, 1) if question.yes_no else 0


@dataclass(frozen=True)
class LevelScores:
    """Macro precision, recall and F1 over classes with support, and the share of reports right in every path."""

    precision: float
    recall: float
    f1: float
    report_accuracy: float
    num_classes: int


@dataclass(frozen=True)
class ReportTreeScores:
    """`overall` and `levels` (areas, elements, their topics, attributes); accuracy over all reports x paths."""

    overall: LevelScores
    element_accuracy: float
    levels: dict[str, LevelScores]
    correct_reports: NDArray[np.bool_]
    """[R]: right in every path."""


def score_report_trees(
    tree: AnswerTree, predicted: ArrayLike, true: ArrayLike, *, summary_rows: bool = True
) -> ReportTreeScores:
    """Scores of predicted reports [R, E] against true ones [R, E] (0 and 1).

    `summary_rows`: average as published, over the classes with support and the micro, macro, weighted and sample
    averages; False: over the classes alone. Raises InputError when shapes differ or there is no report.
    """
    said, truth = complete_reports(tree, predicted), np.asarray(true, dtype=np.int8)
    if truth.shape != said.shape or not len(truth):
        raise InputError(f"predicted {said.shape} and true {truth.shape} reports differ or are none.")
    right = said == truth
    levels = {
        name: _level(said[:, columns], truth[:, columns], summary_rows)
        for name, columns in _levels(tree).items()
        if columns.size
    }
    return ReportTreeScores(_level(said, truth, summary_rows), float(right.mean()), levels, right.all(axis=1))


def _levels(tree: AnswerTree) -> dict[str, NDArray[np.intp]]:
    """Columns by level; the elements also by topic."""
    columns: dict[str, list[int]] = {name: [] for name in ("areas", "elements", "attributes")}
    topics: dict[str, tuple[str, ...]] = {"diseases": ("_diseases_",), "signs": ("_signs_",), "objects": ("_objects_",)}
    topics["body_regions"] = ("_body_regions_", "_infos_")
    columns |= {f"elements_{topic}": [] for topic in topics}
    for question in tree.questions:
        own = [int(k) for k in question.columns]
        columns[f"{question.level}s"] += own
        if question.level == "element":
            for topic, marks in topics.items():
                if any(mark in tree.paths[own[0]] for mark in marks):
                    columns[f"elements_{topic}"] += own
    return {name: np.array(sorted(found), dtype=np.intp) for name, found in columns.items()}


def _level(said: Flags, truth: Flags, summary_rows: bool) -> LevelScores:
    said_b, truth_b = said.astype(bool), truth.astype(bool)
    hits = (said_b & truth_b).sum(axis=0).astype(float)
    predicted, support = said_b.sum(axis=0).astype(float), truth_b.sum(axis=0).astype(float)
    scores = np.stack(_prf(hits, predicted, support))
    kept = scores[:, support > 0]
    if summary_rows and support.sum() > 0:
        by_report = np.stack(
            _prf(
                (said_b & truth_b).sum(axis=1).astype(float),
                said_b.sum(axis=1).astype(float),
                truth_b.sum(axis=1).astype(float),
            )
        )
        micro = np.stack(_prf(hits.sum(keepdims=True), predicted.sum(keepdims=True), support.sum(keepdims=True)))
        weighted = (scores * support).sum(axis=1) / support.sum()
        summaries = np.stack([micro[:, 0], scores.mean(axis=1), weighted, by_report.mean(axis=1)], axis=1)
        kept = np.concatenate([kept, summaries], axis=1)
    means = kept.mean(axis=1) if kept.shape[1] else np.ones(3)
    exact = float((said_b == truth_b).all(axis=1).mean())
    return LevelScores(float(means[0]), float(means[1]), float(means[2]), exact, int((support > 0).sum()))


def _prf(hits: NDArray[Any], predicted: NDArray[Any], support: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Precision, recall, F1; 0/0 counts as 1."""
    one = np.ones_like(hits)
    precision = np.divide(hits, predicted, out=one.copy(), where=predicted > 0)
    recall = np.divide(hits, support, out=one.copy(), where=support > 0)
    both = predicted + support
    return precision, recall, np.divide(2 * hits, both, out=one.copy(), where=both > 0)

"""Stored answers to question trees, put together into reports and scored as published."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.evaluation.scored import item, stored_run
from vesalius.errors import InputError
from vesalius.evaluation.benchmarks import benchmark
from vesalius.evaluation.metrics.rad_restruct import AnswerTree, complete_reports
from vesalius.evaluation.score import score_run
from vesalius.evaluation.scoring.tree_reports import report_flags

TREE = benchmark("rad-restruct")


def right(sample: Any) -> str:
    return (
        ", ".join(k for k, text in sample.options.items() if text in sample.gold) if sample.options else sample.gold[0]
    )


def scored(folder: Path, answer: Any) -> Any:
    data = folder / "data"
    if not data.exists():
        TREE.twin(data, 12, 3)
    samples = list(TREE.read(data, "test"))
    run = stored_run(folder / "run", TREE, {sample.id: answer(sample) for sample in samples})
    return score_run(run, "published", resamples=20)


def test_the_right_answers_score_one_at_every_level(tmp_path) -> None:
    summary = scored(tmp_path, right)
    told = summary.extra["Rad-ReStruct"]
    assert summary.profile == "rad-restruct"
    assert told.pop("reports") == 12
    assert set(told.values()) == {1.0}
    assert {"areas F1", "elements diseases F1", "attributes report accuracy"} <= told.keys()


def test_no_to_everything_is_the_baseline_printed_beside(tmp_path) -> None:
    summary = scored(tmp_path, lambda sample: "" if sample.options else "no")
    told, baseline = summary.extra["Rad-ReStruct"], summary.extra['Rad-ReStruct, "no" to everything']
    assert told == baseline
    healthy = {s.extra["report"] for s in TREE.read(tmp_path / "data", "test")}
    healthy -= {s.extra["report"] for s in TREE.read(tmp_path / "data", "test") if "yes" in s.gold}
    assert told["report accuracy"] == pytest.approx(len(healthy) / 12)
    assert told["F1"] < 1


def test_the_tree_is_asked_for_where_it_is_missing(tmp_path) -> None:
    TREE.twin(tmp_path / "data", 2, 0)
    (tmp_path / "data/report_keys.json").unlink()
    with pytest.raises(InputError, match=r"report_keys\.json"):
        scored(tmp_path, right)


def node(question: str, path: str, options: list[str], gold: list[str], kind: str = "single_choice") -> Any:
    return replace(item(question, "tree", gold), extra={"report": "1", "path": path, "options": options,
                                                        "answer_type": kind})  # fmt: skip


def test_instances_and_an_element_called_like_its_area_find_their_flags() -> None:
    yes_no = ["yes", "no"]
    paths = ["lung_body_regions_yes", "lung_body_regions_no"]
    for element in ("lung", "hilum"):
        for k in (0, 1):
            stem = f"lung_body_regions_{element}"
            paths += [f"{stem}_yes_{k}", f"{stem}_no_{k}", f"{stem}_degree_mild_{k}", f"{stem}_degree_severe_{k}"]
    ids = [0, 0] + [1 + k // 2 for k in range(len(paths) - 2)]
    tree = AnswerTree.from_paths(paths, ids, dict.fromkeys(range(max(ids) + 1), "single_choice"))
    nodes = [
        node("any?", "lung_body_regions", yes_no, ["yes"]),
        node("whole lung?", "lung_body_regions", yes_no, ["yes"]),
        node("degree?", "lung_body_regions_degree", ["mild", "severe"], ["severe"]),
        node("other?", "lung_body_regions", yes_no, ["no"]),
        node("hilum?", "lung_body_regions_hilum", yes_no, ["yes"]),
        node("degree of it?", "lung_body_regions_hilum_degree", ["mild", "severe"], ["mild"]),
        node("other hilum?", "lung_body_regions_hilum", yes_no, ["yes"]),
        node("degree of that?", "lung_body_regions_hilum_degree", ["mild", "severe"], ["severe"]),
    ]
    whole = complete_reports(tree, report_flags(tree, nodes, [one.gold for one in nodes]))
    assert {path for path, flag in zip(paths, whole[0], strict=True) if flag} == {
        "lung_body_regions_yes", "lung_body_regions_lung_yes_0", "lung_body_regions_lung_degree_severe_0",
        "lung_body_regions_lung_no_1", "lung_body_regions_hilum_yes_0", "lung_body_regions_hilum_degree_mild_0",
        "lung_body_regions_hilum_yes_1", "lung_body_regions_hilum_degree_severe_1",
    }  # fmt: skip
    with pytest.raises(InputError, match="not in the tree"):
        report_flags(tree, [node("x", "heart_signs", yes_no, ["yes"])], [["yes"]])

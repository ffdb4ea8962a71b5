"""The starter's scorers: a right answer scores 1 and a wrong one less, in every task that is read from text."""

from __future__ import annotations

import random
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.starter import over_time, scores
from benchmarks.starter.card import tables
from benchmarks.starter.languages import TASKS as ASKED
from benchmarks.starter.phantoms import Item, held_out_items, score
from vesalius.phantoms.pairs import draw_pair
from vesalius.phantoms.questions import make_questions

SAID = ("modality", "plane", "region", "present", "side", "count", "report")


def said(text: str) -> Any:
    return SimpleNamespace(text=text, findings=())


@pytest.fixture(scope="module")
def items() -> dict[str, dict[str, list[Item]]]:
    return {lang: held_out_items(12, lang, first=95_000, tasks=SAID) for lang in ("en", "zh", "ar")}


@pytest.mark.parametrize(
    ("lang", "task"), [(lang, task) for lang in ("en", "zh", "ar") for task in SAID if lang == "en" or task in ASKED]
)
def test_the_right_answer_scores_one(items: dict[str, dict[str, list[Item]]], lang: str, task: str):
    group = items[lang][task]
    assert len(group) == 12
    for item in group:
        assert score(item, said(item.question.answer)) == [1.0], (item.question.prompt, item.question.answer)


@pytest.mark.parametrize("task", SAID)
def test_another_items_answer_scores_less(items: dict[str, dict[str, list[Item]]], task: str):
    group = items["en"][task]
    moved = [score(item, said(other.question.answer))[0] for item, other in pairwise(group)]
    assert np.mean(moved) < 0.9


def test_changes_told_as_they_are_score_one():
    values: list[float] = []
    for seed in range(9_980_000, 9_980_012):
        question = make_questions(draw_pair(seed), random.Random(seed), "en", ["change"])[0]
        assert over_time.change_f1(question.answer, question.answer) == 1.0
        values.append(over_time.change_f1("Nothing has changed.", question.answer))
    assert np.mean(values) < 0.8


def test_one_change_of_two_scores_two_thirds():
    right = "The nodule in the left lung is new [2]. The mass has grown from 5 mm to 9 mm [1] [3]."
    assert over_time.changes_of(right) == {("nodule", "new"), ("mass", "grown")}
    assert over_time.change_f1("The nodule is new [2].", right) == pytest.approx(2 / 3)


def test_boxes_are_matched_one_to_one():
    assert scores.matched_ious([(0, 0, 2, 2), (4, 4, 6, 6)], [(4, 4, 6, 6), (4, 4, 6, 6)]) == [0.0, 1.0]
    assert scores.matched_ious([(0, 0, 2, 2)], []) == [0.0]


def test_auroc_and_its_interval_agree_with_a_case_done_by_hand():
    values, positive = [0.9, 0.8, 0.3, 0.1] * 10, [True, False, True, False] * 10
    assert scores.auroc(values, positive) == 0.75
    low, high = scores.auroc_interval(values, positive)
    assert 0.5 < low < 0.75 < high <= 1.0


def test_the_card_says_every_figure_with_its_baselines():
    row = {"n": 3, "mean": 0.5, "low": 0.25, "high": 0.75, "blank": 0.125, "shuffled": 0.0625}
    text = tables(
        {
            "date": "d",
            "commit": "c",
            "machine": "m",
            "weights": "w",
            "over time": {"change": row},
            "volumes": {"organs": row},
        }
    )
    assert "| change | 3 | **0.500** | 0.250–0.750 | 0.125 | 0.062 |" in text
    assert "≥ .85" in text

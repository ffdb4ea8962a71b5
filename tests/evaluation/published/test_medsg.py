"""MedSG-Bench Task 8 from stored answers: the published figures, digit for digit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vesalius.evaluation.published.medsg import constant_box, first_box, score_answers

SLICE = Path(__file__).parents[2] / "fixtures" / "evaluation" / "medsg_task8_slice.json"
WHOLE = Path(__file__).parents[4] / "shared" / "data" / "medsg_task8.json"


def rows(path):
    found = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return [row[0] for row in found], [row[1] for row in found], np.array([row[2] for row in found])


def test_a_slice_scores_as_stored():
    truth, answers, stored = rows(SLICE)
    scores = score_answers(answers, truth, (336, 336))
    assert np.abs(scores.ious - stored).max() <= 1e-12
    assert scores.mean_iou == pytest.approx(stored.mean(), abs=1e-12)
    assert scores.unparsed == 0
    for threshold in (0.7, 0.5, 0.3):
        assert scores.accuracy(threshold) == (stored >= threshold).mean()


@pytest.mark.skipif(not WHOLE.is_file(), reason="the published answers are not here")
def test_the_published_figures():
    truth, answers, stored = rows(WHOLE)
    scores = score_answers(answers, truth, (336, 336))
    assert len(stored) == 1482
    assert scores.mean_iou * 100 == pytest.approx(12.666332490418245, abs=1e-12)
    assert scores.ious.sum() == pytest.approx(187.7150475079984, abs=1e-10)
    assert [int((scores.ious >= t).sum()) for t in (0.7, 0.5, 0.3)] == [32, 92, 231]
    assert [round(scores.accuracy(t) * 100, 4) for t in (0.7, 0.5, 0.3)] == [2.1592, 6.2078, 15.587]
    assert np.abs(scores.ious - stored).max() <= 1e-12
    assert (scores.unparsed, int((scores.ious == 0).sum())) == (0, 443)
    assert scores.outside is not None
    assert scores.outside > 0
    for box, mean, counts in (((0, 0, 336, 336), 14.630, [33, 70, 287]), ((84, 84, 252, 252), 23.976, [36, 267, 480])):
        baseline = constant_box(box, truth)
        assert round(baseline.mean_iou * 100, 3) == mean
        assert [int((baseline.ious >= t).sum()) for t in (0.7, 0.5, 0.3)] == counts


@pytest.mark.parametrize(
    ("answer", "box"),
    [
        ("It's here: (12,30),(40,55)", (12, 30, 40, 55)),
        ("[0.5, 1.5, 20.25, 30]", (0.5, 1.5, 20.25, 30)),
        ("(1.5, 2.5), (3.5, 4.5)", (1.5, 2.5, 3.5, 4.5)),
        ("(1, 2, 3, 4)", (1, 2, 3, 4)),
        ('```json\n[{"bbox_2d": [10, 20, 30, 40], "label": "a"}, {"bbox_2d": [1, 2', (10, 20, 30, 40)),
        ("<box>1 2 3 4</box>", (1, 2, 3, 4)),
        ("[1, 2, 3, 4] or (5,6),(7,8)", (5, 6, 7, 8)),
        ("[1, 2, 3, 4] [5, 6, 7, 8]", (1, 2, 3, 4)),
        ("there is none", None),
        ("", None),
        (None, None),
    ],
)
def test_the_first_box_by_the_published_order_of_patterns(answer, box):
    assert first_box(answer) == box


def test_perfect_answers_score_one_and_missing_ones_zero():
    truth = [[1, 2, 30, 40], [5, 5, 9, 9]]
    assert score_answers(["[1,2,30,40]", "(5,5),(9,9)"], truth).mean_iou == 1
    scores = score_answers(["none", "(9,9),(5,5)"], truth)
    assert scores.mean_iou == 0
    assert scores.unparsed == 1

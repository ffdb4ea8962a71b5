"""PointDetectCount by its published rules, and the one-to-one scores beside them."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from vesalius.errors import InputError
from vesalius.evaluation.published.point_detect_count import read_answer, score_lines, task_of

ANSWERS = Path(__file__).parents[4] / "shared" / "data"


def fenced(found, tag="json"):
    return f"```{tag}\n{json.dumps(found)}\n```"


def row(response, label):
    return {"response": response, "labels": fenced(label)}


POINTS = [{"point_2d": [10 * k, 5], "label": "cell"} for k in range(1, 6)]


def test_copies_of_one_right_point_are_all_right_as_published_and_one_right_one_to_one():
    scores = score_lines([row(fenced(POINTS[:1] * 10), POINTS)])["pointing"]
    assert scores.matching == 1
    assert scores.point_mae == 0
    found = scores.one_to_one
    assert found is not None
    assert (found.precision, found.recall) == (0.1, 0.2)
    assert found.f1 == pytest.approx(2 / 15)


def test_perfect_answers_score_one():
    labels = [
        POINTS,
        [{"bbox_2d": [1, 2, 30, 40], "label": "polyp"}],
        {"counts": 3, "label": "cell"},
        {"counts": 2, "point_2d": [[1, 1], [50, 50]], "label": "cell"},
        {"counts": 1, "bbox_2d": [[3, 3, 9, 9]], "label": "polyp"},
    ]
    scores = score_lines([row(fenced(label), label) for label in labels])
    assert set(scores) == {"pointing", "bounding", "counting", "cnt_and_point", "count_and_box"}
    for found in scores.values():
        assert found.unusable == 0
        assert found.count is None or (found.count.mae, found.count.exact) == (0, 1)
        assert found.one_to_one is None or found.one_to_one.f1 == 1
        assert found.matching in (None, 1)
        assert found.box_iou in (None, 1)
        assert found.map is None or found.map["map"] == 1


@pytest.mark.parametrize(
    ("text", "task", "count"),
    [
        (fenced({"count": 4, "label": "cell"}, "JSON"), "counting", 4),
        (fenced({"total_count": 4, "counts": 6}), "counting", 6),
        (fenced([{"count": 9, "label": "cell"}]), "counting", 9),
        (fenced([{"bbox_2d": [1, 2, 3, 4]}] * 3), "counting", 3),
        (fenced([]), "counting", 0),
        ("There are 7.", "counting", 0),
        (fenced({"count": 4, "point_2d": []}), "cnt_and_point", 0),
        (fenced([{"point_2d": [1, 2]}] * 3), "cnt_and_point", 3),
        ('```json\n{"counts": 4, "point_2d": [[1,2], "cell"}\n```', "cnt_and_point", 0),
    ],
)
def test_counts_as_published(text, task, count):
    assert read_answer(text, task).count == count


def test_one_group_of_another_form_spoils_the_answer():
    assert read_answer(fenced({"counts": 2, "point_2d": [[1, 2], "cell"]}), "cnt_and_point").points == []
    assert read_answer(fenced({"counts": 1, "bbox_2d": [1, 2, 3, 4]}), "count_and_box").boxes == [[1, 2, 3, 4]]


def test_images_without_usable_points_drop_out_of_the_averages():
    scores = score_lines([row(fenced(POINTS), POINTS), row("nothing", POINTS)])["pointing"]
    assert scores.unusable == 1
    assert scores.matching == 1
    assert scores.one_to_one is not None
    assert scores.one_to_one.recall == 0.5


def test_a_row_without_its_keys_and_a_label_without_content_are_refused():
    with pytest.raises(InputError, match="row 0"):
        score_lines([{"response": ""}])
    with pytest.raises(InputError, match="neither"):
        task_of(fenced({"label": "x"}))


PUBLISHED = {
    "b74179df65cb3b54": {
        "counting": (0.2571, 2.6190, 0.9143),
        "cnt_and_point": (1.5204, 18.1939, 0.4286, 17.7787, 23.3956, 0.9061, 29),
        "count_and_box": (1.3737, 43.0303, 0.6061, 0.8856, 23),
        "pointing": (1.2433, 1.6422, 0.9945, 0),
        "bounding": (0.9731, 0),
    },
    "b73cf8f522b77f9a": {
        "counting": (7.96, 221.8076, 0.2895),
        "pointing": (74.3442, 79.8709, 0.3411, 105),
    },
}


def published_files():
    files = sorted(ANSWERS.glob("**/qwen-*-result.jsonl")) if ANSWERS.is_dir() else []
    return [f for f in files if sha256(f.read_bytes()).hexdigest()[:16] in PUBLISHED]


@pytest.mark.skipif(not published_files(), reason="the published answers are not here")
def test_the_published_figures():
    for file in published_files():
        expected = PUBLISHED[sha256(file.read_bytes()).hexdigest()[:16]]
        scores = score_lines([json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()])
        for task, figures in expected.items():
            found: Any = scores[task]  # pyright: ignore[reportArgumentType] the table above names tasks as text
            counts = (found.count.mae, found.count.mse, found.count.exact) if found.count else ()
            rest = (found.point_mae, found.point_rmse, found.matching, found.box_iou)
            values: list[Any] = [*counts, *(value for value in rest if value is not None)]
            if task != "counting":
                values.append(found.unusable)
            assert [round(value, 4) for value in values] == list(figures)

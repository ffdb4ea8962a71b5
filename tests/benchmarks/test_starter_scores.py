"""The starter's card: its held-out items as samples, where a right answer scores 1, and the tables made of runs."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.starter import languages, over_time, scores
from benchmarks.starter.card import tables
from benchmarks.starter.harness import METRICS, row_of
from benchmarks.starter.held_out import TASKS, held_out_items, rows_with, write_items
from benchmarks.starter.phantoms import calibration
from tests.evaluation.benchmarks.test_samples import told_findings
from tests.evaluation.runs import Quick
from vesalius.dialogue.samples import read_samples
from vesalius.evaluation.benchmarks import benchmark
from vesalius.evaluation.passes import Pass
from vesalius.evaluation.predict import predict
from vesalius.evaluation.prediction import Prediction
from vesalius.evaluation.profiles import profile_named
from vesalius.evaluation.score import score_run
from vesalius.evaluation.scoring.items import score_items
from vesalius.findings.findings import Box
from vesalius.inference.answer import Answer, Usage

SAMPLES = benchmark("samples")


def figures(folder: Path, moved: bool = False) -> dict[str, list[float]]:
    """Task → the card's figure of each item when it is answered as its row is, or as the next row is."""
    rows = {row.id: row for row in read_samples(folder)}
    items = list(SAMPLES.read(folder, "all"))
    found: dict[str, list[float]] = {}
    answered = [rows[item.id] for item in items]
    pairs = [
        (item, Prediction(item.id, raw=row.turns[1].text, findings=tuple(told_findings(row, folder))))
        for item, row in zip(items, answered[1:] + answered[:1] if moved else answered, strict=True)
    ]
    for item, score in zip(items, score_items(pairs, SAMPLES, profile_named("strict")), strict=True):
        task = rows[item.id].tags.task
        metric = METRICS.get(task, "accuracy")
        # What cannot be told is right or wrong, whatever was asked.
        top, bottom = score.ratios.get(metric, (score.scores.get(metric, score.scores.get("accuracy", 0.0)), 1.0))
        found.setdefault(task, []).append(top / bottom)
    return found


@pytest.mark.parametrize(("lang", "tasks"), [("en", TASKS), ("zh", languages.TASKS), ("ar", languages.TASKS)])
def test_held_out_items_are_samples_whose_own_answers_are_right(tmp_path: Path, lang: str, tasks: tuple[str, ...]):
    items = held_out_items(5, lang, first=95_000, tasks=tasks)
    assert write_items(tmp_path, items, 2) == 2 * len(tasks)
    found = figures(tmp_path)
    assert set(found) == set(tasks)
    assert all(values == [1.0] * 5 for values in found.values()), found
    assert np.mean([value for values in figures(tmp_path, moved=True).values() for value in values]) < 0.6


def test_the_first_rows_are_the_first_items_of_every_task_and_pictures_stand_together(tmp_path: Path):
    items = held_out_items(6, "en", first=95_000, tasks=("modality", "region", "report"))
    first = write_items(tmp_path, items, 2)
    rows = list(read_samples(tmp_path))
    assert len(rows) == 18
    firsts = {(item.truth.seed, item.question.task) for group in items.values() for item in group[:2]}
    assert {(int(row.id.partition("-")[0]), row.tags.task) for row in rows[:first]} == firsts
    talk = [row for row in rows[first:] if row.tags.task != "report"]
    changes = sum(a.media[0].path != b.media[0].path for a, b in pairwise(talk))
    assert changes == len({row.media[0].path for row in talk}) - 1
    assert "modality" not in SAMPLES.read(tmp_path, "all").__next__().tags


def test_pairs_clips_and_what_cannot_be_told_are_right_as_their_rows_say(tmp_path: Path):
    made = {
        "pairs": lambda folder: over_time.pair_rows(folder, 5),
        "clips": lambda folder: over_time.clip_rows(folder, 2),
        "unanswerable": lambda folder: languages.unanswerable(folder, 6, True),
        "no picture": lambda folder: languages.unanswerable(folder, 6, False),
    }
    for name, rows in made.items():
        folder = tmp_path / name
        rows_with(folder, rows(folder))
        found = [value for values in figures(folder).values() for value in values]
        assert found
        assert set(found) == {1.0}, name


class Boxed(Quick):
    """Answers every question with the same box, of which it is 60 % sure."""

    def ask_batch(self, requests, **how):
        box = Box(label="nodule", x0=1, y0=1, x1=5, y1=5, confidence=0.6)
        return [Answer("Here: [1].", (box,), Usage(1, 1, 0.0, 0.0, 0.0, "stop"), self.name, "", ()) for _ in requests]


def test_the_rows_of_the_card_come_from_a_scored_run(tmp_path: Path):
    items = held_out_items(4, "en", first=95_000, tasks=("box", "present"))
    first = write_items(tmp_path / "data", items, 2)
    passes = [Pass("main"), *(Pass(name, ablation=name, limit=first) for name in ("blank", "shuffle"))]
    run = predict("samples", tmp_path / "data", Boxed(), tmp_path / "run", passes=passes)
    summary = score_run(run.path)
    box = row_of(summary, "box", METRICS["box"])
    assert set(box) == {"n", "mean", "low", "high", "blank", "shuffled"}
    assert box["n"] == 4
    assert box["mean"] < 0.2
    assert row_of(summary, "present", "accuracy")["mean"] == 0.0
    sure = calibration(run, items)
    assert sure["n"] == 8
    assert sure["ece"] == pytest.approx(abs(0.6 - sure["accuracy"]))
    card = {"date": "d", "commit": "c", "machine": "m", "weights": "w", "phantoms": {"box": box}}
    assert "| box, mean IoU | 4 | **0.0" in tables(card)


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

"""The card of a run: its curves on the page and as a picture, and what the benchmarks of the recipe said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.training import tiny
from vesalius.cli.main import main
from vesalius.errors import InputError
from vesalius.evaluation.benchmarks import benchmark
from vesalius.training.curves import curves_of, panels_of, save_png, svg_of, ticks
from vesalius.training.run_card import EvaluationTable, add_evaluation, write_card

LOG: list[dict[str, Any]] = [
    {
        "step": k,
        "loss": 3.0 / k,
        "loss/task/count": 2.0 / k,
        "loss/task/box": 4.0,
        "grad_norm/language": 0.1 * k,
        "tokens_per_s": 100.0,
    }
    for k in (1, 2, 4)
] + [{"step": 4, "eval_loss": 1.5}, {"step": 4, "loss": float("nan")}]


def test_curves_are_grouped_and_what_is_no_number_left_out() -> None:
    curves = curves_of(LOG)
    assert curves["loss"] == [(1, 3.0), (2, 1.5), (4, 0.75)]
    assert [panel.title for panel in panels_of(curves)] == [
        "Loss", "Loss by task", "Gradient norm", "Tokens a second"
    ]  # fmt: skip
    page = svg_of(panels_of(curves)[0])
    assert "3 → 0.75" in page
    assert page.count("<polyline") == 1
    assert {panel.steps for panel in panels_of(curves)} == {(1, 4)}


def test_a_curve_that_repeats_another_is_left_out() -> None:
    two = [(1, 2.0), (4, 1.0)]
    names = ("loss", "loss/task/qa", "eval_loss", "eval_loss/task/qa", "eval_loss/cross_entropy", "learning_rate",
             "learning_rate/language", "filled", "memory_gb")  # fmt: skip
    panels = panels_of(dict.fromkeys(names, two))
    assert [list(panel.curves) for panel in panels] == [
        ["loss", "held-out loss"], ["language"], ["filled"], ["highest so far"]
    ]  # fmt: skip


def test_a_reinforced_run_shows_its_rewards_and_the_held_out_answers() -> None:
    two = [(1, 0.2), (4, 0.5)]
    names = ("rewards/format/mean", "rewards/format/std", "reward", "eval_box_mean_iou", "eval_format", "eval_runtime",
             "box_mean_iou", "entropy", "completions/mean_length", "completions/max_length",
             "frac_reward_zero_std")  # fmt: skip
    panels = panels_of(dict.fromkeys(names, two))
    assert {panel.title: list(panel.curves) for panel in panels} == {
        "Reward": ["weighted sum", "format"],
        "Held-out answers, greedy": ["box_mean_iou", "format"],
        "Boxes of drawn answers": ["box_mean_iou"],
        "Entropy and divergence": ["entropy"],
        "Tokens of an answer": ["mean"],
        "Shares of answers and of groups": ["groups whose rewards are all equal"],
    }


def test_preferences_show_how_many_pairs_are_preferred_rightly() -> None:
    two = [(1, 0.2), (4, 0.5)]
    names = ("loss", "eval_loss", "preferred", "eval_preferred", "margin", "gain/chosen", "gain/rejected")
    panels = panels_of(dict.fromkeys(names, two))
    assert [list(panel.curves) for panel in panels] == [
        ["loss", "held-out loss"], ["pairs", "held-out pairs"], ["margin", "chosen", "rejected"]
    ]  # fmt: skip


def test_a_steep_fall_is_drawn_on_a_logarithmic_axis() -> None:
    (steep,) = panels_of({"loss": [(1, 20.0), (2, 0.02)]})
    assert steep.values == [0.01, 0.1, 1.0, 10.0, 100.0]
    assert "Loss (logarithmic)" in svg_of(steep)
    for values in ([(1, 3.0), (2, 0.5)], [(1, 3.0), (2, 0.0)], [(1, 3.0), (2, -1.0)]):
        assert not panels_of({"loss": values})[0].logarithmic


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.237, 1.07), (5.0, 5.0), (0.0, 0.0), (1e-6, 3e-6), (-2, 900)])
def test_ticks_span_the_values(low: float, high: float) -> None:
    marks = ticks(low, high)
    assert marks[0] <= low + 1e-12
    assert marks[-1] >= high - 1e-12
    assert 2 <= len(marks) <= 8
    assert np.allclose(np.diff(marks), marks[1] - marks[0])


def test_the_picture_shows_a_falling_curve(tmp_path: Path) -> None:
    panels = panels_of({"loss": [(1, 3.0), (9, 1.0)]})
    save_png(panels, tmp_path / "curves.png")
    pixels = np.asarray(Image.open(tmp_path / "curves.png").convert("RGB")).astype(int)
    ys, xs = np.nonzero((abs(pixels - (230, 159, 0)) < 40).all(2))
    ys, xs = ys[ys > 80], xs[ys > 80]  # below the legend
    assert xs.min() < 200
    assert xs.max() > 1200
    assert ys[xs.argmin()] < ys[xs.argmax()]
    save_png([], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_tables_are_put_into_the_card_and_replace_earlier_ones(tmp_path: Path) -> None:
    recipe = tiny.recipe({"projector": "train"}, out=str(tmp_path))
    (tmp_path / "rows.jsonl").write_text("{}\n")
    card = write_card(tmp_path, recipe, ["projector: train"], LOG, 0, [tmp_path / "rows.jsonl"])
    before = card.read_text()
    assert "<td>loss</td><td>3 at step 1, 0.75 at step 4</td>" in before
    add_evaluation(card, [EvaluationTable("Old", ("a",), (("<1>",),))])
    assert "&lt;1&gt;" in card.read_text()
    add_evaluation(card, [EvaluationTable("New", ("a",), (("2",),), ("a remark",), "evaluation/report.html")])
    said = card.read_text()
    assert "Old" not in said
    assert 'href="evaluation/report.html"' in said
    add_evaluation(card, [])
    assert card.read_text().replace("<!-- evaluation -->", "") == before.replace("<!-- evaluation -->", "")
    (tmp_path / "other.html").write_text("<p>")
    with pytest.raises(InputError, match="no run card"):
        add_evaluation(tmp_path / "other.html", [])


def test_a_recipe_asks_its_benchmarks_at_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark("slake").twin(tmp_path / "slake", 4, 0)
    data = tiny.write_samples(tmp_path / "data")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps({
        "recipe": "sft", "model": str(tiny.FIXTURES / "hulumed" / "qwen2_hf"), "out": str(tmp_path / "run"),
        "data": [{"path": str(data)}], "parts": {"language": {"mode": "lora", "rank": 2}}, "steps": 2, "log_every": 1,
        "prepare": {"max_tokens": 16}, "max_length": 256, "precision": "float32", "device": "cpu", "report_to": [],
        "evaluate": {"names": ["slake"], "data": str(tmp_path / "slake"), "limit": 3, "max_new_tokens": 2,
                     "baseline": True},
    }))  # fmt: skip
    assert main(["train", str(recipe), "evaluate.names=[slakee]"]) == 2
    assert "Did you mean slake" in capsys.readouterr().err
    assert main(["train", str(recipe), f"evaluate.data={tmp_path / 'data'}"]) == 2
    assert not (tmp_path / "run").exists()
    assert main(["train", str(recipe)]) == 0
    card = (tmp_path / "run" / "card.html").read_text(encoding="utf-8")
    for called in ("trained", "before"):
        summary = json.loads((tmp_path / "run" / "evaluation" / called / "slake" / "summary.json").read_text())
        assert summary["overall"]["n"] == 3
        assert f"Evaluation, {called}: SLAKE" in card
    assert "<td>accuracy</td>" in card
    stored = [json.loads((tmp_path / "run" / "evaluation" / called / "slake" / "manifest.json").read_text())
              for called in ("trained", "before")]  # fmt: skip
    assert stored[0] != stored[1]
    assert Image.open(tmp_path / "run" / "curves.png").width == 1280

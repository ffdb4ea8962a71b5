"""Direct preference: the published loss, and a tiny network that comes to prefer what was preferred."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training import tiny
from vesalius.dialogue.preferences import read_preferences
from vesalius.errors import InputError, OptionError
from vesalius.training.dpo import train_dpo
from vesalius.training.preference_pairs import dpo_losses
from vesalius.training.recipe import load_recipe
from vesalius.training.recipe_reading import filled
from vesalius.training.recipe_rl import DpoRecipe, check_dpo

PAIRS = tiny.FIXTURES / "preferences.jsonl"


def test_the_loss_is_the_published_one() -> None:
    policy = torch.tensor([[-10.0, -3.0], [-12.0, -2.0]])
    reference = torch.tensor([[-11.0, -3.0], [-11.0, -2.5]])
    losses, margin = dpo_losses(policy, reference, 0.1)
    assert margin.tolist() == pytest.approx([0.1 * (1 + 1), 0.1 * (0 - 0.5)])
    wanted = [-math.log(1 / (1 + math.exp(-one))) for one in (0.2, -0.05)]
    assert losses.tolist() == pytest.approx(wanted, rel=1e-6)
    assert dpo_losses(reference, reference, 0.1)[0].tolist() == pytest.approx([math.log(2)] * 2)


def run(tmp_path: Path, data: Path, **keys: Any) -> Any:
    given = {
        "model": str(tiny.FIXTURES / "medmo" / "qwen3vl_tiny"), "out": str(tmp_path / "run"),
        "data": [{"path": str(data)}], "parts": {"language": {"mode": "lora", "rank": 8}}, "steps": 8,
        "max_length": 400, "learning_rate": 1e-2, "warmup": 0.0, "precision": "float32", "device": "cpu",
        "report_to": [], "log_every": 1,
    }  # fmt: skip
    lines: list[str] = []
    recipe = check_dpo(filled(DpoRecipe, {**given, **keys}, "recipe"), "recipe")
    return train_dpo(recipe, lines.append), lines


def test_what_was_preferred_comes_to_be_preferred(tmp_path: Path) -> None:
    made, _ = run(tmp_path, PAIRS, eval={"data": [{"path": str(PAIRS)}], "every": 4, "rows": 6})
    steps = [entry for entry in made.log if "preferred" in entry]
    assert steps[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)  # the policy starts as the reference
    assert steps[0]["margin"] == pytest.approx(0, abs=1e-5)
    held = [entry for entry in made.log if "eval_preferred" in entry]
    assert held[-1]["eval_preferred"] == 1
    assert held[-1]["eval_loss"] < held[0]["eval_loss"] < math.log(2)
    assert (made.folder / "vesalius.json").is_file()


def test_pairs_about_pictures(tmp_path: Path) -> None:
    tiny.write_samples(tmp_path)
    turn = {"role": "user", "text": "What is it?"}
    rows = [
        {
            "id": f"p{k}",
            "media": [{"kind": "image", "path": f"images/{k}.png"}],
            "turns": [turn],
            "chosen": {"role": "assistant", "text": "a shade"},
            "rejected": {"role": "assistant", "text": "no idea"},
        }
        for k in range(3)
    ]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    made, _ = run(tmp_path, tmp_path / "pairs.jsonl", parts={"projector": "train"}, steps=6)
    steps = [entry for entry in made.log if "preferred" in entry]
    assert steps[-1]["margin"] > steps[0]["margin"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rejected": None}, "row 2"),
        ({"rejected": {"role": "assistant", "text": "Yes."}}, "row 2: .*chosen and rejected are the same"),
        ({"rejected": {"role": "user", "text": "No."}}, "assistant turns"),
        ({"turns": [{"role": "assistant", "text": "x"}]}, "end with a question"),
        ({"id": "a0"}, "its id stands in an earlier row"),
        ({"better": 1}, "row 2: better"),
    ],
)
def test_bad_rows_are_named(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    row = {
        "id": "a0",
        "turns": [{"role": "user", "text": "Is it?"}],
        "chosen": {"role": "assistant", "text": "Yes."},
        "rejected": {"role": "assistant", "text": "No."},
    }
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps(row) + "\n" + json.dumps({**row, "id": "a1", **change}) + "\n")
    with pytest.raises(InputError, match=said):
        list(read_preferences(path))


def test_data_that_holds_no_pairs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="max_length is 20"):
        run(tmp_path, PAIRS, max_length=20)
    one = tmp_path / "one.jsonl"
    one.write_text(PAIRS.read_text().splitlines()[0] + "\n")
    with pytest.raises(InputError, match="needs at least 2"):
        run(tmp_path / "b", one)
    with pytest.raises(InputError, match="row 1: chosen is missing"):
        run(tmp_path / "c", tiny.write_samples(tmp_path))


def test_recipes_that_cannot_be(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    given = {"recipe": "dpo", "model": "tiny", "data": [{"path": "none.jsonl"}], "parts": {"language": "train"}}
    for keys, said in (
        ({"beta": 0.0}, "beta is 0"),
        ({"betta": 0.1}, "Did you mean beta"),
        ({"data": [{"phantoms": "picture"}]}, "no rejected answers"),
    ):
        path.write_text(json.dumps({**given, **keys}))
        with pytest.raises(OptionError, match=said):
            load_recipe(path)

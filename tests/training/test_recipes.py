"""Every recipe is understood, and its debug variant learns within seconds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models.parity import ROOT
from vesalius.training.recipe import StarterRecipe, load_recipe
from vesalius.training.recipe_rl import GrpoRecipe
from vesalius.training.recipe_sft import SftRecipe
from vesalius.training.run import train_recipe

RECIPES = sorted(path for path in (ROOT / "recipes").glob("*.yaml") if path.stem != "starter")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_debug_variant_learns(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    whole = load_recipe(path)
    assert isinstance(whole, SftRecipe)
    assert whole.out == f"runs/{path.stem}"
    assert path.read_text().startswith("# ")
    recipe = load_recipe(path, [f"out={tmp_path / 'run'}"], debug=True)
    assert isinstance(recipe, SftRecipe)
    lines: list[str] = []
    made = train_recipe(recipe, lines.append)
    losses = [entry["loss"] for entry in made.log if "loss" in entry]
    if isinstance(recipe, GrpoRecipe):  # its loss says nothing; a reward must rise
        assert [entry["step"] for entry in made.log if "reward" in entry] == list(range(1, recipe.steps + 1))
        paid = [entry["rewards/length/mean"] for entry in made.log if "reward" in entry]
        assert sum(paid[-4:]) / 4 > sum(paid[:4]) / 4 + 0.3, paid
    else:
        assert losses[-1] < losses[0] - 0.05, losses
    assert (made.folder / "vesalius.json").is_file() == any(plan.mode == "lora" for plan in recipe.parts.values())


def test_published_rates_stand_in_the_recipes() -> None:
    def rates(name: str) -> dict[str, float]:
        recipe = load_recipe(ROOT / "recipes" / f"{name}.yaml")
        assert not isinstance(recipe, StarterRecipe)
        return {
            part: recipe.learning_rate if plan.learning_rate is None else plan.learning_rate
            for part, plan in recipe.parts.items()
            if plan.mode != "freeze"
        }

    assert rates("hulumed-1-align") == {"vision": 1e-5, "projector": 1e-3}
    assert rates("hulumed-3-instruct") == {"vision": 2e-6, "projector": 1e-5, "language": 1e-5}
    assert rates("citrusv-4-segment") == {"mask_head": 1e-5}
    assert rates("medmvl-2d-1-align") == {"projector": 1e-3}
    assert rates("medmvl-lora") == {"projector": 2e-4, "language": 2e-4}
    assert [rates(f"medmo-{k}")["language"] for k in (1, 2, 3)] == [1e-5, 8e-6, 5e-6]
    citrus = load_recipe(ROOT / "recipes" / "citrusv-3-instruct.yaml")
    assert isinstance(citrus, SftRecipe)
    assert citrus.gradient_factor == {"mask_head": 0.001}

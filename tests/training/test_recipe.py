"""Recipes say what is wrong with them, by key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vesalius.errors import OptionError
from vesalius.training.recipe import StarterRecipe, load_recipe, recipe_hash

SHIPPED = Path(__file__).parent.parent.parent / "recipes" / "starter.yaml"


def test_the_shipped_recipe_is_understood():
    recipe = load_recipe(SHIPPED)
    assert isinstance(recipe, StarterRecipe)
    assert recipe.see.batch == 16
    assert recipe.stages == ("encode", "see", "calibrate", "say", "export")


def test_its_small_variant_writes_elsewhere():
    recipe = load_recipe(SHIPPED, debug=True)
    assert isinstance(recipe, StarterRecipe)
    assert (recipe.see.pictures, recipe.say.steps, recipe.seed) == (400, 20, load_recipe(SHIPPED).seed)
    assert recipe.export != StarterRecipe().export


def test_keys_can_be_changed_from_the_command_line():
    recipe = load_recipe(SHIPPED, ["see.steps=7", "say.learning_rate=1", "stages=[see]", "bf16=false"])
    assert isinstance(recipe, StarterRecipe)
    assert (recipe.see.steps, recipe.say.learning_rate, recipe.stages, recipe.bf16) == (7, 1.0, ("see",), False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("see: {stepz: 3}", "see.steps"),
        ("sea: {steps: 3}", "Did you mean se"),
        ("see: {steps: many}", "of type int"),
        ("see: {steps: -1}", "must not be negative"),
        ("see: 3", "see must be a mapping"),
        ("- 1", "mapping of keys"),
        ("see: {steps: [", "not valid YAML"),
        ("stages: [sing]", "unknown stage 'sing'"),
        ("recipe: rocket", "kind is unknown"),
    ],
)
def test_a_wrong_recipe_names_what_is_wrong(tmp_path: Path, text: str, said: str):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(OptionError, match=said) as caught:
        load_recipe(path)
    assert "\n" not in str(caught.value)


def test_a_missing_recipe_and_a_change_without_value_are_refused(tmp_path: Path):
    with pytest.raises(OptionError, match="cannot be read"):
        load_recipe(tmp_path / "none.yaml")
    with pytest.raises(OptionError, match="key=value"):
        load_recipe(SHIPPED, ["see.steps"])


def test_the_hash_is_of_what_decides_the_result():
    recipe = StarterRecipe()
    assert recipe_hash(recipe) == recipe_hash(replace(recipe, out="elsewhere", stages=("see",)))
    assert recipe_hash(recipe) != recipe_hash(replace(recipe, seed=1))

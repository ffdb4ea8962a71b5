"""One entry for every kind of recipe that trains a family by parts."""

from __future__ import annotations

from collections.abc import Callable

from vesalius.training.recipe_rl import DpoRecipe, GrpoRecipe
from vesalius.training.recipe_sft import SftRecipe
from vesalius.training.sft import Trained, train_sft

__all__ = ["train_recipe"]


def train_recipe(recipe: SftRecipe, report: Callable[[str], None]) -> Trained:
    """Run a supervised, preference or reinforcement recipe; errors as `train_sft`, `train_dpo`, `train_grpo`."""
    if isinstance(recipe, GrpoRecipe):
        from vesalius.training.grpo import train_grpo

        return train_grpo(recipe, report)
    if isinstance(recipe, DpoRecipe):
        from vesalius.training.dpo import train_dpo

        return train_dpo(recipe, report)
    return train_sft(recipe, report)

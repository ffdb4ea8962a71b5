"""Recipes of preference and reinforcement: what supervised training has, and what these ask beyond it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from vesalius.errors import OptionError
from vesalius.training.recipe_sft import SftRecipe, check_recipe
from vesalius.training.rewards import weighted_rewards

__all__ = ["DpoRecipe", "GrpoRecipe", "Rollouts", "check_dpo", "check_grpo"]


@dataclass(frozen=True)
class Rollouts:
    """How completions are sampled."""

    generations: int = 8
    """Completions of each prompt: the group whose rewards are compared."""
    max_new_tokens: int = 512
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    at_once: int = 32
    """Completions that are sampled together."""


@dataclass(frozen=True, kw_only=True)
class GrpoRecipe(SftRecipe):
    """Reinforcement by verifiable rewards. `data`: samples whose last answer holds the truth; what stands before it is
    the prompt. `steps` is needed."""

    rewards: Mapping[str, Any]
    """Name → weight, or name → {weight: …, setting: …}."""
    rollouts: Rollouts = field(default_factory=Rollouts)
    prompts: int = 8
    """Prompts per step; `accumulate` divides their completions into so many backward passes."""
    loss: Literal["dapo", "grpo", "bnpo", "dr_grpo"] = "dapo"
    """dapo: every token of the step weighs the same; grpo: every completion does."""
    clip_low: float = 0.2
    clip_high: float = 0.28
    """Ratios are clipped to 1 - clip_low … 1 + clip_high; the higher upper bound lets rare tokens grow."""
    kl: float = 0.01
    """Weight of the divergence from the weights of the start; 0 keeps no reference."""
    iterations: int = 1
    """Passes over the same completions."""
    scale: Literal["group", "batch", "none"] = "group"
    """What advantages are divided by: the standard deviation of the group, of the step, or nothing."""
    mask_truncated: bool = False
    """Leave completions that did not end out of the loss."""
    dialect: str = ""
    """How places are read (`medmo`, `qwen-json`, …); none given: by the family itself."""
    coord: str = ""
    """The frame of the numbers, where it is not the dialect's own."""


@dataclass(frozen=True, kw_only=True)
class DpoRecipe(SftRecipe):
    """Direct preference: `data` are files of rows with `chosen` and `rejected`."""

    beta: float = 0.1
    """How far the policy may leave the weights of the start: the higher, the less."""


def check_grpo(recipe: GrpoRecipe, path: str) -> GrpoRecipe:
    """The recipe itself. OptionError for values that cannot be, before anything is loaded."""
    check_recipe(recipe, path)
    weighted_rewards(recipe.rewards)
    rollouts = recipe.rollouts
    if not recipe.steps:
        raise OptionError("steps is missing.", file=path, fix="Say how many updates to make: steps: 200.")
    if rollouts.generations < 2:
        raise OptionError(f"rollouts.generations is {rollouts.generations}; a group needs at least 2.", file=path)
    for name, value in (("prompts", recipe.prompts), ("iterations", recipe.iterations),
                        ("rollouts.max_new_tokens", rollouts.max_new_tokens),
                        ("rollouts.at_once", rollouts.at_once)):  # fmt: skip
        if value < 1:
            raise OptionError(f"{name} is {value}; it must be at least 1.", file=path)
    if not (0 < rollouts.temperature <= 10 and 0 < rollouts.top_p <= 1):
        raise OptionError("rollouts.temperature must be above 0, top_p above 0 and at most 1.", file=path)
    if not (0 < recipe.clip_low < 1 and recipe.clip_high > 0 and math.isfinite(recipe.clip_high)):
        raise OptionError(f"clip_low {recipe.clip_low}, clip_high {recipe.clip_high} are out of range.", file=path)
    if not (recipe.kl >= 0 and math.isfinite(recipe.kl)):
        raise OptionError(f"kl is {recipe.kl}; it must be 0 or more.", file=path)
    whole = recipe.prompts * rollouts.generations
    if whole % recipe.accumulate:
        raise OptionError(
            f"accumulate {recipe.accumulate} does not divide the {whole} completions of a step.", file=path
        )
    if recipe.dialect:
        from vesalius.findings.dialects.table import dialect_named

        dialect_named(recipe.dialect)
    return recipe


def check_dpo(recipe: DpoRecipe, path: str) -> DpoRecipe:
    """The recipe itself. OptionError for values that cannot be, before anything is loaded."""
    check_recipe(recipe, path)
    if any(source.phantoms for source in (*recipe.data, *recipe.eval.data)):
        raise OptionError("phantoms have no rejected answers.", file=path, fix="Give path: FILE.jsonl.")
    if not (recipe.beta > 0 and math.isfinite(recipe.beta)):
        raise OptionError(f"beta is {recipe.beta}; it must be above 0.", file=path)
    return recipe

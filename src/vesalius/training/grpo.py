"""Reinforcement by verifiable rewards (GRPO, DAPO): from a recipe to a checkpoint or adapter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vesalius.errors import InputError, OptionError, UnsupportedError, VesaliusError
from vesalius.training.processes import Processes, sharding
from vesalius.training.prompts import Placed, Prompt, prompt_of, read_placed
from vesalius.training.recipe_rl import GrpoRecipe
from vesalius.training.rewards import Completion, WeightedReward, weighted_rewards
from vesalius.training.run_lock import held_run
from vesalius.training.sft import (
    Trained,
    base_of,
    check_claim,
    check_loggers,
    checkpoint_activations,
    claim,
    curves_in,
    dtype_of,
    finished,
    safety_of,
)

__all__ = ["check_prompts", "train_grpo"]


def train_grpo(recipe: GrpoRecipe, report: Callable[[str], None]) -> Trained:
    """Run a recipe; started again in the same folder it goes on from its newest whole checkpoint. `report` receives one
    line at a time. Under `torchrun` every process calls; the first one writes and reports.

    Before the first step: the errors of `train_sft`; OptionError for rewards that no prompt has a truth for;
    UnsupportedError without TRL.
    """
    from importlib.util import find_spec

    if find_spec("trl") is None:
        raise UnsupportedError("reinforcement needs trl.", fix="Run: pip install 'vesalius[train]'.")
    here = Processes.here()
    here.rows_each(recipe.accumulate)
    check_loggers(recipe)
    if not here.first:
        return _train(recipe, here, lambda line: None)
    with held_run(Path(recipe.out)):
        return _train(recipe, here, report)


def _train(recipe: GrpoRecipe, here: Processes, report: Callable[[str], None]) -> Trained:
    from vesalius.models.placement import chosen_device

    rewards = weighted_rewards(recipe.rewards)
    out = Path(recipe.out)
    here.meet(str(chosen_device(recipe.device)))
    with here.first_then_others():
        check_claim(out, recipe)
        placed = read_placed(recipe.data, out / "phantoms")
        apart = read_placed(recipe.eval.data, out / "phantoms") if recipe.eval.every else []
        base, called = base_of(recipe, out, report)
    import torch

    from vesalius.inference.model import Model
    from vesalius.models.registry import load_family
    from vesalius.training.checkpoint import file_sha256
    from vesalius.training.data.conversation import saying_of
    from vesalius.training.parts import check_parts, learning_parts

    torch.manual_seed(recipe.seed)
    family: Any = load_family(str(base), device=recipe.device, dtype=dtype_of(recipe), quirks=recipe.quirks)
    check_parts(family, recipe)
    model = Model(family)
    saying = saying_of(model, **dict(recipe.prepare))
    prompts = _prompts(placed, saying, recipe)
    held_out = _prompts(apart, saying, recipe)[: recipe.eval.rows or None]
    check_prompts(prompts, rewards, recipe)
    for place, prompt in enumerate(prompts[: recipe.check or None]):
        try:
            batch = model.prepare(list(prompt.messages), **dict(recipe.prepare))
        except VesaliusError as exc:
            raise InputError(f"{placed[place].place}: {exc}") from exc
        if family.length(batch) + recipe.rollouts.max_new_tokens > recipe.max_length:
            raise InputError(
                f"{placed[place].place}: its prompt takes {family.length(batch)} positions; with "
                f"{recipe.rollouts.max_new_tokens} new ones it passes max_length {recipe.max_length}.",
                fix="Raise max_length, or lower rollouts.max_new_tokens or prepare.max_pixels.",
            )
    learning = learning_parts(family, recipe)
    for line in learning.lines():
        report(line)
    report(f"{len(prompts)} prompts, {recipe.prompts} a step, {recipe.rollouts.generations} completions each; rewards "
           + ", ".join(f"{one.weight:g} {one.name}" for one in rewards))  # fmt: skip
    from vesalius.training.grpo_trainer import PromptTrainer, arguments_of

    on_cpu = next(family.model.parameters()).device.type == "cpu"
    if recipe.activation_checkpointing:
        checkpoint_activations(family.model)
    cut = sharding(family) if here.number > 1 else None
    arguments = arguments_of(recipe, rewards, on_cpu=on_cpu, here=here, cut=cut)
    files = sorted({one.file for one in placed})
    safety = safety_of(recipe, [file_sha256(file) for file in files], report)
    with curves_in(out / "tensorboard"):
        trainer = PromptTrainer(
            family, model, learning, recipe, arguments, prompts, rewards, held_out=held_out, safety=safety
        )
    if here.first:
        claim(out, recipe)
    trainer.train_on(held=True)
    return finished(family, trainer.learning, base, called, recipe, trainer, files, 0, report, here)


def _prompts(placed: Sequence[Placed], saying: Any, recipe: GrpoRecipe) -> list[Prompt]:
    made: list[Prompt] = []
    for one in placed:
        try:
            made.append(prompt_of(one, saying, dialect=recipe.dialect, coord=recipe.coord))
        except VesaliusError as exc:
            raise InputError(f"{one.place}: {exc}") from exc
    return made


def check_prompts(prompts: Sequence[Prompt], rewards: Sequence[WeightedReward], recipe: GrpoRecipe) -> None:
    """OptionError for fewer prompts than a step asks, or a reward that applies to none of them."""
    if len(prompts) < recipe.prompts:
        raise OptionError(
            f"there are {len(prompts)} prompts, a step asks {recipe.prompts}.", fix=f"Set prompts: {len(prompts)}."
        )
    tried = Completion("0", 1, "stop", found=())
    for one in rewards:
        if all(one(tried, prompt.truth) is None for prompt in prompts):
            raise OptionError(
                f"no prompt has a truth that reward {one.name} could compare.",
                fix="Take it out, or give samples with targets of that kind.",
            )

"""Direct preference optimisation: from a recipe to a checkpoint or adapter."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vesalius.dialogue.preferences import read_preferences
from vesalius.errors import InputError
from vesalius.training.preference_pairs import PairData, PairTrainer, PlacedPair
from vesalius.training.processes import Processes
from vesalius.training.recipe_rl import DpoRecipe
from vesalius.training.run_lock import held_run
from vesalius.training.sft import (
    Trained,
    base_of,
    check_claim,
    check_loggers,
    claim,
    dtype_of,
    finished,
    trainer_of,
)

__all__ = ["read_pairs", "train_dpo"]


def read_pairs(sources: Any) -> list[PlacedPair]:
    """All pairs of the sources. InputError for files that cannot be read or hold nothing, and for fewer than two."""
    placed: list[PlacedPair] = []
    for source in sources:
        path = Path(source.path)
        own = [PlacedPair(pair, path, number) for number, pair in enumerate(read_preferences(path), 1)]
        if not own:
            raise InputError("there is no pair.", file=path, fix="Rows need turns, chosen and rejected.")
        placed += own
    if len(placed) < 2:
        raise InputError(f"there is {len(placed)} pair; training needs at least 2.", file=placed[0].file)
    return placed


def train_dpo(recipe: DpoRecipe, report: Callable[[str], None]) -> Trained:
    """Run a recipe; started again in the same folder it goes on from its newest whole checkpoint. `report` receives one
    line at a time. Under `torchrun` every process calls; the first one writes and reports. Before the first step: the
    errors of `train_sft`, with the row of a bad pair."""
    here = Processes.here()
    here.rows_each(recipe.accumulate)
    check_loggers(recipe)
    if not here.first:
        return _train(recipe, here, lambda line: None)
    with held_run(Path(recipe.out)):
        return _train(recipe, here, report)


def _train(recipe: DpoRecipe, here: Processes, report: Callable[[str], None]) -> Trained:
    from vesalius.models.placement import chosen_device

    out = Path(recipe.out)
    here.meet(str(chosen_device(recipe.device)))
    with here.first_then_others():
        check_claim(out, recipe)
        placed = read_pairs(recipe.data)
        apart = read_pairs(recipe.eval.data) if recipe.eval.every else []
        base, called = base_of(recipe, out, report)
    import torch

    from vesalius.inference.model import Model
    from vesalius.models.registry import load_family
    from vesalius.training.checkpoint import file_sha256
    from vesalius.training.learned_rows import RowStream
    from vesalius.training.meters import Meters
    from vesalius.training.parts import check_parts, learning_parts
    from vesalius.training.positions import PositionedRows

    torch.manual_seed(recipe.seed)
    family: Any = load_family(str(base), device=recipe.device, dtype=dtype_of(recipe), quirks=recipe.quirks)
    check_parts(family, recipe)
    model = Model(family)
    data, held_out = PairData(model, recipe, placed), PairData(model, recipe, apart)
    for one in (*placed[: recipe.check or None], *apart[: recipe.eval.rows]):
        data.learned(one)
    learning = learning_parts(family, recipe)
    for line in learning.lines():
        report(line)
    steps = recipe.steps or max(1, math.ceil(recipe.epochs * data.rows_of_a_pass / recipe.accumulate))
    report(f"{len(placed)} pairs, {steps} steps")
    files = sorted({one.file for one in placed})
    trainer = trainer_of(
        family,
        learning,
        recipe,
        PositionedRows(data, process=here.index, processes=here.number),
        RowStream(held_out.held_out) if apart else None,
        steps,
        Meters(recipe.max_length, report),
        digests=[file_sha256(file) for file in files],
        kind=PairTrainer,
        here=here,
    )
    if here.first:
        claim(out, recipe)
    trainer.train_on(held=True)
    return finished(family, trainer.learning, base, called, recipe, trainer, files, 0, report, here)

"""`vesalius train`: run a recipe."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["train"]


def train(
    recipe: Annotated[Path, typer.Argument(help="Recipe file (YAML).")],
    changes: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Keys to change.")] = None,
    debug: Annotated[bool, typer.Option("--debug", help="The recipe's small variant: seconds on a CPU.")] = False,
    start: Annotated[
        str | None, typer.Option("--from", help="Start from what an earlier run wrote: its folder.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what memory and time it needs.")] = False,
    gpu: Annotated[str, typer.Option(help="Kind of GPU to plan for.")] = "a100-80gb",
    gpus: Annotated[int, typer.Option(help="How many of them.")] = 1,
) -> None:
    """Train from a recipe; started again it goes on where it stopped. SIGINT or SIGTERM saves first (exit 130, 143)."""
    from vesalius.training.recipe import StarterRecipe, load_recipe

    given = [*(changes or ()), *([] if start is None else [f"from={start}"])]
    loaded = load_recipe(recipe, given, debug=debug)
    if plan:
        _print_plan(loaded, gpu, gpus)
        return

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    if isinstance(loaded, StarterRecipe):
        from vesalius.training.starter.stages import train_starter

        train_starter(loaded, report)
        return
    from vesalius.cli.train_evaluation import asked_at_the_end
    from vesalius.training.run import train_recipe

    asked = asked_at_the_end(loaded) if loaded.evaluate.names else None
    made = train_recipe(loaded, report)
    if asked is not None and os.environ.get("RANK", "0") == "0":
        from vesalius.training.run_card import add_evaluation

        add_evaluation(Path(loaded.out) / "card.html", asked.ask(made.folder))
    print(made.folder)


def _print_plan(recipe: Any, gpu: str, gpus: int) -> None:
    from vesalius.errors import OptionError
    from vesalius.training.plan import GPUS, plan_of, size_of
    from vesalius.training.recipe_sft import SftRecipe

    if not isinstance(recipe, SftRecipe):
        raise OptionError("only recipes of kind sft can be planned.", fix="The starter's stages run on a CPU.")
    if gpu.lower() not in GPUS:
        raise OptionError(f"GPU {gpu!r} is not known.", fix=f"Known: {', '.join(GPUS)}.")
    for line in plan_of(recipe, size_of(recipe.model), GPUS[gpu.lower()], gpus).lines():
        print(line)

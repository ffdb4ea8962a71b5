"""`vesalius train`: run a recipe."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["train"]


def train(
    recipe: Annotated[Path, typer.Argument(help="Recipe file (YAML).")],
    changes: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Keys to change.")] = None,
    debug: Annotated[bool, typer.Option("--debug", help="The recipe's small variant: seconds on a CPU.")] = False,
    start: Annotated[
        str | None, typer.Option("--from", help="Start from what an earlier run wrote: its folder.")
    ] = None,
) -> None:
    """Train from a recipe; started again it goes on where it stopped."""
    from vesalius.training.recipe import StarterRecipe, load_recipe

    given = [*(changes or ()), *([] if start is None else [f"from={start}"])]
    loaded = load_recipe(recipe, given, debug=debug)

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    if isinstance(loaded, StarterRecipe):
        from vesalius.training.starter.stages import train_starter

        train_starter(loaded, report)
        return
    from vesalius.training.run import train_recipe

    print(train_recipe(loaded, report).folder)

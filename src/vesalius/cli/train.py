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
) -> None:
    """Train from a recipe; started again it goes on where it stopped."""
    from vesalius.training.recipe import load_recipe

    loaded = load_recipe(recipe, changes or ())
    from vesalius.training.starter.stages import train_starter

    train_starter(loaded, lambda line: print(line, file=sys.stderr, flush=True))

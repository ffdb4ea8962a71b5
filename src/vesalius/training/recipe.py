"""Recipes: typed dataclasses filled from YAML and `key=value` overrides; an unknown key names the nearest one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from vesalius.errors import OptionError
from vesalius.training.recipe_reading import filled, read_mapping
from vesalius.training.recipe_rl import DpoRecipe, GrpoRecipe, check_dpo, check_grpo
from vesalius.training.recipe_sft import SftRecipe, check_recipe

__all__ = ["Recipe", "SayStage", "SeeStage", "StarterRecipe", "load_recipe", "recipe_hash"]


@dataclass(frozen=True)
class SeeStage:
    """The dense head on cached encoder features."""

    pictures: int = 12_000
    """Phantom pictures to draw and encode."""
    more: dict[str, int] = field(default_factory=dict[str, int])
    """Further pictures by modality, for those whose findings are the hardest to see."""
    shard: int = 1_000
    volumes: int = 80
    """Phantom volumes of which twelve slices each are encoded."""
    real_pictures: int = 1_500
    """Slices of the real training volumes, most with a lesion painted in; 0 trains on phantoms alone."""
    real_repeat: int = 2
    """How often a real slice is seen for each time a phantom is."""
    calibration: int = 1_000
    """Phantom pictures of the calibration seed range: thresholds and confidence."""
    steps: int = 3_000
    batch: int = 16
    learning_rate: float = 2e-3
    restarts: int = 0
    """Rounds after the first; each starts from the last one's weights with a fresh optimiser (a warm restart)."""
    restart_steps: int = 2_000
    """Steps of each such round."""
    restart_learning_rate: float = 1e-3
    budget_minutes: float = 0.0
    """Stop this stage after so many minutes of one sitting; 0 is no limit. The next sitting resumes."""


@dataclass(frozen=True)
class SayStage:
    """Projector and LoRA of the language model."""

    rows: int = 12_000
    """Conversations about one picture, pair, clip or volume each."""
    questions: int = 6
    """Questions in one row; they share its encoded picture."""
    steps: int = 1_500
    accumulate: int = 8
    """Rows per optimiser step."""
    learning_rate: float = 6e-4
    restarts: int = 0
    """Rounds after the first, as those of the head."""
    restart_steps: int = 1_000
    restart_learning_rate: float = 6e-4
    rank: int = 16
    budget_minutes: float = 0.0


@dataclass(frozen=True)
class StarterRecipe:
    """How the starter is trained from nothing."""

    out: str = "runs/starter"
    """Folder for caches, checkpoints and logs."""
    export: str = "src/vesalius/models/starter_weights"
    """Folder that receives the trained weights, their config and the log."""
    real_data: str = ".cache/studies"
    """Folder with the real training volumes that `examples/fetch_studies.py` fetched."""
    seed: int = 20_261_122
    stages: tuple[str, ...] = ("encode", "see", "calibrate", "say", "export")
    bf16: bool = True
    see: SeeStage = field(default_factory=SeeStage)
    say: SayStage = field(default_factory=SayStage)


Recipe = StarterRecipe | SftRecipe
"""One kind of recipe each; `recipe` in the file names it ("starter", "sft", "grpo", "dpo": the last two are kinds of
SftRecipe, too)."""


def load_recipe(path: str | Path, overrides: Sequence[str] = (), *, debug: bool = False) -> Recipe:
    """Read `path` (YAML) and apply `key=value` overrides (`see.steps=10`); `debug`: its small variant. `recipe` names
    the kind. OptionError for anything unknown."""
    loaded = read_mapping(path, overrides, debug=debug)
    kind = loaded.pop("recipe", "starter")
    if kind == "sft":
        return check_recipe(filled(SftRecipe, loaded, str(path)), str(path))
    if kind == "grpo":
        return check_grpo(filled(GrpoRecipe, loaded, str(path)), str(path))
    if kind == "dpo":
        return check_dpo(filled(DpoRecipe, loaded, str(path)), str(path))
    if kind != "starter":
        raise OptionError("this recipe's kind is unknown.", file=path, fix="Known: starter, sft, grpo, dpo.")
    recipe: StarterRecipe = filled(StarterRecipe, loaded, str(path))
    unknown = set(recipe.stages) - {"encode", "see", "calibrate", "say", "export"}
    if unknown:
        raise OptionError(
            f"unknown stage {sorted(unknown)[0]!r}.", file=path, fix="Known: encode, see, calibrate, say, export."
        )
    return recipe


def recipe_hash(recipe: StarterRecipe) -> str:
    """SHA-256 of what decides the result: everything but folders and time budgets."""
    kept = asdict(recipe)
    for key in ("out", "export", "real_data", "stages"):
        kept.pop(key)
    for stage in ("see", "say"):
        kept[stage].pop("budget_minutes")
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()

"""Recipes: typed dataclasses filled from YAML and `key=value` overrides; an unknown key names the nearest one."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from vesalius.errors import OptionError

__all__ = ["SayStage", "SeeStage", "StarterRecipe", "load_recipe", "recipe_hash"]


@dataclass(frozen=True)
class SeeStage:
    """The dense head on cached encoder features."""

    pictures: int = 12_000
    """Phantom pictures to draw and encode."""
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


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> StarterRecipe:
    """Read `path` (YAML) and apply `key=value` overrides (`see.steps=10`). OptionError for anything unknown."""
    import yaml

    try:
        loaded: Any = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as exc:
        raise OptionError(f"recipe cannot be read ({exc.strerror}).", file=path) from exc
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise OptionError("recipe is not valid YAML.", file=path, fix="Check its indentation and colons.") from exc
    if loaded is None:
        loaded = {}
    if not isinstance(loaded, dict):
        raise OptionError("recipe must be a mapping of keys to values.", file=path)
    for override in overrides:
        _override(loaded, override)
    if loaded.pop("recipe", "starter") != "starter":
        raise OptionError("this recipe's kind is unknown.", file=path, fix="Known: starter.")
    recipe: StarterRecipe = _fill(StarterRecipe, loaded, str(path), "")
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


def _override(loaded: dict[str, Any], override: str) -> None:
    import yaml

    key, equals, text = override.partition("=")
    if not equals or not key:
        raise OptionError(f"override {override!r} is not key=value.", fix="Write for example see.steps=100.")
    *parents, last = key.split(".")
    place = loaded
    for parent in parents:
        place = place.setdefault(parent, {})
        if not isinstance(place, dict):
            raise OptionError(f"override {override!r}: {parent!r} has no parts.")
    place[last] = yaml.safe_load(text)


def _fill(kind: Any, values: dict[str, Any], path: str, prefix: str) -> Any:
    hints = get_type_hints(kind)
    names = {f.name for f in fields(kind)}
    filled: dict[str, Any] = {}
    for key, value in values.items():
        if key not in names:
            near = difflib.get_close_matches(str(key), names, 1)
            fix = f"Did you mean {prefix}{near[0]}?" if near else f"Known: {', '.join(sorted(names))}."
            raise OptionError(f"unknown recipe key {prefix}{key!s}.", file=path, fix=fix)
        filled[key] = _convert(hints[key], value, path, f"{prefix}{key}")
    return kind(**filled)


def _convert(hint: Any, value: Any, path: str, key: str) -> Any:
    if is_dataclass(hint):
        if not isinstance(value, dict):
            raise OptionError(f"{key} must be a mapping.", file=path)
        return _fill(hint, value, path, f"{key}.")
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint in (int, bool, str) and type(value) is hint:
        if isinstance(value, int) and value < 0:
            raise OptionError(f"{key} is {value}; it must not be negative.", file=path)
        return value
    if hint == tuple[str, ...] and isinstance(value, list) and all(isinstance(v, str) for v in value):
        return tuple(value)
    wanted = getattr(hint, "__name__", str(hint))
    raise OptionError(f"{key} is {value!r}; it must be of type {wanted}.", file=path)

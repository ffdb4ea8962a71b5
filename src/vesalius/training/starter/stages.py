"""Train the starter from nothing: encode, see, calibrate, say, export. Each stage resumes where it stopped."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from vesalius.errors import OptionError
from vesalius.models.parts.see_head import SeeHead
from vesalius.models.starter.checkpoint import export_weights, load_head, save_head, save_speech
from vesalius.models.starter.config import StarterConfig, save_config
from vesalius.models.starter.eyes import see_config
from vesalius.models.starter_base.lean import lean_encoder
from vesalius.phantoms.truth import MODALITIES, PLANES, REGIONS
from vesalius.training.recipe import SayStage, SeeStage, StarterRecipe, recipe_hash
from vesalius.training.starter.calibrate import calibrate, candidates, fit_midline
from vesalius.training.starter.see import train_see
from vesalius.training.starter.see_cache import LABEL_NAMES
from vesalius.training.starter.see_encode import (
    encode_calibration,
    encode_more,
    encode_phantoms,
    encode_real,
    encode_volumes,
    picture_encoder,
)

__all__ = ["train_starter"]

Report = Callable[[str], None]


def _unsaid(line: str) -> None:
    """For what the stage before has told already."""


def train_starter(recipe: StarterRecipe, report: Report) -> None:
    """Run the recipe's stages in order. `report` receives one line at a time."""
    folder = Path(recipe.out)
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    config = StarterConfig(
        LABEL_NAMES,
        MODALITIES,
        PLANES,
        REGIONS,
        lora_rank=recipe.say.rank,
        lora_alpha=2 * recipe.say.rank,
        recipe_sha256=recipe_hash(recipe),
        data_seed=recipe.seed,
    )
    stages: dict[str, Callable[[], None]] = {
        "encode": lambda: _encode(recipe, config, report),
        "see": lambda: _see(recipe, config, folder, report),
        "calibrate": lambda: _calibrate(recipe, config, folder, report),
        "say": lambda: _say(recipe, config, folder, report),
        "export": lambda: _export(recipe, config, folder, report),
    }
    for name, run in stages.items():
        if name in recipe.stages:
            started = time.monotonic()
            run()
            report(f"stage {name}: {time.monotonic() - started:.0f} s")


def _encode(recipe: StarterRecipe, config: StarterConfig, report: Report) -> None:
    encode = picture_encoder(lean_encoder(), config, bf16=recipe.bf16)
    encode_calibration(recipe, config, encode)
    encode_real(recipe, config, encode, report)
    encode_volumes(recipe, config, encode, report)
    encode_phantoms(recipe, config, encode, report)
    encode_more(recipe, config, encode, report)


def _see(recipe: StarterRecipe, config: StarterConfig, folder: Path, report: Report) -> None:
    encode = picture_encoder(lean_encoder(), config, bf16=recipe.bf16)
    real = encode_real(recipe, config, encode, report)
    cut = encode_volumes(recipe, config, encode, report)
    drawn = encode_phantoms(recipe, config, encode, _unsaid) + encode_more(recipe, config, encode, _unsaid)
    shards = drawn + cut + real * recipe.see.real_repeat
    head = SeeHead(see_config(config))
    log = _rounds("see", recipe.see, folder, recipe, partial(train_see, head, shards, batch=recipe.see.batch), report)
    save_head(head, folder)
    _write_json(folder / "see_log.json", log)


def _calibrate(recipe: StarterRecipe, config: StarterConfig, folder: Path, report: Report) -> None:
    head = load_head(folder, config)
    shard = encode_calibration(recipe, config, picture_encoder(lean_encoder(), config, bf16=recipe.bf16))
    found, counts = candidates(head, shard, bf16=recipe.bf16)
    thresholds, lines = calibrate(found, counts)
    midline = fit_midline(found, thresholds)
    fitted = {"thresholds": thresholds, "calibration": lines, "midline": midline}
    _write_json(folder / "calibration.json", fitted)
    report(f"calibrated {len(thresholds)} labels on {len(shard)} pictures; the midline's logit moves by {midline:g}")


def _say(recipe: StarterRecipe, config: StarterConfig, folder: Path, report: Report) -> None:
    from vesalius.models.parts.projector import Projector
    from vesalius.models.starter_base import load_language, load_tokenizer
    from vesalius.training.starter.say import SayTask, adapted_language, train_say
    from vesalius.training.starter.say_rows import picture_rows

    encode = picture_encoder(lean_encoder(), config, bf16=recipe.bf16)
    shards = encode_phantoms(recipe, config, encode, _unsaid)
    rows = picture_rows(recipe, config, shards, load_tokenizer())
    language = load_language()
    if recipe.bf16:  # frozen, so it is rounded once instead of at every row
        language.to(dtype=torch.bfloat16)  # pyright: ignore[reportCallIssue]
    task = SayTask(adapted_language(language, config), Projector(config.features, 576))
    train = partial(train_say, task, rows, accumulate=recipe.say.accumulate)
    log = _rounds("say", recipe.say, folder, recipe, train, report)
    save_speech(task.language, task.projector, folder)
    _write_json(folder / "say_log.json", log)


def _rounds(
    name: str,
    stage: SeeStage | SayStage,
    folder: Path,
    recipe: StarterRecipe,
    train: Callable[..., dict[str, Any]],
    report: Report,
) -> dict[str, Any]:
    """Train a stage's first round and its restarts, each into a folder of its own; the logs in one, and the steps.

    `train` takes that folder, `steps`, `learning_rate`, `seed`, `budget_s`, `bf16` and `report`.
    """
    train = partial(train, budget_s=stage.budget_minutes * 60 or None, bf16=recipe.bf16, report=report)
    rounds = [(stage.steps, stage.learning_rate)] + [
        (stage.restart_steps, stage.restart_learning_rate)
    ] * stage.restarts
    history: list[Any] = []
    for number, (steps, rate) in enumerate(rounds):
        into = folder / (name if number == 0 else f"{name}-restart-{number}")
        log = train(into, steps=steps, learning_rate=rate, seed=recipe.seed + number)
        if log["steps"] < steps:
            raise OptionError(
                f"stage {name} stopped at step {log['steps']} of {steps}: time is up.", fix="Start it again to go on."
            )
        history += log["log"]
    return {"log": history, "steps": sum(steps for steps, _ in rounds)}


def _export(recipe: StarterRecipe, config: StarterConfig, folder: Path, report: Report) -> None:
    fitted: dict[str, Any] = json.loads((folder / "calibration.json").read_text())
    lines = {label: (float(a), float(b)) for label, (a, b) in fitted["calibration"].items()}
    size = export_weights(folder, Path(recipe.export))
    logs = {
        "recipe_sha256": config.recipe_sha256,
        **{name: json.loads((folder / f"{name}_log.json").read_text()) for name in ("see", "say")},
    }
    _write_json(Path(recipe.export) / "training_log.json", logs)
    midline = float(fitted["midline"])
    save_config(
        replace(config, thresholds=fitted["thresholds"], calibration=lines, midline=midline), Path(recipe.export)
    )
    report(f"wrote {recipe.export} ({size / 1e6:.1f} MB)")


def _write_json(path: Path, value: Any) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value, indent=1), encoding="utf-8")
    os.replace(part, path)

"""Tiny preference and reinforcement runs for tests that kill them: dropout, accumulation, completions that are learnt
from twice, and a log that spans steps."""

from __future__ import annotations

import json
import os
import signal
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from tests.training import tiny
from vesalius.training.recipe_reading import filled
from vesalius.training.recipe_rl import DpoRecipe, GrpoRecipe, check_dpo, check_grpo
from vesalius.training.run import train_recipe
from vesalius.training.sft import Trained

STEPS = 7
_BOTH: dict[str, Any] = {
    "model": str(tiny.FIXTURES / "medmo" / "qwen3vl_tiny"),
    "parts": {"projector": "train", "language": {"mode": "lora", "rank": 4, "dropout": 0.2}}, "steps": STEPS,
    "max_length": 512, "learning_rate": 1e-2, "weight_decay": 0.01, "warmup": 0.2, "precision": "float32",
    "device": "cpu", "report_to": [], "save_every": 1, "log_every": 2, "seed": 5,
}  # fmt: skip


def recipe_of(kind: str, out: Path, data: Path, **keys: Any) -> Any:
    """A recipe of `kind` (dpo, grpo)."""
    given = {**_BOTH, "out": str(out), "data": [{"path": str(data)}], **keys}
    if kind == "dpo":
        return check_dpo(filled(DpoRecipe, {"max_length": 160, "accumulate": 2, **given}, "recipe"), "recipe")
    own = {"rewards": {"length": {"tokens": 3}, "answer": 1.0}, "prompts": 2, "accumulate": 2, "iterations": 2}
    rollouts = {"generations": 4, "max_new_tokens": 6}
    return check_grpo(filled(GrpoRecipe, {**own, "kl": 0.05, "rollouts": rollouts, **given}, "recipe"), "recipe")


def trained(kind: str, out: Path, data: Path, **keys: Any) -> tuple[Trained, list[str]]:
    """What it left, and what it said."""
    lines: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return train_recipe(recipe_of(kind, out, data, **keys), lines.append), lines


def trained_and_logged(kind: str, out: Path, data: Path, *, killed_after: int = 0, **keys: Any) -> None:
    """Train by 4 rows a step, in one of several processes or alone, with a look at held-out rows after step 4; the
    first process leaves the log beside. Dies while the checkpoint after `killed_after`'s is written, unless 0."""
    if killed_after:
        killed_while_writing(killed_after)
    evaluated = {"eval": {"data": [{"path": str(data)}], "every": 4, "rows": 3}}
    made, _ = trained(kind, out, data, **{"accumulate": 4, "keep": 9, "log_every": 1, **evaluated, **keys})
    if os.environ.get("RANK", "0") == "0":
        (out / "log.json").write_text(json.dumps(made.log))


def weights_left(run: Path) -> dict[str, torch.Tensor]:
    """Those of the one file that a run leaves."""
    (file,) = (run / "final").glob("*.safetensors")
    return load_file(file)


def killed_while_writing(step: int) -> None:
    """From now on this process kills itself without warning in the middle of writing the checkpoint after `step`'s."""
    from vesalius.training import checkpoint

    seal = checkpoint.seal

    def killed(folder: Path, of: int) -> None:
        if of > step:
            os.kill(os.getpid(), signal.SIGKILL)
        seal(folder, of)

    checkpoint.seal = killed


def run_to_be_killed(kind: str, out: Path, data: Path, step: int, threads: int) -> None:
    """In a child: train until it kills itself."""
    torch.set_num_threads(threads)
    killed_while_writing(step)
    trained(kind, out, data)

"""Long training in several sittings: stop after a wall-clock budget, and go on from the newest whole checkpoint."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import Trainer, TrainerCallback, TrainingArguments

__all__ = ["WallClock", "newest_checkpoint", "stage_arguments", "train_to_the_end"]


def newest_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint in `folder` that was written to its end, or None.

    Trainer writes its state last; a folder without it was cut off while it was written and is passed over.
    """
    whole = [path for path in folder.glob("checkpoint-*") if (path / "trainer_state.json").is_file()]
    return str(max(whole, key=lambda path: int(path.name.rpartition("-")[2]))) if whole else None


def train_to_the_end(trainer: Trainer, folder: Path) -> dict[str, Any]:
    """Train from the newest whole checkpoint in `folder`; returns Trainer's log and the steps done. A run that is
    finished is only loaded: Trainer would learn one step more."""
    newest = newest_checkpoint(folder)
    if newest is not None:
        told = json.loads((Path(newest) / "trainer_state.json").read_text(encoding="utf-8"))
        if told["global_step"] >= trainer.args.max_steps:
            network: Any = trainer.model
            network.load_state_dict(load_file(Path(newest) / "model.safetensors"))
            return {"log": told["log_history"], "steps": told["global_step"]}
    trainer.train(resume_from_checkpoint=newest)
    return {"log": trainer.state.log_history, "steps": trainer.state.global_step}


class WallClock(TrainerCallback):
    """Ends training at the first step after `budget_s` seconds; None never does."""

    def __init__(self, budget_s: float | None) -> None:
        self.ends = None if budget_s is None else time.monotonic() + budget_s

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        if self.ends is not None and time.monotonic() > self.ends:
            control.should_training_stop = True
            control.should_save = True
        return control


def stage_arguments(
    folder: Path, *, steps: int, warmup: int, learning_rate: float, seed: int, save_steps: int, bf16: bool, **own: Any
) -> TrainingArguments:
    """What every stage asks of Trainer (cosine decay, two kept checkpoints, no uploads), and the stage's `own`."""
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        warmup_steps=min(warmup, steps // 10),
        learning_rate=learning_rate,
        lr_scheduler_type="cosine",
        use_cpu=not torch.cuda.is_available(),
        bf16=bf16,
        save_steps=save_steps,
        save_total_limit=2,
        seed=seed,
        data_seed=seed,
        remove_unused_columns=False,
        report_to=[],
        disable_tqdm=True,
        **own,
    )

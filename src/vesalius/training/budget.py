"""Long training in several sittings: each stops after a wall-clock budget, with a checkpoint to go on from."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainingArguments

__all__ = ["WallClock", "stage_arguments"]


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

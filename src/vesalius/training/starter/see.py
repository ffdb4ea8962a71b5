"""Stage "see": train the dense head on cached features with transformers' Trainer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import TrainerCallback

from vesalius.models.parts.see_head import SeeHead
from vesalius.training.budget import WallClock, stage_arguments
from vesalius.training.resumable import ResumableTrainer, Safety
from vesalius.training.starter.see_cache import Shard
from vesalius.training.starter.see_loss import see_loss
from vesalius.training.starter.see_targets import collate_pictures

__all__ = ["SeeRows", "SeeTask", "train_see"]


class SeeRows(Dataset[tuple[Shard, int]]):
    """Every picture of several shards; a shard listed twice is seen twice as often."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.rows = [(shard, index) for shard in shards for index in range(len(shard))]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Shard, int]:
        return self.rows[index]


class SeeTask(nn.Module):
    """The head with its loss, in the shape Trainer expects."""

    def __init__(self, head: SeeHead) -> None:
        super().__init__()
        self.head = head
        self.parts: dict[str, float] = {}

    def forward(self, pixels: Tensor, features: Tensor, **targets: Tensor) -> dict[str, Tensor]:
        # Only the input is laid out channels-last (the convolutions follow): such weights could not be saved.
        seen = self.head(pixels.contiguous(memory_format=torch.channels_last), features)
        loss, self.parts = see_loss(seen, targets)
        return {"loss": loss}


class _LossParts(TrainerCallback):
    """Adds each part of the loss to the log."""

    def __init__(self, task: SeeTask) -> None:
        self.task = task

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if logs is not None and "loss" in logs:
            logs.update({name: round(value, 4) for name, value in self.task.parts.items()})


def train_see(
    head: SeeHead,
    shards: Sequence[Shard],
    folder: Path,
    *,
    steps: int,
    batch: int,
    learning_rate: float,
    seed: int,
    save_steps: int = 250,
    budget_s: float | None = None,
    bf16: bool = True,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Train `head` in place, resuming from the newest whole checkpoint in `folder`. Returns Trainer's log history and
    the steps done; errors as `ResumableTrainer.train_on`."""
    task = SeeTask(head)
    arguments = stage_arguments(
        folder,
        steps=steps,
        warmup=100,
        learning_rate=learning_rate,
        seed=seed,
        save_steps=save_steps,
        bf16=bf16,
        per_device_train_batch_size=batch,
        weight_decay=0.02,
        max_grad_norm=5.0,
        logging_steps=20,
    )
    trainer = ResumableTrainer(
        model=task,
        args=arguments,
        train_dataset=SeeRows(shards),
        data_collator=collate_pictures,
        callbacks=[_LossParts(task), WallClock(budget_s)],
        safety=Safety(report=report),
    )
    trainer.train_on()
    return {"log": trainer.state.log_history, "steps": trainer.state.global_step}

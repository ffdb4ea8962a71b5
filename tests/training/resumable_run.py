"""A tiny run for tests that kill, fill disks and spoil files.

Dropout, accumulation, momentum, a schedule and rows drawn at random: everything that has a state takes part.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from vesalius.training.positions import PositionedRows
from vesalius.training.resumable import ResumableTrainer, Safety

WIDTH = 8


class DrawnRows:
    """Rows without end, drawn with a generator that a state holds. `made` counts the rows drawn in this process."""

    def __init__(self, seed: int, spoiled: tuple[int, ...] = ()) -> None:
        self.generator = random.Random(seed)
        self.number, self.made, self.spoiled = 0, 0, spoiled

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while True:
            self.number += 1
            self.made += 1
            values = torch.tensor([[self.generator.gauss(0, 1) for _ in range(WIDTH)] for _ in range(4)])
            if self.number in self.spoiled:
                values[0, 0] = float("nan")
            yield {"values": values, "sample_ids": [f"row-{self.number}"]}

    def state_dict(self) -> dict[str, Any]:
        version, words, gauss = self.generator.getstate()
        return {"number": self.number, "generator": [version, list(words), gauss]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        version, words, gauss = state["generator"]
        self.generator.setstate((version, tuple(words), gauss))
        self.number = state["number"]


class Net(nn.Module):
    """Two layers whose head is tied to the first, a frozen one, dropout."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.first = nn.Linear(WIDTH, WIDTH)
        self.frozen = nn.Linear(WIDTH, WIDTH).requires_grad_(False)
        self.norm = nn.BatchNorm1d(WIDTH)
        self.head = nn.Linear(WIDTH, WIDTH, bias=False)
        self.head.weight = self.first.weight
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: Tensor, **_: Any) -> dict[str, Tensor]:
        made = self.head(self.dropout(self.norm(torch.tanh(self.frozen(self.first(values))))))
        return {"loss": ((made - values.roll(1, 1)) ** 2).mean()}


class NormLog(TrainerCallback):
    """Every step's loss and gradient norm, to the bit; a pause makes kills fall where they should."""

    def __init__(self, file: Path, pause_s: float) -> None:
        self.file, self.pause_s = file, pause_s

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if logs and "grad_norm" in logs and state.is_world_process_zero:
            with self.file.open("a") as stream:
                line = {"step": state.global_step, "loss": logs["loss"].hex(), "norm": float(logs["grad_norm"]).hex()}
                stream.write(json.dumps(line) + "\n")

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        time.sleep(self.pause_s)


def tiny_trainer(out: Path, steps: int, **options: Any) -> ResumableTrainer:
    """A trainer that has not begun. Options: save, accumulate, seed, nonfinite, limit, spoiled, pause, keep, hashes."""
    seed = options.get("seed", 3)
    torch.manual_seed(seed)
    sharded: dict[str, Any] = {}
    if options.get("fsdp"):
        sharded = {"fsdp": True, "fsdp_config": {"version": 2, "auto_wrap_policy": "NO_WRAP"}}
    arguments = TrainingArguments(
        output_dir=str(out),
        max_steps=steps,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=options.get("accumulate", 2),
        learning_rate=1e-2,
        warmup_steps=3,
        lr_scheduler_type="cosine",
        weight_decay=0.01,
        use_cpu=True,
        logging_steps=options.get("log", 1),
        save_steps=options.get("save", 2),
        save_total_limit=options.get("keep", 3),
        seed=seed,
        data_seed=seed,
        remove_unused_columns=False,
        report_to=[],
        disable_tqdm=True,
        **sharded,
    )
    safety = Safety(
        hashes=options.get("hashes", {"recipe": "r", "data": "d"}),
        nonfinite=options.get("nonfinite", "stop"),
        nonfinite_limit=options.get("limit", 10),
        report=options.get("report", lambda line: print(line, file=sys.stderr, flush=True)),
    )
    rows = PositionedRows(
        DrawnRows(seed, options.get("spoiled", ())), process=arguments.process_index, processes=arguments.world_size
    )
    out.mkdir(parents=True, exist_ok=True)
    trainer = ResumableTrainer(
        Net(options.get("dropout", 0.2)),
        arguments,
        train_dataset=rows,
        safety=safety,
        callbacks=[NormLog(out / "norms.jsonl", options.get("pause", 0.0))],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def final_state(trainer: ResumableTrainer) -> dict[str, Tensor]:
    """Weights and buffers."""
    model: Any = trainer.model
    return {name: value.clone() for name, value in model.state_dict().items()}

"""Stop a training stage after a wall-clock budget, saving first, so long training can be done in several sittings."""

from __future__ import annotations

import time
from typing import Any

from transformers import TrainerCallback

__all__ = ["WallClock"]


class WallClock(TrainerCallback):
    """Ends training at the first step after `budget_s` seconds; None never does."""

    def __init__(self, budget_s: float | None) -> None:
        self.ends = None if budget_s is None else time.monotonic() + budget_s

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        if self.ends is not None and time.monotonic() > self.ends:
            control.should_training_stop = True
            control.should_save = True
        return control

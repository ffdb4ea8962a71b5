"""SIGINT and SIGTERM while training: the step in progress is finished, a checkpoint is written, and training ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import TrainerCallback

__all__ = ["Interruption"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption(TrainerCallback):
    """Notes a signal and ends training after the step. A second signal ends the process at once, as it would have.

    With several processes all end at the same step, whichever of them was told (a scheduler may tell one).
    """

    def __init__(self, report: Callable[[str], None] = lambda line: None) -> None:
        self.report = report
        self.received: int | None = None

    @contextmanager
    def listening(self) -> Generator[None]:
        """Catch the signals in this block; only the main thread can, elsewhere nothing changes."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        self._before = before
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, _: Any) -> None:
        self.received = number
        for one, handler in self._before.items():
            signal.signal(one, handler)
        self.report(f"{signal.Signals(number).name}: saving after this step (once more: stop at once)")

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Ends training where a signal came."""
        if args.world_size > 1:
            told = torch.tensor(self.received or 0, device=args.device)
            torch.distributed.all_reduce(told, op=torch.distributed.ReduceOp.MAX)
            self.received = int(told) or None
        if self.received is not None:
            control.should_training_stop = True
            control.should_save = True
        return control

"""A loss or gradient that is not a number: stop, or leave the step out and note whose it was."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vesalius.errors import InputError

__all__ = ["LossGuard", "NonFinite"]

NonFinite = Literal["stop", "skip"]


@dataclass
class LossGuard:
    """What to do with a step whose loss or gradient is NaN or infinite.

    `policy`: "stop" ends training before the weights change; "skip" leaves them as they are for this step and goes on,
    at most `limit` times in a run. `file` (JSON lines) names step, reason and the ids of the step's samples.
    """

    policy: NonFinite
    file: Path
    limit: int = 10
    skipped: int = 0
    _rows: list[tuple[Sequence[str], Any]] = field(default_factory=list[tuple[Sequence[str], Any]])

    def rewind(self, step: int, *, writes: bool) -> None:
        """Forget what was noted after `step`, from which the run goes on. One process `writes` this to the file."""
        lines = self.file.read_text(encoding="utf-8").splitlines() if self.file.is_file() else []
        kept = [line for line in lines if _step(line) <= step]
        if writes and len(kept) < len(lines):
            part = self.file.with_suffix(".part")
            part.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
            os.replace(part, self.file)
        self.skipped = len({_step(line) for line in kept if json.loads(line)["done"] == "skipped"})

    def saw(self, ids: Sequence[str], loss: Any) -> None:
        """A row of the step was computed. `loss`: a number or tensor; it is looked at when the step is judged."""
        self._rows.append((ids, loss))

    @property
    def losses_finite(self) -> bool:
        """Of the rows of this step, in this process."""
        return all(math.isfinite(loss) for _, loss in self._rows)

    def judge(self, step: int, *, finite: bool, gradient_norm: float, writes: bool) -> bool:
        """After the backward passes of `step`: whether its update may be made. `finite`: losses and gradient, over all
        processes. InputError where the policy or the limit ends the run."""
        rows, self._rows = self._rows, []
        if finite:
            return True
        suspects = [name for ids, loss in rows if not math.isfinite(loss) for name in ids]
        what = "loss" if suspects else "gradient"
        ids = suspects or [name for ids, _ in rows for name in ids]
        stops = self.policy == "stop" or self.skipped >= self.limit
        if writes or suspects:
            self._note(step, what, gradient_norm, ids, "stopped" if stops else "skipped")
        named = f"samples {', '.join(ids[:4])}{' …' if len(ids) > 4 else ''}" if ids else "samples of another process"
        if stops:
            after = "" if self.policy == "stop" else f" after {self.skipped} skipped steps, the limit"
            raise InputError(
                f"the {what} of step {step} is not finite ({named}; all in {self.file.name}){after}.",
                fix="Look at these samples, lower learning_rate, or set nonfinite: skip."
                if self.policy == "stop"
                else "Look at these samples, or lower learning_rate.",
            )
        self.skipped += 1
        return False

    def _note(self, step: int, what: str, gradient_norm: float, ids: Sequence[str], done: str) -> None:
        line: dict[str, Any] = {"step": step, "not_finite": what, "samples": list(ids), "done": done}
        line["gradient_norm"] = repr(gradient_norm)
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
            stream.flush()
            os.fsync(stream.fileno())


def _step(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return 1 << 62  # a line cut off by a kill

"""What is seen while training: losses by task and by kind, tokens a second, gradient norms by part, memory."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import torch

from vesalius.models.contract import RowLoss
from vesalius.training.learned_rows import Row

__all__ = ["Meters", "memory_gb"]

_GATHERED = ("tasks", "kinds", "norms")
_SEEN = ("tokens_seen", "positions_seen", "samples_seen")


def memory_gb() -> float:
    """The most memory used so far: of the GPU where there is one, else of this process, in 10^9 bytes."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 1e9
    import resource
    import sys

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


class Meters:
    """Gathers from every row and is emptied when it is read. `max_length`: positions a row has room for. `report`
    receives a line at a time."""

    def __init__(self, max_length: int, report: Callable[[str], None] = lambda line: None) -> None:
        self.max_length, self.report = max_length, report
        self.tokens_seen = self.positions_seen = self.samples_seen = 0
        self._empty()

    def _empty(self) -> None:
        self._tasks: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        self._kinds: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        self._norms: dict[str, list[float]] = defaultdict(list)
        self._rows = self._positions = self._learned = 0
        self._since = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        """What was gathered, for JSON."""
        gathered: dict[str, Any] = {name: dict(getattr(self, f"_{name}")) for name in _GATHERED}
        return {**gathered, **{name: getattr(self, name) for name in _SEEN}, "rows": [
            self._rows, self._positions, self._learned, time.perf_counter() - self._since]}  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self._empty()
        for name in _GATHERED:
            getattr(self, f"_{name}").update(state[name])
        for name in _SEEN:
            setattr(self, name, int(state[name]))
        self._rows, self._positions, self._learned, spent = state["rows"]
        self._since = time.perf_counter() - spent

    def add(self, row: Row, made: RowLoss) -> None:
        """Count a row that was computed."""
        self._rows += 1
        self._positions += row.length
        self._learned += made.tokens
        self.positions_seen += row.length
        self.tokens_seen += made.tokens
        self.samples_seen += len(row)
        _put(self._kinds["cross_entropy"], float(made.summed.detach()), made.tokens)
        for name, (total, count) in made.others.items():
            _put(self._kinds[name], float(total.detach()), count)
        for sample, summed, tokens in zip(row.samples, made.per_sample.tolist(), made.tokens_per_sample, strict=True):
            _put(self._tasks[sample.task], summed, tokens)

    def gradients(self, norms: Mapping[str, float]) -> None:
        """The norms of a step, by part, before clipping."""
        for part, norm in norms.items():
            self._norms[part].append(norm)

    def note(self, line: str) -> None:
        """Say something once."""
        self.report(line)

    def losses(self) -> dict[str, float]:
        """Mean losses since they were last read: `loss` (all kinds together), `loss/<kind>`, `loss/task/<task>`."""
        kinds = {name: total / count for name, (total, count) in self._kinds.items() if count}
        tasks = {f"loss/task/{name}": total / count for name, (total, count) in sorted(self._tasks.items()) if count}
        return {"loss": sum(kinds.values()), **{f"loss/{name}": value for name, value in kinds.items()}, **tasks}

    def read(self) -> dict[str, float]:
        """Everything since the last time, and start anew. `tokens_per_s` counts real positions, `filled` is their
        share of the rows' room, `learned` the share of them that is learnt."""
        spent = max(1e-9, time.perf_counter() - self._since)
        made = {name: value for name, value in self.losses().items() if name != "loss"}
        made |= {f"grad_norm/{part}": sum(all_) / len(all_) for part, all_ in self._norms.items()}
        made |= {
            "tokens_per_s": self._positions / spent,
            "filled": self._positions / max(1, self._rows * self.max_length),
            "learned": self._learned / max(1, self._positions),
            "memory_gb": memory_gb(),
        }
        self._empty()
        return made

    def show(self, step: int, steps: int, logs: Mapping[str, Any]) -> None:
        """One line of progress."""
        tasks = [(name.removeprefix("loss/task/"), value) for name, value in logs.items() if "/task/" in name]
        norms = [(name.removeprefix("grad_norm/"), value) for name, value in logs.items() if "grad_norm/" in name]
        said = [
            f"step {step}/{steps}",
            f"loss {logs['loss']:.4f}",
            " ".join(f"{name} {value:.3f}" for name, value in tasks[:6]),
            "gradient " + " ".join(f"{name} {value:.3g}" for name, value in norms),
            f"{logs['tokens_per_s']:,.0f} tokens/s, rows {logs['filled']:.0%} full",
            f"{logs['memory_gb']:.1f} GB",
        ]
        self.report(" | ".join(part for part in said if part))


def _put(sums: list[float], total: float, count: int) -> None:
    sums[0] += total
    sums[1] += count

"""The order in which reinforcement asks its prompts, with a position that a checkpoint can hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

__all__ = ["PromptRows"]


class PromptRows:
    """What TRL is given for each backward pass, without end (a `RowSource`): `prompts` of the numbers 0 … `total` - 1,
    each `generations` times in a row.

    The same prompts stand there `times` times, for TRL samples at the first and takes its completions piece by piece
    afterwards. A pass shuffles all numbers; those that no longer fill a step are left out. Of `processes` that take
    rows in turn each is given its share of the step, in order.
    """

    def __init__(
        self, total: int, *, prompts: int, generations: int, times: int, seed: int, processes: int = 1
    ) -> None:
        self.total, self.prompts, self.generations, self.times, self.seed = total, prompts, generations, times, seed
        self.processes, self._given = processes, 0

    def __iter__(self) -> Iterator[list[dict[str, int]]]:
        steps = self.total // self.prompts
        while True:
            step = self._given // self.times
            order = self._order(step // steps)
            while step // steps == (now := self._given // self.times) // steps:
                first = now % steps * self.prompts
                asked = order[first : first + self.prompts]
                whole = [{"prompt": number} for number in asked for _ in range(self.generations)]
                share, process = len(whole) // self.processes, self._given % self.processes
                self._given += 1
                yield whole[process * share : (process + 1) * share]

    def state_dict(self) -> dict[str, Any]:
        """How much was given."""
        return {"given": self._given}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on there."""
        self._given = int(state["given"])

    def _order(self, epoch: int) -> list[int]:
        generator = torch.Generator().manual_seed(self.seed)
        for _ in range(epoch):
            torch.randperm(self.total, generator=generator)
        return torch.randperm(self.total, generator=generator).tolist()

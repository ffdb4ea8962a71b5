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
    afterwards. A pass shuffles all numbers; those that no longer fill a step are left out.
    """

    def __init__(self, total: int, *, prompts: int, generations: int, times: int, seed: int) -> None:
        self.total, self.prompts, self.generations, self.times, self.seed = total, prompts, generations, times, seed
        self._given = 0

    def __iter__(self) -> Iterator[list[dict[str, int]]]:
        steps = self.total // self.prompts
        while True:
            step = self._given // self.times
            order = self._order(step // steps)
            while step // steps == (now := self._given // self.times) // steps:
                first = now % steps * self.prompts
                asked = order[first : first + self.prompts]
                self._given += 1
                yield [{"prompt": number} for number in asked for _ in range(self.generations)]

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

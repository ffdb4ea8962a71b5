"""The reference a policy is held against: what learns, as it was before the first step.

With fresh LoRA adapters this is the network without them; with whole parts it is their frozen copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

__all__ = ["Reference"]


class Reference:
    """Keeps a copy of `parameters` (of what learns alone) and puts it in their place for a while."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self._parameters = list(parameters)
        self._kept = [one.detach().clone() for one in self._parameters]

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network is the reference, and no gradient is made, until the block ends."""
        self._swap()
        try:
            with torch.no_grad():
                yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for place, parameter in enumerate(self._parameters):
            parameter.data, self._kept[place] = self._kept[place], parameter.data

"""The reference a policy is held against: what learns, as it was before the first step.

With fresh LoRA adapters this is the network without them; with whole parts it is their frozen copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from vesalius.training.shards import cut_like, forget_gathered, own_shard

__all__ = ["Reference"]


class Reference:
    """Keeps a copy of `parameters` (of what learns alone) and puts it in their place for a while."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self._parameters = list(parameters)
        self._kept = [one.detach().clone() for one in self._parameters]
        self._network: nn.Module | None = None

    def follow(self, parameters: Iterable[nn.Parameter], network: nn.Module) -> None:
        """Stand for the `parameters` that took the place of the first ones, in their order, when `network` was cut up
        (FSDP2): each process keeps its shards of the copy, as it was made. Every process must call."""
        self._parameters = list(parameters)
        self._kept = [cut_like(kept, one) for kept, one in zip(self._kept, self._parameters, strict=True)]
        self._network = network

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network is the reference, and no gradient is made, until the block ends. Not between a forward of the
        policy and its backward, which may read the weights again."""
        self._swap()
        try:
            with torch.no_grad():
                yield
        finally:
            self._swap()

    def _swap(self) -> None:
        if self._network is None:
            for place, parameter in enumerate(self._parameters):
                parameter.data, self._kept[place] = self._kept[place], parameter.data
            return
        # FSDP2 gathers from storage of its own, so the values change places, not the tensors; and what is gathered
        # already would be taken for what is now there.
        forget_gathered(self._network)
        with torch.no_grad():
            for kept, parameter in zip(self._kept, self._parameters, strict=True):
                there, here = own_shard(parameter), own_shard(kept)
                before = there.clone()
                there.copy_(here)
                here.copy_(before)

"""Weights that FSDP2 has cut up: every process holds a shard of each and gathers the whole where it is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

__all__ = ["cut_like", "forget_gathered", "is_shard", "own_shard", "whole_of", "whole_weights"]


def is_shard(value: Any) -> bool:
    """Whether processes hold a shard of it each."""
    from torch.distributed.tensor import DTensor

    return isinstance(value, DTensor)


def own_shard(value: Any) -> Tensor:
    """What this process holds of a tensor; all of it where it was not cut."""
    return value.to_local() if is_shard(value) else value


def whole_of(value: Any) -> Tensor:
    """All of a tensor. Every process must call."""
    return value.full_tensor() if is_shard(value) else value


def cut_like(value: Tensor, place: Any) -> Tensor:
    """A whole `value` on the device of `place`, and cut as `place` is. Every process must call; what the first one has
    is cut."""
    if not is_shard(place):
        return (
            value.to(device=place.device, dtype=place.dtype) if place.dtype != value.dtype else value.to(place.device)
        )
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(place.device), place.device_mesh, place.placements)


def forget_gathered(network: nn.Module) -> None:
    """Free what is gathered, so that the next use gathers the shards as they are then."""
    for unit in _units(network):
        unit.reshard()


@contextmanager
def whole_weights(network: nn.Module) -> Iterator[None]:
    """All weights stand whole in every process until the block ends, which may call any module as often as it likes:
    no process waits for another meanwhile. All enter it, inside a forward of `network`, which gathers what is its own.
    """
    units = [unit for unit in _units(network) if unit is not network]
    for unit in units:
        unit.set_reshard_after_forward(False, recurse=False)
        unit.unshard()
    try:
        yield
    finally:
        for unit in units:
            unit.set_reshard_after_forward(True, recurse=False)
            unit.reshard()


def _units(network: nn.Module) -> list[Any]:
    """What is gathered at once; none where nothing was cut."""
    from torch.distributed.fsdp import FSDPModule

    return [module for module in network.modules() if isinstance(module, FSDPModule)]

"""A part that begins with new random weights: what a checkpoint holds of it was taught something else, or nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from vesalius.errors import OptionError

__all__ = ["begin_afresh"]

SPREAD = 0.02
"""Standard deviation of tables and queries, as in the settings of most transformers."""


def begin_afresh(part: str, modules: Iterable[nn.Module], seed: int) -> None:
    """Give every weight of a part the random start of its own layer, the same for the same `seed`, in place.

    A module that can start all that is in it (`reset_parameters`) does so. Of other modules' own weights, norms begin
    as 1, biases as 0, tables and queries with a spread of 0.02. OptionError, before anything is changed, for a single
    vector that is none of these.
    """
    layers = [layer for module in modules for layer in _layers(module, part)]
    placed = {value.device for layer in layers for value in layer.parameters() if value.device.type != "cpu"}
    kind = next((device.type for device in placed), "cuda")
    with torch.random.fork_rng(list(placed), device_type=kind), torch.no_grad():
        torch.manual_seed(seed)
        for layer in layers:
            own: Any = getattr(layer, "reset_parameters", None)
            if own is not None:
                own()
                continue
            for name, value in layer.named_parameters(recurse=False):
                if value.ndim > 1:
                    nn.init.normal_(value, std=SPREAD)
                else:
                    nn.init.constant_(value, float(not name.endswith("bias")))


def _layers(module: nn.Module, part: str) -> list[nn.Module]:
    """The modules, outermost first, that start what is in them or have weights of their own."""
    if hasattr(module, "reset_parameters"):
        return [module]
    own = dict(module.named_parameters(recurse=False))
    norm = "norm" in type(module).__name__.lower()
    for name, value in own.items():
        if value.ndim < 2 and not norm and not name.endswith("bias"):
            raise OptionError(
                f"{part} cannot begin afresh: {type(module).__name__}.{name} has no start of its own.",
                fix=f"Leave parts.{part}.fresh out.",
            )
    return [*([module] if own else []), *(layer for child in module.children() for layer in _layers(child, part))]

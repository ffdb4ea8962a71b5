"""The parts of a network that are trained, frozen or adapted on their own: vision, projector, language, mask head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

__all__ = ["divided"]


def divided(network: nn.Module, places: Mapping[str, Sequence[str]]) -> dict[str, nn.ModuleList]:
    """Part → its modules. `places`: part → dotted names of submodules of `network`; those a checkpoint lacks are passed
    over, and so is a part that has none. Every parameter is in exactly one part; RuntimeError where one is not, which
    is a mistake in the family's file."""
    modules = dict(network.named_modules())
    parts = {part: nn.ModuleList(modules[name] for name in names if name in modules) for part, names in places.items()}
    owners: dict[int, str] = {}
    for part, held in parts.items():
        for parameter in held.parameters():
            if owners.setdefault(id(parameter), part) != part:
                raise RuntimeError(f"a parameter is in {owners[id(parameter)]} and in {part}")
    lost = [name for name, parameter in network.named_parameters() if id(parameter) not in owners]
    if lost:
        raise RuntimeError(f"{len(lost)} parameters are in no part, {lost[0]} first")
    return {part: held for part, held in parts.items() if len(held)}

"""How a family's checkpoints are laid out where they are published: what its conversion has to know."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Laying", "PublishedLayout", "Relay", "language_model", "one_network"]

Settings = dict[str, dict[str, Any]]
"""JSON files by their path in the checkpoint ("config.json", "encoder/config.json")."""


def _none(name: str) -> bool:
    del name
    return False


@dataclass(frozen=True)
class PublishedLayout:
    """`name` and `generation` go into the clean config. `prefixes`: (published, clean) beginnings of tensor names;
    clean ones begin with vision, vision_3d, connector, connector_3d, language, mask_connector or mask_head.

    `unused`: whether no forward pass reads a tensor. `folders`: subfolders that belong to the checkpoint. `added`:
    settings the published folder lacks and finds elsewhere, so that the clean one needs nothing else.
    """

    name: str
    generation: str
    prefixes: tuple[tuple[str, str], ...]
    unused: Callable[[str], bool] = _none
    folders: tuple[str, ...] = ()
    added: Settings = field(default_factory=dict[str, dict[str, Any]])


Laying = Callable[[Path, Mapping[str, Any], Collection[str]], PublishedLayout]
"""(checkpoint folder, its config.json, names of its tensors) → its layout. CheckpointError for what is not one."""

Relay = Callable[[str, Settings, Collection[str]], tuple[Settings, Callable[[str], str]]]
"""(layout asked for, settings, names of tensors) → (settings, new name of a tensor) in that published layout."""


def language_model(inner: str, outer: str) -> tuple[tuple[str, str], ...]:
    """Prefixes of a causal language model of transformers: `inner` its body ("model."), `outer` what the head's name
    begins with ("")."""
    return ((inner, "language."), (f"{outer}lm_head.", "language.lm_head."))


def one_network(folder: Path, config: Mapping[str, Any], names: Collection[str]) -> PublishedLayout:
    """The layout of a family that says nothing of its own: every tensor under `network`."""
    del folder, names
    return PublishedLayout("published", str(config.get("model_type", "")), (("", "network."),))

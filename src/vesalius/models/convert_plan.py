"""What a conversion writes: settings, files and tensors in the clean layout or in a published one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vesalius
from vesalius.errors import CheckpointError, OptionError
from vesalius.models.checkpoint_files import FORMAT, FORMAT_VERSION, UNUSED, TensorNames
from vesalius.models.convert_source import Checkpoint, Weights
from vesalius.models.published_layout import Settings
from vesalius.models.tensor_files import Payload, same_bytes

__all__ = ["Plan", "clean_plan", "published_plan"]

_HEAD, _TABLE = "language.lm_head.weight", "language.embed_tokens.weight"


@dataclass(frozen=True)
class Plan:
    """`layout`: its name. `metadata`: of every weight file. `shared`: tensors stored once instead of twice."""

    layout: str
    settings: Settings
    files: Mapping[str, Path]
    weights: Weights
    metadata: Mapping[str, str]
    shared: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def clean_plan(checkpoint: Checkpoint) -> Plan:
    """The clean layout. CheckpointError for tensors whose name is none of the family's."""
    tensors = _clean_tensors(checkpoint)
    shared: dict[str, str] = {}
    head, table = tensors.get(_HEAD), tensors.get(_TABLE)
    if head is not None and table is not None and (head is table or same_bytes(head, table)):
        del tensors[_HEAD]
        shared = {_HEAD: _TABLE}
    layout, settings = checkpoint.layout, checkpoint.settings
    config: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "written_by": f"vesalius {vesalius.__version__}",
        "family": checkpoint.card.name,
        "generation": layout.generation,
        "source_layout": layout.name,
        "dtype": _one(sorted(checkpoint.floats())),
        "parameters": _parameters(tensors),
        "quirks": {**dict.fromkeys(checkpoint.card.quirks().explained(), True), **checkpoint.quirks},
        "tensor_names": {clean: published for published, clean in layout.prefixes},
        "same_tensor": shared,
        "folders": list(layout.folders),
        "added_settings": list(layout.added),
        "settings": {**settings, **layout.added},
    }
    metadata = {"format": "pt", "layout": f"{FORMAT} {FORMAT_VERSION}", "family": checkpoint.card.name,
                "source_layout": layout.name}  # fmt: skip
    made = {"": tensors}
    return Plan("clean", {"config.json": config}, checkpoint.files, made, metadata, tuple(shared), checkpoint.left)


def _clean_tensors(checkpoint: Checkpoint) -> dict[str, Payload]:
    names = TensorNames(checkpoint.layout.prefixes)
    made: dict[str, Payload] = {}
    unknown: list[str] = []
    for place, tensors in checkpoint.weights.items():
        for name, payload in tensors.items():
            if place:
                clean = f"{UNUSED}{place}/{name}"
            elif name in checkpoint.unused:
                clean = f"{UNUSED}{name}"
            else:
                clean = names.clean(name) or ""
                if not clean or names.published(clean) != name:
                    unknown.append(name)
                    continue
            made[clean] = payload
    if unknown:
        raise CheckpointError(f"{checkpoint.card.name} knows no tensors called {', '.join(sorted(unknown)[:5])}.")
    return made


def _parameters(tensors: Mapping[str, Payload]) -> dict[str, int]:
    """Values by the first part of a tensor's name."""
    counts: dict[str, int] = {}
    for name, payload in tensors.items():
        part = name.split(".", 1)[0]
        counts[part] = counts.get(part, 0) + payload.num_values
    return counts


def _one(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values


def published_plan(checkpoint: Checkpoint, to: str) -> Plan:
    """A published layout: "published" is that of the source, "hf" and "original" those of families that have both.
    OptionError for a layout the family does not have."""
    card, settings, weights, files = checkpoint.card, checkpoint.settings, checkpoint.weights, checkpoint.files
    name, left = checkpoint.layout.name, list(checkpoint.left)
    if to == "original" and card.relay is None:
        raise OptionError(f"{card.name} has no original layout.", fix="Use --to published.")
    if to != "published" and card.relay is not None and to != name:
        # Settings found outside the folder are part of the layout they are moved into.
        settings, renamed = card.relay(to, {**checkpoint.layout.added, **settings}, weights[""])
        left += [f"{place}/*.safetensors" for place in weights if place]
        left += [file for file in files if "/" in file]
        files = {file: path for file, path in files.items() if "/" not in file}
        weights = {"": {renamed(tensor): payload for tensor, payload in weights[""].items()}}
        name = to
    return Plan(name, settings, files, weights, {"format": "pt"}, (), tuple(left))

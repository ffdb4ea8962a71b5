"""The JSON files of a checkpoint folder and the names of its tensors, in a published layout or in our clean one.

The clean layout has one config.json. It holds every published settings file under `settings`, so that a family reads
`folder / "preprocessor_config.json"` in either layout, and the prefixes its tensors were renamed by.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vesalius.errors import CheckpointError

__all__ = ["FORMAT", "FORMAT_VERSION", "UNUSED", "TensorNames", "clean_config", "find_json", "read_json", "stored_as"]

FORMAT, FORMAT_VERSION = "vesalius", 1
UNUSED = "unused."
"""Prefix of tensors that no forward pass reads; the published name follows, with its folder where it has one."""


@dataclass(frozen=True)
class TensorNames:
    """Published names ↔ names of the clean layout. `prefixes`: (published, clean); the longest that fits counts."""

    prefixes: tuple[tuple[str, str], ...]

    def clean(self, published: str) -> str | None:
        """The clean name, None where no prefix fits."""
        return _replaced(published, self.prefixes)

    def published(self, clean: str) -> str | None:
        """The published name, None where no prefix fits."""
        if clean.startswith(UNUSED):
            return clean.removeprefix(UNUSED)
        return _replaced(clean, tuple((new, old) for old, new in self.prefixes))


def _replaced(name: str, pairs: Sequence[tuple[str, str]]) -> str | None:
    fitting = [pair for pair in pairs if name.startswith(pair[0])]
    if not fitting:
        return None
    old, new = max(fitting, key=lambda pair: len(pair[0]))
    return new + name.removeprefix(old)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a checkpoint. CheckpointError when it is missing, no JSON or no object."""
    found = find_json(path)
    if found is None:
        raise CheckpointError("the checkpoint lacks this file.", file=path)
    return found


def find_json(path: Path) -> dict[str, Any] | None:
    """As `read_json`, None where the checkpoint has no such file."""
    for folder in list(path.parents)[:3]:
        config = clean_config(folder)
        if config is not None and (inside := path.relative_to(folder).as_posix()) in config["settings"]:
            return config["settings"][inside]
    return _object(path)


def clean_config(folder: Path) -> dict[str, Any] | None:
    """config.json of a folder in the clean layout, None for any other folder. CheckpointError where it is damaged or
    of a later version than this one reads."""
    path = folder / "config.json"
    try:
        config = _object(path)
    except CheckpointError:
        return None
    if config is None or config.get("format") != FORMAT:
        return None
    version: Any = config.get("format_version")
    if version != FORMAT_VERSION:
        raise CheckpointError(f"format_version is {version!r}; {FORMAT_VERSION} is read.", file=path)
    settings, names = config.get("settings"), config.get("tensor_names")
    if not isinstance(settings, dict) or not _objects(settings) or "config.json" not in settings or not _strings(names):
        raise CheckpointError("the config of the clean layout is damaged.", file=path)
    if not _strings(config.get("same_tensor", {})):
        raise CheckpointError("same_tensor holds no tensor names.", file=path)
    return config


def stored_as(folder: Path) -> Callable[[str], tuple[str, ...]]:
    """For a checkpoint folder: a tensor's name in its files → the published names it stands for.

    None for a tensor that lies in a folder of its own in the published layout, two where weights are shared.
    """
    config = clean_config(folder)
    if config is None:
        return lambda name: (name,)
    names = TensorNames(tuple((published, clean) for clean, published in config["tensor_names"].items()))
    same: dict[str, str] = config.get("same_tensor", {})

    def published(stored: str) -> tuple[str, ...]:
        if stored.startswith(UNUSED) and "/" in stored:
            return ()
        made = [names.published(one) for one in (stored, *(name for name, other in same.items() if other == stored))]
        if None in made:
            raise CheckpointError(f"tensor {stored!r} has no published name.", file=folder / "config.json")
        return tuple(name for name in made if name is not None)

    return published


def _object(path: Path) -> dict[str, Any] | None:
    try:
        loaded: Any = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as exc:
        raise CheckpointError("the file cannot be read as JSON.", file=path) from exc
    if not isinstance(loaded, dict):
        raise CheckpointError("the file is not a JSON object.", file=path)
    return loaded


def _objects(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(one, dict) for one in value.values())


def _strings(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())

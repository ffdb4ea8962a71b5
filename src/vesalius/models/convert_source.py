"""A checkpoint folder opened for conversion: every tensor, setting and file under its published name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vesalius.errors import CheckpointError, OptionError
from vesalius.models.checkpoint_files import UNUSED, clean_config, read_json, stored_as
from vesalius.models.pickled_tensors import PICKLES, pickled_tensors
from vesalius.models.published_layout import PublishedLayout, Settings
from vesalius.models.registry import FAMILIES, FamilyCard, recognise
from vesalius.models.tensor_files import FLOATS, Payload, cast, stored_tensors, tensor_payload
from vesalius.models.weights import CheckpointTensors

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Checkpoint", "Weights", "open_checkpoint"]

Weights = dict[str, dict[str, Payload]]
"""Tensors by the folder they lie in ("" for the checkpoint itself), then by name."""

_WEIGHTS = (*PICKLES, ".safetensors", ".gguf", ".onnx", ".h5", ".msgpack", ".npy", ".npz")
_NO_SETTING = ("tokenizer_config.json",)


@dataclass(frozen=True)
class Checkpoint:
    """`settings`: its JSON settings by path; `files`: what else belongs to it, copied as it is; `left`: what does not.
    `unused`: names of tensors no forward pass reads; `layout.added` holds settings it needs from elsewhere. `quirks`:
    switches a clean config sets."""

    card: FamilyCard
    layout: PublishedLayout
    settings: Settings
    files: Mapping[str, Path]
    weights: Weights
    unused: frozenset[str]
    left: tuple[str, ...]
    was_clean: bool
    quirks: Mapping[str, bool] = field(default_factory=dict[str, bool])

    def floats(self) -> set[str]:
        """Names of the float types its tensors have."""
        named = {code: name for name, code in FLOATS.items()}
        return {named[one.dtype] for tensors in self.weights.values() for one in tensors.values() if one.dtype in named}

    def with_values(self, values: Mapping[str, Tensor]) -> Checkpoint:
        """The checkpoint with other values for some tensors, each in the type it is stored in; new ones are added."""
        stored = self.weights[""]
        put = {name: tensor_payload(value, stored[name].dtype if name in stored else None)
               for name, value in values.items()}  # fmt: skip
        return replace(self, weights={**self.weights, "": {**stored, **put}})

    def cast(self, dtype: str) -> Checkpoint:
        """The same with every float of another type, and its settings saying so."""
        weights = {
            place: {name: cast(name, payload, dtype) for name, payload in tensors.items()}
            for place, tensors in self.weights.items()
        }
        settings = {name: _with_dtype(content, dtype) for name, content in self.settings.items()}
        config = settings["config.json"]
        if not isinstance(config.get("dtype", config.get("torch_dtype")), str):
            settings["config.json"] = {**config, "torch_dtype": dtype}
        return replace(self, weights=weights, settings=settings)


def _with_dtype(content: Any, dtype: str) -> Any:
    if not isinstance(content, dict):
        return content
    return {
        key: dtype if key in ("dtype", "torch_dtype") and str(value) in FLOATS else _with_dtype(value, dtype)
        for key, value in content.items()
    }


def open_checkpoint(folder: Path, *, from_pickle: bool) -> Checkpoint:
    """Open a folder of either layout. Raises CheckpointError, WeightsMissingError, OptionError for a family that is
    published in no other layout."""
    clean = clean_config(folder)
    return _open_published(folder, from_pickle) if clean is None else _open_clean(folder, clean)


def _open_published(folder: Path, from_pickle: bool) -> Checkpoint:
    card = recognise(folder)
    if card.layout is None:
        raise OptionError(f"{card.name} has one layout only; there is nothing to convert.", file=folder)
    weights, used = _weights(folder, from_pickle)
    layout = card.layout(folder, read_json(folder / "config.json"), weights)
    settings: Settings = {}
    files: dict[str, Path] = {}
    left: list[str] = []
    everything: Weights = {"": weights}
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if not any(one.split("/")[0] == path.name for one in layout.folders):
                left.append(f"{path.name}/")
        elif path.name not in used:
            _sort(path, path.name, settings, files, left)
    for name in layout.folders:
        inner, used = _weights(folder / name, from_pickle, optional=True)
        if inner:
            everything[name] = inner
        for path in sorted(folder.joinpath(name).iterdir()):
            if path.is_file() and path.name not in used:
                _sort(path, f"{name}/{path.name}", settings, files, left)
    unused = frozenset(name for name in weights if layout.unused(name))
    return Checkpoint(card, layout, settings, files, everything, unused, tuple(left), False)


def _sort(path: Path, name: str, settings: Settings, files: dict[str, Path], left: list[str]) -> None:
    """Into settings, into files that are copied, or out."""
    if path.name.endswith("config.json") and path.name not in _NO_SETTING:
        settings[name] = read_json(path)
    elif path.suffix in _WEIGHTS or path.name.startswith(".") or path.name.endswith(".index.json"):
        left.append(name)
    elif path.is_file():
        files[name] = path


def _weights(folder: Path, from_pickle: bool, *, optional: bool = False) -> tuple[dict[str, Payload], set[str]]:
    """(tensors by stored name in the order of files and bytes, names of the files they and their index are in)."""
    present = any(folder.glob("*.safetensors")) or (folder / "model.safetensors.index.json").is_file()
    if not present and (optional or from_pickle):
        return ({} if optional else pickled_tensors(folder)), set()
    paths = CheckpointTensors(folder).files
    made: dict[str, Payload] = {}
    for path in paths:
        made |= stored_tensors(path)
    return made, {"model.safetensors.index.json", *(path.name for path in paths)}


def _open_clean(folder: Path, config: Mapping[str, Any]) -> Checkpoint:
    card = FAMILIES.get(str(config.get("family")))
    if card is None:
        fix = f"Known: {', '.join(FAMILIES)}."
        raise CheckpointError(f"no family is called {config.get('family')!r}.", file=folder / "config.json", fix=fix)
    stored, used = _weights(folder, False)
    publish = stored_as(folder)
    weights: Weights = {"": {}}
    for name, payload in stored.items():
        inner = name.removeprefix(UNUSED)
        if name != inner and "/" in inner:
            place, _, inner = inner.rpartition("/")
            weights.setdefault(place, {})[inner] = payload
        for published in publish(name):
            weights[""][published] = payload
    added: list[str] = config.get("added_settings", [])
    settings: Settings = config["settings"]
    folders = tuple(config.get("folders", ()))
    layout = PublishedLayout(
        str(config.get("source_layout")),
        str(config.get("generation")),
        tuple((published, clean) for clean, published in config["tensor_names"].items()),
        folders=folders,
        added={name: content for name, content in settings.items() if name in added},
    )
    inside = [path for place in ("", *folders) for path in sorted(folder.joinpath(place).glob("*")) if path.is_file()]
    found = [(path.relative_to(folder).as_posix(), path) for path in inside if not path.name.startswith(".")]
    skipped = {"config.json", *used}
    return Checkpoint(
        card,
        layout,
        {name: content for name, content in settings.items() if name not in added},
        {name: path for name, path in found if name not in skipped and path.suffix not in _WEIGHTS},
        weights,
        frozenset(name.removeprefix(UNUSED) for name in stored if name.startswith(UNUSED) and "/" not in name),
        tuple(name for name, path in found if name not in skipped and path.suffix in _WEIGHTS),
        True,
        dict(config.get("quirks", {})),
    )

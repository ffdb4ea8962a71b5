"""What a model is, so that a number can be traced to the weights it came from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

__all__ = ["Identity", "identify"]

_WHOLE = 64 << 20
_PIECE, _PIECES = 1 << 20, 64
_KINDS = (".safetensors", ".json", ".txt", ".model", ".jinja", ".gguf")
_TOLD = frozenset({"measured.json", "training_log.json"})
"""What is told about the starter's weights beside them; a new figure makes no other model."""


@dataclass(frozen=True)
class Identity:
    """`name`: of the model or its family.  `place`: how it was named: known name, checkpoint folder, hub id, endpoint.
    `weights_sha256`: of the checkpoint's files (None: not on this machine).  `adapter`, `adapter_sha256`: a small set
    of weights on top."""

    name: str
    place: str
    weights_sha256: str | None = None
    adapter: str | None = None
    adapter_sha256: str | None = None


def identify(place: str, called: str | None = None) -> Identity:
    """The identity of a model loaded from `place`: "starter", another known name, a checkpoint's or adapter's folder.

    `called`: how the user named it, where `place` is where a hub's files were put. Raises CheckpointError for a folder
    of no known family, WeightsMissingError where the starter's base weights are not here.
    """
    from vesalius.models.adapters import base_named, is_adapter
    from vesalius.models.registry import recognise

    folder = Path(place)
    if place == "starter":
        from vesalius.models.starter.starter import WEIGHTS

        return _starter(WEIGHTS, place)
    if not folder.is_dir():
        return Identity(place, called or place)
    # The folder's own name, not where it lies: it may be moved.
    shown = folder.name if called is None or Path(called).is_dir() else called
    if is_adapter(folder):
        base = identify(base_named(folder))
        own = f"{base.adapter_sha256 or ''}{_folder_sha256(folder)}"
        return replace(base, place=shown, adapter=shown, adapter_sha256=hashlib.sha256(own.encode()).hexdigest())
    card = recognise(folder)
    if card.name == "starter":
        return _starter(folder, shown)
    return Identity(card.name, shown, _folder_sha256(folder))


def _starter(adapter: Path, called: str) -> Identity:
    """The starter is an adapter on base weights of others."""
    from vesalius.models.starter_base import find_base

    return Identity("starter", called, _folder_sha256(find_base()), called, _folder_sha256(adapter, _TOLD))


def _folder_sha256(folder: Path, leave: frozenset[str] = frozenset()) -> str:
    """Over names and contents of all JSON, text and weight files but those to `leave`, in order of name.

    A file over 64 MiB goes in by its size and 64 pieces of 1 MiB from its head to its end: 60 GB of weights are told
    apart in seconds.
    """
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in _KINDS and p.name not in leave and p.is_file()):
        size = path.stat().st_size
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + size.to_bytes(8, "little"))
        with path.open("rb") as file:
            if size <= _WHOLE:
                while piece := file.read(_PIECE):
                    digest.update(piece)
                continue
            for k in range(_PIECES):
                file.seek((size - _PIECE) * k // (_PIECES - 1))
                digest.update(file.read(_PIECE))
    return digest.hexdigest()

"""What a model is, so that a number can be traced to the weights it came from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Identity", "identify"]

_WHOLE = 64 << 20
_PIECE, _PIECES = 1 << 20, 64


@dataclass(frozen=True)
class Identity:
    """`name`: as answers say it.  `place`: a known name, checkpoint folder or endpoint.  `weights_sha256`: of the
    checkpoint's files (None: not on this machine).  `adapter`, `adapter_sha256`: a small set of weights on top."""

    name: str
    place: str
    weights_sha256: str | None = None
    adapter: str | None = None
    adapter_sha256: str | None = None


def identify(name: str, place: str, called: str | None = None) -> Identity:
    """The identity of a model loaded from `place`: "starter", another known name, or a checkpoint folder.

    `called`: how the user named it, where `place` is where a hub's files were put.
    """
    if place == "starter":
        from vesalius.models.starter.starter import WEIGHTS
        from vesalius.models.starter_base import find_base

        return Identity(name, place, _folder_sha256(find_base()), place, _folder_sha256(WEIGHTS))
    folder = Path(place)
    if not folder.is_dir():
        return Identity(name, called or place)
    known = called or folder.name
    if _is_starter(folder):
        from vesalius.models.starter_base import find_base

        return Identity(name, known, _folder_sha256(find_base()), known, _folder_sha256(folder))
    return Identity(name, known, _folder_sha256(folder))


def _is_starter(folder: Path) -> bool:
    from vesalius.models.registry import recognise

    return recognise(folder).name == "starter"


def _folder_sha256(folder: Path) -> str:
    """Over names and contents of all JSON, text and safetensors files, in order of name.

    A file over 64 MiB goes in by its size, its head and tail and 64 pieces of 1 MiB between: 60 GB of weights are told
    apart in seconds.
    """
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")):
        if path.suffix not in (".safetensors", ".json", ".txt", ".model", ".jinja", ".yaml", ".gguf"):
            continue
        digest.update(path.relative_to(folder).as_posix().encode())
        size = path.stat().st_size
        digest.update(size.to_bytes(8, "little"))
        with path.open("rb") as file:
            if size <= _WHOLE:
                while piece := file.read(_PIECE):
                    digest.update(piece)
                continue
            for k in range(_PIECES):
                file.seek((size - _PIECE) * k // (_PIECES - 1))
                digest.update(file.read(_PIECE))
    return digest.hexdigest()

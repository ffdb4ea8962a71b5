"""What tells one checkpoint's weights from another's, whatever layout they are stored in."""

from __future__ import annotations

import hashlib
from pathlib import Path

from vesalius.models.checkpoint_files import stored_as
from vesalius.models.safetensors_header import HeaderEntry, header_entries
from vesalius.models.weights import CheckpointTensors

__all__ = ["weights_fingerprint"]

_SAMPLE = 256


def weights_fingerprint(folder: Path) -> str:
    """SHA-256 over published name, type, shape and 256 bytes from the middle of every tensor, in order of name.

    A folder and its conversion to the other layout have one fingerprint; a cast or a further step of training has
    another. Errors as `CheckpointTensors`.
    """
    published = stored_as(folder)
    found: dict[str, tuple[Path, HeaderEntry]] = {}
    for path in CheckpointTensors(folder).files:
        for stored, entry in header_entries(path).items():
            for name in published(stored):
                found[name] = (path, entry)
    digest = hashlib.sha256()
    for name, (path, entry) in sorted(found.items()):
        digest.update(f"{name}\0{entry.dtype}\0{entry.shape}\0".encode())
        with path.open("rb") as file:
            file.seek(entry.start + max(0, entry.num_bytes // 2 - _SAMPLE // 2))
            digest.update(file.read(min(_SAMPLE, entry.num_bytes)))
    return digest.hexdigest()

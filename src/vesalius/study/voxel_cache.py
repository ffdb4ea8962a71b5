"""An opt-in warm cache of unpacked voxels: `read(..., cache=True)` or `VESALIUS_CACHE=1`.

**Privacy.** A cached block is the scan itself, without header, name or identifier, but still patient data: that is
why the cache is off unless asked for. It lies in `$XDG_CACHE_HOME/vesalius/voxels` (else `~/.cache/…`), in a
folder only this user may enter (0700), in files only this user may read (0600), under names that are hashes.
`clear()` deletes it.

A block is keyed by the file's path, size, modification time and layout, so a changed file is never served stale. It
is written under a temporary name and renamed, and memory-mapped when read, so only the chosen slices are touched.
The oldest blocks go when the folder exceeds `VESALIUS_CACHE_BYTES` (default 20 GiB).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from vesalius.study.gzip_stream import ByteSource
from vesalius.study.raw_voxels import RawVoxels

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["clear", "folder", "from_cache", "voxel_cache"]

_DEFAULT_CAP = 20 << 30


def folder() -> Path | None:
    """The cache folder, created private on first use; None where it cannot be made."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    if not os.path.isabs(base):
        return None
    from pathlib import Path

    place = Path(base, "vesalius", "voxels")
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.chmod(0o700)
    except OSError:
        return None
    return place


def voxel_cache(header: bytes) -> Callable[[RawVoxels], ByteSource | None]:
    """A function that finds or makes the unpacked copy of a block whose file starts with `header`."""
    return lambda source: from_cache(source, header)


def from_cache(source: RawVoxels, header: bytes) -> ByteSource | None:
    """The unpacked block, written on first use; None where it cannot be cached (bytes in memory, full disk…)."""
    place = folder()
    if source.bytes.path is None or place is None:
        return None
    entry = place / f"{_key(source, source.bytes.path, header)}.voxels"
    try:
        if entry.stat().st_size == source.layout.num_bytes:
            os.utime(entry)
            return ByteSource(str(entry))
    except OSError:
        pass
    if not _write(source, entry):
        return None
    _evict(place, keep=entry)
    return ByteSource(str(entry))


def _key(source: RawVoxels, path: str, header: bytes) -> str:
    from hashlib import sha256

    stat = os.stat(path)
    facts = (os.path.abspath(path), stat.st_size, stat.st_mtime_ns, source.layout)
    return sha256(repr(facts).encode("utf-8", "surrogateescape") + b"\0" + header).hexdigest()


def _write(source: RawVoxels, entry: Path) -> bool:
    """Inflate into a temporary file beside `entry`, then rename. False when the disk refuses; input errors pass."""
    import tempfile

    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(dir=entry.parent, suffix=".part")  # mkstemp makes it 0600
        with os.fdopen(handle, "wb") as file:
            for plane in source.stored_planes():
                file.write(plane)
        os.replace(temporary, entry)
        temporary = None
    except OSError:
        return False
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
    return True


def _evict(place: Path, keep: Path) -> None:
    """Delete the blocks used longest ago until the folder is within its cap."""
    cap = int(os.environ.get("VESALIUS_CACHE_BYTES", "") or _DEFAULT_CAP)
    entries = sorted((e for e in place.glob("*.voxels") if e != keep), key=lambda e: e.stat().st_mtime)
    total = sum(e.stat().st_size for e in [*entries, keep])
    for entry in entries:
        if total <= cap:
            return
        total -= entry.stat().st_size
        entry.unlink(missing_ok=True)


def clear() -> int:
    """Delete every cached block; returns how many there were."""
    place = folder()
    entries = [] if place is None else [*place.glob("*.voxels"), *place.glob("*.part")]
    for entry in entries:
        entry.unlink(missing_ok=True)
    return len(entries)

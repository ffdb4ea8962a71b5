"""An opt-in warm cache of unpacked voxels and of slices prepared from them: `read(..., cache=True)` or
`VESALIUS_CACHE=1`.

**Privacy.** What is cached is the scan itself, without header, name or identifier, but still patient data: that is
why the cache is off unless asked for. It lies in `$XDG_CACHE_HOME/vesalius/voxels` (else `~/.cache/…`), in a
folder only this user may enter (0700), in files only this user may read (0600), under names that are hashes.
`clear()` deletes it.

An entry is keyed by the file's path, size, times and layout, so a changed file is never served stale. It is written
under a temporary name and renamed. Voxels (`.voxels`) are memory-mapped when read, so only the chosen slices are
touched; prepared slices (`.slices`, at most 64 MiB) are keyed by all that shaped them too and carry a checksum.
The oldest entries go when the folder exceeds `VESALIUS_CACHE_BYTES` (default 20 GiB).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vesalius.study.gzip_stream import ByteSource

if TYPE_CHECKING:
    from vesalius.study.raw_voxels import RawVoxels

__all__ = ["KeptSlices", "VoxelCache", "clear", "folder"]

_DEFAULT_CAP = 20 << 30
_MAX_SLICES_BYTES = 64 << 20
_KEPT = (".voxels", ".slices")


def folder() -> str | None:
    """The cache folder, created private on first use; None where it cannot be made."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    if not os.path.isabs(base):
        return None
    place = os.path.join(base, "vesalius", "voxels")
    try:
        os.makedirs(place, mode=0o700, exist_ok=True)
        os.chmod(place, 0o700)
    except OSError:
        return None
    return place


@dataclass(frozen=True)
class VoxelCache:
    """Finds or makes what is cached of a file that starts with `header`."""

    header: bytes

    def voxels(self, source: RawVoxels) -> ByteSource | None:
        """The unpacked block, written on first use; None where it cannot be cached (bytes in memory, full disk…)."""
        entry = self._entry(source, "", ".voxels")
        if entry is None:
            return None
        try:
            if os.stat(entry).st_size == source.layout.num_bytes:
                os.utime(entry)
                return ByteSource(entry)
        except OSError:
            pass
        return ByteSource(entry) if _write(entry, source.stored_planes()) else None

    def slices(self, source: RawVoxels, facts: str) -> KeptSlices | None:
        """The place for slices prepared from `source` in the way that `facts` spells out."""
        entry = self._entry(source, facts, ".slices")
        return None if entry is None else KeptSlices(entry, self, source, facts)

    def _entry(self, source: RawVoxels, facts: str, ending: str) -> str | None:
        """The path for what `facts` says about the voxels of `source`, as its file is now."""
        place, path = folder(), source.bytes.path
        if path is None or place is None:
            return None
        try:
            now = os.stat(path)
        except OSError:
            return None  # the reader itself names what is wrong
        from hashlib import sha256

        times = (now.st_mtime_ns, now.st_ctime_ns)
        identity = repr((os.path.abspath(path), now.st_ino, now.st_size, times, source.layout, facts))
        return os.path.join(
            place, sha256(identity.encode("utf-8", "surrogateescape") + b"\0" + self.header).hexdigest() + ending
        )


@dataclass(frozen=True)
class KeptSlices:
    """Where some prepared slices are kept. Whoever finds none there makes them and hands them over."""

    path: str
    cache: VoxelCache
    source: RawVoxels
    facts: str

    def read(self, num_bytes: int) -> bytes | None:
        """The bytes kept, or None when there are none, not `num_bytes`, or they are damaged."""
        from isal import isal_zlib

        try:
            with open(self.path, "rb") as file:
                data, check = file.read(num_bytes), file.read()
            os.utime(self.path)
        except OSError:
            return None
        return data if isal_zlib.crc32(data).to_bytes(4, "little") == check else None

    def write(self, data: bytes) -> None:
        """Keep `data`, unless it is large or the file was changed while it was made."""
        from isal import isal_zlib

        now = self.cache.slices(self.source, self.facts)
        if len(data) <= _MAX_SLICES_BYTES and now is not None and now.path == self.path:
            _write(self.path, (data, isal_zlib.crc32(data).to_bytes(4, "little")))


def _write(entry: str, pieces: Iterable[bytes]) -> bool:
    """Into a temporary file beside `entry`, then rename. False when the disk refuses; input errors pass."""
    import tempfile

    place, temporary = os.path.dirname(entry), ""
    try:
        handle, temporary = tempfile.mkstemp(dir=place, suffix=".part")  # mkstemp makes it 0600
        with os.fdopen(handle, "wb") as file:
            for piece in pieces:
                file.write(piece)
        os.replace(temporary, entry)
        temporary = ""
    except OSError:
        return False
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
    _evict(place, keep=entry)
    return True


def _evict(place: str, keep: str) -> None:
    """Delete the entries used longest ago until the folder is within its cap."""
    cap = int(os.environ.get("VESALIUS_CACHE_BYTES", "") or _DEFAULT_CAP)
    entries: list[tuple[int, int, str]] = []
    for name in _names(place, _KEPT):
        with suppress(OSError):  # another process may have deleted it
            facts = os.stat(os.path.join(place, name))
            entries.append((facts.st_mtime_ns, facts.st_size, os.path.join(place, name)))
    total = sum(size for _, size, _ in entries)
    for _, size, entry in sorted(entries):
        if total <= cap:
            return
        if entry != keep:
            total -= size
            with suppress(OSError):
                os.unlink(entry)


def _names(place: str, endings: tuple[str, ...]) -> list[str]:
    return [name for name in os.listdir(place) if name.endswith(endings)]


def clear() -> int:
    """Delete everything cached; returns how many entries there were."""
    place = folder()
    if place is None:
        return 0
    names = _names(place, (*_KEPT, ".part"))
    for name in names:
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(place, name))
    return len(names)

"""What is known of media files without decoding them; each file is looked at once."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from vesalius.dialogue.target_sizes import Extent, extent_of
from vesalius.errors import VesaliusError

__all__ = ["MediaFile", "MediaFiles", "fingerprint"]

_KEPT = 500_000


@dataclass(slots=True)
class MediaFile:
    """`problem`: why it cannot be used, or "". `extent`: sizes (see `target_sizes`), None where nobody asked."""

    problem: str = ""
    extent: Extent | None = None


@dataclass
class MediaFiles:
    """Looks at files once. `decode`: decode every one instead of reading its header."""

    decode: bool = False
    _known: dict[tuple[str, str], MediaFile] = field(default_factory=dict[tuple[str, str], MediaFile])

    def look(self, kind: str, path: str, *, sized: bool) -> MediaFile:
        """A medium's file. `sized`: its extent is wanted; pictures always have it, for their headers are read anyway."""
        sized = sized or kind == "image"
        found = self._known.get((kind, path))
        if found is None or (sized and found.extent is None and not found.problem):
            if len(self._known) > _KEPT:
                self._known.clear()
            found = self._known[kind, path] = self._seen(kind, path, sized)
        return found

    def _seen(self, kind: str, path: str, sized: bool) -> MediaFile:
        try:
            # A picture's header is read right away: opening it says as well whether it is there.
            if kind != "image" or os.path.isdir(path):
                stat = os.stat(path)
                if not stat.st_size:
                    return MediaFile("is empty (0 bytes)")
            extent = extent_of(kind, path) if sized else None
            if self.decode and kind != "table":
                _decode(kind, path)
            return MediaFile(extent=extent)
        except FileNotFoundError:
            return MediaFile("is not there")
        except OSError as exc:
            return MediaFile(f"cannot be read ({exc.strerror})")
        except VesaliusError as exc:
            if not os.path.exists(path):
                return MediaFile("is not there")
            return MediaFile(exc.problem.rstrip("."))


def _decode(kind: str, path: str) -> None:
    from vesalius.study.items import Clip, Picture, Volume
    from vesalius.study.read import read

    for item in read(path).items:
        if isinstance(item, Picture):
            item.load()
        elif isinstance(item, Volume):
            item.values()
        elif isinstance(item, Clip):
            item.load(range(min(item.num_frames, 256)))


def fingerprint(path: str) -> str | None:
    """The hash of a file's bytes; None for a folder or what cannot be read."""
    try:
        if Path(path).is_dir():
            return None
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "blake2b").hexdigest()
    except OSError:
        return None

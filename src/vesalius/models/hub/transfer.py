"""One file from the hub to the cache: what is there already is kept, and the content is checked before it counts.

huggingface_hub (2.4) downloads into a file that only one process knows and starts anew after an interruption, and it
compares sizes, not hashes. So its connection (`http_get`: redirects, ranges, retries) is used with a partial file of
our own beside the blobs, named by the hash the content must have. Chunked xet transfer is never used: it cannot go on
after an interruption, and mirrors do not speak it; every hub serves the same files over plain HTTP.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, BinaryIO

from vesalius.errors import CheckpointError, WeightsMissingError
from vesalius.models.hub.listing import RemoteFile

__all__ = ["Digests", "Transfer", "digests", "partial_of"]

_TRIES = 4


@dataclass(frozen=True)
class Digests:
    """Hashes of a file's content, hexadecimal."""

    sha256: str
    git_sha1: str | None

    def fit(self, file: RemoteFile) -> bool:
        return self.sha256 == file.sha256 if file.sha256 is not None else self.git_sha1 == file.git_sha1


def digests(path: Path, file: RemoteFile) -> Digests:
    """Read a file once and hash it as large-file storage (sha256) and, where `file` needs that, as git (sha1) does."""
    sha256 = hashlib.sha256()
    git = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(4 << 20):
            sha256.update(chunk)
            if file.sha256 is None:
                git.update(chunk)
    return Digests(sha256.hexdigest(), git.hexdigest() if file.sha256 is None else None)


def partial_of(blob: Path) -> Path:
    """Where a download that is under way lies; no program takes this name for a finished file."""
    return blob.with_name(f"{blob.name}.vesalius.incomplete")


class _Sink:
    """The partial file as `http_get` writes it: counts bytes, never takes more than announced, stops when told."""

    def __init__(self, stream: BinaryIO, file: RemoteFile, moved: Callable[[int], None], stopped: Event) -> None:
        self._stream, self._file, self._moved, self._stopped = stream, file, moved, stopped

    def write(self, chunk: bytes) -> int:
        if self._stopped.is_set():
            raise InterruptedError("another file failed")
        if self._stream.tell() + len(chunk) > self._file.size:
            raise _wrong(self._file, "size", f"{self._file.size} bytes")
        left = memoryview(chunk)
        while left:  # an unbuffered file may take less than it is given
            taken = self._stream.write(left)
            self._moved(taken)
            left = left[taken:]
        return len(chunk)

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, place: int) -> int:
        self._moved(place - self._stream.tell())
        return self._stream.seek(place)

    def truncate(self) -> int:
        return self._stream.truncate()


def _wrong(file: RemoteFile, what: str, seen: str) -> CheckpointError:
    return CheckpointError(
        f"{file.path} arrived with another {what} than the hub announced ({seen}); it was removed.",
        fix="Try again; if it stays so, the hub or mirror is damaged: use another HF_ENDPOINT.",
    )


@dataclass(frozen=True)
class Transfer:
    """How files travel. `locks`: folder of lock files. `headers`: of every request. `moved`: told the bytes written
    (negative: taken back). `stopped`: set when nothing more shall be fetched."""

    locks: Path
    headers: Mapping[str, str]
    moved: Callable[[int], None]
    stopped: Event

    def fetch(self, address: str, file: RemoteFile, blob: Path) -> Digests:
        """Make `blob` (its parent exists) hold the file, whole and checked, and return its hashes.

        A blob that is there is checked, too. Raises CheckpointError if what the hub sends has another hash than it
        announced; nothing of it stays. Raises huggingface_hub's and its connection's errors, and OSError.
        """
        from huggingface_hub.utils import WeakFileLock

        self.locks.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(self.locks / f"{blob.name}.lock"):
            if blob.exists():
                found = digests(blob, file)
                if found.fit(file):
                    self.moved(file.size)
                    return found
                blob.unlink()
            partial = partial_of(blob)
            begun = partial.exists()
            try:
                found = self._checked(address, file, partial)
            except CheckpointError:
                if not begun:
                    raise
                # What lay there may be the damaged half (power cut): the hub gets one try from the start.
                found = self._checked(address, file, partial)
            os.replace(partial, blob)
            return found

    def _checked(self, address: str, file: RemoteFile, partial: Path) -> Digests:
        """Complete the partial file; it is removed if its content is wrong."""
        try:
            found = self._download(address, file, partial)
            if not found.fit(file):
                raise _wrong(file, "hash", f"{file.blob[:12]}…")
        except CheckpointError:
            self.moved(-partial.stat().st_size)
            partial.unlink()
            raise
        return found

    def _download(self, address: str, file: RemoteFile, partial: Path) -> Digests:
        import httpx2
        from huggingface_hub import constants
        from huggingface_hub.errors import HfHubHTTPError
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import silent_tqdm

        silent: Any = silent_tqdm  # a bar that shows nothing; not a subclass of the one it stands for

        most = constants.MAX_HTTP_DOWNLOAD_SIZE
        if file.size > most:
            raise WeightsMissingError(
                f"{file.path} has {file.size} bytes; hubs send files over {most} bytes by xet only.",
                fix="Run hf download, which speaks it; the result is found in the cache.",
            )
        # Unbuffered: what was written outlives a killed process.
        with partial.open("ab", buffering=0) as stream:
            if stream.tell() > file.size:
                stream.truncate(0)
                stream.seek(0)
            self.moved(stream.tell())
            sink: Any = _Sink(stream, file, self.moved, self.stopped)
            for left in reversed(range(_TRIES)):
                begun = stream.tell()
                try:
                    http_get(
                        address,
                        sink,
                        resume_size=begun,
                        headers=dict(self.headers),
                        expected_size=file.size,
                        displayed_filename=file.path,
                        tqdm_class=silent,
                    )
                    break
                except httpx2.ReadError:  # a reset connection, which http_get itself does not take up again
                    if not left:
                        raise
                except HfHubHTTPError as exc:
                    if exc.response.status_code == 416:  # nothing lies behind what is here: it is not this file
                        raise _wrong(file, "size", f"{file.size} bytes") from exc
                    raise
            os.fsync(stream.fileno())
        return digests(partial, file)

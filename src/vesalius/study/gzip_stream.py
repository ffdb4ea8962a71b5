"""Compressed bytes read as a stream: only as much as is asked for, never more than a small buffer beyond it."""

from __future__ import annotations

import io
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal, cast

from vesalius.errors import InputError, LimitError

__all__ = ["ByteSource", "Codec", "InflateStream"]

Codec = Literal["none", "gzip", "zlib", "bzip2", "text"]

_CHUNK = 1 << 18


@dataclass(frozen=True)
class ByteSource:
    """A file on disk, or bytes in memory, opened anew for every use. `name` is what error messages call it."""

    path: str | None
    data: bytes | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return self.path if self.path is not None else "<bytes>"

    @property
    def files(self) -> tuple[str, ...]:
        return () if self.path is None else (self.path,)

    def size(self) -> int:
        """Stored size in bytes."""
        if self.data is not None:
            return len(self.data)
        try:
            return os.stat(self.name).st_size
        except OSError as exc:
            raise _cannot_open(self.name, exc) from exc

    @contextmanager
    def opened(self) -> Generator[BinaryIO]:
        """The source as a binary file; an operating-system failure becomes an InputError that names it."""
        try:
            file: BinaryIO = io.BytesIO(self.data) if self.data is not None else open(self.name, "rb")  # noqa: SIM115
        except (OSError, ValueError) as exc:
            raise _cannot_open(self.name, exc) from exc
        with file:
            try:
                yield file
            except OSError as exc:
                raise InputError("could not be read to the end.", file=self.name, fix="Copy it again.") from exc

    def head(self, count: int, offset: int = 0) -> bytes:
        """Up to `count` bytes from `offset`."""
        with self.opened() as file:
            file.seek(offset)
            return file.read(count)

    def inflated_head(self, count: int, codec: Codec = "gzip") -> bytes:
        """Up to `count` decompressed bytes from the front; what is damaged further on is not noticed here."""
        with self.opened() as file:
            return InflateStream(file, codec, self.name).read(count)


def _cannot_open(name: str, exc: Exception) -> InputError:
    if isinstance(exc, FileNotFoundError):
        return InputError("does not exist.", file=name, fix="Check the path.")
    if isinstance(exc, PermissionError):
        return InputError("permission denied.", file=name, fix="Make it readable for this user.")
    if isinstance(exc, IsADirectoryError):
        return InputError("is a folder where a file is needed.", file=name)
    return InputError("cannot be opened.", file=name, fix="Check the path and the disk.")


def _decompressor(codec: Codec) -> Any:
    if codec == "bzip2":
        import bz2

        return bz2.BZ2Decompressor()
    from isal import igzip_lib  # About twice as fast as the standard library's inflate, same output.

    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP if codec == "gzip" else igzip_lib.DECOMP_ZLIB)


class InflateStream:
    """Decompressed bytes of an open file, in order. It inflates exactly what `read` and `skip` ask for.

    `codec`: "gzip" (also of several members, as bgzip writes), "zlib" or "bzip2".
    """

    def __init__(self, file: BinaryIO, codec: Codec, name: str) -> None:
        self._file = file
        self._codec: Codec = codec
        self._name = name
        self._inflater = _decompressor(codec)
        self.position = 0

    def _some(self, limit: int) -> bytes:
        """Between 1 and `limit` bytes; empty at the end of the stream or of a file cut short."""
        while True:
            pending = b""
            if self._inflater.eof:
                pending = self._inflater.unused_data or self._file.read(_CHUNK)
                # Zero padding after the last member is allowed by gzip(1); anything else that follows is not ours.
                pending = pending.lstrip(b"\0")
                magic = {"gzip": b"\x1f\x8b", "bzip2": b"BZh"}.get(self._codec)
                if magic is None or not pending.startswith(magic):
                    return b""
                self._inflater = _decompressor(self._codec)
            elif self._inflater.needs_input:
                pending = self._file.read(_CHUNK)
                if not pending:
                    return b""
            try:
                piece = self._inflater.decompress(pending, limit)
            except (OSError, ValueError, EOFError, _isal_error()) as exc:
                raise InputError(
                    f"its {self._codec} data is damaged after {self.position} decompressed bytes.",
                    file=self._name,
                    fix="Copy or export it again.",
                ) from exc
            if piece:
                self.position += len(piece)
                return bytes(piece)

    def read(self, count: int) -> bytes:
        """`count` bytes, fewer at the end."""
        piece = self._some(count)
        if len(piece) == count or not piece:
            return piece
        pieces = [piece]
        missing = count - len(piece)
        while missing and (piece := self._some(missing)):
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def skip(self, count: int) -> int:
        """Inflate and drop `count` bytes; returns how many there were."""
        done = 0
        while done < count and (piece := self._some(min(count - done, 1 << 20))):
            done += len(piece)
        return done


def _isal_error() -> type[Exception]:
    from isal import igzip_lib

    return cast("type[Exception]", igzip_lib.error)


def check_inflated_size(expected: int, stored: int, name: str, *, max_decoded: int, max_ratio: int) -> None:
    """LimitError when a header promises more than the caps allow; asked before anything is inflated.

    The ratio is asked only above 512 MiB: label maps honestly shrink 500-fold, and below that a forged stream costs
    a fraction of a second, for planes are streamed and never held together.
    """
    if expected > max_decoded:
        raise LimitError(
            f"its data expands to {expected} bytes; the limit is {max_decoded}.",
            file=name,
            fix="Crop it, or raise vesalius.limits max_decoded_bytes.",
        )
    if expected > (512 << 20) and expected > max_ratio * max(stored, 1):
        raise LimitError(
            f"expands from {stored} to {expected} bytes, more than {max_ratio} times: taken for a bomb.",
            file=name,
            fix="Store it uncompressed, or raise vesalius.limits max_inflate_ratio.",
        )

"""`predictions.jsonl` on disk: rows are only ever added, and what a killed run left behind is still good."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from vesalius.errors import InputError, OptionError
from vesalius.evaluation.prediction import Prediction, read_line, write_line
from vesalius.findings.writing import replacing

__all__ = ["PredictionFile", "read_predictions", "rewrite"]

_SYNC_S = 2.0
"""Seconds of answers a power cut may cost; a killed process costs none of those written."""


def read_predictions(path: Path) -> Iterator[Prediction]:
    """The rows in stored order; an unfinished last line (a run in progress, or killed) is passed over.

    Raises InputError naming file and line for a damaged row or an id that comes twice, and for a missing file.
    """
    seen: dict[str, int] = {}
    for number, line, _ in _lines(path):
        row = read_line(line, f"{path.name}, line {number}")
        if row.id in seen:
            raise InputError(
                f"line {number} has the id of line {seen[row.id]} ({row.id!r}).", file=path, fix="Remove one of them."
            )
        seen[row.id] = number
        yield row


def _lines(path: Path) -> Iterator[tuple[int, bytes, int]]:
    """(number, line, offset behind it) of every line that is finished."""
    try:
        with path.open("rb") as file:
            end = 0
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return
                end += len(line)
                yield number, line, end
    except OSError as exc:
        raise InputError(f"cannot be read ({exc.strerror}).", file=path) from exc


def rewrite(path: Path, rows: Sequence[Prediction]) -> None:
    """Put these rows in place of the file's, whole or not at all. OptionError where it cannot be written."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        for row in rows:
            file.write(write_line(row))
        file.flush()
        os.fsync(file.fileno())


class PredictionFile:
    """The file a run adds to. Use as a context manager; what was torn off at its end is cut away when it opens.

    `ids`: those of the rows that are there.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self.ids: set[str] = set()
        self._clock = clock
        self._end = 0
        self._descriptor = -1
        self._synced = 0.0

    def __enter__(self) -> PredictionFile:
        """Open, repair the end, and learn the ids. InputError for a damaged row, OptionError if it is not writable."""
        if self.path.exists():
            self._end = sound_end(self.path)
        try:
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o644)
            os.ftruncate(self._descriptor, self._end)
        except OSError as exc:
            raise self._unwritable(exc) from exc
        self.ids = {row.id for row in read_predictions(self.path)}
        self._synced = self._clock()
        return self

    def __exit__(self, *_: object) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        try:
            os.fsync(descriptor)
        except OSError as exc:
            raise self._unwritable(exc) from exc
        finally:
            os.close(descriptor)

    def add(self, rows: Sequence[Prediction]) -> None:
        """Write whole rows. OptionError when there is no room: the rows before stay, half a row does not."""
        for row in rows:
            if row.id in self.ids:
                raise InputError(f"id {row.id!r} was answered twice.", file=self.path)
            line = memoryview(write_line(row))
            place = self._end
            try:
                os.lseek(self._descriptor, place, os.SEEK_SET)
                while line:
                    written = os.write(self._descriptor, line)
                    place, line = place + written, line[written:]
            except OSError as exc:
                os.ftruncate(self._descriptor, self._end)
                raise self._unwritable(exc) from exc
            self._end = place
            self.ids.add(row.id)
        if self._clock() - self._synced >= _SYNC_S:
            try:
                os.fsync(self._descriptor)
            except OSError as exc:
                raise self._unwritable(exc) from exc
            self._synced = self._clock()

    def _unwritable(self, exc: OSError) -> OptionError:
        return OptionError(
            f"predictions cannot be written: {exc.strerror or 'input/output error'} ({len(self.ids)} rows are safe).",
            file=self.path,
            fix="Make room, then run the same command again: it goes on where it stopped.",
        )


def sound_end(path: Path) -> int:
    """Bytes of the file up to its last whole row: without a line that has no end, or a last one that is no row (the
    zeros a power cut leaves)."""
    before, end, last = 0, 0, b""
    for _, line, after in _lines(path):
        before, end, last = end, after, line
    try:
        if last:
            read_line(last, path.name)
    except InputError:
        return before
    return end

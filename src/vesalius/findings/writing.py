"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from uuid import uuid4

from vesalius.errors import OptionError

__all__ = ["check_output_folder", "output_folder", "replacing"]


def check_output_folder(path: str | PathLike[str]) -> None:
    """OptionError when the folder could not be made or written to, before any work is done for it; makes nothing."""
    place = Path(path)
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise OptionError(
            "the output folder cannot be made: a file stands there.", file=path, fix="Choose another one."
        )
    if not os.access(place, os.W_OK | os.X_OK):
        raise OptionError(
            "the output folder cannot be written: Permission denied.", file=path, fix="Choose another one."
        )


def output_folder(path: str | PathLike[str]) -> Path:
    """The folder, made if need be. Raises OptionError when it cannot be made or is a file."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OptionError(
            f"the output folder cannot be made: {exc.strerror or 'not possible'}.", file=path, fix="Choose another one."
        ) from exc
    return folder


@contextmanager
def replacing(path: str | PathLike[str]) -> Generator[Path]:
    """A temporary name beside `path` to write to; it becomes `path` when the block ends well and is removed otherwise.

    Raises OptionError when the folder cannot be written to or the disk is full.
    """
    final = Path(path)
    temporary = final.with_name(f".{uuid4().hex}.part")
    try:
        temporary.touch(exist_ok=False)
    except OSError as exc:
        raise _unwritable(path, exc) from exc
    try:
        yield temporary
        os.replace(temporary, final)
    except OSError as exc:
        raise _unwritable(path, exc) from exc
    finally:
        temporary.unlink(missing_ok=True)


def _unwritable(path: str | PathLike[str], exc: OSError) -> OptionError:
    reason = exc.strerror or "input/output error"
    return OptionError(f"cannot be written: {reason}.", file=path, fix="Choose another folder.")

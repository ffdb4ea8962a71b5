"""A folder that appears only when everything in it is written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vesalius.errors import InputError, OptionError

__all__ = ["MAX_COUNT", "check_count", "new_folder"]

MAX_COUNT = 1_000_000


def check_count(count: int, seed: int) -> None:
    """OptionError for a number of phantoms or a seed that cannot be."""
    if not 1 <= count <= MAX_COUNT:
        raise OptionError(f"count is {count}; it must be from 1 to {MAX_COUNT}.")
    if seed < 0:
        raise OptionError(f"seed is {seed}; it must be 0 or more.")


@contextmanager
def new_folder(out: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary folder beside `out` to write into; it takes the name when the block ends without an error.

    Raises OptionError when `out` exists and is not an empty folder, InputError when it cannot be written.
    """
    target = Path(out)
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise OptionError(f"{os.fspath(out)} exists and is not an empty folder.", fix="Name a new folder.")
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as exc:
        raise InputError(f"cannot be written ({exc.strerror}).", file=out) from exc
    try:
        yield partial
        partial.chmod(0o755)
        if target.exists():
            target.rmdir()
        os.replace(partial, target)
    except OSError as exc:
        raise InputError(f"cannot be written ({exc.strerror}).", file=out) from exc
    finally:
        shutil.rmtree(partial, ignore_errors=True)

"""Where the converted base weights are: found, or made from packages that are installed already."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

from vesalius.errors import CheckpointError, WeightsMissingError

from .convert import CONVERTER_VERSION, convert_base, damage
from .wheels import INSTALL_COMMAND, PINS, installed_file, read_file

__all__ = ["ENVIRONMENT", "cache_folder", "find_base", "prefetch", "present_base"]

ENVIRONMENT = "VESALIUS_STARTER_BASE"
"""Environment variable that names the converted folder."""


def cache_folder() -> Path | None:
    """The user's own place for the converted base; None if there is no home (`HOME` unset and no account entry)."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        root = Path(given) if os.path.isabs(given) else Path.home() / ".cache"
    except RuntimeError:
        return None
    return root / "vesalius" / f"starter-base-{CONVERTER_VERSION}" if root.is_absolute() else None


def present_base() -> Path | None:
    """A converted base that can be used as it is; None if there is none yet.

    Order: the folder `$VESALIUS_STARTER_BASE`, then the user's cache. Raises CheckpointError if the variable names a
    folder that is no sound base: a wish that was spelled out is not silently replaced.
    """
    if wished := os.environ.get(ENVIRONMENT):
        wrong = damage(Path(wished))
        if wrong is not None:
            raise CheckpointError(
                f"${ENVIRONMENT} is no converted starter base: {wrong}",
                file=wished,
                fix=f"Run {INSTALL_COMMAND} to fill it, or unset the variable.",
            )
        return Path(wished)
    cached = cache_folder()
    return cached if cached is not None and damage(cached) is None else None


def find_base() -> Path:
    """The folder of the converted base weights.

    Order: `$VESALIUS_STARTER_BASE`; the user's cache; both packages installed already (located without importing
    them, converted into the cache in a few seconds, or into a private temporary folder for the length of this process
    if the cache cannot be written). Nothing is downloaded. Raises WeightsMissingError if there is no source,
    CheckpointError if one is damaged.
    """
    return present_base() or _from_installed()


@lru_cache(maxsize=1)
def _from_installed() -> Path:
    files = [installed_file(pin) for pin in PINS]
    if any(file is None for file in files):
        raise WeightsMissingError(
            "The starter's base weights are not on this machine (about 183 MB to fetch, once).",
            fix=f"Run: {INSTALL_COMMAND}",
        )
    onnx_file, gguf_file = (read_file(file, pin) for file, pin in zip(files, PINS, strict=True) if file is not None)
    cached = cache_folder()
    if cached is not None:
        try:
            return convert_base(onnx_file, gguf_file, cached, pins=PINS)
        except WeightsMissingError:
            pass  # a cache that cannot be written is no reason not to run
    private = Path(tempfile.mkdtemp(prefix="vesalius-starter-base-"))
    atexit.register(shutil.rmtree, private, ignore_errors=True)
    return convert_base(onnx_file, gguf_file, private / "base", pins=PINS)


def prefetch(base: Path) -> None:
    """Ask the system to read the weights from disk meanwhile (call it before importing torch)."""
    if not hasattr(os, "posix_fadvise"):
        return
    for file in base.rglob("*.safetensors"):
        with contextlib.suppress(OSError), file.open("rb") as opened:
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)

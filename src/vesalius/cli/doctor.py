"""`vesalius doctor`: what this machine has, what is missing, and the command that mends it."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Annotated, Literal

import typer

from vesalius.limits import usable_cores

__all__ = ["Check", "doctor", "examine"]

OFFLINE_FLAGS = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


@dataclass(frozen=True)
class Check:
    """One line of the examination. `state`: "ok", "missing" (works without it) or "broken". `fix`: one command."""

    name: str
    state: Literal["ok", "missing", "broken"]
    found: str
    fix: str = ""


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False) -> int:
    """Check this machine and say what to fix. Exit code 3 if something is broken, 0 otherwise."""
    checks = list(examine())
    if as_json:
        print(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            remedy = f"  Fix: {check.fix}" if check.fix else ""
            print(f"{check.state:<8} {check.name:<{width}}  {check.found}{remedy}")
    return 3 if any(check.state == "broken" for check in checks) else 0


def examine() -> Iterator[Check]:
    """Every check, in the order they are printed. Reads this machine only; opens no connection."""
    from vesalius import __version__

    yield Check("vesalius", "ok", __version__)
    python = platform.python_version()
    recent = sys.version_info >= (3, 11)
    yield Check("python", "ok" if recent else "broken", python, "" if recent else "Install Python 3.11 or newer.")
    yield from _packages()
    yield _torch()
    yield Check("cores", "ok", f"{usable_cores()} usable of {os.cpu_count()}")
    yield _memory()
    yield from _folders()
    yield _starter()
    flags = [flag for flag in OFFLINE_FLAGS if os.environ.get(flag, "") not in ("", "0")]
    yield Check(
        "offline", "ok", f"set: {', '.join(flags)}" if flags else "no flag set; only hub names are ever fetched"
    )


def _requirements() -> dict[str, list[str]]:
    """Extra ("" for the core) → packages, as the installed metadata of Vesalius declares them."""
    declared: dict[str, list[str]] = {}
    for line in requires("vesalius") or ():
        package = re.match(r"[A-Za-z0-9._-]+", line)
        extra = re.search(r"""extra == ["'](.+?)["']""", line)
        if package and package[0] != "vesalius":
            declared.setdefault(extra[1] if extra else "", []).append(package[0])
    return declared


def _packages() -> Iterator[Check]:
    for extra, packages in _requirements().items():
        if extra == "dev":
            continue
        if extra:
            absent = [package for package in packages if _version(package) is None]
            fix = f'pip install "vesalius[{extra}]"'
            if absent:
                yield Check(f"extra {extra}", "missing", f"no {', '.join(absent)}", fix)
            else:
                yield Check(f"extra {extra}", "ok", ", ".join(packages))
            continue
        for package in packages:
            found = _version(package)
            if found is None:
                yield Check(package, "broken", "not installed", f"pip install {package}")
            else:
                yield Check(package, "ok", found)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _torch() -> Check:
    try:
        import torch
    except ImportError as error:
        return Check("torch runs", "broken", type(error).__name__, "pip install --force-reinstall torch")
    devices = [f"{torch.cuda.device_count()} CUDA"] if torch.cuda.is_available() else []
    devices += ["MPS"] if torch.backends.mps.is_available() else []
    return Check("torch runs", "ok", f"{torch.get_num_threads()} threads; {' and '.join(devices) or 'CPU only'}")


def _memory() -> Check:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):
        return Check("memory", "ok", "not reported by this system")
    if total < 4:
        return Check("memory", "missing", f"{total:.1f} GiB", "The starter wants 4 GiB; close other programs.")
    return Check("memory", "ok", f"{total:.1f} GiB")


def _folders() -> Iterator[Check]:
    from vesalius.models.starter_base.place import cache_folder

    cache = cache_folder()
    hub = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    for name, folder in (("starter cache", None if cache is None else cache.parent), ("hub cache", hub)):
        if folder is None:
            yield Check(name, "broken", "no home folder", "Set HOME or XDG_CACHE_HOME to a folder you may write.")
        elif _writable(folder):
            yield Check(name, "ok", str(folder))
        else:
            yield Check(name, "broken", f"{folder} cannot be written", "Set XDG_CACHE_HOME and HF_HOME elsewhere.")


def _writable(folder: Path) -> bool:
    """Whether the folder, or the nearest one above it that exists, may be written."""
    nearest = next((place for place in (folder, *folder.parents) if place.exists()), None)
    return nearest is not None and nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)


def _starter() -> Check:
    from vesalius.cli.models import starter_lacks

    lacks = starter_lacks()
    problem, _, fix = lacks.partition(" Run: ")
    return Check("starter", "missing" if lacks else "ok", problem or "ready", fix)

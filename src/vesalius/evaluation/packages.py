"""Packages of the `eval` extra, imported at first use so that nothing here costs time before it is needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from vesalius.errors import UnsupportedError

__all__ = ["package"]


def package(module: str, purpose: str) -> Any:
    """The imported `module`. Raises UnsupportedError naming `purpose` and the extra when it is not installed."""
    try:
        return import_module(module)
    except ImportError as exc:
        name = module.partition(".")[0].replace("_", "-")
        raise UnsupportedError(f"{purpose} needs {name}.", fix="Run: pip install 'vesalius[eval]'.") from exc

"""What commands print, in whatever encoding the terminal or pipe has."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["print_anything", "print_json", "waiting"]


def print_anything() -> None:
    """Letters that standard output cannot write (Chinese in Latin-1, a damaged file name) become escapes, no error."""
    reconfigure: Any = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None and sys.stdout.errors == "strict":
        reconfigure(errors="backslashreplace")


def print_json(document: Any, *, indent: int | None = None) -> None:
    """One JSON document on standard output, as written where its encoding allows, else in ASCII with JSON's escapes."""
    text = json.dumps(document, ensure_ascii=False, indent=indent)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(document, indent=indent)
    print(text)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """A spinner on a terminal's standard error that says `what` is done; nothing in a pipe."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{what}…"):
        yield

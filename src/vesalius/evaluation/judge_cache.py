"""Verdicts on disk by the hash of all they depend on, so that no case is put to a judge twice."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from vesalius.errors import InputError, OptionError

__all__ = ["JudgeCache"]


class JudgeCache:
    """A JSON Lines file: rows are only added; what a killed run left unfinished at its end is cut away."""

    def __init__(self, path: Path) -> None:
        """Read what is there. InputError for a damaged line."""
        self.path = path
        self._rows: dict[str, dict[str, Any]] = {}
        self._end = 0
        if not path.exists():
            return
        try:
            with path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    if not line.endswith(b"\n"):
                        break
                    self._end += len(line)
                    self._keep(line, number)
        except OSError as exc:
            raise InputError(f"cannot be read ({exc.strerror}).", file=path) from exc

    def _keep(self, line: bytes, number: int) -> None:
        try:
            row: Any = json.loads(line)
            key, correct = row["key"], row["correct"]
        except (ValueError, KeyError, TypeError) as exc:
            raise InputError(f"line {number} is no verdict.", file=self.path, fix="Remove the line.") from exc
        if not isinstance(key, str) or type(correct) not in (int, float) or not -1 <= correct <= 1:
            raise InputError(f"line {number} is no verdict.", file=self.path, fix="Remove the line.")
        self._rows[key] = row

    def get(self, key: str) -> dict[str, Any] | None:
        """The row of this key, None when there is none."""
        return self._rows.get(key)

    def add(self, row: dict[str, Any]) -> None:
        """Write a row with `key` and `correct`. OptionError when it cannot be written."""
        line = json.dumps(row, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                os.ftruncate(descriptor, self._end)
                os.lseek(descriptor, self._end, os.SEEK_SET)
                with os.fdopen(os.dup(descriptor), "wb") as file:
                    file.write(line)
            finally:
                os.close(descriptor)
        except OSError as exc:
            raise OptionError(f"verdicts cannot be written: {exc.strerror}.", file=self.path) from exc
        self._end += len(line)
        self._rows[row["key"]] = row

"""Labels people gave to a run's cases: right or wrong, by id."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vesalius.errors import InputError

__all__ = ["read_labels"]

_RIGHT = ("1", "1.0", "yes", "true", "right", "correct")
_WRONG = ("0", "0.0", "no", "false", "wrong", "incorrect")
_COLUMNS = ("label", "correct")


def read_labels(path: Path) -> dict[str, int]:
    """Id → 1 (right) or 0 (wrong) from a CSV file with a header, or from JSON Lines; columns `id` and `label` (or
    `correct`). Rows without a label are passed over.

    Raises InputError naming the row for a missing column, a double id or a label that is neither, and for no labels.
    """
    found: dict[str, int] = {}
    for number, row in _rows(path):
        column = next((name for name in _COLUMNS if name in row), None)
        if "id" not in row or column is None:
            raise InputError(f"row {number} has no id and label.", file=path, fix="Name the columns id and label.")
        told = str(row[column]).strip().lower() if row[column] is not None else ""
        if not told:
            continue
        key = str(row["id"])
        if key in found:
            raise InputError(f"row {number}: its id stands in an earlier row, too.", file=path)
        if told not in _RIGHT and told not in _WRONG:
            raise InputError(f"row {number}: the label is neither right nor wrong.", file=path, fix="Use 1 and 0.")
        found[key] = int(told in _RIGHT)
    if not found:
        raise InputError("holds no labels.", file=path)
    return found


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError("cannot be read as UTF-8 text.", file=path) from exc
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip():
                continue
            try:
                row: Any = json.loads(line)
            except ValueError as exc:
                raise InputError(f"row {number} is not JSON.", file=path) from exc
            if not isinstance(row, dict):
                raise InputError(f"row {number} is no object.", file=path)
            yield number, {str(key).lower(): value for key, value in row.items()}
        return
    for number, row in enumerate(csv.DictReader(text.splitlines()), 2):
        yield number, {str(key).strip().lower(): value for key, value in row.items()}

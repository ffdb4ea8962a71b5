"""Writing the tables and pictures of twins, the same bytes each time."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vesalius.errors import UnsupportedError

__all__ = ["write_bytes", "write_csv", "write_json", "write_lines", "write_parquet"]

Rows = Sequence[Mapping[str, Any]]


def write_bytes(path: Path, data: bytes) -> None:
    """A file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def write_json(path: Path, value: Any) -> None:
    """JSON in UTF-8."""
    write_bytes(path, json.dumps(value, ensure_ascii=False, indent=1).encode())


def write_lines(path: Path, rows: Rows) -> None:
    """JSON Lines."""
    write_bytes(path, "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode())


def write_csv(path: Path, rows: Rows, delimiter: str = ",") -> None:
    """Columns in the order of the first row."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode())


def write_parquet(path: Path, rows: Rows) -> None:
    """UnsupportedError without pyarrow."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as exc:
        raise UnsupportedError("Parquet needs pyarrow.", file=path, fix="pip install 'vesalius[eval]'") from exc
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows]), path)

"""Rows of published tables (JSON, JSON Lines, CSV, TSV, Parquet), one at a time, with their numbers for error messages.

Missing columns are told before the first row; a bad value when its row is reached. Cells are never quoted in messages:
they may be patient data.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from vesalius.errors import InputError, UnsupportedError

__all__ = ["Row", "find_tables", "load_json", "rows_of"]

_MAX_CELL = 1 << 28
"""Characters of one CSV cell; pictures in base64 are far over the csv module's own 131,072."""


@dataclass(frozen=True)
class Row:
    """One row of a table. `number`: from 1, the header not counted."""

    path: Path
    number: int
    values: Mapping[str, Any]

    def error(self, column: str, problem: str, fix: str | None = None) -> InputError:
        """The error to raise about one cell."""
        return InputError(f"row {self.number}, column {column!r}: {problem}", file=self.path, fix=fix)

    def value(self, column: str) -> Any:
        """The cell; InputError when it is missing or null."""
        value = self.values.get(column)
        if value is None:
            raise self.error(column, "there is no value.")
        return value

    def text(self, column: str, *, strip: bool = True) -> str:
        """The cell as text, not empty. InputError when it is anything else; numbers and True/False are spelt out."""
        value = self.value(column)
        if not isinstance(value, str | int | float):
            raise self.error(column, f"the value is {_kind(value)}, not text.")
        text = str(value)
        if not text.strip():
            raise self.error(column, "the text is empty.")
        return text.strip() if strip else text

    def maybe(self, column: str) -> str:
        """The cell as text, "" where there is none."""
        value = self.values.get(column)
        return "" if value is None else str(value).strip()

    def tags(self, columns: Sequence[str]) -> dict[str, str]:
        """The cells of these columns that hold something."""
        return {column: text for column in columns if (text := self.maybe(column))}


def find_tables(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """Files of the first pattern that has any, sorted by name (shards in order).

    Raises InputError naming the patterns when the folder is missing or holds none.
    """
    if not folder.is_dir():
        raise InputError("is not a folder.", file=folder, fix="Name the folder that holds the benchmark's files.")
    for pattern in patterns:
        found = sorted(path for path in folder.glob(pattern) if path.is_file())
        if found:
            return found
    raise InputError(f"holds no {' or '.join(patterns)}.", file=folder, fix="Get the files as published.")


def rows_of(paths: Sequence[Path], columns: Sequence[str]) -> Iterator[Row]:
    """All rows of tables that share their columns. `columns`: those that must be there.

    Raises InputError when a file is no such table or lacks a column, UnsupportedError for Parquet without pyarrow.
    """
    for path in paths:
        number = 0
        for number, values in enumerate(_read(path, columns), 1):
            if not isinstance(values, dict):
                raise InputError(f"row {number} is {_kind(values)}, not an object.", file=path)
            row = Row(path, number, cast("dict[str, Any]", values))
            if absent := [column for column in columns if column not in row.values]:
                raise _absent(path, absent, number)
            yield row
        if number == 0:
            raise InputError("holds no rows.", file=path, fix="Get the file again.")


def load_json(path: Path) -> Any:
    """A whole JSON file. InputError when it is missing, not UTF-8 or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as exc:
        raise InputError("is not JSON in UTF-8.", file=path, fix="Get the file again.") from exc
    except OSError as exc:
        raise InputError(f"cannot be read ({exc.strerror}).", file=path) from exc


def _read(path: Path, columns: Sequence[str]) -> Iterator[Any]:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _parquet(path, columns)
    if suffix in (".csv", ".tsv"):
        return _separated(path, columns, "\t" if suffix == ".tsv" else ",")
    if suffix == ".json" and not _is_lines(path):
        return _json_list(path)
    return _json_lines(path)


def _is_lines(path: Path) -> bool:
    """Whether a .json file holds an object a line, as some are published."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            return file.read(4096).lstrip().startswith("{")
    except UnicodeDecodeError:
        return False
    except OSError as exc:
        raise InputError(f"cannot be read ({exc.strerror}).", file=path) from exc


def _json_list(path: Path) -> Iterator[Any]:
    loaded = load_json(path)
    if not isinstance(loaded, list):
        raise InputError(f"holds {_kind(loaded)}, not a list of rows.", file=path)
    yield from cast("list[Any]", loaded)


def _json_lines(path: Path) -> Iterator[Any]:
    number = 0
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line in file:
                number += 1
                if line.strip():
                    yield json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise InputError(f"line {max(number, 1)} is not JSON in UTF-8.", file=path, fix="Get the file again.") from exc
    except OSError as exc:
        raise InputError(f"cannot be read ({exc.strerror}).", file=path) from exc


def _separated(path: Path, columns: Sequence[str], delimiter: str) -> Iterator[Any]:
    if csv.field_size_limit() < _MAX_CELL:
        csv.field_size_limit(_MAX_CELL)
    number = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter=delimiter)
            if absent := [column for column in columns if column not in (reader.fieldnames or ())]:
                raise _absent(path, absent, None)
            for number, values in enumerate(reader, 1):
                if None in values:
                    raise InputError(f"row {number} has more cells than the header.", file=path)
                yield values
    except (UnicodeDecodeError, csv.Error) as exc:
        raise InputError(f"cannot be read after row {number}.", file=path, fix="Save it as CSV in UTF-8.") from exc
    except OSError as exc:
        raise InputError(f"cannot be read ({exc.strerror}).", file=path) from exc


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as exc:
        raise UnsupportedError("Parquet needs pyarrow.", file=path, fix="pip install 'vesalius[eval]'") from exc
    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            if absent := [column for column in columns if column not in table.schema_arrow.names]:
                raise _absent(path, absent, None)
            for batch in table.iter_batches(batch_size=32):
                yield from batch.to_pylist()
    except pyarrow.ArrowException as exc:
        raise InputError("is not a readable Parquet file.", file=path, fix="Get the file again.") from exc
    except OSError as exc:
        raise InputError(f"cannot be read ({exc.strerror or 'damaged'}).", file=path) from exc


def _absent(path: Path, columns: Sequence[str], number: int | None) -> InputError:
    where = "" if number is None else f"row {number} "
    names = ", ".join(repr(column) for column in columns)
    return InputError(f"{where}has no column {names}.", file=path, fix="Use the file as published.")


def _kind(value: object) -> str:
    names = (
        (dict, "an object"),
        (list, "a list"),
        (str, "text"),
        (bool, "true or false"),
        (bytes, "bytes"),
        (int | float, "a number"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "null")

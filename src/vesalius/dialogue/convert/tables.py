"""Rows of foreign files: a JSON list, JSON Lines (also gzipped), Parquet or CSV. A row that cannot be read is a row with
an error in it, so that the next ones are still looked at."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from vesalius.dialogue.convert.contract import Options, RawRow, RowError
from vesalius.dialogue.sample_files import rows_of, sample_files
from vesalius.errors import InputError

__all__ = ["csv_rows", "first_row", "json_rows", "load_json"]

_MAX_CELL = 1 << 26


def load_json(path: Path) -> Any:
    """A whole JSON file. InputError when it is missing, not UTF-8 or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as exc:
        raise InputError("is not JSON in UTF-8.", file=path, fix="Save it again.") from exc
    except OSError as exc:
        raise InputError(f"cannot be read ({exc.strerror}).", file=path) from exc


def json_rows(source: Path, options: Options | None = None) -> Iterator[RawRow]:
    """Rows of a `.json` list, of JSON Lines, of Parquet, or of shards of the latter two."""
    for path in sample_files(source):
        stem = path.name.partition(".")[0]
        if path.suffix == ".json" and not _is_json_lines(path):
            loaded = load_json(path)
            loaded = loaded if isinstance(loaded, list) else [loaded]
            for number, values in enumerate(cast("list[Any]", loaded), 1):
                yield RawRow(number, values, stem)
            continue
        for row in rows_of(path):
            try:
                values = json.loads(row.data)
            except (ValueError, RecursionError):
                yield RawRow(row.number, RowError("is not JSON in UTF-8", "Write one JSON object a line."), stem)
                continue
            yield RawRow(row.number, values, stem)


def _is_lines(path: Path) -> bool:
    """Whether a .json file holds an object a line."""
    try:
        with path.open("rb") as file:
            return file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")
    except OSError as exc:
        raise InputError(f"cannot be read ({exc.strerror}).", file=path) from exc


def csv_rows(source: Path, options: Options | None = None) -> Iterator[RawRow]:
    """Rows of a CSV or TSV with a header, as dicts of text."""
    if csv.field_size_limit() < _MAX_CELL:
        csv.field_size_limit(_MAX_CELL)
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t" if source.suffix.lower() == ".tsv" else ",")
            for number, values in enumerate(reader, 1):
                if None in values:
                    yield RawRow(number, RowError("it has more cells than the header", "Quote cells that hold commas."))
                    continue
                yield RawRow(number, values, source.stem)
    except (UnicodeDecodeError, csv.Error) as exc:
        raise InputError("is not CSV in UTF-8.", file=source, fix="Save it as CSV in UTF-8.") from exc
    except OSError as exc:
        raise InputError(f"cannot be read ({exc.strerror}).", file=source) from exc


def first_row(source: Path) -> Any:
    """What a file begins with, to tell its format: the first readable row, or the whole object of a `.json` that is no
    list; None when it holds nothing of the kind. InputError for a file that cannot be read."""
    if source.suffix.lower() in (".csv", ".tsv"):
        return next((row.values for row in csv_rows(source)), None)
    if source.suffix == ".json" and source.is_file():
        loaded = load_json(source) if not _is_json_lines(source) else None
        if loaded is not None:
            return loaded[0] if isinstance(loaded, list) and loaded else loaded
    return next((row.values for row in json_rows(source) if not isinstance(row.values, RowError)), None)


def _is_json_lines(path: Path) -> bool:
    """Whether the first line alone is an object: a COCO file is one object over many lines, or one long line."""
    if not _is_lines(path):
        return False
    with path.open("rb") as file:
        first, second = file.readline(1 << 20), file.readline(64)
    try:
        json.loads(first)
    except ValueError:
        return False
    return bool(second.strip())

"""Tables: CSV and TSV of any common dialect and encoding, and Excel workbooks (extra `tables`)."""

from __future__ import annotations

import csv
import io
import warnings as python_warnings
import zipfile
from collections.abc import Iterable, Sequence
from typing import Any

from vesalius.errors import InputError, LimitError, UnsupportedError
from vesalius.limits import current
from vesalius.study.gzip_stream import ByteSource
from vesalius.study.items import Origin, Table
from vesalius.study.text import text_of

__all__ = ["looks_like_csv", "read_csv", "read_xlsx"]

_DELIMITERS = (",", "\t", ";", "|")
_MAX_SHEETS = 64


def looks_like_csv(text: str) -> bool:
    """True when at least two lines break into the same number (above 1) of cells by one delimiter."""
    return _delimiter(text) is not None


def _delimiter(text: str) -> str | None:
    lines = text[:20_000].splitlines()
    lines = (lines if len(text) <= 20_000 else lines[:-1])[:40]
    best: tuple[int, str] | None = None
    for delimiter in _DELIMITERS:
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=delimiter, strict=True) if row]
        except csv.Error:
            continue
        if len(widths) > 1 and widths[0] > 1 and len(set(widths)) == 1 and (best is None or widths[0] > best[0]):
            best = widths[0], delimiter
    return None if best is None else best[1]


def read_csv(source: ByteSource) -> tuple[list[Table], list[str]]:
    """One Table; the first row names the columns. Raises LimitError above `max_table_cells`."""
    text, warnings = text_of(source)
    delimiter = _delimiter(text) or max(_DELIMITERS, key=text[:20_000].count)
    try:
        rows = _capped(csv.reader(io.StringIO(text), delimiter=delimiter), source.name)
    except csv.Error as exc:
        raise InputError("is not a usable table.", file=source.name, fix="Save it again as CSV.") from exc
    if not rows:
        raise InputError("is a table without rows.", file=source.name)
    table, more = _table(rows, Origin("csv", source.files), source.name)
    return [table], warnings + more


def _capped(rows: Iterable[Sequence[object]], name: str) -> list[list[str]]:
    cap, cells = current().max_table_cells, 0
    kept: list[list[str]] = []
    for row in rows:
        cells += len(row)
        if cells > cap:
            raise LimitError(f"holds more than {cap} cells.", file=name, fix="Give the part that matters.")
        if any(cell not in (None, "") for cell in row):
            kept.append(["" if cell is None else str(cell) for cell in row])
    return kept


def _table(rows: list[list[str]], origin: Origin, name: str) -> tuple[Table, list[str]]:
    """Rows of one width under named columns."""
    width = max(len(row) for row in rows)
    warnings: list[str] = []
    if any(len(row) != width for row in rows):
        warnings.append(f"{name}: rows have different numbers of cells; short ones were filled with empty cells.")
    padded = [tuple(row + [""] * (width - len(row))) for row in rows]
    columns = tuple(cell.strip() or f"column {place}" for place, cell in enumerate(padded[0], 1))
    return Table(columns, tuple(padded[1:]), origin), warnings


def read_xlsx(source: ByteSource) -> tuple[list[Table], list[str]]:
    """One Table per sheet that is not empty: values as last calculated, formulas never evaluated."""
    try:
        import openpyxl
    except ImportError as exc:
        raise UnsupportedError(
            "is an Excel workbook; openpyxl is missing.", file=source.name, fix="pip install 'vesalius[tables]'."
        ) from exc
    _check_archive(source)
    tables: list[Table] = []
    warnings: list[str] = []
    try:
        with source.opened() as file, python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore")  # openpyxl warns of styles it drops; they do not matter here
            workbook: Any = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
            if len(workbook.worksheets) > _MAX_SHEETS:
                raise LimitError(
                    f"holds {len(workbook.worksheets)} sheets; the limit is {_MAX_SHEETS}.", file=source.name
                )
            for place, sheet in enumerate(workbook.worksheets, 1):
                rows = _capped(sheet.iter_rows(values_only=True), source.name)
                if rows:
                    origin = Origin("xlsx", source.files, details={"sheet": str(place)})
                    table, more = _table(rows, origin, source.name)
                    tables.append(table)
                    warnings += more
    except InputError:
        raise
    except Exception as exc:  # openpyxl raises many kinds for a damaged workbook
        raise InputError("is a damaged Excel workbook.", file=source.name, fix="Save it again.") from exc
    if not tables:
        raise InputError("is a workbook without a filled sheet.", file=source.name)
    return tables, warnings


def _check_archive(source: ByteSource) -> None:
    """Hold a workbook's declared unpacked size against the caps before anything is unpacked."""
    caps = current()
    try:
        with source.opened() as file, zipfile.ZipFile(file) as archive:
            total = sum(info.file_size for info in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as exc:
        raise InputError("is a damaged Excel workbook.", file=source.name, fix="Save it again.") from exc
    allowed = min(caps.max_decoded_bytes, 1 << 30)
    if total > allowed or (total > (64 << 20) and total > caps.max_inflate_ratio * source.size()):
        raise LimitError(
            f"expands from {source.size()} to {total} bytes; the limit is {allowed} and "
            f"{caps.max_inflate_ratio} times.",
            file=source.name,
            fix="Save the sheet as CSV.",
        )

"""Samples in files: JSON Lines (also gzipped), Parquet, or a folder or pattern of such shards; one row at a time.

A Parquet file has the columns `id`, `lang`, `patient`, `media` (structs of kind, path, meta as JSON), `turns` (structs
of role, text, targets as JSON) and `tags` (a struct of modality, area, task). Media paths are relative to the folder of
the file the row stands in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from vesalius.errors import InputError, OptionError, UnsupportedError

if TYPE_CHECKING:
    from vesalius.dialogue.samples import Sample

__all__ = ["ENDINGS", "MAX_LINE_BYTES", "Row", "opened_parquet", "placed_samples", "read_samples", "rows_of",
           "sample_files", "sample_of_row", "write_samples"]  # fmt: skip

ENDINGS = (".jsonl", ".jsonl.gz", ".parquet")
MAX_LINE_BYTES = 16 << 20
GROUP_ROWS = 512
"""Rows of a Parquet row group: what is decoded to read one row of it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row as JSON text. `number`: from 1, blank lines counted. `offset`: where its line begins, bytes (JSONL)."""

    number: int
    data: bytes
    offset: int = 0


def sample_files(source: str | os.PathLike[str]) -> list[Path]:
    """The files of a data set: the file itself, the shards in a folder, or those of a pattern (`train-*.parquet`), by
    name. InputError when there are none."""
    path = Path(source)
    if path.is_dir():
        found = sorted(one for one in path.iterdir() if one.is_file() and one.name.endswith(ENDINGS))
        if not found:
            raise InputError(f"the folder holds no {', '.join(ENDINGS)} file.", file=path)
        return found
    if not path.exists() and any(letter in path.name for letter in "*?["):
        found = sorted(one for one in path.parent.glob(path.name) if one.is_file())
        if not found:
            raise InputError("no file fits the pattern.", file=path)
        return found
    return [path]


def rows_of(path: str | os.PathLike[str]) -> Iterator[Row]:
    """The rows of one file as JSON text, none checked. InputError when the file cannot be read or a row is longer than
    `MAX_LINE_BYTES`; UnsupportedError for Parquet without pyarrow."""
    name = os.fspath(path)
    if name.endswith(".parquet"):
        yield from _parquet_rows(name)
        return
    number = offset = 0
    try:
        with _opened_lines(name) as stream:
            while line := stream.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(line) > MAX_LINE_BYTES:
                    raise InputError(f"row {number} is longer than {MAX_LINE_BYTES} bytes.", file=name)
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if line.strip():
                    yield Row(number, line, offset)
                offset = stream.tell() if number == 1 else offset + len(line)
    except EOFError as exc:
        raise InputError(f"ends in the middle of its gzip data, after row {number}.", file=name,
                         fix="Copy or compress it again.") from exc  # fmt: skip
    except OSError as exc:
        raise InputError(f"cannot be read ({exc.strerror or 'damaged gzip data'}).", file=name) from exc


@contextmanager
def _opened_lines(name: str) -> Iterator[Any]:
    if name.endswith(".gz"):
        from isal import igzip

        with igzip.open(name, "rb") as stream:
            yield stream
        return
    with open(name, "rb") as stream:
        yield stream


@contextmanager
def opened_parquet(name: str) -> Iterator[Any]:
    """A `pyarrow.parquet.ParquetFile`. InputError when it is none, UnsupportedError without pyarrow."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as exc:
        raise UnsupportedError("Parquet needs pyarrow.", file=name, fix="pip install 'vesalius[train]'") from exc
    try:
        with pyarrow.parquet.ParquetFile(name) as table:
            yield table
    except pyarrow.ArrowException as exc:
        raise InputError("is not a readable Parquet file.", file=name, fix="Write or copy it again.") from exc
    except OSError as exc:
        raise InputError(f"cannot be read ({exc.strerror or 'not Parquet, or damaged'}).", file=name) from exc


def _parquet_rows(name: str) -> Iterator[Row]:
    number = 0
    with opened_parquet(name) as table:
        for batch in table.iter_batches(batch_size=GROUP_ROWS):
            for values in batch.to_pylist():
                number += 1
                yield Row(number, row_json(values))


def row_json(values: Mapping[str, Any]) -> bytes:
    """A Parquet row as the JSON text of a sample: JSON cells unpacked, nulls left out."""
    row = {key: value for key, value in values.items() if value is not None}
    for key, inner in (("media", "meta"), ("turns", "targets")):
        if isinstance(row.get(key), list):
            row[key] = [_unpacked(one, inner) for one in cast("list[Any]", row[key])]
    if isinstance(row.get("tags"), dict):
        row["tags"] = {key: value for key, value in row["tags"].items() if value is not None}
    return json.dumps(row, ensure_ascii=False, default=str).encode()


def _unpacked(cell: Any, key: str) -> Any:
    if not isinstance(cell, dict):
        return cell
    kept = {name: value for name, value in cast("dict[str, Any]", cell).items() if value is not None}
    if isinstance(kept.get(key), str):
        with suppress(ValueError):  # the schema says what is wrong with it
            kept[key] = json.loads(kept[key])
    return kept


def sample_of_row(row: Row, file: str | os.PathLike[str]) -> Sample:
    """A row, checked against the schema. InputError naming file, row and what is wrong."""
    from pydantic import ValidationError

    from vesalius.dialogue.samples import Sample, problem_of

    try:
        return Sample.model_validate_json(row.data)
    except ValidationError as exc:
        try:
            row.data.decode()
        except UnicodeDecodeError:
            raise InputError(f"row {row.number} is not UTF-8 text.", file=file, fix="Save it as UTF-8.") from exc
        raise InputError(f"row {row.number}: {problem_of(exc)}.", file=file) from exc


def read_samples(path: str | os.PathLike[str]) -> Iterator[Sample]:
    """Stream the samples of a file, a folder of shards or a pattern, never holding more than one; blank lines are
    skipped. Media paths stay as written: they are relative to the folder of the file a row stands in.

    Raises InputError naming the file and the row (counted from 1) for bad JSON, a bad sample or a repeated id.
    """
    for sample, _, _ in placed_samples(path):
        yield sample


def placed_samples(path: str | os.PathLike[str]) -> Iterator[tuple[Sample, int, Path]]:
    """As `read_samples`, each with the number of its row and its file."""
    seen: set[str] = set()
    for file in sample_files(path):
        for row in rows_of(file):
            sample = sample_of_row(row, file)
            if sample.id in seen:
                raise InputError(f"row {row.number}: its id stands in an earlier row, too.", file=file)
            seen.add(sample.id)
            yield sample, row.number, file


def write_samples(path: str | os.PathLike[str], samples: Iterable[Sample]) -> int:
    """Write samples as JSONL (UTF-8, defaults left out), gzipped (`.jsonl.gz`) or Parquet (`.parquet`) by the ending,
    to a temporary name first; returns how many."""
    target = Path(path)
    if not target.name.endswith((*ENDINGS, ".json")):
        raise OptionError("the ending names no format of samples.", file=path, fix=f"Use {', '.join(ENDINGS)}.")
    partial = target.with_name(f".{target.name}.partial")
    try:
        write = _write_parquet if target.suffix == ".parquet" else _write_lines
        count = write(partial, samples, target.name.endswith(".gz"))
        os.replace(partial, target)
    except OSError as exc:
        raise InputError(f"cannot be written ({exc.strerror}).", file=path) from exc
    finally:
        partial.unlink(missing_ok=True)
    return count


def _plain(sample: Sample) -> dict[str, Any]:
    return sample.model_dump(mode="json", exclude_defaults=True)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _write_lines(partial: Path, samples: Iterable[Sample], gzipped: bool) -> int:
    from isal import igzip

    count = 0
    with open(partial, "wb") as raw:
        # A fixed time in the gzip header: the same samples give the same bytes.
        out: Any = igzip.IGzipFile(filename="", fileobj=raw, mode="wb", compresslevel=2, mtime=0) if gzipped else raw
        for sample in samples:
            out.write((_json(_plain(sample)) + "\n").encode())
            count += 1
        if gzipped:
            out.close()
    return count


def _write_parquet(partial: Path, samples: Iterable[Sample], _: bool) -> int:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as exc:
        raise UnsupportedError("Parquet needs pyarrow.", fix="pip install 'vesalius[train]'") from exc
    text = pyarrow.string()

    def records(**fields: Any) -> Any:
        return pyarrow.struct(list(fields.items()))

    schema = pyarrow.schema([
        ("id", text), ("lang", text), ("patient", text),
        ("media", pyarrow.list_(records(kind=text, path=text, meta=text))),
        ("turns", pyarrow.list_(records(role=text, text=text, targets=text))),
        ("tags", records(modality=text, area=text, task=text)),
    ])  # fmt: skip
    count = 0
    waiting: list[dict[str, Any]] = []
    with pyarrow.parquet.ParquetWriter(partial, schema, compression="zstd") as out:
        for sample in samples:
            waiting.append(_columns(sample))
            count += 1
            if len(waiting) == GROUP_ROWS:
                out.write_table(pyarrow.Table.from_pylist(waiting, schema=schema))
                waiting = []
        if waiting or not count:
            out.write_table(pyarrow.Table.from_pylist(waiting, schema=schema))
    return count


def _columns(sample: Sample) -> dict[str, Any]:
    row = _plain(sample)
    for medium in row.get("media", ()):
        medium["meta"] = _json(medium["meta"]) if "meta" in medium else None
    for turn in row["turns"]:
        turn["targets"] = _json(turn["targets"]) if "targets" in turn else None
    return row

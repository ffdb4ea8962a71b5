"""Where the rows of a data set begin, so that any one can be read without the others; eight bytes a row are kept."""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right
from collections import OrderedDict
from hashlib import blake2b
from pathlib import Path
from typing import Any

from vesalius.dialogue.sample_files import Row, opened_parquet, row_json, rows_of, sample_files, sample_of_row
from vesalius.dialogue.samples import Sample
from vesalius.errors import InputError, UnsupportedError

__all__ = ["SampleIndex"]

_KEPT_GROUPS = 64
"""Parquet row groups held in memory."""


class SampleIndex:
    """Random access to the samples of a file, a folder of shards or a pattern.

    `modalities`: modality → row positions. `digest`: a hash of all rows' bytes in order. Reading the index passes over
    the files once; rows are checked when they are read. Gzipped files cannot be entered in the middle and raise
    UnsupportedError.
    """

    def __init__(self, source: str | os.PathLike[str]) -> None:
        self.source = os.fspath(source)
        self._opened: dict[int, Any] = {}
        self.files = sample_files(source)
        self._starts = array("q")
        """Where a row begins in its file (JSONL), or its number in it (Parquet)."""
        self._firsts: list[int] = []
        """Position of each file's first row."""
        self._numbers = array("q")
        self.modalities: dict[str, array[int]] = {}
        self._groups: OrderedDict[tuple[int, int], Any] = OrderedDict()
        self._bounds: dict[int, list[int]] = {}
        """File → the first row of each of its Parquet row groups."""
        whole = blake2b(digest_size=16)
        for file in self.files:
            if file.name.endswith(".gz"):
                raise UnsupportedError(
                    "a gzipped file cannot be read in any order.", file=file,
                    fix="Write it as Parquet: vesalius data convert.",
                )  # fmt: skip
            self._firsts.append(len(self._starts))
            if file.suffix == ".parquet":
                with opened_parquet(str(file)) as table:
                    sizes = [table.metadata.row_group(k).num_rows for k in range(table.num_row_groups)]
                self._bounds[len(self._firsts) - 1] = [sum(sizes[:k]) for k in range(len(sizes))]
            for position, row in enumerate(rows_of(file)):
                self._starts.append(position if file.suffix == ".parquet" else row.offset)
                self._numbers.append(row.number)
                whole.update(row.data)
                self.modalities.setdefault(_modality(row, file), array("q")).append(len(self._starts) - 1)
        self.digest = whole.hexdigest()

    def __len__(self) -> int:
        return len(self._starts)

    def file_of(self, position: int) -> tuple[int, int]:
        """(which file, row number in it from 1)."""
        return bisect_right(self._firsts, position) - 1, self._numbers[position]

    def read(self, position: int) -> tuple[Sample, Path]:
        """(the sample, its file's folder). InputError with file and row when it is bad."""
        which, number = self.file_of(position)
        file = self.files[which]
        start = self._starts[position]
        data = self._parquet(which, start) if file.suffix == ".parquet" else self._line(which, start)
        return sample_of_row(Row(number, data), file), file.parent

    def _line(self, which: int, offset: int) -> bytes:
        try:
            if which not in self._opened:
                if len(self._opened) > 64:
                    self.close()
                self._opened[which] = open(self.files[which], "rb")  # noqa: SIM115 (kept open between rows)
            stream = self._opened[which]
            stream.seek(offset)
            return stream.readline()
        except OSError as exc:
            raise InputError(f"cannot be read ({exc.strerror}).", file=self.files[which]) from exc

    def _parquet(self, which: int, row: int) -> bytes:
        """A row out of the row group that holds it; the groups used last stay in memory, as columns."""
        bounds = self._bounds[which]
        group = bisect_right(bounds, row) - 1
        table = self._groups.get((which, group))
        if table is None:
            with opened_parquet(str(self.files[which])) as file:
                table = self._groups[which, group] = file.read_row_group(group)
            if len(self._groups) > _KEPT_GROUPS:
                self._groups.popitem(last=False)
        self._groups.move_to_end((which, group))
        return row_json(table.slice(row - bounds[group], 1).to_pylist()[0])

    def close(self) -> None:
        """Close the files; reading opens them again."""
        for stream in self._opened.values():
            stream.close()
        self._opened.clear()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": {}, "_groups": OrderedDict()}

    def __del__(self) -> None:
        self.close()


def _modality(row: Row, file: Path) -> str:
    from pydantic_core import from_json

    try:
        tags = from_json(row.data).get("tags") or {}
        return str(tags.get("modality") or "unknown")
    except (ValueError, AttributeError):
        return "unknown"  # reading the row says what is wrong with it

"""Every bad row of training data with its number, reason and fix, and statistics of the good ones; one pass, streaming."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from vesalius.dialogue.convert.contract import BadRow
from vesalius.dialogue.sample_files import Row, rows_of, sample_files
from vesalius.dialogue.samples import Sample, problem_of
from vesalius.errors import InputError, OptionError
from vesalius.training.data.leaks import Keys, shared_with
from vesalius.training.data.media_files import MediaFiles
from vesalius.training.data.row_problems import row_problems
from vesalius.training.data.statistics import Statistics, answer_text, estimated_tokens, sample_text

__all__ = ["Checked", "check_samples"]

_BATCH = 512
_LONG_ANSWER = 24
"""Characters from which an answer that stands word for word in its question is a leak and no option to choose."""


@dataclass
class Checked:
    """`rows`: all rows. `bad`: those that cannot be trained on, one entry a fault. `faults`: what is wrong with the file
    as a whole. `warnings`: remark → numbers of the rows it is about (the first hundred). `token_source`: what counted
    the tokens."""

    file: str
    rows: int = 0
    bad: list[BadRow] = field(default_factory=list[BadRow])
    faults: list[str] = field(default_factory=list[str])
    warnings: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    warned: dict[str, int] = field(default_factory=dict[str, int])
    remarks: list[str] = field(default_factory=list[str])
    statistics: Statistics = field(default_factory=Statistics)
    token_source: str = "estimate"
    max_length: int | None = None
    seconds: float = 0.0

    @property
    def num_bad_rows(self) -> int:
        """Rows with at least one fault."""
        return len({(one.file, one.row) for one in self.bad})

    def warn(self, what: str, row: int) -> None:
        """Note a row that can be trained on and should be looked at."""
        self.warned[what] = self.warned.get(what, 0) + 1
        if self.warned[what] <= 100:
            self.warnings.setdefault(what, []).append(row)

    def to_json(self) -> dict[str, Any]:
        """Everything, plain."""
        told: dict[str, Any] = {
            "file": self.file, "rows": self.rows, "bad_rows": self.num_bad_rows, "ok": not (self.bad or self.faults),
            "faults": self.faults, "bad": [asdict(one) for one in self.bad],
            "warnings": [{"what": what, "count": self.warned[what], "rows": rows}
                         for what, rows in self.warnings.items()],
            "remarks": self.remarks, "statistics": self.statistics.to_json(), "token_source": self.token_source,
            "seconds": round(self.seconds, 3), "rows_per_s": round(self.rows / self.seconds) if self.seconds else None,
        }  # fmt: skip
        if self.max_length is not None:
            told["longer_than_max_length"] = self.statistics.tokens.over(self.max_length)
        return told


def check_samples(
    source: str | os.PathLike[str],
    *,
    against: Sequence[str | os.PathLike[str]] = (),
    tokenizer: str | os.PathLike[str] | None = None,
    max_length: int | None = None,
    decode: bool = False,
) -> Checked:
    """Check a file, a folder of shards or a pattern.

    `against`: other splits; a patient, a picture (by its bytes) or a whole sample that stands there too makes the row
    bad. `tokenizer`: a `tokenizer.json` or its folder; without it lengths are estimates. Lengths are of texts: what
    media add depends on the model. `decode`: decode all media. Raises InputError when a file cannot be read at all.
    """
    began = time.perf_counter()
    files = sample_files(source)
    found = Checked(os.fspath(source), max_length=max_length)
    if max_length is not None and max_length < 1:
        raise OptionError(f"max_length is {max_length}; it must be 1 or more.")
    count, found.token_source = _counter(tokenizer)
    checking = _Checking(found, MediaFiles(decode=decode), count, several=len(files) > 1)
    for file in files:
        checking.file(file)
    checking.flush()
    if found.rows == 0:
        found.faults.append(f"{found.file}: holds no rows. Name the file with the samples.")
    elif found.rows == 1:
        found.faults.append(f"{found.file}: holds one row; nothing could be learnt and held out. Give at least two.")
    for other in against:
        found.bad += shared_with(checking.keys, other)
    found.bad.sort(key=lambda one: (one.file, one.row))
    found.remarks = found.statistics.remarks()
    found.seconds = time.perf_counter() - began
    return found


class _Checking:
    """The state of one pass."""

    def __init__(self, found: Checked, media: MediaFiles, count: _Counter, *, several: bool) -> None:
        self._found, self._media, self._count, self._several = found, media, count, several
        self._ids: set[bytes] = set()
        self._contents: set[bytes] = set()
        self._texts: list[str] = []
        self._answers: list[str] = []
        self.keys = Keys()

    def file(self, path: Path) -> None:
        folder, name = str(path.parent), str(path) if self._several else ""
        try:
            for row in rows_of(path):
                self._found.rows += 1
                self._row(row, folder, name)
        except InputError as exc:
            if not self._found.rows:
                raise
            # The rows before were readable: what they showed is still told.
            self._found.faults.append(str(exc))

    def _row(self, row: Row, folder: str, name: str) -> None:
        from pydantic import ValidationError

        try:
            sample = Sample.model_validate_json(row.data)
        except ValidationError as exc:
            problem = problem_of(exc)
            kind = "json" if "JSON" in problem else "schema"
            fix = "Write one JSON object a line, in UTF-8." if kind == "json" else "See the schema of samples."
            self._bad(row, name, problem.rstrip("."), fix, kind)
            return
        good = True
        identity = _short(sample.id)
        if identity in self._ids:
            good = False
            self._bad(row, name, "its id stands in an earlier row, too", "Give each row its own id.", "duplicate id")
        self._ids.add(identity)
        for one in row_problems(sample, folder, self._media):
            good = False
            self._bad(row, name, one.reason, one.fix, one.kind)
        self.keys.add(sample, row.number, folder, name)
        if good:
            self._good(sample, row.number)

    def _bad(self, row: Row, name: str, reason: str, fix: str, kind: str) -> None:
        self._found.bad.append(BadRow(row.number, reason, fix, kind, name))

    def _good(self, sample: Sample, number: int) -> None:
        self._found.statistics.add(sample)
        content = content_key(sample)
        if content in self._contents:
            self._found.warn("says the same about the same media as an earlier row", number)
        self._contents.add(content)
        if _answer_in_question(sample):
            self._found.warn("its answer stands word for word in its question", number)
        self._texts.append(sample_text(sample))
        self._answers.append(answer_text(sample))
        if len(self._texts) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Count the tokens of the texts that wait."""
        for length in self._count(self._texts):
            self._found.statistics.tokens.add(length)
        for length in self._count(self._answers):
            self._found.statistics.answer_tokens.add(length)
        self._texts, self._answers = [], []


_Counter = Callable[[Sequence[str]], list[int]]


def _short(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()


def content_key(sample: Sample) -> bytes:
    """A hash of what a sample says about which media, whatever its id."""
    media = "\0".join(medium.path for medium in sample.media)
    turns = "\0".join(f"{turn.role}\1{turn.text}\1{turn.targets!r}" for turn in sample.turns)
    return _short(f"{media}\2{turns}")


def _answer_in_question(sample: Sample) -> bool:
    asked = ""
    for turn in sample.turns:
        if turn.role == "assistant":
            said = turn.text.strip()
            if len(said) >= _LONG_ANSWER and said.casefold() in asked.casefold():
                return True
        else:
            asked += turn.text
    return False


def _counter(tokenizer: str | os.PathLike[str] | None) -> tuple[_Counter, str]:
    """(texts → token counts, what counts them)."""
    if tokenizer is None:
        return lambda texts: [estimated_tokens(text) for text in texts], "estimate"
    from tokenizers import Tokenizer

    path = Path(tokenizer)
    path = path / "tokenizer.json" if path.is_dir() else path
    if not path.is_file():
        raise OptionError("there is no tokenizer.json.", file=path, fix="Name the file or its folder.")
    try:
        loaded = Tokenizer.from_file(str(path))
    except Exception as exc:  # tokenizers raises bare Exception for a damaged file
        raise InputError("is no tokenizer.", file=path, fix="Copy it again.") from exc
    loaded.no_padding()
    loaded.no_truncation()

    def count(texts: Sequence[str]) -> list[int]:
        return [len(one) for one in loaded.encode_batch_fast(list(texts), add_special_tokens=False)]

    return count, path.name

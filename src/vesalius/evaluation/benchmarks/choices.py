"""Multiple-choice tables: what one looks like, and its rows as samples."""

from __future__ import annotations

import ast
import json
import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from vesalius.errors import InputError
from vesalius.evaluation.benchmarks.prompts import Prefix, Style, ask_choice
from vesalius.evaluation.benchmarks.rows import Row, find_tables, rows_of
from vesalius.evaluation.contract import Medium, Sample

__all__ = [
    "ChoiceTable",
    "columns_as_options",
    "distinct",
    "gold_by_text",
    "gold_letter",
    "lettered",
    "options_in",
    "read_choices",
]

Options = Mapping[str, str]

_LINE = re.compile(r"^\s*([A-Z])\s*[.:、．：)）\s]\s*(.*\S)\s*$")


def lettered(texts: Sequence[str]) -> dict[str, str]:
    """Options under the letters A, B, …; 26 at most."""
    return dict(zip(string.ascii_uppercase, texts, strict=False))


def options_in(column: str, row: Row) -> dict[str, str]:
    """Options of a cell in any published form: letter → text, a list of texts, a list of {key, value}, a list or
    mapping written as text, or lines that begin with their letters."""
    value = row.value(column)
    if isinstance(value, str):
        value = _written(value)
    options: dict[str, str] = {}
    if isinstance(value, Mapping):
        pairs = cast("Mapping[Any, Any]", value)
        # Parquet gives every row the letters that any row has.
        options = {str(key).strip(): str(text) for key, text in pairs.items() if text is not None}
    elif isinstance(value, list):
        items = cast("list[Any]", value)
        if items and all(isinstance(item, Mapping) for item in items):
            options = {str(item.get("key", "")).strip(): str(item.get("value", "")) for item in items}
        else:
            options = lettered([str(item) for item in items])
        if len(options) != len(items):
            raise row.error(column, f"{len(items)} options do not fit the letters A to Z.")
    if len(options) < 2:
        raise row.error(column, "there are not two or more options.")
    if not all(re.fullmatch("[A-Z]", letter) for letter in options):
        raise row.error(column, "an option has no letter from A to Z.")
    return options


def columns_as_options(columns: Sequence[str], row: Row) -> dict[str, str]:
    """Options that stand in a column each; those at the end may be empty."""
    texts = [row.maybe(column) for column in columns]
    while texts and not texts[-1]:
        texts.pop()
    if len(texts) < 2:
        raise row.error(columns[0], "there are not two or more options.")
    for column, text in zip(columns, texts, strict=False):
        if not text:
            raise row.error(column, "the option is empty.")
    return lettered(texts)


def gold_letter(column: str, row: Row, options: Options) -> str:
    """The right letter, from a letter or an index from 0. InputError when it is none of the options."""
    value = row.value(column)
    letters = list(options)
    if isinstance(value, int) and not isinstance(value, bool):
        if 0 <= value < len(letters):
            return letters[value]
        raise row.error(column, f"the answer {value} is not an index from 0 to {len(letters) - 1}.")
    letter = str(value).strip().strip("().").upper()
    if letter not in options:
        raise row.error(column, f"the answer is none of the options {''.join(letters)}.", "Use a split with answers.")
    return letter


def gold_by_text(column: str, row: Row, options: Options) -> str:
    """The letter of the option with the answer's text; of several equal ones the first."""
    answer = _plain(row.text(column))
    for letter, text in options.items():
        if _plain(text) == answer:
            return letter
    raise row.error(column, "the answer is the text of none of the options.")


@dataclass(frozen=True)
class ChoiceTable:
    """How a benchmark's table is read.

    `files`: split → patterns of its files, the preferred first.  `columns`: those that must be there.
    `options`, `gold`: of a row.  `id`: column; without one ids are split and row number.  `keep`: which rows count.
    `context`: text before the whole prompt.  `shown`: options as the prompt writes them, where it differs.
    """

    files: Mapping[str, tuple[str, ...]]
    columns: tuple[str, ...]
    options: Callable[[Row], dict[str, str]]
    gold: Callable[[Row, Options], str]
    prefix: Prefix = "A. x"
    question: str = "question"
    id: str | None = None
    lang: str = "en"
    tags: tuple[str, ...] = ()
    keep: Callable[[Row], bool] = lambda row: True
    unpack: Callable[[Row], Row] = lambda row: row
    context: Callable[[Row], str] = lambda row: ""
    shown: Callable[[Row], Options] | None = None
    media: Callable[[Row, Path], tuple[Medium, ...]] = lambda row, folder: ()
    cluster: Callable[[Row], str | None] = lambda row: None
    more_tags: Callable[[Row, tuple[Medium, ...]], dict[str, str]] = lambda row, media: {}
    ask: Callable[[str, Options, Style], str] | None = None

    def reader(self, style: Style) -> Callable[[Path, str], Iterator[Sample]]:
        """The `read` of a Benchmark."""
        return partial(read_choices, self, style)


def read_choices(table: ChoiceTable, style: Style, folder: Path, split: str) -> Iterator[Sample]:
    """Samples of a table in published order; InputError as `rows_of` and for bad cells, doubled ids, an empty split."""
    paths = find_tables(folder, table.files[split])
    return distinct(_samples(table, style, folder, split, paths), folder, table.id or "")


def _samples(
    table: ChoiceTable, style: Style, folder: Path, split: str, paths: list[Path]
) -> Iterator[tuple[Row, Sample]]:
    for count, published in enumerate(rows_of(paths, table.columns), 1):
        if not table.keep(published):
            continue
        row = table.unpack(published)
        options = table.options(row)
        question = row.text(table.question, strip=False)
        media = table.media(row, folder)
        shown = table.shown(row) if table.shown else options
        if table.ask:
            prompt = table.ask(question, shown, style)
        else:
            prompt = ask_choice(question, shown, prefix=table.prefix, style=style, lang=table.lang)
        sample = Sample(
            id=row.text(table.id) if table.id else f"{split}-{count}",
            kind="mcq",
            question=question,
            prompt=table.context(row) + prompt,
            media=media,
            options=options,
            gold=table.gold(row, options),
            lang=table.lang,
            cluster=table.cluster(row),
            tags=row.tags(table.tags) | table.more_tags(row, media),
        )
        yield published, sample


def distinct(samples: Iterable[tuple[Row, Sample]], folder: Path, column: str) -> Iterator[Sample]:
    """The samples; InputError when the id of one, in `column`, was there before, or when there are none."""
    seen: dict[str, Row] = {}
    for row, sample in samples:
        if first := seen.get(sample.id):
            where = "" if first.path == row.path else f" of {first.path.name}"
            problem = f"the id stands in row {first.number}{where} already."
            raise row.error(column, problem, "Use the files as published.")
        # Without its values: only where it stood matters.
        seen[sample.id] = Row(row.path, row.number, {})
        yield sample
    if not seen:
        raise InputError("no question of this split counts.", file=folder, fix="Use the files as published.")


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold().rstrip(".")


def _written(text: str) -> Any:
    """A list or mapping written as text, else lines `A …`; {} where it is neither."""
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(value, list | dict):
            return cast("Any", value)
    lines = [_LINE.match(line) for line in text.splitlines() if line.strip()]
    return {m[1]: m[2] for m in lines if m} if all(lines) else {}

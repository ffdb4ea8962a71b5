"""Classification data: a CSV that names a picture and its class in each row, or a folder per class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vesalius.dialogue.convert.contract import Format, Kind, Options, Places, RawRow, RowError
from vesalius.dialogue.convert.tables import csv_rows, first_row
from vesalius.dialogue.convert.turns import checked_sample, named_id, tags_of
from vesalius.dialogue.convert.yolo import PICTURES, pictures_in
from vesalius.dialogue.messages import SUFFIXES
from vesalius.dialogue.samples import Sample, Targets, Turn
from vesalius.errors import InputError, OptionError

__all__ = ["FORMATS"]

_COLUMNS = {
    "path": ("path", "image", "image_path", "file", "filename", "file_name", "image_id"),
    "label": ("label", "class", "class_name", "diagnosis", "category", "target"),
    "patient": ("patient", "patient_id", "patientid", "subject", "subject_id"),
}
"""Column names that say what they hold; any other is named with --column."""
_QUESTION = {
    "en": "Which category does this image belong to: {classes}?",
    "zh": "这张图像属于哪一类：{classes}？",
    "ar": "إلى أي فئة تنتمي هذه الصورة: {classes}؟",
}


def _csv(source: Path, options: Options) -> Iterator[RawRow]:
    first = first_row(source)
    if first is None:
        raise InputError("holds no rows.", file=source)
    columns = {role: column for role in _COLUMNS if (column := _column(role, first, options, source)) is not None}
    classes = sorted({_named(row.values[columns["label"]], options) for row in csv_rows(source)
                      if isinstance(row.values, Mapping) and (row.values[columns["label"]] or "").strip()})  # fmt: skip
    for row in csv_rows(source):
        if isinstance(row.values, RowError):
            yield row
            continue
        cells = {role: (row.values[column] or "").strip() for role, column in columns.items()}
        yield RawRow(row.number, {**cells, "classes": classes}, source.stem)


def _column(role: str, first: Mapping[str, Any], options: Options, source: Path) -> str | None:
    told = options.columns.get(role)
    if told is not None:
        if told not in first:
            raise OptionError(f"there is no column {told!r}.", file=source, fix=f"Known: {', '.join(first)}.")
        return told
    found = [column for column in first if column.strip().lower() in _COLUMNS[role]]
    if len(found) == 1 or (found and role == "patient"):
        return found[0]
    if role == "patient":
        return None
    seen = "no column" if not found else f"{len(found)} columns"
    raise OptionError(
        f"{seen} can be the {role}.", file=source, fix=f"Name it: --column {role}=NAME. Known: {', '.join(first)}."
    )


def _folders(source: Path, options: Options) -> Iterator[RawRow]:
    classes = sorted(one.name for one in source.iterdir() if one.is_dir() and pictures_in(one))
    number = 0
    for folder in classes:
        for path in pictures_in(source / folder):
            number += 1
            stem = path.relative_to(source).with_suffix("").as_posix()
            yield RawRow(number, {"path": str(path.absolute()), "label": folder, "classes": classes, "id": stem})


def _named(label: str, options: Options) -> str:
    """The class as the caller names it: numbers have names in --labels."""
    label = label.strip()
    return options.labels.get(int(label), label) if label.isdecimal() else label


def _samples(row: RawRow, places: Places) -> Sequence[Sample]:
    cells = row.values
    label = _named(cells["label"], places.options)
    if not label:
        raise RowError("the label is empty", "Give the class, or take the row out.")
    if places.options.question is None and places.options.lang not in _QUESTION:
        raise RowError("there is no standard question in this language", "Give one with --question.")
    question = places.options.question or _QUESTION[places.options.lang]
    question = question.replace("{classes}", ", ".join(cells["classes"]))
    path = places.find(cells["path"])
    name = path.name.lower()
    kind: Kind = "image"
    if name.endswith(SUFFIXES["volume"]):
        kind = "volume"
    elif name.endswith(SUFFIXES["video"]):
        kind = "video"
    turns = [
        Turn(role="user", text=question),
        Turn(role="assistant", text=label, targets=Targets(answer=label)),
    ]
    return [
        checked_sample(
            row, places, [places.medium(kind, cells["path"])], turns, tags_of(places, "classify"),
            id=named_id(row), patient=cells.get("patient") or None,
        )
    ]  # fmt: skip


def _is_csv(source: Path, first: Any) -> bool:
    return source.suffix.lower() in (".csv", ".tsv")


def _is_folders(source: Path, first: Any) -> bool:
    if not source.is_dir():
        return False
    folders = [one for one in source.iterdir() if one.is_dir()]
    loose = any(one.suffix.lower() in PICTURES for one in source.iterdir() if one.is_file())
    return len(folders) > 1 and not loose and all(pictures_in(one) for one in folders)


FORMATS = (
    Format("csv", "CSV or TSV with a header: a path, a class and maybe a patient in each row (`--column role=NAME`)",
           "none; classes only", _is_csv, _csv, _samples),
    Format("folders", "a folder per class with its pictures", "none; classes only", _is_folders, _folders, _samples),
)  # fmt: skip

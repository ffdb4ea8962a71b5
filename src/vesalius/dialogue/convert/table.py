"""Every foreign format by name, and which one a source is."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from vesalius.dialogue.convert import (
    classes,
    coco,
    conversations,
    dicom_seg,
    masks,
    medsg,
    ms_swift,
    own,
    point_detect_count,
    yolo,
)
from vesalius.dialogue.convert.contract import Format
from vesalius.dialogue.convert.tables import first_row
from vesalius.errors import InputError, OptionError

__all__ = ["FORMATS", "detect", "format_named"]

FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        *own.FORMATS,
        *coco.FORMATS,
        *point_detect_count.FORMATS,
        *medsg.FORMATS,
        *conversations.FORMATS,
        *ms_swift.FORMATS,
        *yolo.FORMATS,
        *masks.FORMATS,
        *dicom_seg.FORMATS,
        *classes.FORMATS,
    )
}
"""In the order they are tried: the more particular before the general."""


def format_named(name: str) -> Format:
    """The format, or OptionError with the nearest name."""
    if name in FORMATS:
        return FORMATS[name]
    near = difflib.get_close_matches(name, [*FORMATS, "auto"], 1)
    fix = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(FORMATS)}, auto."
    raise OptionError(f"there is no format {name!r}.", fix=fix)


def detect(source: Path) -> Format:
    """The format of a source by its content. InputError when none is recognised."""
    if not source.exists() and not any(letter in source.name for letter in "*?["):
        raise InputError("does not exist.", file=source, fix="Check the path.")
    first: Any = None
    shards = (source.is_dir() and any(source.glob("*.jsonl*"))) or any(source.glob("*.parquet"))
    if not source.is_dir() or shards:
        if _is_text(source):
            first = first_row(source)
            if first is None:
                raise InputError("holds no rows.", file=source, fix="Name the file with the data.")
    for one in FORMATS.values():
        if one.recognises(source, first):
            return one
    raise InputError(
        "is in no format of training data known here.", file=source,
        fix=f"Name it with --from: {', '.join(FORMATS)}.",
    )  # fmt: skip


def _is_text(source: Path) -> bool:
    """Whether rows can be looked at: shards of a folder, or a file by a data file's ending."""
    endings = (".json", ".jsonl", ".gz", ".parquet", ".csv", ".tsv")
    return source.is_dir() or source.name.lower().endswith(endings) or not source.exists()

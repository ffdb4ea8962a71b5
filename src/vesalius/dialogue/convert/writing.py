"""Samples as foreign rows: texts with places said in a named dialect, media paths, and files that appear when whole."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from vesalius.dialogue.convert.contract import Options
from vesalius.dialogue.marks import MEDIA_MARK, PLACE_MARK
from vesalius.dialogue.samples import Sample
from vesalius.dialogue.saying import Saying, said
from vesalius.dialogue.target_sizes import target_size
from vesalius.errors import OptionError
from vesalius.findings.writing import replacing

__all__ = ["foreign_rows", "spoken_turns", "with_media_marks", "write_json"]

_OWN = {"medrega": Saying("box999", "norm999"), "pointdetectcount": Saying("qwen-json", "abs_original"),
        "medsg": Saying("parens", "abs_original")}  # fmt: skip
"""Formats that fix how places are spelt."""


def spoken_turns(
    sample: Sample, source: Path, options: Options, name: str, marks: Mapping[str, str]
) -> list[tuple[str, str]]:
    """(role, text) of each turn, places in the format's own dialect or the one named in `options`; every medium has a
    mark. OptionError when places must be said and no dialect is named. `marks`: our media mark → the format's."""
    saying = _OWN.get(name)
    if saying is None and options.dialect is not None:
        saying = Saying(options.dialect, options.coord, mask_token="[SEG]")
    size_of = target_size(sample, source)
    turns: list[tuple[str, str]] = []
    for turn in with_media_marks(sample):
        if saying is None and (not turn.text.strip() or PLACE_MARK.search(turn.text)):
            raise OptionError(
                "a sample has places, and this format says them in its texts.",
                fix="Name how with --dialect (and --coord).",
            )
        text = said(turn, saying, size_of) if saying is not None else turn.text
        if turn.role == "user":
            text = MEDIA_MARK.sub(lambda found: f"<{marks.get(found[1], found[1])}>", text)
        turns.append((turn.role, text))
    return turns


def with_media_marks(sample: Sample) -> list[Any]:
    """The turns; a sample whose texts mark no medium gets a mark for each in front of its first user turn."""
    turns = list(sample.turns)
    marked = any(turn.role == "user" and MEDIA_MARK.search(turn.text) for turn in turns)
    if sample.media and not marked:
        first = next((k for k, turn in enumerate(turns) if turn.role == "user"), None)
        if first is not None:
            front = "".join(f"<{medium.kind}>\n" for medium in sample.media)
            turns[first] = turns[first].model_copy(update={"text": front + turns[first].text})
    return turns


def foreign_rows(sample: Sample, kind: str, source: Path, target: Path) -> list[str]:
    """Paths of the media of a kind, relative to the written file."""
    return [relative(source / one.path, target.parent) for one in sample.media if one.kind == kind]


def relative(path: Path, folder: Path) -> str:
    """A path as a file in `folder` names it."""
    return PurePosixPath(os.path.relpath(path.absolute(), folder.absolute())).as_posix()


def write_json(target: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """A `.json` list or JSON Lines, by the ending, row by row; returns how many."""
    lines = target.suffix == ".jsonl"
    count = 0
    with replacing(target) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as out:
        for row in rows:
            text = json.dumps(row, ensure_ascii=False, allow_nan=False)
            out.write(text + "\n" if lines else ("[\n" if not count else ",\n") + text)
            count += 1
        if not lines:
            out.write("\n]\n" if count else "[]\n")
    return count

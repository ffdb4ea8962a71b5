"""MedSG-Bench: two to six pictures, a question, and a box in one of them, in pixels of that picture as published
(336 x 336; `size` tells where they differ).

Benchmark rows have `task, question, images, answer [x1, y1, x2, y2]`. Training pairs have an answer such as
`It's in the third image. <|box_start|>(92,150),(164,224)<|box_end|>`, as `messages` or `conversations`. Boxes that a
question names lie on the first picture.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, cast

from vesalius.dialogue.convert.contract import Format, Places, RawRow, RowError
from vesalius.dialogue.convert.spelled import SPELT, unsaid
from vesalius.dialogue.convert.tables import json_rows
from vesalius.dialogue.convert.turns import (
    Spoken,
    checked_sample,
    listed,
    message_texts,
    named_id,
    tags_of,
    text_of_row,
)
from vesalius.dialogue.marks import UNNAMED
from vesalius.dialogue.samples import BoxTarget, Media, Sample, Targets, Turn
from vesalius.findings.dialects.frames import Frame, frame_of
from vesalius.findings.dialects.statements import ImagesNamed

__all__ = ["FORMATS", "TASKS"]

TASKS = (
    "Registered_Diff", "Non_Registered_Diff", "multi_view", "object_tracking",
    "concept", "patch", "crossmodal", "referring",
)  # fmt: skip
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
_SUFFIX = re.compile(r"\s*Output only the coordinates\..*\Z", re.DOTALL)


def _samples(row: RawRow, places: Places) -> Sequence[Sample]:
    if not isinstance(row.values, Mapping):
        raise RowError("it is no object", "Use the rows as published.")
    values = cast("Mapping[str, Any]", row.values)
    names = [_published(name, places) for name in listed(values.get("images") or values.get("image"))]
    if not 1 <= len(names) <= 6:
        raise RowError(f"it has {len(names)} pictures", "Rows of this format hold 2 to 6.")
    media = [places.medium("image", name) for name in names]
    sizes = [places.size(places.find(name)) for name in names]
    task = str(values.get("task") or "grounding")
    if "answer" in values and "question" in values:
        turns = _benchmark(values, media, sizes, places)
    else:
        spoken = (
            message_texts(values.get("messages"), "role", "content")
            if "messages" in values
            else message_texts(values.get("conversations"), "from", "value")
        )
        turns = [_turn(one, sizes, places) for one in spoken]
    return [checked_sample(row, places, media, turns, tags_of(places, task), id=named_id(row))]


def _published(name: Any, places: Places) -> Any:
    """The authors' paths begin with a folder of their machine; the last two parts are published."""
    if not isinstance(name, str) or not PurePosixPath(name).is_absolute():
        return name
    short = str(PurePosixPath(*PurePosixPath(name).parts[-2:]))
    return short if (places.root / short).exists() else name


def _turn(turn: Spoken, sizes: Sequence[tuple[int, int]], places: Places) -> Turn:
    named = ImagesNamed(turn.text)
    coord = places.options.coord or "abs_original"

    def frame_at(position: int) -> tuple[int, Frame]:
        which = named(position)
        if which is None and turn.role == "assistant" and len(sizes) > 1:
            raise RowError("an answer does not say in which picture its box lies", "Say for example: the third image.")
        which = which or 0
        if which >= len(sizes):
            raise RowError(f"an answer names picture {which + 1} of {len(sizes)}", "Correct its number.")
        return which, frame_of(coord, sizes[which])

    found = unsaid(turn.text, "parens", frame_at)
    targets = Targets(boxes=tuple(found.boxes)) if found.boxes else None
    return Turn(role=turn.role, text=found.text, targets=targets)


def _benchmark(
    values: Mapping[str, Any], media: Sequence[Media], sizes: Sequence[tuple[int, int]], places: Places
) -> list[Turn]:
    """The question and its box. Which picture the box lies on is what the size or the task's own rule tells."""
    question = _SUFFIX.sub("", text_of_row(values.get("question"), "question"))
    asked = _turn(Spoken("user", question), sizes, places)
    answer = values.get("answer")
    if not (isinstance(answer, list) and len(answer) == 4 and all(isinstance(v, int | float) for v in answer)):
        raise RowError("the answer is not four numbers", "Give [x1, y1, x2, y2] in pixels.")
    which = _which(values, sizes, places)
    width, height = sizes[which]
    x0, y0, x1, y1 = (float(v) for v in answer)
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise RowError(f"the box lies outside its picture of {width} x {height}", "Correct it.", "outside")
    box = BoxTarget(label=UNNAMED, media=which, box=(x0, y0, x1, y1))
    said = f"It's in the {_ORDINALS[which]} image. <bbox>"
    return [asked, Turn(role="assistant", text=said, targets=Targets(boxes=(box,)))]


def _which(values: Mapping[str, Any], sizes: Sequence[tuple[int, int]], places: Places) -> int:
    told = values.get("additional_info")
    if isinstance(told, str) and (found := ImagesNamed(told)(len(told))) is not None and found < len(sizes):
        return found
    if isinstance(told, Mapping) and isinstance(told.get("image"), int) and 0 <= told["image"] < len(sizes):
        return told["image"]
    size = values.get("size")
    if isinstance(size, list):
        fits = [k for k, one in enumerate(sizes) if list(one) == size]
        if len(fits) == 1:
            return fits[0]
    question = str(values.get("question"))
    named = ImagesNamed(question)(len(question))
    if named is not None and named < len(sizes):
        places.notes["the answer does not say its picture; the last one the question names was taken"] += 1
        return named
    if len(sizes) <= 2:
        places.notes["neither row nor question says the answer's picture; of two the second was taken"] += 1
        return len(sizes) - 1
    raise RowError("it does not say in which picture the box lies", "Give additional_info such as: the third image.")


def _recognises(source: Any, first: Any) -> bool:
    if not isinstance(first, Mapping):
        return False
    if first.get("task") in TASKS and "images" in first:
        return True
    turns = first.get("messages") or first.get("conversations")
    last = turns[-1] if isinstance(turns, list) and turns else None
    said = (last.get("content") or last.get("value")) if isinstance(last, Mapping) else None
    several = len(listed(first.get("images") or first.get("image"))) > 1
    return bool(several and isinstance(said, str) and "<|box_start|>" in said and SPELT["parens"].search(said))


FORMATS = (
    Format("medsg", "MedSG-Bench: `task, question, images, answer`, or its training pairs",
           "`(x1,y1),(x2,y2)`: pixels of the picture named, as published", _recognises, json_rows, _samples),
)  # fmt: skip

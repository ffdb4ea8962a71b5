"""PointDetectCount and MedMultiPoints: pictures with points, boxes and a count, in pixels of the original.

Tables have `image, img_size, points, bbox, count, label, …` and become five samples a picture: pointing, bounding,
counting, cnt_and_point, count_and_box. JSON Lines of the published script have `messages, images`; their answers are
JSON in a fence, which becomes targets that each model says in its own form.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from vesalius.dialogue.convert.contract import Format, Options, Places, RawRow, RowError
from vesalius.dialogue.convert.tables import json_rows
from vesalius.dialogue.convert.turns import checked_sample, listed, message_texts, named_id, spelt_turns, tags_of
from vesalius.dialogue.samples import BoxTarget, CountTarget, Media, PointTarget, Sample, Targets, Turn

__all__ = ["FORMATS"]

TASKS = ("pointing", "bounding", "counting", "cnt_and_point", "count_and_box")
_ASK = {
    "pointing": "Point to each {label}.",
    "bounding": "Give the bounding box of each {label}.",
    "counting": "How many {label} are there?",
    "cnt_and_point": "Count each {label} and point to it.",
    "count_and_box": "Count each {label} and give its bounding box.",
}
_NAMES = {"normal": "normal sperm", "pinhead": "pinhead sperm", "cluster": "sperm cluster", "polyps": "polyp"}
_NONE = "```json\n[]\n```"


def _samples(row: RawRow, places: Places) -> Sequence[Sample]:
    if not isinstance(row.values, Mapping):
        raise RowError("it is no object", "Use the rows as published.")
    values = cast("Mapping[str, Any]", row.values)
    return _messages(row, values, places) if "messages" in values else _table(row, values, places)


def _messages(row: RawRow, values: Mapping[str, Any], places: Places) -> Sequence[Sample]:
    names = listed(values.get("images"))
    if len(names) != 1:
        raise RowError(f"it has {len(names)} pictures", "Rows of this format hold one each.")
    path = places.find(names[0])
    media = [places.medium("image", names[0])]
    first = values["messages"][0] if isinstance(values["messages"], list) and values["messages"] else None
    task = first.get("task") if isinstance(first, Mapping) else None
    turns = message_texts(values["messages"], "role", "content")
    coord = places.options.coord or "abs_original"
    made = spelt_turns(turns, media, [path], places, dialect="qwen-json", coord=coord)
    # The form asked for in the question is an example, not a place: only answers hold targets.
    made = [turn if turn.role == "assistant" else Turn(role=turn.role, text=plain.text)
            for turn, plain in zip(made, turns, strict=True)]  # fmt: skip
    known = str(task) if task in TASKS else "points"
    return [checked_sample(row, places, media, made, tags_of(places, known), id=named_id(row))]


def _table(row: RawRow, values: Mapping[str, Any], places: Places) -> Sequence[Sample]:
    path, medium = _picture(values.get("image"), places)
    width, height = places.size(path)
    told = values.get("img_size")
    if isinstance(told, list) and list(cast("list[Any]", told)) != [width, height]:
        raise RowError(f"it says {told} pixels, the picture has [{width}, {height}]", "Use the picture as published.")
    label = str(values.get("label") or "").strip()
    if not label:
        raise RowError("the label is missing", "Name what was marked.")
    label = _NAMES.get(label, label)
    points = [PointTarget(label=label, point=(p[0], p[1])) for p in _numbers(values.get("points"), 2, (width, height))]
    boxes = [_box(label, b) for b in _numbers(values.get("bbox"), 4, (width, height))]
    count = values.get("count")
    if not isinstance(count, int | float) or isinstance(count, bool) or count < 0 or count != int(count):
        raise RowError("the count is not a whole number of 0 or more", "Correct it.")
    counts = (CountTarget(label=label, count=int(count)),)
    known = {key: str(values[key]) for key in ("organ",) if values.get(key)}
    targets = {
        "pointing": Targets(points=tuple(points)),
        "bounding": Targets(boxes=tuple(boxes)),
        "counting": Targets(counts=counts),
        "cnt_and_point": Targets(points=tuple(points), counts=counts),
        "count_and_box": Targets(boxes=tuple(boxes), counts=counts),
    }
    made: list[Sample] = []
    for task in TASKS:
        question = (places.options.question or _ASK[task]).format(label=label)
        empty = not (targets[task].points or targets[task].boxes or targets[task].counts)
        answer = Turn(role="assistant", text=_NONE if empty else "", targets=None if empty else targets[task])
        turns = [Turn(role="user", text=question), answer]
        tags = tags_of(places, task, area=known.get("organ", "unknown"))
        made.append(checked_sample(row, places, [medium], turns, tags, id=f"{named_id(row)}-{task}"))
    return made


def _picture(value: Any, places: Places) -> tuple[Path, Media]:
    """A picture by its path; one that lies in the table itself is written beside the samples, named by its hash."""
    if isinstance(value, Mapping):
        data = value.get("bytes")
        if isinstance(data, str):
            raise RowError("the picture's bytes are text", "Read the Parquet table, not a JSON copy of it.", "media")
        if not isinstance(data, bytes):
            return places.find(value.get("path")), places.medium("image", value.get("path"))
        folder = places.options.out / "images"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{hashlib.sha256(data).hexdigest()[:24]}{_ending(data)}"
        if not path.exists():
            partial = path.with_name(f".{path.name}.part")
            partial.write_bytes(data)
            partial.replace(path)
        return path, Media(kind="image", path=places.told(path))
    return places.find(value), places.medium("image", value)


def _ending(data: bytes) -> str:
    return ".png" if data.startswith(b"\x89PNG") else ".jpg" if data.startswith(b"\xff\xd8") else ".img"


def _numbers(value: Any, size: int, picture: tuple[int, int]) -> list[list[float]]:
    rows = cast("list[Any]", value) if isinstance(value, list) else None
    good = rows is not None and all(
        isinstance(row, list) and len(row) == size
        and all(isinstance(one, int | float) and not isinstance(one, bool) for one in row) for row in rows
    )  # fmt: skip
    if rows is None or not good:
        raise RowError(f"its places are not lists of {size} numbers", "Use the rows as published.")
    made = [[float(one) for one in row] for row in rows]
    if any(not 0 <= value <= picture[k % 2] for row in made for k, value in enumerate(row)):
        raise RowError(f"a place lies outside its picture of {picture[0]} x {picture[1]}", "Correct it.", "outside")
    return made


def _box(label: str, numbers: Sequence[float]) -> BoxTarget:
    x0, y0, x1, y1 = numbers
    if not (x0 < x1 and y0 < y1):
        raise RowError("a box is empty or reversed", "It needs x0 < x1 and y0 < y1.")
    return BoxTarget(label=label, box=(x0, y0, x1, y1))


def _rows(source: Path, options: Options) -> Any:
    if source.suffix == ".parquet" or (source.is_dir() and any(source.glob("*.parquet"))):
        return _parquet_rows(source)
    return json_rows(source, options)


def _parquet_rows(source: Path) -> Any:
    """Rows with their bytes as they are: pictures lie in the table."""
    from vesalius.dialogue.sample_files import opened_parquet, sample_files

    for path in sample_files(source):
        number = 0
        with opened_parquet(str(path)) as table:
            for batch in table.iter_batches(batch_size=32):
                for values in batch.to_pylist():
                    number += 1
                    yield RawRow(number, values, path.name.partition(".")[0])


def _recognises(source: Path, first: Any) -> bool:
    if not isinstance(first, Mapping):
        return False
    if {"image", "points", "bbox", "count", "label"} <= set(first):
        return True
    messages = first.get("messages")
    return bool(isinstance(messages, list) and messages and isinstance(messages[0], Mapping)
                and messages[0].get("task") in TASKS)  # fmt: skip


FORMATS = (
    Format("pointdetectcount", "PointDetectCount: MedMultiPoints' tables, or `messages, images` of its script",
           "pixels of the original; `point_2d`, `bbox_2d` and `counts` as JSON", _recognises, _rows, _samples),
)  # fmt: skip

"""LLaVA and MedM-VL, Hulu-Med, ShareGPT and MedRegA: rows of `conversations: [{from, value}]` beside media paths.

They differ in the keys of their media, and MedRegA in how texts spell places: `<ref>name</ref><box>[[…]]</box>`, whole
numbers 0–999 of the picture's width and height.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vesalius.dialogue.convert.contract import Format, Kind, Options, Places, RawRow, RowError
from vesalius.dialogue.convert.tables import json_rows
from vesalius.dialogue.convert.turns import (
    Spoken,
    checked_sample,
    listed,
    mask_paths,
    message_texts,
    named_id,
    spelt_turns,
    tags_of,
)
from vesalius.dialogue.convert.writing import foreign_rows, spoken_turns, write_json
from vesalius.dialogue.samples import MaskTarget, Media, Sample, Targets, Turn
from vesalius.findings.dialects.table import dialect_named

__all__ = ["FORMATS"]

Keys = Mapping[str, Kind]
_LLAVA: Keys = {"image": "image", "image3d": "volume", "video": "video"}
_HULU: Keys = {"image": "image", "video": "video"}
_SHARE: Keys = {"images": "image", "image": "image", "videos": "video"}


def _samples(row: RawRow, places: Places, keys: Keys, name: str) -> Sequence[Sample]:
    values = _object(row)
    media: list[Media] = []
    files: list[Path] = []
    for key, kind in keys.items():
        for path in listed(values.get(key)):
            files.append(places.find(path))
            media.append(places.medium(kind, path))
    turns = message_texts(values.get("conversations"), "from", "value")
    if isinstance(values.get("system"), str) and values["system"].strip():
        turns.insert(0, Spoken("system", values["system"]))
    if isinstance(values.get("answer"), str) and turns[-1].role == "user":
        turns.append(Spoken("assistant", values["answer"]))  # MedM-VL moves the last answer there for inference
    turns = _begun(turns, places)
    texts, masks = _without_masks(turns, places)
    dialect = places.options.dialect
    coord = places.options.coord or (dialect_named(dialect).coord if dialect is not None else None)
    if coord == "abs_processed":
        raise RowError("the dialect counts pixels of a resized picture", "Name the frame with --coord.")
    marks = {("image" if key == "images" else key.removesuffix("s")): kind for key, kind in keys.items()}
    made = spelt_turns(
        texts, media, files, places, dialect=dialect, coord=coord, marks=marks, keep_places=any(masks)
    )  # fmt: skip
    made = [_with_masks(turn, found) for turn, found in zip(made, masks, strict=True)]
    task = str(values.get("task") or name)
    return [checked_sample(row, places, media, made, tags_of(places, task), id=named_id(row))]


def _object(row: RawRow) -> Mapping[str, Any]:
    if not isinstance(row.values, Mapping):
        raise RowError("it is no object", "Give an object with conversations.")
    return row.values


def _begun(turns: Sequence[Spoken], places: Places) -> list[Spoken]:
    """What an assistant says before anybody asked is left out, as the published loaders do; the caller is told."""
    start = next((k for k, turn in enumerate(turns) if turn.role == "user"), len(turns))
    kept = [turn for turn in turns[:start] if turn.role == "system"] + list(turns[start:])
    if len(kept) < len(turns):
        places.notes["an answer stood before the first question; it was left out"] += 1
    return kept


def _without_masks(turns: Sequence[Spoken], places: Places) -> tuple[list[Spoken], list[list[MaskTarget]]]:
    texts: list[Spoken] = []
    masks: list[list[MaskTarget]] = []
    for turn in turns:
        text, paths = mask_paths(turn.text) if turn.role == "assistant" else (turn.text, [])
        texts.append(Spoken(turn.role, text))
        masks.append([MaskTarget(label="region", path=places.told(places.find(path))) for path in paths])
    return texts, masks


def _with_masks(turn: Turn, masks: Sequence[MaskTarget]) -> Turn:
    if not masks:
        return turn
    targets = (turn.targets or Targets()).model_copy(update={"masks": tuple(masks)})
    return turn.model_copy(update={"targets": targets})


def _medrega(row: RawRow, places: Places) -> Sequence[Sample]:
    values = _object(row)
    path = places.find(values.get("image"))
    size = places.size(path)
    told = (values.get("width"), values.get("height"))
    if all(isinstance(one, int) for one in told) and told != size:
        raise RowError(
            f"it says {told[0]} x {told[1]} pixels, the picture has {size[0]} x {size[1]}",
            "Use the picture the boxes were drawn on.",
        )
    media = [places.medium("image", values.get("image"))]
    turns = _begun(message_texts(values.get("conversations"), "from", "value"), places)
    made = spelt_turns(
        turns, media, [path], places, dialect="box999", coord=places.options.coord or "norm999", size=size
    )  # fmt: skip
    task = "report" if sum(len(t.targets.boxes) for t in made if t.targets) > 1 else "box"
    return [checked_sample(row, places, media, made, tags_of(places, task), id=named_id(row))]


def _write(name: str, keys: Mapping[str, str], many: bool) -> Any:
    """A writer of this family. `keys`: kind of medium → key. `many`: media are lists even when there is one."""

    def write(samples: Iterator[Sample], source: Path, target: Path, options: Options) -> int:
        def row(sample: Sample) -> dict[str, Any]:
            turns = spoken_turns(sample, source, options, name, {"volume": "image3d"} if name == "llava" else {})
            made: dict[str, Any] = {"id": sample.id}
            for kind, key in keys.items():
                paths = foreign_rows(sample, kind, source, target)
                if paths:
                    made[key] = paths if many or len(paths) > 1 else paths[0]
            if name == "sharegpt" and turns[0][0] == "system":
                made["system"] = turns.pop(0)[1]
            roles = {"user": "human", "assistant": "gpt", "system": "system"}
            made["conversations"] = [{"from": roles[role], "value": text} for role, text in turns]
            if name == "medrega":
                made["width"], made["height"] = _one_size(sample, source)
            if sample.patient is not None:
                made["patient"] = sample.patient
            return made

        return write_json(target, map(row, samples))

    return write


def _one_size(sample: Sample, source: Path) -> tuple[int, int]:
    from vesalius.errors import InputError
    from vesalius.study.picture_size import picture_size

    if len(sample.media) != 1 or sample.media[0].kind != "image":
        raise InputError("MedRegA rows hold one picture each.", fix="Choose another format.")
    return picture_size(source / sample.media[0].path)


def _has_conversations(first: Any) -> bool:
    return isinstance(first, Mapping) and isinstance(first.get("conversations"), list)


def _is_llava(source: Path, first: Any) -> bool:
    return _has_conversations(first) and "id" in first and not _is_sharegpt(source, first) and "width" not in first


def _is_hulumed(source: Path, first: Any) -> bool:
    return _has_conversations(first) and "id" not in first and not _is_sharegpt(source, first)


def _is_sharegpt(source: Path, first: Any) -> bool:
    if not _has_conversations(first):
        return False
    return "images" in first or "videos" in first or "system" in first


def _is_medrega(source: Path, first: Any) -> bool:
    return _has_conversations(first) and {"image", "width", "height"} <= set(first)


_NAMED = "as written; with --dialect (and --coord) as exact targets"
FORMATS = (
    Format("medrega", "MedRegA: `id, image, width, height, conversations`",
           "`<ref>name</ref><box>[[x1,y1,x2,y2]]</box>`, 0–999 of width and height",
           _is_medrega, json_rows, _medrega, _write("medrega", {"image": "image"}, False)),
    Format("sharegpt", "ShareGPT: `conversations: [{from, value}], images, videos, system`", _NAMED,
           _is_sharegpt, json_rows, lambda row, places: _samples(row, places, _SHARE, "chat"),
           _write("sharegpt", {"image": "images", "video": "videos"}, True)),
    Format("llava", "LLaVA and MedM-VL: `id, image, image3d, conversations: [{from, value}]`", _NAMED,
           _is_llava, json_rows, lambda row, places: _samples(row, places, _LLAVA, "chat"),
           _write("llava", {"image": "image", "volume": "image3d", "video": "video"}, False)),
    Format("hulumed", "Hulu-Med and VideoLLaMA3: `image: […] | video: […], conversations: [{from, value}]`", _NAMED,
           _is_hulumed, json_rows, lambda row, places: _samples(row, places, _HULU, "chat"),
           _write("hulumed", {"image": "image", "video": "video"}, True)),
)  # fmt: skip

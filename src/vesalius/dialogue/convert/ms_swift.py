"""ms-swift: `messages: [{role, content}], images, videos, objects {ref, bbox, bbox_type, image_id}, masks`.

`<ref-object>` and `<bbox>` in the texts stand for the entries of `objects`, in order, over all turns. `bbox_type` "real"
(the default): pixels of the original; "norm1": parts of width and height. An entry of two numbers is a point. The i-th
`[SEG]` of the answers stands for the i-th of `masks` (Citrus-V's rows).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from vesalius.dialogue.convert.contract import Format, Kind, Options, Places, RawRow, RowError
from vesalius.dialogue.convert.tables import json_rows
from vesalius.dialogue.convert.turns import checked_sample, listed, message_texts, named_id, spelt_turns, tags_of
from vesalius.dialogue.convert.writing import foreign_rows, relative, with_media_marks, write_json
from vesalius.dialogue.marks import PLACE_MARK, UNNAMED
from vesalius.dialogue.samples import BoxTarget, MaskTarget, Media, PointTarget, Sample, Targets, Turn
from vesalius.errors import InputError
from vesalius.findings.dialects.frames import frame_of

__all__ = ["FORMATS"]

_MEDIA: Mapping[str, Kind] = {"images": "image", "image": "image", "videos": "video"}
_TOKEN = re.compile(r"<ref-object>|<bbox>|\[SEG\]|<SEG>")


def _samples(row: RawRow, places: Places) -> Sequence[Sample]:
    if not isinstance(row.values, Mapping):
        raise RowError("it is no object", "Give an object with messages.")
    values = cast("Mapping[str, Any]", row.values)
    if values.get("audios"):
        raise RowError("it has audios", "Sound is not a medium here; leave the row out.")
    media: list[Media] = []
    files: list[Path] = []
    for key, kind in _MEDIA.items():
        for entry in listed(values.get(key)):
            path = entry.get("path") if isinstance(entry, Mapping) else entry
            files.append(places.find(path))
            media.append(places.medium(kind, path))
    turns = message_texts(values.get("messages"), "role", "content")
    dialect = places.options.dialect
    if dialect is not None and places.options.coord is None:
        raise RowError("the frame of the places is not named", "Name it with --coord.")
    objects = values.get("objects") or {}
    masks = listed(values.get("masks") or values.get("mask"))
    own = bool(objects) or bool(masks)
    made = spelt_turns(
        turns, media, files, places, dialect=dialect, coord=places.options.coord, keep_places=own
    )  # fmt: skip
    if own:
        found = _Objects(objects, masks, media, files, places)
        made = [found.placed(turn) for turn in made]
        found.finish()
    return [checked_sample(row, places, media, made, tags_of(places, "chat"), id=named_id(row))]


class _Objects:
    """The entries of `objects` and `masks`, handed out to the marks in order."""

    def __init__(
        self, objects: Any, masks: Sequence[Any], media: Sequence[Media], files: Sequence[Path], places: Places
    ) -> None:
        if not isinstance(objects, Mapping):
            raise RowError("objects is no object", "Give {ref: […], bbox: […]}.")
        given = cast("Mapping[str, Any]", objects)
        self._refs, self._boxes = listed(given.get("ref")), listed(given.get("bbox"))
        if self._boxes and not isinstance(self._boxes[0], list):
            self._boxes = [self._boxes]
        self._masks, self._places = masks, places
        self._coord = {"real": "abs_original", "norm1": "norm1"}.get(str(given.get("bbox_type", "real")))
        if self._coord is None:
            raise RowError("bbox_type is neither real nor norm1", "Correct it.")
        ids = listed(given.get("image_id"))
        pictures = [k for k, medium in enumerate(media) if medium.kind == "image"]
        if self._boxes and len(pictures) != 1 and len(ids) != len(self._boxes):
            raise RowError(f"boxes on {len(pictures)} pictures without image_id", "Give one image_id a box.")
        self._on = [pictures[i] if isinstance(i, int) and 0 <= i < len(pictures) else -1 for i in ids]
        self._on = self._on or pictures * len(self._boxes)
        if -1 in self._on:
            raise RowError("an image_id is no picture of the row", "Count pictures from 0.")
        self._files = files
        self._ref = self._box = self._mask = 0
        self._name = ""

    def placed(self, turn: Turn) -> Turn:
        """The turn with its targets; names that stand alone become words."""
        boxes: list[BoxTarget] = []
        points: list[PointTarget] = []
        masks: list[MaskTarget] = []

        def mark(found: re.Match[str]) -> str:
            if found[0] == "<ref-object>":
                if self._ref >= len(self._refs):
                    raise RowError(f"more <ref-object> than the {len(self._refs)} in objects.ref", "Give one for each.")
                self._name = str(self._refs[self._ref])
                self._ref += 1
                follows = turn.text[found.end() :].startswith("<bbox>")
                return "<ref-object>" if follows else self._name
            if found[0] == "<bbox>":
                target = self._next()
                (boxes if isinstance(target, BoxTarget) else points).append(target)  # pyright: ignore
                return "<bbox>" if isinstance(target, BoxTarget) else "<point>"
            if not self._masks or turn.role != "assistant":
                return found[0]
            if self._mask >= len(self._masks):
                raise RowError(f"more [SEG] than the {len(self._masks)} masks", "Give one mask for each.")
            path = self._masks[self._mask]
            self._mask += 1
            masks.append(MaskTarget(label=self._name or UNNAMED, path=self._places.told(self._places.find(path))))
            return "<mask>"

        text = _TOKEN.sub(mark, turn.text)
        if not (boxes or points or masks):
            return turn.model_copy(update={"text": text})
        targets = Targets(boxes=tuple(boxes), points=tuple(points), masks=tuple(masks))
        return turn.model_copy(update={"text": text, "targets": targets})

    def _next(self) -> BoxTarget | PointTarget:
        if self._box >= len(self._boxes):
            raise RowError(f"more <bbox> than the {len(self._boxes)} in objects.bbox", "Give one for each.")
        numbers, on = self._boxes[self._box], self._on[self._box]
        self._box += 1
        good = isinstance(numbers, list) and len(numbers) in (2, 4)
        if not good or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in numbers):
            raise RowError("an entry of objects.bbox is neither 4 nor 2 numbers", "Give [x0, y0, x1, y1] or [x, y].")
        assert self._coord is not None
        frame = frame_of(self._coord, self._places.size(self._files[on]))
        if any(not 0 <= v <= frame.limits[k % 2] for k, v in enumerate(numbers)):
            raise RowError("a box lies outside its picture", "Correct it, or bbox_type.", "outside")
        exact = [frame.to_image(k % 2, float(v)) for k, v in enumerate(numbers)]
        label = self._name or UNNAMED
        if len(exact) == 2:
            return PointTarget(label=label, media=on, point=(exact[0], exact[1]))
        if not (exact[0] < exact[2] and exact[1] < exact[3]):
            raise RowError("a box is empty or reversed", "It needs x0 < x1 and y0 < y1.")
        return BoxTarget(label=label, media=on, box=(exact[0], exact[1], exact[2], exact[3]))

    def finish(self) -> None:
        """RowError when entries are left over."""
        for name, used, there in (
            ("objects.bbox without <bbox>", self._box, len(self._boxes)),
            ("masks without [SEG]", self._mask, len(self._masks)),
        ):
            if used < there:
                raise RowError(f"{there - used} of {there} {name}", "Mark each in the texts.", "places")


def _write(samples: Iterator[Sample], source: Path, target: Path, options: Options) -> int:
    return write_json(target, (_row(sample, source, target) for sample in samples))


def _row(sample: Sample, source: Path, target: Path) -> dict[str, Any]:
    if any(medium.kind in ("volume", "table") for medium in sample.media):
        raise InputError("ms-swift rows hold pictures and videos only.", fix="Choose another format.")
    pictures = [k for k, medium in enumerate(sample.media) if medium.kind == "image"]
    refs: list[str] = []
    boxes: list[list[float]] = []
    ids: list[int] = []
    masks: list[str] = []
    messages: list[dict[str, str]] = []
    for turn in with_media_marks(sample):
        text = turn.text if turn.text.strip() else _all_marks(turn.targets)
        text = _taken(text, turn.targets, refs, boxes, ids, masks, pictures, source, target)
        messages.append({"role": turn.role, "content": text})
    row: dict[str, Any] = {"id": sample.id, "messages": messages}
    for kind, key in (("image", "images"), ("video", "videos")):
        if paths := foreign_rows(sample, kind, source, target):
            row[key] = paths
    if boxes:
        row["objects"] = {"ref": refs, "bbox": boxes} | ({"image_id": ids} if len(pictures) > 1 else {})
    if masks:
        row["masks"] = masks
    return row | ({"patient": sample.patient} if sample.patient is not None else {})


def _all_marks(targets: Targets) -> str:
    names = [("" if one.label == UNNAMED else "<ref-object>") for one in (*targets.boxes, *targets.points)]
    marks = ["<bbox>"] * len(targets.boxes) + ["<point>"] * len(targets.points)
    said = "".join(name + mark for name, mark in zip(names, marks, strict=True))
    if not said and len(targets.counts) == 1:
        return str(targets.counts[0].count)
    if not said:
        raise InputError("a turn has no text, and its targets cannot be said without one.", fix="Give it a text.")
    return said


def _taken(
    text: str, targets: Targets | None, refs: list[str], boxes: list[list[float]], ids: list[int], masks: list[str],
    pictures: Sequence[int], source: Path, target: Path,
) -> str:  # fmt: skip
    waiting = {
        "bbox": iter(targets.boxes if targets else ()),
        "point": iter(targets.points if targets else ()),
        "mask": iter(targets.masks if targets else ()),
    }
    named = False
    made: list[str] = []
    at = 0
    for found in PLACE_MARK.finditer(text):
        made.append(text[at : found.start()])
        at = found.end()
        if found[1] == "ref-object":
            named = True
            continue
        one = next(waiting[found[1]])
        if named:
            refs.append(one.label)
            made.append("<ref-object>")
        named = False
        if isinstance(one, MaskTarget):
            if one.path is None:
                raise InputError(
                    "a mask is kept as run lengths; ms-swift rows need a mask file.", fix="Write it as PNG."
                )
            masks.append(relative(source / one.path, target.parent))
            made.append("[SEG]")
            continue
        boxes.append(list(one.box if isinstance(one, BoxTarget) else one.point))
        ids.append(pictures.index(one.media))
        made.append("<bbox>")
    return "".join(made) + text[at:]


def _recognises(source: Path, first: Any) -> bool:
    return isinstance(first, Mapping) and isinstance(first.get("messages"), list)


FORMATS = (
    Format("ms-swift", "ms-swift: `messages: [{role, content}], images, videos, objects, masks`",
           "`<bbox>` of `objects.bbox`: pixels of the original (`real`) or parts of it (`norm1`); `[SEG]` of `masks`",
           _recognises, json_rows, _samples, _write),
)  # fmt: skip

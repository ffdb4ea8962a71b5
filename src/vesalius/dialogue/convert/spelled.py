"""Places that a text spells out, in a dialect that was named: taken out as exact targets, marks left in their stead."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vesalius.dialogue.convert.contract import RowError
from vesalius.dialogue.marks import UNNAMED
from vesalius.findings.dialects.frames import Frame

if TYPE_CHECKING:
    from vesalius.dialogue.samples import BoxTarget, CountTarget, PointTarget

__all__ = ["SPELT", "Unsaid", "looks_spelt", "unsaid"]

_N = r"\s*([-+]?\d+(?:\.\d+)?)\s*"
_REF = r"(?:<\|object_ref_start\|>(?P<ref>.*?)<\|object_ref_end\|>\s*)?"
_LISTS = r"<box>\s*(?P<lists>\[.*?\])\s*</box>"
SPELT: dict[str, re.Pattern[str]] = {
    "parens": re.compile(rf"{_REF}(?:<\|box_start\|>)?\({_N},{_N}\)\s*,\s*\({_N},{_N}\)(?:<\|box_end\|>)?", re.DOTALL),
    "box999": re.compile(rf"(?:<ref>(?P<ref>[^<]*)</ref>\s*)?{_LISTS}", re.DOTALL),
    "box1000": re.compile(rf"(?:<ref>(?P<ref>[^<]*)</ref>\s*)?{_LISTS}", re.DOTALL),
    "medmo": re.compile(rf"(?P<ref>[^\n<>]*?)[ \t]*{_LISTS}", re.DOTALL),
    "medmvl": re.compile(rf"\{{<{_N}><{_N}><{_N}><{_N}>\}}"),
    "unit": re.compile(rf"\[{_N},{_N},{_N},{_N}\]"),
    "qwen-json": re.compile(r"```json\s*(?P<json>.*?)\s*```", re.DOTALL | re.IGNORECASE),
}
"""How each dialect spells a place inside a text. The frame is never told by the numbers: the caller names it."""
_BEFORE_NAME = re.compile(r"((?:[-*•#,;:.\s]|\d+[.)]\s|and\s)*)(.*)", re.DOTALL)
_LEFT = re.compile(r"</?box>|</?ref>|<\|/?(?:box|object_ref)_(?:start|end)\|>|bbox_2d|point_2d")


@dataclass
class Unsaid:
    """A text with marks, and what the marks stand for."""

    text: str = ""
    boxes: list[BoxTarget] = field(default_factory=list)
    points: list[PointTarget] = field(default_factory=list)
    counts: list[CountTarget] = field(default_factory=list)


def looks_spelt(text: str) -> str | None:
    """The dialect whose form a text shows beyond doubt, or None."""
    for name in ("qwen-json", "box999", "medmo", "medmvl"):
        if SPELT[name].search(text) and (name != "qwen-json" or "_2d" in text):
            return name
    return "parens" if "<|box_start|>" in text and SPELT["parens"].search(text) else None


def unsaid(text: str, dialect: str, frame_at: Callable[[int], tuple[int, Frame]]) -> Unsaid:
    """Take the places out of `text`. `frame_at`: position in the text → (which medium, its frame). RowError for a place
    that is reversed, out of its frame or not understood; nothing is clipped or mended."""
    made = Unsaid()

    def mark(found: re.Match[str]) -> str:
        media, frame = frame_at(found.start())
        if dialect == "qwen-json":
            return _from_json(made, found["json"], media, frame)
        groups = found.groupdict()
        label = groups.get("ref") or ""
        label = label if dialect == "medmo" else label.strip()
        if "lists" in groups:
            boxes = _lists(groups["lists"])
        else:
            boxes = [[float(one) for one in found.groups()[-4:]]]
        named, before = _name(label, dialect)
        for box in boxes:
            made.boxes.append(_box(box, named or UNNAMED, media, frame))
        return before + ("<ref-object>" if named else "") + "<bbox>" * len(boxes)

    made.text = SPELT[dialect].sub(mark, text)
    if _LEFT.search(made.text):
        raise RowError(f"a text holds a place that is not in the form of {dialect}", "Correct it, or name its dialect.")
    if dialect == "qwen-json" and made.text == "" and not (made.boxes or made.points or made.counts):
        made.text = text
    return made


def _name(label: str, dialect: str) -> tuple[str, str]:
    """(name, the words before it that stay): in MedMO's form the name is what stands before the box on its line."""
    if dialect != "medmo":
        return label, ""
    kept = _BEFORE_NAME.match(label)
    assert kept is not None
    name = kept[2].strip()
    return name[:200], kept[1]


def _lists(text: str) -> list[list[float]]:
    try:
        value: Any = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, list) and len(value) == 4 and all(_is_number(one) for one in value):
        value = [value]
    rows: list[Any] = value if isinstance(value, list) else []
    if not rows or not all(isinstance(one, list) and len(one) == 4 and all(map(_is_number, one)) for one in rows):
        raise RowError("a <box> holds no list of four numbers", "Write [[x0, y0, x1, y1], …].")
    return [[float(one) for one in row] for row in rows]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _box(numbers: list[float], label: str, media: int, frame: Frame) -> BoxTarget:
    from vesalius.dialogue.samples import BoxTarget

    x0, y0, x1, y1 = (_placed(value, k % 2, frame) for k, value in enumerate(numbers))
    if not (x0 < x1 and y0 < y1):
        raise RowError("a box is empty or reversed", "It needs x0 < x1 and y0 < y1.")
    return BoxTarget(label=label, media=media, box=(x0, y0, x1, y1))


def _placed(value: float, axis: int, frame: Frame) -> float:
    if not 0 <= value <= frame.limits[axis]:
        raise RowError(
            f"a coordinate is {value:g}, outside its frame of 0 to {frame.limits[axis]:g}",
            "Correct it, or name the frame with --coord.",
        )
    return frame.to_image(axis, value)


def _from_json(made: Unsaid, text: str, media: int, frame: Frame) -> str:
    """One fenced block. An object with `counts` is one group; a list holds an object per place."""
    from vesalius.dialogue.samples import CountTarget, PointTarget

    try:
        value: Any = json.loads(text)
    except ValueError as exc:
        raise RowError("a ```json block is not valid JSON", "Correct its brackets and commas.") from exc
    marks: list[str] = []
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, dict):
            raise RowError("a ```json block holds something that is no object", "Write bbox_2d or point_2d objects.")
        label = one.get("label")
        name = str(label).strip() if label else ""
        counted = next((key for key in ("counts", "count") if key in one), None)
        if counted is not None:
            if not isinstance(one[counted], int) or isinstance(one[counted], bool) or one[counted] < 0:
                raise RowError("a count is not a whole number of 0 or more", "Correct it.")
            made.counts.append(CountTarget(label=name or UNNAMED, count=one[counted], media=media))
        named = "<ref-object>" if name else ""
        for numbers in _groups(one.get("bbox_2d"), 4):
            made.boxes.append(_box(numbers, name or UNNAMED, media, frame))
            marks.append(f"{named}<bbox>")
        for numbers in _groups(one.get("point_2d"), 2):
            point = (_placed(numbers[0], 0, frame), _placed(numbers[1], 1, frame))
            made.points.append(PointTarget(label=name or UNNAMED, media=media, point=point))
            marks.append(f"{named}<point>")
        if counted is None and "bbox_2d" not in one and "point_2d" not in one:
            raise RowError("a ```json object has no bbox_2d, point_2d or counts", "Name the place by one of them.")
    return "".join(marks)


def _groups(value: Any, size: int) -> list[list[float]]:
    if value is None:
        return []
    rows: Any = [value] if isinstance(value, list) and value and _is_number(value[0]) else value
    if not isinstance(rows, list) or not all(
        isinstance(row, list) and len(row) == size and all(map(_is_number, row)) for row in rows
    ):
        raise RowError(f"a place is not {size} numbers", "Correct it.")
    return [[float(one) for one in row] for row in rows]

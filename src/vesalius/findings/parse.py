"""From what a model wrote to places in original pixels, with what had to be repaired on the way."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError, LimitError, OptionError
from vesalius.findings.dialects.characters import ascii_twin, without_marks
from vesalius.findings.dialects.frames import Frame, frame_of
from vesalius.findings.dialects.named import REPAIRS, Named, Reading
from vesalius.findings.dialects.seg_tokens import SegToken, read_seg_tokens
from vesalius.findings.dialects.statements import (
    ImagesNamed,
    answer_part,
    is_absence,
    is_refusal,
    only_integer,
    without_thoughts,
)
from vesalius.findings.dialects.table import detect, dialect_named, read_named
from vesalius.limits import current

__all__ = ["Grounding", "GroundingStatus", "Place", "parse_grounding", "placed"]

GroundingStatus = Literal["ok", "repaired", "partial", "none", "empty", "refused", "truncated", "malformed"]
_LETTER = re.compile(r"[^\W_]")
_STRUCTURE = re.compile(r"```|[{\[<]")
Expect = Literal["any", "box", "point", "count"]


class Place(dict[str, Any]):
    """One item: a dict with `kind` ("box", "point", "box3d", "mask"), `coords` (original pixels, floats) and `label`
    (or None); `image` (0-based) where the answer names one, `rle` or `path` for masks. Keys are attributes too."""

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        if name in ("image", "rle", "path"):
            return None
        raise AttributeError(name)


@dataclass(frozen=True)
class Grounding:
    """What a text says about places.

    `items`: in the order written, never de-duplicated. `count`: the number the text states, never inferred from
    `items`. `status`: `ok` nothing repaired; `repaired`; `partial` something dropped, something kept; `none` a
    well-formed "nothing"; `empty`; `refused`; `truncated` cut off, items may remain; `malformed`. `repaired`: codes in
    the order the repairs are tried. `errors`: a line for everything dropped. `count_mismatch`: count and items differ.
    `dialect`: the dialect read (the one detected for "auto"). Also readable as `result["items"]`.
    """

    items: list[Place]
    count: int | None
    status: GroundingStatus
    repaired: list[str] = field(default_factory=list[str])
    errors: list[str] = field(default_factory=list[str])
    count_mismatch: bool = False
    dialect: str = ""

    def keys(self) -> list[str]:
        """Field names, so that `dict(result)` works."""
        return list(self.__dataclass_fields__)

    def __getitem__(self, name: str) -> Any:
        if name not in self.__dataclass_fields__:
            raise KeyError(name)
        return getattr(self, name)


def parse_grounding(
    text: str,
    dialect: str,
    image_size: Sequence[float],
    processed_size: Sequence[float] | None = None,
    coord: str | None = None,
    strict: bool = False,
    expect: Expect = "any",
    finish_reason: str | None = None,
    *,
    padding: Sequence[float] | None = None,
    masks: Sequence[Any] | None = None,
) -> Grounding:
    """Places in a model's answer, in absolute pixels of the original image (XYXY, x1 < x2, y1 < y2).

    `dialect`: a name of `vesalius.findings.dialects.table.DIALECTS` or "auto". `image_size`: (width, height) of the
    original, (width, height, depth) in voxels for "m3d". `processed_size`: what the model was shown, `padding` (left,
    top, right, bottom) included. `coord`: the frame of the numbers, if not the dialect's own; it is never guessed.
    `strict`: the published grammar, nothing mended. `expect`: "point" takes pairs of numbers for points, "count" takes
    the only whole number of a text as its count. `finish_reason`: "length" if the model was stopped. `masks`: for
    "seg", a bool array `[H, W]` or COCO run lengths per token.

    Raises OptionError for an unknown dialect, frame or size. Any text has a result; none raises.
    """
    if not isinstance(text, str):
        raise InputError(f"the text is a {type(text).__name__}.", fix="Give the model's answer as a string.")
    if expect not in ("any", "box", "point", "count"):
        raise OptionError(f"expect is {expect!r}.", fix="Use any, box, point or count.")
    shown, is_open = without_thoughts(text)
    shown = answer_part(shown)
    name = detect(shown) if dialect == "auto" else dialect
    frame = frame_of(coord or dialect_named(name).coord, image_size, processed_size, padding)
    cap = current().max_answer_chars
    too_long = [f"only the first {cap} of {len(shown)} characters were read"] if len(shown) > cap else []
    if too_long:
        shown, finish_reason = shown[:cap], "length"
    if is_open:
        return Grounding([], None, "truncated", errors=["a thought is not closed"], dialect=name)
    if not shown.strip():
        return Grounding([], None, "empty", dialect=name)
    # White space behind the last number says nothing: a text that ends there is as cut off as one without it.
    marked = shown if strict else without_marks(shown.rstrip())
    if name == "seg":
        return _with_masks(marked, read_seg_tokens(marked), frame, masks, finish_reason)
    reading = read_named(marked, name, strict=strict, expect=expect)
    if marked.rstrip() != shown.rstrip():
        reading.repairs.add("chars")
    reading.is_closed = reading.is_closed and not too_long
    reading.errors += too_long
    return _finish(reading, frame, name, strict, expect, finish_reason)


def _finish(
    reading: Reading, frame: Frame, name: str, strict: bool, expect: str, finish_reason: str | None
) -> Grounding:
    image_at = ImagesNamed(ascii_twin(reading.text) if reading.named else "")
    items: list[Place] = []
    for one in reading.named:
        place = placed(one, frame, reading, strict)
        if place is None:
            continue
        image = image_at(one.start)
        if image is not None:
            place["image"] = image
        items.append(place)
    if strict:
        reading.repairs.clear()
    count = reading.count
    if count is None and expect == "count" and not items and not (strict and name == "qwen-json"):
        count = only_integer(reading.text if strict else ascii_twin(reading.text))
        if count is not None and count != only_integer(reading.text):
            reading.repairs.add("chars")
    status: GroundingStatus
    if not items and count is None and not reading.errors and not reading.is_cut and not reading.is_empty_form:
        status, count = _without_form(reading.text, reading)
    elif not items and count is None and not reading.is_form and not reading.is_cut and not reading.is_empty_form:
        status, count = _without_form(reading.text, reading)  # the only error is that there is no form
    else:
        status = _status(reading, items, count)
    if finish_reason == "length" and not (reading.is_closed and status in ("ok", "repaired", "none", "partial")):
        status = "truncated" if status not in ("refused", "empty") else status
    mismatch = bool(items) and count is not None and count != len(items)
    repaired = [code for code in REPAIRS if code in reading.repairs]
    return Grounding(items, count, status, repaired, reading.errors, mismatch, name)


def _status(reading: Reading, items: Sequence[Place], count: int | None) -> GroundingStatus:
    if reading.is_cut:
        return "truncated"
    if not items and not count:
        return "malformed" if reading.errors and (reading.is_form or count is None) else "none"
    if reading.errors:
        return "partial"
    return "repaired" if reading.repairs else "ok"


def _without_form(text: str, reading: Reading) -> tuple[GroundingStatus, int | None]:
    """The status of a text that has none of the grammar, and the count it states."""
    reading.repairs.clear()
    if not _LETTER.search(text):
        return ("empty" if not text.strip(" \n\t\r.…,;:!?。，-_*") else "malformed"), None
    if is_refusal(text):
        return "refused", None
    if not _STRUCTURE.search(text) and is_absence(text):
        reading.errors.clear()
        return "none", 0
    if not reading.errors:
        reading.errors.append("no place and no count in the text")
    return "malformed", None


def placed(one: Named, frame: Frame, reading: Reading, strict: bool) -> Place | None:
    """A place in original pixels, or None with an error noted in `reading`, where repairs are noted too."""
    axes = len(frame.sizes)
    numbers = one.numbers
    if not all(math.isfinite(value) for value in numbers):
        return _drop(reading, "a coordinate is not finite")
    if len(numbers) not in (2, 2 * axes):
        return _drop(reading, f"a place has {len(numbers)} numbers in a picture of {axes} axes")
    repairs: set[str] = set()
    low, high = numbers[:axes], numbers[axes:]
    if high and any(a > b for a, b in zip(low, high, strict=True)):
        if strict:
            return _drop(reading, "corners are swapped")
        repairs.add("swapped_corners")
        pairs = [(min(a, b), max(a, b)) for a, b in zip(low, high, strict=True)]
        numbers = (*(a for a, _ in pairs), *(b for _, b in pairs))
    coords: list[float] = []
    for position, value in enumerate(numbers):
        axis = position % axes
        if strict and not 0 <= value <= frame.limits[axis]:
            return _drop(reading, "a place is outside the frame")
        pixel = frame.to_image(axis, value)
        inside = min(max(pixel, 0.0), frame.sizes[axis])
        if pixel != inside:
            if strict:
                return _drop(reading, "a place is outside the picture")
            repairs.add("clipped")
        coords.append(inside)
    if len(coords) > 2 and any(a >= b for a, b in zip(coords[:axes], coords[axes:], strict=True)):
        return _drop(reading, "a box has no extent in the picture")
    reading.repairs |= repairs
    kind = {2: "point", 4: "box", 6: "box3d"}[len(coords)]
    return Place(kind=kind, coords=coords, label=one.label or None)


def _drop(reading: Reading, why: str) -> None:
    reading.drop(why)


def _with_masks(
    text: str, tokens: Sequence[SegToken], frame: Frame, masks: Sequence[Any] | None, finish_reason: str | None
) -> Grounding:
    from vesalius.findings.masks import bounding_box, encode_rle

    reading = Reading(text)
    items: list[Place] = []
    image_at = ImagesNamed(text)
    for number, token in enumerate(tokens):
        given = masks[number] if masks is not None and number < len(masks) else token.runs
        place = Place(kind="mask", coords=[], label=token.label or None)
        image = image_at(token.start)
        if image is not None:
            place["image"] = image
        if token.path:
            place["path"] = token.path
        if given is not None:
            try:
                mask = _at_original(given, frame)
            except InputError as exc:
                reading.drop(f"mask {number}: {exc.problem}")
                continue
            place["rle"] = encode_rle(mask)
            place["coords"] = list(bounding_box(mask) or ())
        items.append(place)
    if not items and not reading.errors:
        status, count = _without_form(text, reading)
        return Grounding([], count, status, [], reading.errors, dialect="seg")
    status = "truncated" if finish_reason == "length" else _status(reading, items, None)
    return Grounding(items, None, status, [], reading.errors, dialect="seg")


def _at_original(given: Any, frame: Frame) -> NDArray[np.bool_]:
    """A mask `[H, W]` of the original, nearest neighbour where it came at another size."""
    from vesalius.findings.masks import decode_rle

    mask = decode_rle(given) if isinstance(given, Mapping) else np.asarray(given)  # pyright: ignore[reportUnknownArgumentType]
    if mask.ndim != 2 or not mask.size:
        raise InputError(f"the mask has {mask.ndim} axes, not 2.")
    width, height = (round(one) for one in frame.sizes[:2])
    if width * height > current().max_pixels:
        raise LimitError(f"a mask of {width} x {height} pixels exceeds the limit of {current().max_pixels}.")
    if mask.shape == (height, width):
        return mask.astype(bool)
    rows = np.minimum((np.arange(height) + 0.5) * mask.shape[0] / height, mask.shape[0] - 1).astype(np.int64)
    columns = np.minimum((np.arange(width) + 0.5) * mask.shape[1] / width, mask.shape[1] - 1).astype(np.int64)
    return mask.astype(bool)[rows[:, None], columns[None, :]]

"""Places in original pixels → the text a model writes for them: the inverse of `parse_grounding`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vesalius.errors import InputError, OptionError
from vesalius.findings.dialects.frames import Frame, frame_of
from vesalius.findings.dialects.table import dialect_named
from vesalius.findings.findings import Box, Point

__all__ = ["encode"]


@dataclass(frozen=True)
class _Written:
    """One place with its numbers as text."""

    kind: str
    label: str
    numbers: tuple[str, ...]
    runs: Any = None


def encode(
    items: Sequence[Mapping[str, Any] | Box | Point],
    dialect: str,
    image_size: Sequence[float],
    processed_size: Sequence[float] | None = None,
    coord: str | None = None,
    *,
    padding: Sequence[float] | None = None,
    count: int | None = None,
) -> str:
    """What a model that speaks `dialect` writes for `items` (as `parse_grounding` returns them, or findings).

    Numbers are rounded to the frame's step (whole numbers; for unit frames decimals finer than half an original pixel),
    so a round trip moves a coordinate by at most half a step. A box thinner than a step gets decimals where the dialect
    has them, else the next step (`medmvl`). `count`: stated in the `counts` form of "qwen-json".
    Raises OptionError for an unknown dialect or size, or items the dialect cannot say.
    """
    form = dialect_named(dialect)
    frame = frame_of(coord or form.coord, image_size, processed_size, padding)
    written = [_written(one, frame, dialect) for one in items]
    match dialect:
        case "qwen-json":
            return _qwen_json(written, count)
        case "box999" | "box1000":
            return "".join(
                (f"<ref>{label}</ref>" if label else "") + f"<box>{_lists(group)}</box>"
                for label, group in _runs(written)
            )
        case "medmo":
            return "\n".join(f"{label} <box>{_lists(group)}</box>".lstrip() for label, group in _runs(written))
        case "unit" | "m3d":
            return "\n".join(_list(one) for one in written)
        case "parens":
            return "".join(_pair(one) for one in written)
        case "citrus-inline":
            return "\n".join(
                f'<bbox>{{"Part": {json.dumps(one.label, ensure_ascii=False)}, "bbox": {_list(one)}}}</bbox>'
                for one in written
            )
        case "medmvl":
            return "\n".join("{" + "".join(f"<{number}>" for number in one.numbers) + "}" for one in written)
        case _:
            return " ".join(
                f"The {one.label or 'segment'} is [SEG]{json.dumps(one.runs) if one.runs else ''}." for one in written
            )


def _written(one: Mapping[str, Any] | Box | Point, frame: Frame, dialect: str) -> _Written:
    kind, label, coords, runs = _facts(one)
    if dialect == "seg":
        if kind != "mask":
            raise OptionError(f"the dialect 'seg' says masks, not a {kind}.")
        return _Written(kind, label, (), runs)
    allowed = {"qwen-json": ("box", "point"), "m3d": ("box3d",)}.get(dialect, ("box",))
    if kind not in allowed:
        raise OptionError(f"the dialect {dialect!r} cannot say a {kind}.", fix=f"It says {' and '.join(allowed)}.")
    axes = len(frame.sizes)
    if len(coords) != {"box": 4, "point": 2, "box3d": 6}[kind] or len(coords) % axes:
        raise InputError(f"a {kind} has {len(coords)} coordinates in a picture of {axes} axes.")
    if not all(math.isfinite(value) for value in coords):
        raise InputError(f"a {kind} has a coordinate that is not finite.")
    exact = [frame.from_image(at % axes, value) for at, value in enumerate(coords)]
    decimals = 0 if frame.step >= 1 else max(4, math.ceil(math.log10(max(frame.sizes))) + 1)
    numbers = [_rounded(value, decimals) for value in exact]
    if len(exact) > 2:
        for low in range(axes):
            numbers[low], numbers[low + axes] = _apart(
                exact[low], exact[low + axes], decimals, dialect, frame.limits[low]
            )
    return _Written(kind, label, tuple(numbers))


def _facts(one: Mapping[str, Any] | Box | Point) -> tuple[str, str, list[float], Any]:
    """(kind, label, coordinates, run lengths)."""
    if isinstance(one, Box):
        return "box", one.label, [one.x0, one.y0, one.x1, one.y1], None
    if isinstance(one, Point):
        return "point", one.label, [one.x, one.y], None
    kind = str(one.get("kind", "box"))
    return kind, str(one.get("label") or ""), [float(value) for value in one.get("coords", ())], one.get("rle")


def _rounded(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    if decimals:
        text = text.rstrip("0")
        text += "0" if text.endswith(".") else ""
    return "0" + text[2:] if text.startswith("-0") and not float(text) else text


def _apart(low: float, high: float, decimals: int, dialect: str, limit: float) -> tuple[str, str]:
    """Both edges of a box, never rounded to the same number."""
    if not low < high:
        raise InputError(f"a box runs from {low:g} to {high:g} of the frame; the second must be more.")
    for finer in range(decimals, 1 if dialect == "medmvl" else 17):
        first, second = _rounded(low, finer), _rounded(high, finer)
        if float(first) < float(second):
            return first, second
        if dialect == "medmvl":
            break
    below, above = math.floor(low), math.floor(low) + 1
    if above > limit:
        below, above = below - 1, above - 1
    return str(below), str(above)


def _list(one: _Written) -> str:
    return f"[{', '.join(one.numbers)}]"


def _lists(group: Sequence[_Written]) -> str:
    return f"[{', '.join(_list(one) for one in group)}]"


def _pair(one: _Written) -> str:
    x0, y0, x1, y1 = one.numbers
    name = f"<|object_ref_start|>{one.label}<|object_ref_end|>" if one.label else ""
    return f"{name}<|box_start|>({x0},{y0}),({x1},{y1})<|box_end|>"


def _runs(written: Sequence[_Written]) -> list[tuple[str, list[_Written]]]:
    """Neighbours of the same label together."""
    found: list[tuple[str, list[_Written]]] = []
    for one in written:
        if found and found[-1][0] == one.label:
            found[-1][1].append(one)
        else:
            found.append((one.label, [one]))
    return found


def _qwen_json(written: Sequence[_Written], count: int | None) -> str:
    keys = {"box": "bbox_2d", "point": "point_2d"}
    if count is None:
        rows = [
            f'\t{{"{keys[one.kind]}": {_list(one)}'
            + (f', "label": {json.dumps(one.label, ensure_ascii=False)}' if one.label else "") + "}"
            for one in written
        ]  # fmt: skip
        body = "[\n" + ",\n".join(rows) + "\n]" if rows else "[]"
        return f"```json\n{body}\n```"
    labels, kinds = {one.label for one in written}, {one.kind for one in written}
    if len(labels) > 1 or len(kinds) > 1:
        raise OptionError(
            f"one count with {len(labels)} labels and {len(kinds)} kinds of place.", fix="Encode each apart."
        )
    parts = [f'"counts": {count}']
    if written:
        parts.append(f'"{keys[written[0].kind]}": {_lists(written)}')
    if labels - {""}:
        parts.append(f'"label": {json.dumps(written[0].label, ensure_ascii=False)}')
    return "```json\n{" + ", ".join(parts) + "}\n```"

"""Findings as JSON, in pixels and in millimetres, and back.

The shape of the document is written down in `findings.schema.json` beside this file; its version is the value of
`vesalius_findings`. Nothing of the patient goes in: no file names, no UIDs, no header text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any, cast

import numpy as np

from vesalius.errors import InputError
from vesalius.findings.findings import Box, Count, Finding, Mask, Measurement, Point, Report, Where
from vesalius.findings.masks import bounding_box, decode_rle, encode_rle
from vesalius.findings.writing import replacing
from vesalius.study.items import Clip, Document, Item, Picture, Slide, Study, Table, Volume

__all__ = ["VERSION", "from_json", "schema", "to_json", "write_json"]

VERSION = 1

_PIXEL_FRAME = "x right, y down, origin at the outer corner of the first pixel of the original picture"
_VOXEL_FRAME = "canonical RAS+ [X, Y, Z], X running fastest in run lengths"


def to_json(
    findings: Sequence[Finding],
    *,
    study: Study | Sequence[Item] | None = None,
    model: str | None = None,
    question: str | None = None,
    answer_text: str | None = None,
    notice: str | None = None,
) -> dict[str, Any]:
    """A dict that `json.dumps` takes as it is and `findings.schema.json` describes.

    `study`: the media the findings' `where.item` counts, so their sizes and geometry go along.
    Raises InputError for a number that is not finite.
    """
    document: dict[str, Any] = {
        "vesalius_findings": VERSION,
        "pixel_frame": _PIXEL_FRAME,
        "voxel_frame": _VOXEL_FRAME,
        "findings": [_finding(f) for f in findings],
    }
    told = {"model": model, "question": question, "answer": answer_text, "notice": notice}
    document.update({key: value for key, value in told.items() if value is not None})
    if study is not None:
        items = study.items if isinstance(study, Study) else study
        document["items"] = [_item(position, item) for position, item in enumerate(items)]
    return document


def write_json(path: str | PathLike[str], document: Mapping[str, Any]) -> Path:
    """Write the document, whole or not at all. Raises OptionError when the folder cannot be written."""
    text = json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return Path(path)


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of what `to_json` returns."""
    text = files("vesalius.findings").joinpath("findings.schema.json").read_text(encoding="utf-8")
    return cast("dict[str, Any]", json.loads(text))


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise InputError("a finding holds a number that is not finite; it cannot be written as JSON.")
    return number


def _numbers(values: Any) -> list[float] | None:
    return None if values is None else [_number(v) for v in values]


def _known(**fields: Any) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def _where(where: Where) -> dict[str, Any]:
    time_s = None if where.time_s is None else _number(where.time_s)
    return _known(item=where.item, axis=where.axis, slice_index=where.slice_index, frame=where.frame, time_s=time_s)


def _finding(finding: Finding) -> dict[str, Any]:
    if isinstance(finding, Report):
        return {
            "kind": "report",
            "findings": finding.findings,
            "impression": finding.impression,
            "lang": finding.lang,
        }
    shared = {"kind": finding.kind, "label": finding.label, "where": _where(finding.where)}
    shared |= _known(confidence=None if finding.confidence is None else _number(finding.confidence))
    if not isinstance(finding, Count):
        shared |= _known(group=finding.group)
    return shared | _place(finding)


def _place(finding: Box | Point | Count | Mask | Measurement) -> dict[str, Any]:
    match finding:
        case Box():
            millimetres = _known(size=_numbers(finding.size_mm), centre_ras=_numbers(finding.centre_ras_mm))
            box = _numbers((finding.x0, finding.y0, finding.x1, finding.y1))
            return {"pixels": {"box": box}} | _known(mm=millimetres or None)
        case Point():
            millimetres = _known(ras=_numbers(finding.ras_mm))
            return {"pixels": {"point": _numbers((finding.x, finding.y))}} | _known(mm=millimetres or None)
        case Count():
            return {"count": int(finding.count)}
        case Measurement():
            return {"name": finding.name, "value": _number(finding.value), "unit": finding.unit}
        case Mask():
            area = None if finding.area_mm2 is None else _number(finding.area_mm2)
            volume = None if finding.volume_ml is None else _number(finding.volume_ml)
            sizes = _known(area_mm2=area, volume_ml=volume)
            rle = encode_rle(finding.mask)
            if finding.mask.ndim == 3:
                return {"voxels": {"rle": rle}} | sizes
            return {"pixels": _known(rle=rle, box=_numbers(bounding_box(finding.mask)))} | sizes


def _item(position: int, item: Item) -> dict[str, Any]:
    """Size and geometry of one medium."""
    shared = {"item": position, "kind": type(item).__name__.lower(), "format": item.origin.format}
    shared |= _known(modality=item.origin.modality)
    match item:
        case Picture():
            ras = None if item.pixel_to_ras is None else [_numbers(row) for row in item.pixel_to_ras]
            geometry = _known(spacing_mm=_numbers(item.spacing_mm), pixel_to_ras=ras)
            return shared | {"width": item.width, "height": item.height} | geometry
        case Volume():
            return shared | {
                "shape": list(item.shape),
                "spacing_mm": _numbers(item.spacing_mm),
                "affine_ras": [_numbers(row) for row in item.affine_ras],
            }
        case Clip():
            size = {"width": item.width, "height": item.height, "num_frames": item.num_frames}
            return shared | size | _known(spacing_mm=_numbers(item.spacing_mm))
        case Slide():
            return shared | {"width": item.width, "height": item.height} | _known(mpp=_numbers(item.mpp))
        case Table() | Document():
            return shared


def from_json(document: Mapping[str, Any]) -> list[Finding]:
    """The findings of a document that `to_json` made, equal to the originals.

    Raises InputError, naming the finding's position, for another version or a damaged entry; LimitError for a mask
    above the limits.
    """
    version = document.get("vesalius_findings")
    if version != VERSION:
        raise InputError(f"findings of version {version!r} cannot be read.", fix=f"This release reads {VERSION}.")
    entries: Any = document.get("findings")
    if not isinstance(entries, list):
        raise InputError("the document has no list of findings.")
    found: list[Finding] = []
    for position, entry in enumerate(cast("list[Any]", entries)):
        try:
            found.append(_read(entry))
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            problem = f"field {exc} is missing" if isinstance(exc, KeyError) else "a field is of the wrong type"
            raise InputError(f"finding {position} cannot be read: {problem}.") from exc
        except InputError as exc:
            raise type(exc)(f"finding {position} cannot be read: {exc.problem}") from exc
    return found


def _read(entry: Mapping[str, Any]) -> Finding:
    if entry["kind"] == "report":
        return Report(
            findings=_text(entry["findings"]),
            impression=_text(entry["impression"]),
            lang=_text(entry.get("lang", "en")),
        )
    shared: dict[str, Any] = {
        "label": _text(entry["label"]),
        "where": _read_where(entry.get("where", {})),
        "confidence": _optional(entry.get("confidence")),
    }
    grouped: dict[str, Any] = shared | {"group": None if entry.get("group") is None else _whole(entry["group"])}
    millimetres: Mapping[str, Any] = entry.get("mm", {})
    match entry["kind"]:
        case "box":
            x0, y0, x1, y1 = (_number(v) for v in entry["pixels"]["box"])
            size, centre = _tuple(millimetres.get("size"), 2), _tuple(millimetres.get("centre_ras"), 3)
            return Box(x0=x0, y0=y0, x1=x1, y1=y1, size_mm=size, centre_ras_mm=centre, **grouped)
        case "point":
            x, y = (_number(v) for v in entry["pixels"]["point"])
            return Point(x=x, y=y, ras_mm=_tuple(millimetres.get("ras"), 3), **grouped)
        case "count":
            return Count(count=_whole(entry["count"]), **shared)
        case "measurement":
            return Measurement(
                name=_text(entry["name"]), value=_number(entry["value"]), unit=_text(entry["unit"]), **grouped
            )
        case "mask":
            rle: Any = entry["voxels"]["rle"] if "voxels" in entry else entry["pixels"]["rle"]
            area, volume = _optional(entry.get("area_mm2")), _optional(entry.get("volume_ml"))
            return Mask(mask=np.ascontiguousarray(decode_rle(rle)), area_mm2=area, volume_ml=volume, **grouped)
        case kind:
            raise InputError(f"{kind!r} is no kind of finding.")


def _read_where(where: Mapping[str, Any]) -> Where:
    axis = where.get("axis")
    if axis not in (None, "axial", "coronal", "sagittal"):
        raise InputError(f"{axis!r} is no axis.", fix="Use axial, coronal or sagittal.")
    index, frame = where.get("slice_index"), where.get("frame")
    return Where(
        item=_whole(where.get("item", 0)),
        axis=axis,
        slice_index=None if index is None else _whole(index),
        frame=None if frame is None else _whole(frame),
        time_s=_optional(where.get("time_s")),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("text expected")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("whole number expected")
    return value


def _optional(value: Any) -> float | None:
    return None if value is None else _number(value)


def _tuple(values: Any, length: int) -> Any:
    if values is None:
        return None
    numbers = tuple(_number(v) for v in values)
    if len(numbers) != length:
        raise ValueError("wrong number of coordinates")
    return numbers

"""What the DICOM standard asks of a segmentation and of a structured report, for dicom-validator, without network.

dicom-validator reads the standard's own text, which it downloads. Here it gets the tables of PS3.3 that highdicom ships
(which modules an object has, their attributes and types) and the dictionary of pydicom. Those tables hold no
conditions; the ones our objects meet are written out below.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from dicom_validator.validator.dicom_info import DicomInfo
from dicom_validator.validator.error_handler import NullValidationResultHandler
from dicom_validator.validator.iod_validator import IODValidator
from pydicom import dcmread
from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import tag_for_keyword

__all__ = ["violations"]

IODS = {
    "1.2.840.10008.5.1.4.1.1.66.4": "segmentation",
    "1.2.840.10008.5.1.4.1.1.88.34": "comprehensive-3d-sr",
}
_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")

FUNCTIONAL_GROUPS = {
    "DerivationImageSequence": {"use": "C", "cond": {"type": "U"}},
    "FrameContentSequence": {"use": "M", "cond": {"type": "MF"}},
    "PixelMeasuresSequence": {"use": "C", "cond": {"type": "U"}},
    "PlaneOrientationSequence": {"use": "C", "cond": {"type": "U"}},
    "PlanePositionSequence": {"use": "C", "cond": {"type": "U"}},
    "SegmentIdentificationSequence": {"use": "M"},
}
"""PS3.3 table A.51-2, as far as segmentations of pictures and volumes use it."""

VALUE_TYPES = {
    "ConceptCodeSequence": ("CODE",),
    "TextValue": ("TEXT",),
    "UID": ("UIDREF",),
    "PersonName": ("PNAME",),
    "DateTime": ("DATETIME",),
    "Date": ("DATE",),
    "Time": ("TIME",),
    "MeasuredValueSequence": ("NUM",),
    "ReferencedSOPSequence": ("IMAGE", "COMPOSITE", "WAVEFORM"),
    "ContinuityOfContent": ("CONTAINER",),
    "GraphicType": ("SCOORD", "SCOORD3D"),
    "GraphicData": ("SCOORD", "SCOORD3D"),
    "ReferencedFrameOfReferenceUID": ("SCOORD3D",),
    "TemporalRangeType": ("TCOORD",),
    "TabulatedValuesSequence": ("TABLE",),
}
"""The attributes that content items of these value types have and no other (PS3.3 C.17.3 and C.18)."""

CONDITIONS = {
    ("segmentation-image", "SegmentAlgorithmName"): ("SegmentAlgorithmType", "!=", ("MANUAL",)),
    ("segmentation-image", "SegmentationFractionalType"): ("SegmentationType", "=", ("FRACTIONAL",)),
    ("segmentation-image", "MaximumFractionalValue"): ("SegmentationType", "=", ("FRACTIONAL",)),
    ("segmentation-image", "LossyImageCompressionRatio"): ("LossyImageCompression", "=", ("01",)),
}
ENUMERATED = {
    "SegmentationType": ("BINARY", "FRACTIONAL", "LABELMAP"),
    "SegmentAlgorithmType": ("AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"),
    "SegmentsOverlap": ("YES", "UNDEFINED", "NO"),
    "LossyImageCompression": ("00", "01"),
    "SpatialLocationsPreserved": ("YES", "NO", "REORIENTED_ONLY"),
    "CompletionFlag": ("PARTIAL", "COMPLETE"),
    "VerificationFlag": ("UNVERIFIED", "VERIFIED"),
    "ContinuityOfContent": ("SEPARATE", "CONTINUOUS"),
    "RelationshipType": (
        *("CONTAINS", "HAS OBS CONTEXT", "HAS ACQ CONTEXT", "HAS CONCEPT MOD", "HAS PROPERTIES"),
        *("INFERRED FROM", "SELECTED FROM"),
    ),
    "ValueType": (
        *("TEXT", "NUM", "CODE", "DATETIME", "DATE", "TIME", "UIDREF", "PNAME", "COMPOSITE", "IMAGE", "WAVEFORM"),
        *("SCOORD", "SCOORD3D", "TCOORD", "CONTAINER", "TABLE"),
    ),
}


def violations(path: Path) -> list[str]:
    """What dicom-validator finds wrong with a file: one line each, with module, place and kind."""
    result = IODValidator(
        dcmread(path), standard(), error_handler=NullValidationResultHandler(), file_path=str(path)
    ).validate()
    found = [
        f"{module}: {tag} {error.code.name} {error.context or ''}".strip()
        for module, errors in result.module_errors.items()
        for tag, error in errors.items()
    ]
    return found or ([] if not result.errors else [result.status.name])


@lru_cache(maxsize=1)
def standard() -> DicomInfo:
    folder = files("highdicom").joinpath("_standard")
    attributes: dict[str, list[dict[str, Any]]] = json.loads(
        folder.joinpath("module_attribute_map.json").read_text("utf-8")
    )
    contents: dict[str, list[dict[str, str]]] = json.loads(folder.joinpath("iod_module_map.json").read_text("utf-8"))
    modules: dict[str, dict[str, Any]] = {}
    iods: dict[str, dict[str, dict[str, Any]]] = {}
    for uid, name in IODS.items():
        listed = contents[name]
        for key in (m["key"] for m in listed):
            if key.endswith("-multi-frame-functional-groups"):
                _split_groups(modules, key, attributes[key])
            else:
                modules[key] = _nested(key, attributes[key])
        iods[uid] = {
            "modules": {m["key"]: {"ref": m["key"], "use": m["usage"]} for m in listed},
            "group_macros": {k: {"ref": k, **how} for k, how in FUNCTIONAL_GROUPS.items()},
        }
    _conditions_of_content(modules)
    dictionary = {_tag(v[4]): {"name": v[2], "vr": v[0], "vm": v[1], "prop": v[3]} for v in DicomDictionary.values()}
    return DicomInfo(dictionary, iods, modules)


def _tag(keyword: str) -> str:
    number = tag_for_keyword(keyword) or 0
    return f"({number >> 16:04X},{number & 0xFFFF:04X})"


def _nested(module: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A module's flat rows (keyword, type, path) as the tree dicom-validator walks."""
    tree: dict[str, Any] = {}
    for row in rows:
        place = tree
        for keyword in row["path"]:
            place = place.setdefault(_tag(keyword), {"name": keyword, "type": "3"}).setdefault("items", {})
        one = place.setdefault(_tag(row["keyword"]), {})
        one |= {"name": row["keyword"], "type": "3" if row["type"] == "None" else row["type"]}
        if condition := CONDITIONS.get((module, row["keyword"])):
            on, operator, values = condition
            one["cond"] = {"type": "MU", "tag": _tag(on), "op": operator, "index": 0, "values": list(values)}
        if allowed := ENUMERATED.get(row["keyword"]):
            one["enums"] = [{"val": list(allowed)}]
    return tree


def _split_groups(modules: dict[str, Any], key: str, rows: list[dict[str, Any]]) -> None:
    """Each functional group becomes a module of its own, which may stand in the shared or in every per-frame item."""
    modules[key] = _nested(key, [r for r in rows if not r["path"]])
    for keyword in _GROUPS:
        modules[key][_tag(keyword)]["items"] = {"include": [{"ref": "FuncGroup"}]}
    inner = _nested(key, [r | {"path": r["path"][1:]} for r in rows if r["path"][:1] == [_GROUPS[1]]])
    for name in FUNCTIONAL_GROUPS:
        modules[name] = {_tag(name): inner[_tag(name)]}


def _conditions_of_content(modules: dict[str, Any]) -> None:
    """Content items: attributes by value type, and items within items to any depth."""
    root = modules["sr-document-content"]
    content = _tag("ContentSequence")
    item = root[content]["items"]
    for level in (root, item):
        for keyword, types in VALUE_TYPES.items():
            one = level[_tag(keyword)]
            one["type"] = "2C" if one["type"].startswith("2") else "1C"
            values = list(types)
            one["cond"] = {"type": "MN", "tag": _tag("ValueType"), "op": "=", "index": 0, "values": values}
        level[content] = {"name": "ContentSequence", "type": "1C", "items": {"include": [{"ref": "content item"}]}}
    modules["content item"] = item

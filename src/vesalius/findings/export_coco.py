"""Boxes, points and masks as a COCO data set, and back.

A COCO image is one picture, slice or frame; a mask of a volume becomes one annotation on each axial slice it touches.
Beside the published fields stand `where` (which item, slice or frame an image is) and millimetres where they are known;
readers of COCO pass over them. Nothing of the patient goes in.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vesalius.errors import InputError, LimitError
from vesalius.findings.findings import Box, Finding, Mask, Point, Where
from vesalius.findings.masks import bounding_box, decode_rle, encode_rle
from vesalius.findings.place import Plane, plane_of, volume_mask_to_slice
from vesalius.limits import current
from vesalius.study.items import Clip, Item, Picture, Slide, Study, Volume

__all__ = ["from_coco", "image_name", "to_coco"]

Placed = Box | Point | Mask


def to_coco(findings: Sequence[Finding], study: Study | Sequence[Item]) -> dict[str, Any]:
    """A dict that `json.dumps` takes as it is and pycocotools loads: info, images, annotations, categories.

    Images: every picture and slide of the study, and those slices and frames that carry a finding; `file_name` is what
    `save_findings` calls the picture. Coordinates are those of the pixel frame: `bbox` is [x, y, width, height] from
    the outer corner of the first pixel.  Box: `bbox`, and its four corners as a polygon.  Mask: run lengths.  Point:
    one keypoint of visibility 2.  `score`: the confidence.  Counts, measurements, reports, masks without a pixel and
    findings that name no slice or frame are not regions of one image; `info.left_out` says how many there were.
    Raises InputError for a finding on an item, slice or frame that is not there or of another size.
    """
    items = study.items if isinstance(study, Study) else tuple(study)
    images: dict[Where, dict[str, Any]] = {}
    for position, item in enumerate(items):
        if isinstance(item, Picture | Slide):
            _image(images, Where(item=position), item)
    labels: dict[str, int] = {}
    annotations: list[dict[str, Any]] = []
    left_out = 0
    for number, finding in enumerate(findings):
        regions = list(_regions(finding, items)) if isinstance(finding, Placed) else []
        left_out += not regions
        for region in regions:
            where = _picture_of(region.where)
            image = _image(images, where, items[where.item])
            category = labels.setdefault(region.label, len(labels) + 1)
            ids = {"id": len(annotations) + 1, "image_id": image["id"], "category_id": category, "iscrowd": 0}
            solid = {"solid": True} if isinstance(finding, Mask) and finding.mask.ndim == 3 else {}
            annotations.append(ids | _region(region) | _told(region) | solid | {"finding": number})
    keypoints = {"keypoints": ["point"], "skeleton": []} if any("keypoints" in a for a in annotations) else {}
    return {
        "info": {"description": "Findings written by Vesalius", "version": "1.0", "left_out": left_out},
        "licenses": [],
        "images": list(images.values()),
        "annotations": annotations,
        "categories": [{"id": n, "name": label, "supercategory": "finding"} | keypoints for label, n in labels.items()],
    }


def image_name(where: Where) -> str:
    """What a picture, slice or frame is called, without an ending: "item0", "item0_axial_012", "item1_frame_00004"."""
    if where.axis is not None and where.slice_index is not None:
        return f"item{where.item}_{where.axis}_{where.slice_index:03d}"
    if where.frame is not None:
        return f"item{where.item}_frame_{where.frame:05d}"
    return f"item{where.item}"


def _picture_of(where: Where) -> Where:
    """Where without its time, which follows from the frame."""
    return replace(where, time_s=None)


def _image(images: dict[Where, dict[str, Any]], where: Where, item: Item) -> dict[str, Any]:
    if where in images:
        return images[where]
    plane = plane_of(where, item)
    told: dict[str, Any] = {k: v for k, v in vars(where).items() if v is not None}
    image: dict[str, Any] = {
        "id": len(images) + 1,
        "file_name": f"{image_name(where)}.png",
        "width": plane.width,
        "height": plane.height,
        "where": told,
    }
    if plane.spacing_mm is not None:
        image["spacing_mm"] = [float(v) for v in plane.spacing_mm]
    if isinstance(item, Volume):
        image["volume_shape"] = [int(n) for n in item.shape]
    images[where] = image
    return image


def _regions(finding: Placed, items: Sequence[Item]) -> Iterator[Placed]:
    """The finding on each image it lies on; a solid mask slice by slice."""
    if not 0 <= finding.where.item < len(items):
        raise InputError(f"a finding lies on item {finding.where.item}; the study has {len(items)}.")
    item = items[finding.where.item]
    if isinstance(finding, Mask) and finding.mask.ndim == 3:
        if not isinstance(item, Volume) or finding.mask.shape != item.shape:
            raise InputError(f"mask {finding.mask.shape} does not match item {finding.where.item}.")
        for index in np.flatnonzero(finding.mask.any(axis=(0, 1))):
            where = Where(item=finding.where.item, axis="axial", slice_index=int(index))
            yield replace(finding, mask=volume_mask_to_slice(finding.mask, "axial", int(index)), where=where)
        return
    unnamed = isinstance(item, Volume) and (finding.where.axis is None or finding.where.slice_index is None)
    if unnamed or (isinstance(item, Clip) and finding.where.frame is None):
        return
    plane = plane_of(finding.where, item)
    if isinstance(finding, Mask):
        if finding.mask.shape != (plane.height, plane.width):
            raise InputError(f"mask {finding.mask.shape} does not match the picture ({plane.height}, {plane.width}).")
        if not finding.mask.any():
            return
    yield _inside(finding, plane)


def _inside(finding: Placed, plane: Plane) -> Placed:
    """The finding as it is. Raises InputError when it has a coordinate off the picture or not finite."""
    corners = (
        (finding.x0, finding.y0, finding.x1, finding.y1)
        if isinstance(finding, Box)
        else (finding.x, finding.y)
        if isinstance(finding, Point)
        else ()
    )
    limits = (plane.width, plane.height) * 2
    if not all(-1e-6 <= value <= limit + 1e-6 for value, limit in zip(corners, limits, strict=False)):
        shown = ", ".join(f"{v:g}" for v in corners)
        raise InputError(f"{finding.kind} ({shown}) does not fit the {plane.width} x {plane.height} picture.")
    return finding


def _region(finding: Placed) -> dict[str, Any]:
    match finding:
        case Box():
            x0, y0, x1, y1 = (float(v) for v in (finding.x0, finding.y0, finding.x1, finding.y1))
            width, height = x1 - x0, y1 - y0
            around = [[x0, y0, x1, y0, x1, y1, x0, y1]]
            return {"bbox": [x0, y0, width, height], "area": width * height, "segmentation": around}
        case Point():
            x, y = float(finding.x), float(finding.y)
            around = [[x, y] * 4]
            keypoint = {"keypoints": [x, y, 2], "num_keypoints": 1}
            return {"bbox": [x, y, 0.0, 0.0], "area": 0.0, "segmentation": around} | keypoint
        case Mask():
            x0, y0, x1, y1 = bounding_box(finding.mask) or (0.0, 0.0, 0.0, 0.0)
            area = float(np.count_nonzero(finding.mask))
            return {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": area, "segmentation": encode_rle(finding.mask)}


def _told(finding: Placed) -> dict[str, Any]:
    """Confidence, group, time and millimetres, where known."""
    told: dict[str, Any] = {"score": finding.confidence, "group": finding.group, "time_s": finding.where.time_s}
    match finding:
        case Box():
            told |= {"size_mm": _list(finding.size_mm), "centre_ras_mm": _list(finding.centre_ras_mm)}
        case Point():
            told |= {"ras_mm": _list(finding.ras_mm)}
        case Mask():
            told |= {"area_mm2": finding.area_mm2, "volume_ml": finding.volume_ml}
    return {key: value for key, value in told.items() if value is not None}


def _list(values: tuple[float, ...] | None) -> list[float] | None:
    return None if values is None else [float(v) for v in values]


def from_coco(document: Mapping[str, Any]) -> list[Finding]:
    """The boxes, points and masks of a document that `to_coco` made, equal to the originals and in their order.

    The slices of a volume's mask become one `[X, Y, Z]` mask again. A COCO file of another origin is read too: each
    image is an item of its own, run lengths are masks, keypoints points, everything else its box.
    Raises InputError, naming the annotation's position, for a damaged entry; LimitError for a mask above the limits.
    """
    try:
        names = {c["id"]: str(c["name"]) for c in document["categories"]}
        images = {image["id"]: (n, image) for n, image in enumerate(document["images"])}
        annotations = list(document["annotations"])
    except (KeyError, TypeError) as exc:
        raise InputError("the document is not COCO: images, annotations or categories are missing or damaged.") from exc
    found: dict[int | str, Finding] = {}
    for position, entry in enumerate(annotations):
        try:
            order, image = images[entry["image_id"]]
            told: dict[str, Any] = {"item": order, **image.get("where", {}), **_time(entry)}
            where = Where(**told)
            number = entry.get("finding", f"annotation {position}")
            found[number] = _read(entry, names[entry["category_id"]], where, image, found.get(number))
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as exc:
            raise InputError(f"annotation {position} cannot be read ({type(exc).__name__}).") from exc
    return list(found.values())


def _time(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"time_s": entry["time_s"]} if "time_s" in entry else {}


def _read(
    entry: Mapping[str, Any], label: str, where: Where, image: Mapping[str, Any], earlier: Finding | None
) -> Finding:
    shared: dict[str, Any] = {"label": label, "confidence": entry.get("score"), "group": entry.get("group")}
    if entry.get("num_keypoints") == 1:
        x, y, _ = entry["keypoints"]
        return Point(x=float(x), y=float(y), ras_mm=_tuple(entry.get("ras_mm")), where=where, **shared)
    drawn: Any = entry.get("segmentation")
    if isinstance(drawn, Mapping):
        rle: Mapping[str, Any] = drawn  # pyright: ignore[reportUnknownVariableType]
        mask = decode_rle(rle)
        if not entry.get("solid"):
            return Mask(mask=mask, area_mm2=entry.get("area_mm2"), where=where, **shared)
        whole = earlier if isinstance(earlier, Mask) else _empty(image["volume_shape"])
        # The display is the canonical plane transposed with both axes reversed.
        whole.mask[:, :, where.slice_index] |= mask[::-1, ::-1].T
        return replace(whole, volume_ml=entry.get("volume_ml"), where=Where(item=where.item), **shared)
    x, y, width, height = (float(v) for v in entry["bbox"])
    corners = {"x0": x, "y0": y, "x1": x + width, "y1": y + height}
    if isinstance(drawn, list) and len(drawn) == 1 and len(drawn[0]) == 8:  # pyright: ignore[reportUnknownArgumentType]
        # The corners as written; x + width would round.
        polygon: list[float] = [float(v) for v in drawn[0]]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        if polygon[0] == polygon[6] == x and polygon[1] == polygon[3] == y and "finding" in entry:
            corners |= {"x1": polygon[4], "y1": polygon[5]}
    size, centre = _tuple(entry.get("size_mm")), _tuple(entry.get("centre_ras_mm"))
    return Box(size_mm=size, centre_ras_mm=centre, where=where, **corners, **shared)


def _empty(shape: Sequence[int]) -> Mask:
    """A mask `[X, Y, Z]` to fill. Raises LimitError above the limits."""
    total = math.prod(int(n) for n in shape)
    if total > current().max_voxels:
        raise LimitError(f"a mask of {total} elements exceeds the limit of {current().max_voxels}.")
    return Mask(label="", mask=np.zeros(tuple(shape), dtype=bool))


def _tuple(values: Any) -> Any:
    return None if values is None else tuple(float(v) for v in values)

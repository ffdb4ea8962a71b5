"""COCO: one object of `images, annotations, categories`; `bbox` is [x, y, width, height] in pixels from the outer corner
of the first pixel. Run lengths become masks; polygons do with pycocotools. One sample per picture and category."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from vesalius.dialogue.convert.contract import Format, Options, Places, RawRow, RowError
from vesalius.dialogue.convert.located import located_samples
from vesalius.dialogue.convert.tables import load_json
from vesalius.dialogue.convert.writing import relative
from vesalius.dialogue.samples import BoxTarget, MaskTarget, Rle, Sample
from vesalius.errors import InputError
from vesalius.findings.writing import replacing

__all__ = ["FORMATS"]


def _rows(source: Path, options: Options) -> Iterator[RawRow]:
    """A row per entry of `images`, its annotations with it."""
    loaded = load_json(source)
    if not isinstance(loaded, dict) or not all(isinstance(loaded.get(k), list) for k in ("images", "annotations")):
        raise InputError("has no images and annotations.", file=source, fix="Use a COCO instances file.")
    names = {one.get("id"): one.get("name") for one in loaded.get("categories", ()) if isinstance(one, dict)}
    on: dict[Any, list[Any]] = {}
    for one in loaded["annotations"]:
        on.setdefault(one.get("image_id") if isinstance(one, dict) else None, []).append(one)
    known = {image.get("id") for image in loaded["images"] if isinstance(image, dict)}
    for number, image in enumerate(loaded["images"], 1):
        own = on.get(image.get("id"), []) if isinstance(image, dict) else []
        yield RawRow(number, {"image": image, "annotations": own, "names": names}, source.stem)
    for lost in (key for key in on if key not in known):
        number += 1
        yield RawRow(number, RowError("annotations name an image that is not in images", "Add it or take them out."))


def _samples(row: RawRow, places: Places) -> Sequence[Sample]:
    image = row.values["image"]
    if not isinstance(image, Mapping):
        raise RowError("an entry of images is no object", "Give id, file_name, width, height.")
    path = places.find(image.get("file_name"))
    size = places.size(path)
    told = (image.get("width"), image.get("height"))
    if all(isinstance(one, int) for one in told) and told != size:
        raise RowError(
            f"it says {told[0]} x {told[1]} pixels, the picture has {size[0]} x {size[1]}",
            "Use the picture the annotations were made on.",
        )
    boxes: dict[str, list[BoxTarget]] = {}
    masks: dict[str, list[MaskTarget]] = {}
    for one in row.values["annotations"]:
        label = str(row.values["names"].get(one.get("category_id")) or "").strip()
        if not label:
            raise RowError("an annotation has no known category", "Name it in categories.")
        box = _box(one.get("bbox"), size, label)
        if box is not None:
            boxes.setdefault(label, []).append(box)
        mask = _mask(one.get("segmentation"), size, label, places)
        if mask is not None:
            masks.setdefault(label, []).append(mask)
        if box is None and mask is None:
            raise RowError("an annotation has neither bbox nor segmentation", "Give one of them.")
    if not row.values["annotations"]:
        places.notes["pictures without annotations were left out: COCO does not say what was looked for"] += 1
        return []
    media = [places.medium("image", image.get("file_name"))]
    name = f"{row.name}-{image.get('id', row.number)}"
    return located_samples(row, places, media, name, boxes, masks, image.get("patient"))


def _box(numbers: Any, size: tuple[int, int], label: str) -> BoxTarget | None:
    if numbers is None:
        return None
    if not (isinstance(numbers, list) and len(numbers) == 4 and all(_is_number(v) for v in numbers)):
        raise RowError("a bbox is not four numbers", "Give [x, y, width, height].")
    x, y, width, height = (float(v) for v in cast("list[float]", numbers))
    if not (width > 0 and height > 0):
        raise RowError("a bbox has no width or height", "Give [x, y, width, height], the latter two above 0.")
    x1, y1 = x + width, y + height
    # Files written with a few decimals may end a hair behind the edge; more than that is a fault.
    if min(x, y) < -0.01 or x1 > size[0] + 0.01 or y1 > size[1] + 0.01:
        raise RowError(f"a bbox lies outside its picture of {size[0]} x {size[1]}", "Correct it.", "outside")
    return BoxTarget(label=label, box=(max(x, 0.0), max(y, 0.0), min(x1, float(size[0])), min(y1, float(size[1]))))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _mask(given: Any, size: tuple[int, int], label: str, places: Places) -> MaskTarget | None:
    from vesalius.findings.masks import decode_rle

    if not given:
        return None
    if isinstance(given, list):
        given = _from_polygons(given, size, places)
        if given is None:
            return None
    if not isinstance(given, Mapping) or list(cast("Any", given).get("size", ())) != [size[1], size[0]]:
        raise RowError("a segmentation's size is not that of its picture", "Give [height, width] of the picture.")
    try:
        mask = decode_rle(cast("Mapping[str, Any]", given))
    except InputError as exc:
        raise RowError(f"a segmentation cannot be read: {exc.problem.rstrip('.')}", "Write it again.") from exc
    return MaskTarget(label=label, rle=plain_rle(mask))


def plain_rle(mask: Any) -> Rle:
    """A bool mask `[H, W]` as the schema's run lengths: down the columns, zeros first."""
    import numpy as np

    flat = np.asarray(mask, dtype=bool).reshape(-1, order="F")
    bounds = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1, [flat.size]))
    counts = [int(v) for v in np.diff(bounds)]
    return Rle(size=(int(mask.shape[0]), int(mask.shape[1])), counts=[0, *counts] if flat[0] else counts)


def _from_polygons(polygons: list[Any], size: tuple[int, int], places: Places) -> Any:
    try:
        from pycocotools import mask as coco_mask
    except ModuleNotFoundError:
        places.notes["polygons were left out, boxes kept: masks of them need pip install 'vesalius[eval]'"] += 1
        return None
    if not all(isinstance(one, list) and len(one) >= 6 and len(one) % 2 == 0 for one in polygons):
        raise RowError("a polygon has fewer than three corners", "Give [x0, y0, x1, y1, x2, y2, …].")
    rle: Any = coco_mask.merge(coco_mask.frPyObjects(polygons, size[1], size[0]))
    return {"size": [int(v) for v in rle["size"]], "counts": rle["counts"]}


def _write(samples: Iterator[Sample], source: Path, target: Path, options: Options) -> int:
    """Boxes and run-length masks of pictures; samples of one picture become one entry of `images`."""
    from vesalius.study.picture_size import picture_size

    images: dict[str, dict[str, Any]] = {}
    labels: dict[str, int] = {}
    annotations: list[dict[str, Any]] = []
    count = 0
    for sample in samples:
        count += 1
        for turn in sample.turns:
            for one in (*turn.targets.boxes, *turn.targets.masks) if turn.targets is not None else ():
                medium = sample.media[one.media]
                if medium.kind != "image":
                    raise InputError("COCO holds pictures only; a sample has places on other media.")
                name = relative(source / medium.path, target.parent)
                if name not in images:
                    width, height = picture_size(source / medium.path)
                    images[name] = {"id": len(images) + 1, "file_name": name, "width": width, "height": height}
                entry = {
                    "id": len(annotations) + 1, "image_id": images[name]["id"], "iscrowd": 0,
                    "category_id": labels.setdefault(one.label, len(labels) + 1),
                }  # fmt: skip
                annotations.append(entry | _region(one))
    categories = [{"id": number, "name": label} for label, number in labels.items()]
    whole = {"images": list(images.values()), "annotations": annotations, "categories": categories}
    with replacing(target) as temporary:
        temporary.write_text(json.dumps(whole, ensure_ascii=False), encoding="utf-8")
    return count


def _region(one: BoxTarget | MaskTarget) -> dict[str, Any]:
    if isinstance(one, BoxTarget):
        x0, y0, x1, y1 = one.box
        return {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0)}
    if one.rle is None:
        raise InputError("a mask lies in a file; COCO needs its run lengths.", fix="Write the mask as rle.")
    return {"segmentation": {"size": list(one.rle.size), "counts": one.rle.counts}, "area": sum(one.rle.counts[1::2])}


def _recognises(source: Path, first: Any) -> bool:
    return isinstance(first, Mapping) and {"images", "annotations"} <= set(first)


FORMATS = (
    Format("coco", "COCO: one object of `images, annotations, categories`",
           "`bbox` [x, y, width, height] in pixels; run lengths; polygons", _recognises, _rows, _samples, _write),
)  # fmt: skip

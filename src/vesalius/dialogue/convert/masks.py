"""Folders of masks: `images/` and `masks/` with files of equal stems. A mask holds a number per label, or, as
`masks/LABEL/stem.png`, one label a folder. Volumes (`.nii`, `.nii.gz`, …) as well as pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vesalius.dialogue.convert.contract import Format, Options, Places, RawRow, RowError
from vesalius.dialogue.convert.located import located_samples
from vesalius.dialogue.convert.yolo import PICTURES
from vesalius.dialogue.samples import BoxTarget, MaskTarget, Sample
from vesalius.errors import InputError, VesaliusError

__all__ = ["FORMATS", "mask_samples"]

_VOLUMES = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd")
_ENDINGS = (*_VOLUMES, *PICTURES)


def _stem(path: Path) -> str:
    ending = next(end for end in sorted(_ENDINGS, key=len, reverse=True) if path.name.lower().endswith(end))
    return path.name[: -len(ending)]


def _files(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if one.is_file() and one.name.lower().endswith(_ENDINGS))


def _rows(source: Path, options: Options) -> Iterator[RawRow]:
    """A row per picture; masks without a picture are bad rows behind them."""
    names = _names(source) | dict(options.labels)
    folder = source / "masks"
    by_stem: dict[str, list[tuple[Path, str]]] = {}
    for label, path in [("", one) for one in _files(folder)] + [
        (one.name, path) for one in sorted(folder.iterdir()) if one.is_dir() for path in _files(one)
    ]:
        by_stem.setdefault(_stem(path), []).append((path, label))
    number = 0
    for number, path in enumerate(_files(source / "images"), 1):
        yield RawRow(number, {"path": path, "masks": by_stem.pop(_stem(path), []), "names": names}, source.name)
    for _ in by_stem:
        number += 1
        yield RawRow(number, RowError("a mask has no picture of its name in images/", "Name both alike."))


def _names(source: Path) -> dict[int, str]:
    """`labels.json`: value → name."""
    path = source / "labels.json"
    if not path.is_file():
        return {}
    try:
        return {int(value): str(name) for value, name in json.loads(path.read_text(encoding="utf-8")).items()}
    except (ValueError, AttributeError) as exc:
        raise InputError('is not {"1": "liver", …}.', file=path) from exc


def _samples(row: RawRow, places: Places) -> Sequence[Sample]:
    path: Path = row.values["path"]
    if not row.values["masks"]:
        places.notes["pictures without a mask file were left out"] += 1
        return []
    return mask_samples(row, places, path, row.values["masks"], row.values["names"], _stem(path))


def mask_samples(
    row: RawRow, places: Places, path: Path, masks: Sequence[tuple[Path, str]], names: dict[int, str], stem: str
) -> list[Sample]:
    """One sample per label of a picture's or volume's mask files. `masks`: (file, label, or "" where its values have
    names). A picture's masks come with their boxes."""
    volume = path.name.lower().endswith(_VOLUMES) or path.is_dir()
    targets: dict[str, list[MaskTarget]] = {}
    boxes: dict[str, list[BoxTarget]] = {}
    for file, label in masks:
        values = _values(file, volume)
        shape = _shape(path, places, volume)
        if tuple(values.shape) != shape:
            raise RowError(f"a mask is {values.shape}, what it was drawn on {shape}", "Use the mask of this picture.")
        for value, name in _labels_in(values, label, names):
            one = MaskTarget(label=name, path=places.told(file), value=value)
            targets.setdefault(name, []).append(one)
            if not volume:
                from vesalius.findings.masks import bounding_box

                inside = values == value if value is not None else values != 0
                box = bounding_box(inside)
                assert box is not None
                boxes.setdefault(name, []).append(BoxTarget(label=name, box=box))
    if not targets:
        places.notes["masks without a pixel were left out: they do not say what was looked for"] += 1
    media = [places.medium("volume" if volume else "image", str(path.absolute()))]
    return located_samples(row, places, media, f"{row.name}-{stem}", boxes, targets)


def _labels_in(values: Any, label: str, names: dict[int, str]) -> list[tuple[int | None, str]]:
    import numpy as np

    present = [float(v) for v in np.unique(values) if v]
    if label:
        return [(None, label)] if present else []
    if any(v != int(v) or v < 0 for v in present):
        raise RowError("a mask holds numbers that are no labels", "Labels are whole numbers above 0.")
    if unnamed := [int(v) for v in present if int(v) not in names]:
        raise RowError(
            f"value {unnamed[0]} of a mask has no name", f"Name it: --labels {unnamed[0]}=NAME, or in labels.json."
        )
    return [(int(v), names[int(v)]) for v in present]


def _values(file: Path, volume: bool) -> Any:
    from vesalius.study.items import Picture, Volume
    from vesalius.study.read import read

    try:
        item = read(str(file)).items[0]
        if volume and isinstance(item, Volume):
            return item.load()
        if not volume and isinstance(item, Picture):
            values = item.load()
            if values.ndim == 3:
                raise RowError("a mask is a colour picture", "Write one number per label, as 8-bit grey.")
            return values
    except VesaliusError as exc:
        said = exc.problem.rstrip(".") if isinstance(exc, InputError) else "is of another kind"
        raise RowError(f"a mask {said}", "Copy or export it again.", "media") from exc
    raise RowError("a mask is of another kind than what it was drawn on", "Give a mask of the same kind.")


def _shape(path: Path, places: Places, volume: bool) -> tuple[int, ...]:
    if volume:
        from vesalius.dialogue.target_sizes import extent_of

        try:
            return extent_of("volume", str(path))
        except InputError as exc:
            raise RowError(f"a volume {exc.problem.rstrip('.')}", "Copy or export it again.", "media") from exc
    width, height = places.size(path)
    return height, width


def _recognises(source: Path, first: Any) -> bool:
    return source.is_dir() and (source / "images").is_dir() and (source / "masks").is_dir()


FORMATS = (
    Format("masks", "folders `images/` and `masks/` with files of equal names; `labels.json` or --labels names values",
           "label numbers per pixel or voxel, or a folder per label", _recognises, _rows, _samples),
)  # fmt: skip

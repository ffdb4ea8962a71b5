"""M3D positioning and segmentation (GoodBaiBai88/M3D-Seg, prepared): `<set>/<set>.json`, an object of lists with rows
`image, label`; `label` names a mask file `mask_<class>.npy` of `[1, slices, rows, columns]`. Class names come from
`labels` of the same file, or from `dataset_info.json` (set → names).

Positions are published as x1, y1, z1, x2, y2, z2 in 0…1 along slices, rows, columns, rounded to three digits, the upper
edge the last voxel itself, not its far side: kept so. An empty mask has no position and does not count there; in
segmentation it does. `gold` of a mask is its file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

from vesalius.errors import InputError
from vesalius.evaluation.benchmarks.rows import Row, find_tables, load_json
from vesalius.evaluation.benchmarks.twin_files import write_json
from vesalius.evaluation.benchmarks.twin_volumes import stacked, volumes, write_npy, write_volumes
from vesalius.evaluation.benchmarks.volumes import media_file
from vesalius.evaluation.contract import Benchmark, Sample

__all__ = ["BENCHMARKS", "position_of"]

_FIND = "Can you find the {} in this image? Give coordinates."
_SEGMENT = "Can you segment the {} in this image?"
_KEYS = {"test": ("test",), "train": ("train", "training")}
_CLASS = re.compile(r"mask_(\d+)")


def _read(masks: bool, folder: Path, split: str) -> Iterator[Sample]:
    named = load_json(folder / "dataset_info.json") if (folder / "dataset_info.json").is_file() else {}
    paths = find_tables(folder, ("[0-9]*/*.json", "M3D_Seg_npy/[0-9]*/*.json"))
    for path in (path for path in paths if path.stem == path.parent.name):
        loaded = load_json(path)
        held = cast("dict[str, Any]", loaded) if isinstance(loaded, dict) else {}
        rows = next((held[key] for key in _KEYS[split] if key in held), None)
        if not isinstance(rows, list):
            raise InputError(f"holds no rows of the split {split!r}.", file=path, fix="Use the file as published.")
        names = held.get("labels") or cast("dict[str, Any]", named).get(path.stem) or {}
        for number, values in enumerate(cast("list[Any]", rows), 1):
            if not isinstance(values, dict):
                raise InputError(f"row {number} is not an object.", file=path)
            sample = _sample(masks, Row(path, number, cast("dict[str, Any]", values)), path.parent.parent, names)
            if sample is not None:
                yield sample


def _sample(masks: bool, row: Row, folder: Path, names: Any) -> Sample | None:
    medium = media_file(row, "image", folder, row.text("image"), "volume")
    path = row.text("label")
    found = _CLASS.match(Path(path).name)
    label = _name(names, int(found[1])) if found else None
    if label is None:
        fix = "Give `labels` in this file or dataset_info.json."
        raise row.error("label", "the file's name leads to no name of a class.", fix)
    mask = media_file(row, "label", folder, path, "volume").source
    assert isinstance(mask, Path)
    npy = folder / path
    if masks and isinstance(medium.source, Path) and (medium.source.suffix == ".npy") != (mask.suffix == ".npy"):
        raise row.error("label", "picture and mask are not of one kind (.npy, NIfTI).")
    gold: Any = mask if masks else position_of(row, npy)
    if gold is None:
        return None
    prompt = (_SEGMENT if masks else _FIND).format(label)
    return Sample(
        id=f"{row.path.stem}-{row.number}",
        kind="mask" if masks else "box3d",
        question=prompt,
        prompt=prompt,
        media=(medium,),
        gold=gold,
        cluster=f"{row.path.stem}/{Path(row.text('image')).parent.name}",
        tags={"dataset": row.path.stem, "label": label},
        extra={"label": label, "axes": "slices, rows, columns"},
    )


def _name(names: Any, index: int) -> str | None:
    if isinstance(names, dict):
        told = cast("dict[str, Any]", names).get(str(index))
        return str(told) if told else None
    listed = cast("list[Any]", names) if isinstance(names, list) else []
    return str(listed[index]) if index < len(listed) else None


def position_of(row: Row, path: Path) -> list[float] | None:
    """x1, y1, z1, x2, y2, z2 of a mask array as M3D computes them; None for an empty one."""
    import numpy as np

    try:
        mask = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as exc:
        raise row.error("label", "the mask is no readable .npy array.") from exc
    if mask.ndim != 4 or mask.shape[0] != 1:
        raise row.error("label", "the mask is not [1, slices, rows, columns].")
    places = np.nonzero(mask[0])
    if not places[0].size:
        return None
    low = [round(int(axis.min()) / size, 3) for axis, size in zip(places, mask.shape[1:], strict=True)]
    return low + [round(int(axis.max()) / size, 3) for axis, size in zip(places, mask.shape[1:], strict=True)]


def _twin(name: str, folder: Path, count: int, seed: int) -> None:
    """One finding of each volume, as array and as NIfTI."""
    import numpy as np

    from vesalius.phantoms.write_media import write_volume

    rows: list[dict[str, str]] = []
    labels: list[str] = []
    for k, truth in enumerate(volumes(name, count, seed)):
        label = truth.instance_labels[0] if truth.instance_labels else truth.names[0]
        if label not in labels:
            labels.append(label)
        mask = truth.instances == 1 if truth.instance_labels else truth.labels == 1
        stem = f"0000/{k}"
        write_volumes(folder / stem / "image.nii.gz", truth, npy=True)
        file = folder / stem / f"mask_{labels.index(label)}.nii.gz"
        write_volume(file, mask.astype(np.uint8), truth.affine_ras)
        write_npy(file.with_name(file.name.replace(".nii.gz", ".npy")), stacked(mask.astype(np.uint8)))
        rows.append({"image": f"{stem}/image.npy", "label": f"{stem}/mask_{labels.index(label)}.npy"})
    told = {str(k): label for k, label in enumerate(labels)}
    write_json(folder / "0000" / "0000.json", {"labels": told, "test": rows})


def _benchmark(name: str, masks: bool) -> Benchmark:
    return Benchmark(
        name=name,
        title="M3D segmentation" if masks else "M3D positioning",
        group="3d",
        splits=("test", "train"),
        template="m3d-seg" if masks else "m3d-rec",
        primary="dice" if masks else "mean_iou",
        read=partial(_read, masks),
        twin=partial(_twin, name),
        files="`<set>/<set>.json` with `labels`, or `dataset_info.json`; arrays or NIfTI by their paths",
        source="https://huggingface.co/datasets/GoodBaiBai88/M3D-Seg",
        licence="Apache-2.0; scans under their sources' terms",
    )


BENCHMARKS = {
    "m3d-positioning": _benchmark("m3d-positioning", False),
    "m3d-segmentation": _benchmark("m3d-segmentation", True),
}

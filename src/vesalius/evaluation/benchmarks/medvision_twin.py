"""Twins of MedVision: plans about generated volumes, their truth taken from the volumes' own labels."""

from __future__ import annotations

import gzip
import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vesalius.evaluation.benchmarks.twin_files import write_bytes
from vesalius.evaluation.benchmarks.twin_volumes import write_volumes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vesalius.phantoms.truth import VolumeTruth

__all__ = ["write_medvision"]

Kind = Literal["boxes", "sizes", "angles"]
_SHAPE = (64, 64, 12)
_DATASET: dict[Kind, str] = {"boxes": "Phantoms", "sizes": "Phantom-Lesions", "angles": "Phantom-Landmarks"}
_LEAST_PX = 12
"""Pixels of a label on a slice below which nothing is asked about it."""
_LINED = ("lung", "heart")
_ENDS = ((0, "top"), (1, "bottom"))


def write_medvision(kind: Kind, folder: Path, count: int, seed: int) -> None:
    """`count` questions or more in the test part, a quarter as many in the training part."""
    from vesalius.phantoms.splits import HELD_OUT, TRAIN

    dataset = folder / "Datasets" / _DATASET[kind]
    task: dict[str, Any] = _task(kind)
    for split, seeds, wanted in (("train", TRAIN, max(1, count // 4)), ("test", HELD_OUT, count)):
        cases: list[dict[str, Any]] = []
        first, made, k = random.Random(f"medvision-{kind}/{split}/{seed}").randrange(len(seeds) // 2), 0, 0
        while made < wanted:
            truth = _volume(seeds[first + k], "chest" if kind == "angles" else None)
            k += 1
            slices, asked = _slices(kind, truth, task)
            if asked:
                cases.append(_case(f"{split}{len(cases):03}", dataset, truth, slices))
                made += asked
        task[f"{split}_cases"], task[f"{split}_cases_number"] = cases, len(cases)
    told = {"dataset_info": {"dataset": dataset.name}, "tasks_number": 1, "tasks": [task]}
    name = f"benchmark_plan_{'detection' if kind == 'boxes' else 'biometry'}_v1.0.0.json.gz"
    write_bytes(dataset / name, gzip.compress(json.dumps(told).encode(), mtime=0))


def _volume(seed: int, region: str | None) -> VolumeTruth:
    from vesalius.phantoms.volumes import draw_volume

    return draw_volume(seed, "ct", _SHAPE, region=region)


def _task(kind: Kind) -> dict[str, Any]:
    from vesalius.phantoms.truth import LABELS

    names = list(LABELS)
    task: dict[str, Any] = {
        "task_ID": "01",
        "task_type": "detection" if kind == "boxes" else "biometry",
        "image_modality": "CT",
        "image_description": "a generated CT slice",
        "image_folder": "Images",
        "labels_map": {str(k): name for k, name in enumerate(names, 1)},
    }
    if kind == "sizes":
        task |= {"labels_map": {"1": "lesion"}, "target_label": 1}
    if kind == "angles":
        points = {f"P{2 * k + j + 1}": f"{end} of the {label}" for k, label in enumerate(_LINED) for j, end in _ENDS}
        lines = {
            f"L{k + 1}": {
                "name": f"height of the {label}",
                "element_map_name": "landmarks_map",
                "element_keys": [f"P{2 * k + 1}", f"P{2 * k + 2}"],
            }
            for k, label in enumerate(_LINED)
        }
        angle = {"name": "", "element_map_name": "lines_map", "element_keys": ["L1", "L2"]}
        task |= {"landmarks_map": points, "lines_map": lines, "angles_map": {"A1": angle}}
    return task


def _case(name: str, dataset: Path, truth: VolumeTruth, slices: list[dict[str, Any]]) -> dict[str, Any]:
    write_volumes(dataset / "Images" / f"{name}.nii.gz", truth)
    info = {"voxel_size": list(_spacing(truth)), "affine": truth.affine_ras.tolist(), "orientation": ["R", "A", "S"]}
    return {
        "case_ID": name,
        "image_file": f"Images/{name}.nii.gz",
        "image_file_info": info | {"array_size": list(truth.values.shape)},
        "slice_profiles_x": [],
        "slice_profiles_y": [],
        "slice_profiles_z": slices,
    }


def _spacing(truth: VolumeTruth) -> tuple[float, float, float]:
    import numpy as np

    x, y, z = (float(v) for v in np.linalg.norm(truth.affine_ras[:3, :3], axis=0))
    return x, y, z


def _slices(kind: Kind, truth: VolumeTruth, task: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """(slice entries, questions they make)."""
    if kind == "boxes":
        return _box_slices(truth, task)
    return _size_slices(truth) if kind == "sizes" else _angle_slices(truth)


def _masks(truth: VolumeTruth) -> Iterator[tuple[str, int, NDArray[Any]]]:
    """(label, slice where it is largest, its mask there)."""
    for value, label in enumerate(truth.names, 1):
        mask = truth.labels == value
        index = int(mask.sum(axis=(0, 1)).argmax())
        if mask[:, :, index].sum() >= _LEAST_PX:
            yield label, index, mask[:, :, index]


def _box_slices(truth: VolumeTruth, task: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
    import numpy as np

    numbers = {name: int(key) for key, name in task["labels_map"].items()}
    entries: dict[int, list[dict[str, Any]]] = {}
    asked = 0
    for label, index, mask in _masks(truth):
        rows, columns = np.nonzero(mask)
        low, high = [int(rows.min()), int(columns.min())], [int(rows.max()), int(columns.max())]
        sides = [b - a + 1 for a, b in zip(low, high, strict=True)]
        box = {"min_coords": low, "max_coords": high, "dimensions": sides}
        entries.setdefault(index, []).append({"label": numbers[label], "bboxes": [box]})
        asked += min(sides) >= 10
    return [{"slice_idx": index, "slice_profile": entries[index]} for index in sorted(entries)], asked


def _size_slices(truth: VolumeTruth) -> tuple[list[dict[str, Any]], int]:
    """The axes of the ellipse with the second moments of a finding, on the slice where it is largest."""
    import numpy as np

    if not truth.instance_labels:
        return [], 0
    mask = truth.instances == 1
    index = int(mask.sum(axis=(0, 1)).argmax())
    points = np.argwhere(mask[:, :, index]) * np.array(_spacing(truth)[:2])
    if len(points) < _LEAST_PX:
        return [], 0
    axes = 4 * np.sqrt(np.linalg.eigvalsh(np.cov(points.T)))[::-1]
    told = [
        {
            "metric_type": "distance",
            "metric_map_name": "lines_map",
            "metric_key": f"L{k}",
            "metric_value": round(float(v), 3),
        }
        | {"metric_unit": "mm", "slice_dim": 2}
        for k, v in enumerate(axes, 1)
    ]
    return [{"slice_idx": index, "n_total_clusters": 1, "slice_profile": [told]}], 1


def _angle_slices(truth: VolumeTruth) -> tuple[list[dict[str, Any]], int]:
    """The line from the top to the bottom of the lungs and that of the heart, where the heart is largest."""
    import numpy as np

    held = {label: (index, mask) for label, index, mask in _masks(truth)}
    if not set(_LINED) <= held.keys():
        return [], 0
    index = held[_LINED[1]][0]
    lines: list[NDArray[Any]] = []
    for label in _LINED:
        rows, columns = np.nonzero(truth.labels[:, :, index] == truth.names.index(label) + 1)
        if len(rows) < _LEAST_PX or rows.min() == rows.max():
            return [], 0
        ends = [(row, columns[rows == row].mean()) for row in (rows.min(), rows.max())]
        lines.append((np.array(ends[1]) - np.array(ends[0])) * np.array(_spacing(truth)[:2]))
    lengths = [float(np.linalg.norm(line)) for line in lines]
    angle = math.degrees(math.acos(float(np.clip(lines[0] @ lines[1] / (lengths[0] * lengths[1]), -1, 1))))
    if angle < 1:
        return [], 0
    told = [
        {
            "metric_type": "distance",
            "metric_map_name": "lines_map",
            "metric_key": "L1",
            "metric_value": round(lengths[0], 3),
        }
        | {"metric_unit": "mm", "slice_dim": 2},
        {"metric_type": "angle", "metric_map_name": "angles_map", "metric_key": "A1", "metric_value": round(angle, 3)}
        | {"metric_unit": "degree", "slice_dim": 2},
    ]
    return [{"slice_idx": index, "slice_profile": told}], 2

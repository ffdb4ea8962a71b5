"""MedVision: boxes, lesion sizes in mm, and angles and distances, on slices of volumes of many public data sets.

Published as `Datasets/<data set>/benchmark_plan_<kind>_v<version>.json.gz` beside the volumes the plan names (NIfTI,
RAS+). A plan holds `tasks`, each with `train_cases` and `test_cases`; a case names its `image_file` and, for every
plane, the slices with what is on them. The newest plan of a data set is read. As published, a slice counts for a label
only when it holds one of it, and a box only from 10 pixels a side.

`medvision-boxes`: kind `detection`.  `medvision-sizes`: kind `biometry`, the axes of an ellipse around a lesion.
`medvision-angles`: kind `biometry` of data sets with landmarks. The picture is the slice as the plan's array has it,
rows along the first remaining axis, from its least (black) to its greatest value (white).
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from vesalius.errors import InputError
from vesalius.evaluation.benchmarks.boxes import ask_locate, checked_box, number_in, numbers_in
from vesalius.evaluation.benchmarks.medvision_twin import write_medvision
from vesalius.evaluation.benchmarks.rows import Row
from vesalius.evaluation.contract import Benchmark, Medium, Sample
from vesalius.evaluation.shown_items import hashed_png

if TYPE_CHECKING:
    from vesalius.study.items import Volume

__all__ = ["BENCHMARKS"]

Data = Mapping[str, Any]

PLANES = {"x": (0, "sagittal"), "y": (1, "coronal"), "z": (2, "axial")}
LEAST_SIDE_PX = 10
_VERSION = re.compile(r"_v(\d+)\.(\d+)\.(\d+)\.json(?:\.gz)?$")
_UNITS = {"mm": "mm", "millimeter": "mm", "millimeters": "mm", "degree": "degrees", "degrees": "degrees"}
_SAID = {"mm": "millimetres", "degrees": "degrees"}


@dataclass(frozen=True)
class _Slice:
    """One slice of a case and what the plan says is on it. `row`: the case, for error messages."""

    dataset: str
    folder: Path
    task: Data
    row: Row
    axis: int
    plane: str
    index: int
    entry: Data

    def key(self, *more: str) -> str:
        case = self.row.text("case_ID")
        return "/".join([self.dataset, str(self.task.get("task_ID", "")), case, f"{self.plane}{self.index}", *more])

    def pixel_mm(self) -> tuple[float, float]:
        """(height, width) of a pixel."""
        sizes = numbers_in(self.row, "image_file_info", self._info("voxel_size"), 3)
        if min(sizes) <= 0:
            raise self.row.error("image_file_info", "voxel_size is not above 0.")
        height, width = (size for k, size in enumerate(sizes) if k != self.axis)
        return height, width

    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        sides = [int(n) for n in numbers_in(self.row, "image_file_info", self._info("array_size"), 3)]
        if not 0 <= self.index < sides[self.axis]:
            raise self.row.error("slice_idx", f"there is no slice {self.index}: the volume has {sides[self.axis]}.")
        height, width = (side for k, side in enumerate(sides) if k != self.axis)
        return width, height

    def _info(self, key: str) -> Any:
        info = self.row.value("image_file_info")
        return cast("Data", info).get(key) if isinstance(info, dict) else None

    def medium(self) -> Medium:
        return Medium("image", _slice_png(_file(self.row, self.folder, self.task), self.axis, self.index))

    def sample(self, kind: Any, question: str, gold: Any, label: str, more: Data, *key: str) -> Sample:
        return Sample(
            id=self.key(*key),
            kind=kind,
            question=question,
            prompt=question,
            media=(self.medium(),),
            gold=gold,
            size=self.size(),
            cluster=f"{self.dataset}/{self.row.text('case_ID')}",
            tags={
                "dataset": self.dataset,
                "modality": str(self.task.get("image_modality", "")),
                "plane": self.plane,
                "label": label,
            },
            extra={"label": label, **more},
        )


def _file(row: Row, folder: Path, task: Data) -> Path:
    """The volume a case names, by its place in the data set's folder."""
    name = PurePosixPath(row.text("image_file").replace("\\", "/"))
    if ".." in name.parts:
        raise row.error("image_file", "the path leads out of the folder.")
    for place in (name, PurePosixPath(str(task.get("image_folder", ""))) / name.name):
        # Joining an absolute path would leave the folder.
        if not place.is_absolute() and (folder / place).is_file():
            return folder / place
    raise row.error("image_file", "there is no such volume.", "Put the data set's volumes where its plan names them.")


@lru_cache(maxsize=1)
def _volume(path: Path, changed: int) -> Volume:
    """The volume of the last case read; `changed`: when the file was, so that a new one is read anew."""
    from vesalius.study.read import read

    study = read(path)
    if not study.volumes:
        raise InputError("holds no volume.", file=path)
    return study.volumes[0]


def _slice_png(path: Path, axis: int, index: int) -> bytes:
    import numpy as np

    try:
        plane = _volume(path, path.stat().st_mtime_ns).source.planes(axis, [index])[0].astype(np.float64)
    except IndexError as exc:
        raise InputError(f"has no slice {index} along axis {axis}.", file=path) from exc
    low, high = float(plane.min()), float(plane.max())
    grey = (plane - low) / (high - low) * 255 if high > low else np.zeros_like(plane)
    return hashed_png(grey.astype(np.uint8))[0]


# --- plans ------------------------------------------------------------------------------------------------------------


def _plans(folder: Path, kind: str) -> list[Path]:
    """The newest plan of each data set."""
    newest: dict[Path, Path] = {}
    for place in ("Datasets/*", "*", "."):
        found = [
            (m, p) for p in folder.glob(f"{place}/benchmark_plan_{kind}_v*.json*") if (m := _VERSION.search(p.name))
        ]
        for _, path in sorted(found, key=lambda pair: tuple(map(int, pair[0].groups()))):
            newest[path.parent] = path
        if newest:
            return [newest[parent] for parent in sorted(newest)]
    raise InputError(
        f"holds no Datasets/<data set>/benchmark_plan_{kind}_v*.json.gz.",
        file=folder,
        fix="Get the files as published.",
    )


def _load(path: Path) -> list[Data]:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        loaded: Any = json.loads(content)
    except (ValueError, EOFError, RecursionError, OSError) as exc:
        raise InputError("is no plan in JSON.", file=path, fix="Get the file again.") from exc
    tasks: Any = cast("Data", loaded).get("tasks") if isinstance(loaded, dict) else None
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in cast("list[Any]", tasks)):
        raise InputError("has no list of tasks.", file=path)
    return cast("list[Data]", tasks)


def _slices(folder: Path, kind: str, split: str) -> Iterator[_Slice]:
    for path in _plans(folder, kind):
        number = 0
        for task in _load(path):
            for case in cast("list[Any]", task.get(f"{split}_cases") or ()):
                number += 1
                row = Row(path, number, cast("Data", case) if isinstance(case, dict) else {})
                for letter, (axis, plane) in PLANES.items():
                    for entry in cast("list[Any]", row.values.get(f"slice_profiles_{letter}") or ()):
                        if not isinstance(entry, dict) or "slice_profile" not in entry:
                            raise row.error(f"slice_profiles_{letter}", "it is no list of slices with slice_profile.")
                        index = int(number_in(Row(path, number, cast("Data", entry)), "slice_idx"))
                        yield _Slice(path.parent.name, path.parent, task, row, axis, plane, index, cast("Data", entry))


def _counted(samples: Iterator[Sample], folder: Path) -> Iterator[Sample]:
    empty = True
    for sample in samples:
        empty = False
        yield sample
    if empty:
        raise InputError("no slice of this split counts.", file=folder, fix="Use the files as published.")


def _label(at: _Slice, value: Any) -> str:
    names = at.task.get("labels_map")
    name = cast("Data", names).get(str(value)) if isinstance(names, dict) else None
    if not isinstance(name, str) or not name.strip():
        raise at.row.error("labels_map", f"the label {value!r:.20} has no name.")
    return name.strip()


def _dicts(at: _Slice, value: Any) -> list[Data]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in cast("list[Any]", value)):
        raise at.row.error("slice_profile", "it is no list of objects.")
    return cast("list[Data]", value)


# --- the three kinds --------------------------------------------------------------------------------------------------


def _boxes(folder: Path, split: str) -> Iterator[Sample]:
    return _counted(_box_samples(folder, split), folder)


def _box_samples(folder: Path, split: str) -> Iterator[Sample]:
    for at in _slices(folder, "detection", split):
        for found in _dicts(at, at.entry["slice_profile"]):
            placed = _dicts(at, found.get("bboxes"))
            if len(placed) != 1:
                continue
            box = _box(at, placed[0])
            if min(box[2] - box[0], box[3] - box[1]) < LEAST_SIDE_PX:
                continue
            width, height = at.size()
            if box[0] < 0 or box[1] < 0 or box[2] > width or box[3] > height:
                raise at.row.error("bboxes", f"a box leaves its slice of {width} by {height} pixels.")
            label = _label(at, found.get("label"))
            yield at.sample("box", ask_locate(label), [box], label, {}, str(found["label"]))


def _box(at: _Slice, told: Data) -> list[float]:
    """(x0, y0, x1, y1) of a box told by rows and columns; the last pixel may be told or the one behind it."""
    low = numbers_in(at.row, "min_coords", told.get("min_coords"), 2)
    high = numbers_in(at.row, "max_coords", told.get("max_coords"), 2)
    sides = told.get("dimensions")
    if sides is not None and numbers_in(at.row, "dimensions", sides, 2) == [
        b - a + 1 for a, b in zip(low, high, strict=True)
    ]:
        high = [value + 1 for value in high]
    return checked_box(at.row, "bboxes", [low[1], low[0], high[1], high[0]])


def _sizes(folder: Path, split: str) -> Iterator[Sample]:
    return _counted(_size_samples(folder, split), folder)


def _size_samples(folder: Path, split: str) -> Iterator[Sample]:
    for at in _slices(folder, "biometry", split):
        groups = at.entry["slice_profile"]
        if not isinstance(groups, list) or not all(isinstance(one, list) for one in cast("list[Any]", groups)):
            continue  # a data set of landmarks
        if (
            int(at.entry.get("n_total_clusters") or len(cast("list[Any]", groups))) != 1
            or len(cast("list[Any]", groups)) != 1
        ):
            continue
        axes = _dicts(at, groups[0])
        if len(axes) != 2:
            raise at.row.error("slice_profile", f"an ellipse has {len(axes)} axes, not 2.")
        label = _label(at, at.task.get("target_label"))
        values = sorted((_value(at, one) for one in axes), reverse=True)
        question = (
            f"Measure the {label} in this image: the longest diameter of the ellipse around it and the diameter across "
            f"that, in millimetres. {_scale(at)} Output the two numbers only, the longer first, with a comma between."
        )
        yield at.sample("measure", question, values, label, {"unit": "mm"}, str(at.task["target_label"]))


def _angles(folder: Path, split: str) -> Iterator[Sample]:
    return _counted(_angle_samples(folder, split), folder)


def _angle_samples(folder: Path, split: str) -> Iterator[Sample]:
    for at in _slices(folder, "biometry", split):
        profile = at.entry["slice_profile"]
        if isinstance(profile, list) and any(isinstance(one, list) for one in cast("list[Any]", profile)):
            continue  # a data set of lesions
        for told in _dicts(at, profile):
            unit = _UNITS.get(str(told.get("metric_unit")).strip().lower())
            if unit is None:
                raise at.row.error("metric_unit", "it is neither mm nor degrees.")
            key = str(told.get("metric_key"))
            line = _named(at, told.get("metric_map_name"), key)
            name = str(line.get("name") or "").strip()
            called = f" ({name})" if name else ""
            if told.get("metric_type") == "angle":
                one, other = (
                    " and ".join(_ends(at, _named(at, line.get("element_map_name"), k))) for k in _keys(at, line)
                )
                asked = f"the angle{called} between the line through {one} and the line through {other}"
            else:
                asked = f"the distance{called} between {' and '.join(_ends(at, line))}"
            question = f"Measure {asked} in this image, in {_SAID[unit]}. {_scale(at)} Output the number only."
            label = name or str(told.get("metric_type"))
            more = {"unit": unit}
            sample = at.sample("measure", question, [_value(at, told)], label, more, str(told.get("metric_type")), key)
            yield sample


def _scale(at: _Slice) -> str:
    height, width = at.pixel_mm()
    across, down = at.size()
    return f"The image has {across} x {down} pixels, each {width:.3f} mm wide and {height:.3f} mm high."


def _value(at: _Slice, told: Data) -> float:
    value = number_in(Row(at.row.path, at.row.number, told), "metric_value")
    # Centimetres are told by name where a plan has them.
    return value * 10 if str(told.get("metric_unit")).strip().lower() in ("cm", "centimeters") else value


def _named(at: _Slice, table: Any, key: str) -> Data:
    """An entry of one of the task's maps of lines, angles or landmarks."""
    names = at.task.get(str(table))
    found = cast("Data", names).get(key) if isinstance(names, dict) else None
    if not isinstance(found, dict):
        raise at.row.error("metric_key", f"{key!r:.20} is not in the task's {table!r:.30}.")
    return cast("Data", found)


def _keys(at: _Slice, line: Data) -> list[str]:
    keys = line.get("element_keys")
    if not isinstance(keys, list) or len(cast("list[Any]", keys)) != 2:
        raise at.row.error("element_keys", "they are not two.")
    return [str(key) for key in cast("list[Any]", keys)]


def _ends(at: _Slice, line: Data) -> list[str]:
    """The names of a line's two landmarks."""
    names = at.task.get(str(line.get("element_map_name")))
    found = [cast("Data", names).get(key) if isinstance(names, dict) else None for key in _keys(at, line)]
    if not all(isinstance(name, str) for name in found):
        raise at.row.error("element_keys", "a landmark has no name.")
    return [f"the {name}" for name in found]


_make = partial(
    Benchmark,
    group="grounding",
    splits=("test", "train"),
    source="https://huggingface.co/datasets/YongchengYAO/MedVision",
    licence="under the terms of the volumes' sources",
)

BENCHMARKS = {
    "medvision-boxes": _make(
        name="medvision-boxes",
        title="MedVision, boxes",
        template="locate",
        primary="mean_iou",
        read=_boxes,
        twin=partial(write_medvision, "boxes"),
        dialect="qwen-json",
        files="`Datasets/*/benchmark_plan_detection_v*.json.gz` and the volumes they name",
    ),
    "medvision-sizes": _make(
        name="medvision-sizes",
        title="MedVision, lesion sizes",
        template="measure",
        primary="within_10",
        read=_sizes,
        twin=partial(write_medvision, "sizes"),
        files="`Datasets/*/benchmark_plan_biometry_v*.json.gz` and the volumes they name",
    ),
    "medvision-angles": _make(
        name="medvision-angles",
        title="MedVision, angles and distances",
        template="measure",
        primary="within_10",
        read=_angles,
        twin=partial(write_medvision, "angles"),
        files="`Datasets/*/benchmark_plan_biometry_v*.json.gz` and the volumes they name",
    ),
}

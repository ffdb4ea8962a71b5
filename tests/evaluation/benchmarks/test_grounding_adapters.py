"""Benchmarks of places: twins read back with exact boxes in pixels of the pictures; bad cells are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vesalius.errors import InputError
from vesalius.evaluation.benchmarks import benchmark
from vesalius.evaluation.benchmarks.medsg_bench import SUFFIX, TASKS
from vesalius.evaluation.benchmarks.twin_files import write_json
from vesalius.evaluation.contract import Medium, Sample


def samples_of(name: str, folder: Path, count: int = 4, seed: int = 3) -> list[Sample]:
    found = benchmark(name)
    found.twin(folder, count, seed)
    return list(found.read(folder, found.splits[0]))


def pixels(medium: Medium) -> Any:
    assert isinstance(medium.source, Path)
    with Image.open(medium.source) as image:
        return np.asarray(image.convert("L")).astype(int)


def inside(sample: Sample) -> bool:
    assert sample.size is not None
    width, height = sample.size
    return all(0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height for x0, y0, x1, y1 in sample.gold)


def test_medsg_has_its_eight_tasks_with_boxes_inside_the_picture(tmp_path: Path) -> None:
    samples = samples_of("medsg-bench", tmp_path, 8)
    assert [s.tags["task"] for s in samples] == list(TASKS)
    for sample in samples:
        assert sample.kind == "box"
        assert sample.prompt == sample.question + SUFFIX
        assert 2 <= len(sample.media) <= 6
        assert inside(sample)


def test_the_difference_of_medsg_lies_in_its_box_and_a_patch_is_cut_from_its_box(tmp_path: Path) -> None:
    samples = {s.tags["task"]: s for s in samples_of("medsg-bench", tmp_path, 8)}
    sample = samples["Registered_Diff"]
    before, after = (pixels(m) for m in sample.media)
    ys, xs = np.nonzero(before != after)
    x0, y0, x1, y1 = sample.gold[0]
    assert x0 <= xs.min() <= xs.max() < x1
    assert y0 <= ys.min() <= ys.max() < y1
    patch, whole = (pixels(m) for m in samples["patch"].media)
    x0, y0, x1, y1 = map(int, samples["patch"].gold[0])
    assert (whole[y0:y1, x0:x1] == patch).all()


MEDSG = {"task": "patch", "question": "<image>\n<image>\nAt (10,5),(20,30)? ", "answer": [1, 2, 3, 4]}


def medsg(folder: Path, change: dict[str, Any]) -> None:
    for name, size in (("a.png", (40, 50)), ("b.png", (60, 70))):
        Image.new("L", size).save(folder / name)
    row = MEDSG | {"images": ["a.png", "/srv/data/b.png"]} | change
    write_json(folder / "Task6.json", [row])


def test_boxes_in_questions_of_medsg_are_rewritten_into_the_frame_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    medsg(tmp_path, {})
    (tmp_path / "b.png").rename(tmp_path / "data" / "b.png")
    (sample,) = benchmark("medsg-bench").read(tmp_path, "test")
    assert sample.prompt == f"At (10,5),(20,30)? {SUFFIX}"
    assert sample.extra["reference_boxes"] == [[10, 5, 20, 30]]
    assert sample.size == (40, 50)
    found = benchmark("medsg-bench").variant("norm1000")
    (again,) = found.read(tmp_path, "test")
    assert again.prompt == f"At (250,100),(500,600)? {SUFFIX}"
    assert found.coord == "norm1000"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"task": "other"}, "column 'task': it is none of Registered_Diff"),
        ({"images": ["a.png"]}, "column 'images': the value is not a list of 2 to 6"),
        ({"images": ["a.png", "c.png"]}, "column 'images': there is no such file"),
        ({"images": ["a.png", 3]}, "column 'images': no picture is named"),
        ({"answer": [1, 2, 3]}, "column 'answer': it is not 4 numbers"),
        ({"answer": [1, 2, 3, "x"]}, "column 'answer': it is not a finite number"),
        ({"answer": [3, 2, 1, 4]}, "column 'answer': the box has no area"),
        ({"size": [0, 5]}, r"column 'size': it is not \[width, height\]"),
    ],
)
def test_bad_cells_of_medsg_are_told(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    medsg(tmp_path, {"images": ["a.png", "b.png"]} | change)
    with pytest.raises(InputError, match=f"Task6.json: row 1, {told}"):
        list(benchmark("medsg-bench").read(tmp_path, "test"))

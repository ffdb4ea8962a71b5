"""Benchmarks of lesions, points and counts: twins read back with exact places; bad cells are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vesalius.errors import InputError
from vesalius.evaluation.benchmarks import benchmark
from vesalius.evaluation.benchmarks.twin_files import write_csv, write_lines
from vesalius.evaluation.contract import Sample


def samples_of(name: str, folder: Path, count: int = 4, seed: int = 3) -> list[Sample]:
    found = benchmark(name)
    found.twin(folder, count, seed)
    return list(found.read(folder, found.splits[0]))


@pytest.mark.parametrize("name", ["nih-chestxray8", "deeplesion", "vindr-cxr"])
def test_boxes_lie_on_their_pictures(name: str, tmp_path: Path) -> None:
    samples = samples_of(name, tmp_path, 3)
    assert len(samples) >= 3
    assert any(s.gold for s in samples)
    for sample in samples:
        assert sample.size is not None
        width, height = sample.size
        assert all(0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height for x0, y0, x1, y1 in sample.gold)
        assert f"Locate every {sample.tags['label']} in this image." in sample.prompt


def test_boxes_of_nih_are_rescaled_from_the_published_1024_pixels(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.new("L", (512, 256)).save(tmp_path / "images" / "00000013_026.png")
    row = {"Image Index": "00000013_026.png", "Finding Label": "Mass"}
    boxes = [{"Bbox [x": 100, "y": 40, "w": 20, "h]": 80}, {"Bbox [x": 0, "y": 0, "w": 1024, "h]": 1024}]
    write_csv(tmp_path / "BBox_List_2017.csv", [row | box for box in boxes])
    (sample,) = benchmark("nih-chestxray8").read(tmp_path, "test")
    assert sample.gold == [[50, 10, 60, 30], [0, 0, 512, 256]]
    assert sample.cluster == "00000013"


def test_vindr_asks_every_class_or_only_those_shown(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    edges = ("x_min", "y_min", "x_max", "y_max")
    rows: list[dict[str, Any]] = []
    for name, label, box in (("a", "Mass", (1, 2, 3, 4)), ("b", "Nodule", (5, 6, 7, 8)), ("c", "No finding", [""] * 4)):
        Image.new("L", (9, 9)).save(tmp_path / "test" / f"{name}.png")
        rows.append({"image_id": name, "class_name": label, **dict(zip(edges, box, strict=True))})
    write_csv(tmp_path / "annotations_test.csv", rows)
    asked = {s.id: s.gold for s in benchmark("vindr-cxr").read(tmp_path, "test")}
    assert asked == {
        "a-Mass": [[1, 2, 3, 4]], "a-Nodule": [], "b-Mass": [], "b-Nodule": [[5, 6, 7, 8]], "c-Mass": [], "c-Nodule": []
    }  # fmt: skip
    assert [s.id for s in benchmark("vindr-cxr").read(tmp_path, "test-present")] == ["a-Mass", "b-Nodule"]


def test_the_five_tasks_of_medmultipoints_share_their_truth(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    samples = {s.tags["task"]: s for s in samples_of("medmultipoints", tmp_path, 5)}
    assert {s.kind for s in samples.values()} == {"point", "box", "count", "count_point", "count_box"}
    count = samples["counting"].gold
    assert count == len(samples["pointing"].gold) == len(samples["bounding"].gold)
    assert samples["cnt_and_point"].gold == {"count": count, "points": samples["pointing"].gold}
    assert samples["count_and_box"].gold == {"count": count, "boxes": samples["bounding"].gold}
    assert all(" Must output in this json format: " in s.prompt for s in samples.values())
    assert all(s.size == (128, 128) for s in samples.values())


def line(task: str, answer: object) -> dict[str, Any]:
    asked = {"role": "user", "content": "<image> How many?", "task": task, "source": "cells"}
    told = {"role": "assistant", "content": f"```json\n{json.dumps(answer)}\n```"}
    return {"messages": [asked, told], "images": ["elsewhere/a.png"]}


@pytest.mark.parametrize(
    ("task", "answer", "gold"),
    [
        ("pointing", [{"point_2d": [1, 2], "label": "x"}], [[1, 2]]),
        ("pointing", [], []),
        ("bounding", [{"bbox_2d": [1, 2, 3, 4], "label": "x"}], [[1, 2, 3, 4]]),
        ("counting", {"counts": 3, "label": "x"}, 3),
        ("cnt_and_point", {"counts": 1, "point_2d": [[1, 2]]}, {"count": 1, "points": [[1, 2]]}),
        ("count_and_box", {"count": 1, "bbox_2d": [[1, 2, 3, 4]]}, {"count": 1, "boxes": [[1, 2, 3, 4]]}),
    ],
)
def test_lines_of_the_published_script_are_asked_as_they_stand(
    task: str, answer: object, gold: object, tmp_path: Path
) -> None:
    Image.new("L", (6, 5)).save(tmp_path / "a.png")
    write_lines(tmp_path / "valid.jsonl", [line(task, answer)])
    (sample,) = benchmark("medmultipoints").read(tmp_path, "train")
    assert sample.prompt == "How many?"
    assert sample.gold == gold
    assert sample.size == (6, 5)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (line("other", []), "the task is none of pointing"),
        (line("pointing", {"a": 1}), "the answer is not the JSON of its task"),
        (line("pointing", [{"point_2d": [1]}]), "it is not 2 numbers"),
        (line("counting", {"label": "x"}), "there is no value"),
        ({"messages": [], "images": ["a.png"]}, "they are not one question and one answer"),
    ],
)
def test_bad_lines_are_told(row: dict[str, Any], told: str, tmp_path: Path) -> None:
    Image.new("L", (6, 5)).save(tmp_path / "a.png")
    write_lines(tmp_path / "valid.jsonl", [row])
    with pytest.raises(InputError, match=f"valid.jsonl: row 1, column 'messages': {told}"):
        list(benchmark("medmultipoints").read(tmp_path, "train"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"Bounding_boxes": "1, 2, 3"}, "column 'Bounding_boxes': it is not 4 numbers"),
        ({"Bounding_boxes": "1, 2, 1, 9"}, "column 'Bounding_boxes': the box has no area"),
        ({"Image_size": "0, 5"}, "column 'Image_size': it is not two numbers over 0"),
        ({"File_name": "a_9.png"}, "column 'File_name': there is no such file"),
        ({"Train_Val_Test": 1}, "no row of DL_info.csv is of the split 'test'"),
    ],
)
def test_bad_cells_of_deeplesion_are_told(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    (tmp_path / "Images_png" / "a").mkdir(parents=True)
    Image.new("L", (8, 8)).save(tmp_path / "Images_png" / "a" / "1.png")
    row = {"File_name": "a_1.png", "Patient_index": 1, "Bounding_boxes": "1, 2, 3, 4", "Image_size": "8, 8"}
    write_csv(tmp_path / "DL_info.csv", [row | {"Train_Val_Test": 3} | change])
    with pytest.raises(InputError, match=told):
        list(benchmark("deeplesion").read(tmp_path, "test"))

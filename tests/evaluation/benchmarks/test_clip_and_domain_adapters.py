"""Clips, boxes of SLAKE and shifted domains: twins read back with their truth; bad files are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vesalius.errors import InputError
from vesalius.evaluation.benchmarks import benchmark
from vesalius.evaluation.benchmarks.twin_files import write_json
from vesalius.evaluation.contract import Sample
from vesalius.study.items import Clip
from vesalius.study.read import read


def samples_of(name: str, folder: Path, count: int = 2, seed: int = 3) -> list[Sample]:
    found = benchmark(name)
    found.twin(folder, count, seed)
    return list(found.read(folder, found.splits[0]))


def test_clips_are_asked_for_the_letter_and_a_hidden_truth_is_none(tmp_path: Path) -> None:
    samples = samples_of("mlv-bench", tmp_path)
    assert len(samples) == 2
    for sample in samples:
        assert sample.prompt.startswith(f"{sample.question} Choices: A. ")
        assert "<video>" not in sample.prompt
        assert sample.gold in (sample.options or {})
        source = sample.media[0].source
        assert isinstance(source, Path)
        (item,) = read(source).items
        assert isinstance(item, Clip)
    rows = [{"video": "clip000.webm", "question": "What?", "task": "x"}]
    write_json(tmp_path / "test.json", rows)
    (hidden,) = benchmark("medvidbench").read(tmp_path, "test")
    assert hidden.gold is None
    write_json(tmp_path / "test.json", [rows[0] | {"id": 1}, rows[0] | {"id": 1}])
    with pytest.raises(InputError, match="row 2, column 'id': the id stands in row 1 already"):
        list(benchmark("medvidbench").read(tmp_path, "test"))


def test_boxes_of_slake_turn_from_sizes_into_corners_and_keep_to_the_split(tmp_path: Path) -> None:
    for number in (1, 2):
        place = tmp_path / "imgs" / f"xmlab{number}"
        boxes: list[Any] = [{"Heart": [1, 2, 3, 4]}, {"Lung": [0, 0, 5, 5]}, {"Lung": [5, 0, 5, 5]}]
        write_json(place / "detection.json", boxes)
        Image.new("RGB", (10, 8)).save(place / "source.jpg")
    write_json(tmp_path / "test.json", [{"img_name": "xmlab2/source.jpg"}])
    heart, lung = benchmark("slake-boxes").read(tmp_path, "test")
    assert (heart.id, heart.gold) == ("xmlab2-Heart", [[1, 2, 4, 6]])
    assert lung.gold == [[0, 0, 5, 5], [5, 0, 10, 5]]
    write_json(tmp_path / "imgs" / "xmlab2" / "detection.json", [{"Heart": [1, 2, 0, 4]}])
    with pytest.raises(InputError, match="row 1, column 'Heart': the box has no area"):
        list(benchmark("slake-boxes").read(tmp_path, "test"))


def test_the_twin_of_slake_boxes_reads_back(tmp_path: Path) -> None:
    samples = samples_of("slake-boxes", tmp_path)
    assert all(s.size == (128, 128) and s.gold for s in samples)


def test_shifted_domains_offer_the_classes_of_their_data_set(tmp_path: Path) -> None:
    samples = samples_of("domain-shift", tmp_path, 4)
    assert [s.tags["domain"] for s in samples] == ["drawn", "inverted", "drawn", "inverted"]
    assert samples[0].prompt.startswith(
        "Given the image, answer the following question using the specified format. "
        "Question: What is in this image? Choices: [ct, mr, ultrasound, xray]\nAnswer Choice:"
    )
    assert [(s.options or {})[s.gold] for s in samples] == ["xray", "ct", "mr", "ultrasound"]
    assert [s.tags["classifier"] for s in samples] == ["right", "wrong", "wrong", "wrong"]


def test_a_data_set_of_one_class_is_told(tmp_path: Path) -> None:
    row = {"dataset": "d", "domain": "a", "true_class": "x", "image": "i.png", "id": 1}
    write_json(tmp_path / "test.json", [row])
    with pytest.raises(InputError, match="row 1, column 'true_class': its data set has only this class"):
        list(benchmark("domain-shift").read(tmp_path, "test"))


@pytest.mark.parametrize("name", ["m3d-vqa", "medsg-bench", "nih-chestxray8", "mecovqa-g", "domain-shift"])
def test_a_seed_makes_the_same_bytes(name: str, tmp_path: Path) -> None:

    for folder in ("a", "b"):
        benchmark(name).twin(tmp_path / folder, 2, 1)
    first, again = (
        {p.relative_to(tmp_path / folder): p.read_bytes() for p in (tmp_path / folder).rglob("*") if p.is_file()}
        for folder in ("a", "b")
    )
    assert first == again

"""Surgical frames, masks of pictures, boxes of organs and shifted domains: twins read back; bad files are told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vesalius.errors import InputError
from vesalius.evaluation.benchmarks import benchmark
from vesalius.evaluation.benchmarks.twin_files import write_json
from vesalius.evaluation.contract import Sample


def samples_of(name: str, folder: Path, count: int = 3, seed: int = 3) -> list[Sample]:
    found = benchmark(name)
    found.twin(folder, count, seed)
    return list(found.read(folder, found.splits[0]))


@pytest.mark.parametrize("name", ["cholec80-vqa", "endovis18-vqa", "psi-ava-vqa"])
def test_surgical_questions_are_closed_and_cluster_by_sequence(name: str, tmp_path: Path) -> None:
    samples = samples_of(name, tmp_path, 4)
    assert len(samples) == 4
    for sample in samples:
        assert sample.kind == "closed"
        assert sample.prompt == f"{sample.question}\nAnswer the question using a single word or phrase."
        assert sample.cluster == "seq_1"
    (tmp_path / "test.txt").write_text("seq_9\n", encoding="utf-8")
    with pytest.raises(InputError, match="no question of the split 'test' counts"):
        list(benchmark(name).read(tmp_path, "test"))


def test_a_line_without_an_answer_and_a_frame_that_is_not_there_are_told(tmp_path: Path) -> None:
    samples_of("endovis18-vqa", tmp_path, 1)
    path = next(tmp_path.rglob("*_QA.txt"))
    path.write_text("What is it?\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"frame000_QA.txt: row 1, column 'line': it is not question\|answer"):
        list(benchmark("endovis18-vqa").read(tmp_path, "test"))
    next(tmp_path.rglob("frame000.png")).unlink()
    with pytest.raises(InputError, match="its frame is in none of left_frames"):
        list(benchmark("endovis18-vqa").read(tmp_path, "test"))


def test_masks_of_mecovqa_are_of_the_size_of_their_pictures(tmp_path: Path) -> None:
    samples = samples_of("mecovqa-g", tmp_path)
    assert [s.tags["modality"] for s in samples]
    for sample in samples:
        with Image.open(sample.gold) as mask:
            assert mask.size == sample.size
            assert np.asarray(mask).any()
        assert sample.prompt.startswith("Please segment the ")
    path = tmp_path / "MeCoVQA_G_plus_test.json"
    rows = json.loads(path.read_text(encoding="utf-8"))
    Image.new("L", (3, 3)).save(samples[0].gold)
    with pytest.raises(InputError, match="row 1, column 'conversations': the mask is not of the picture's size"):
        list(benchmark("mecovqa-g").read(tmp_path, "test"))
    rows[0]["conversations"][1]["value"] = "<SEG>"
    write_json(path, rows)
    with pytest.raises(InputError, match="row 1, column 'conversations': the answer names no mask"):
        list(benchmark("mecovqa-g").read(tmp_path, "test"))

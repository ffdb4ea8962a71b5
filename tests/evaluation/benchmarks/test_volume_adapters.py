"""Benchmarks of volumes: their twins read back with exact prompts, options and truth; bad cells are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vesalius.errors import InputError
from vesalius.evaluation.benchmarks import benchmark
from vesalius.evaluation.benchmarks.twin_files import write_csv
from vesalius.evaluation.contract import Sample
from vesalius.study.read import read

LETTER = "Answer with the option's letter from the given choices directly."


def samples_of(name: str, folder: Path, count: int = 4, seed: int = 3) -> list[Sample]:
    found = benchmark(name)
    found.twin(folder, count, seed)
    return list(found.read(folder, found.splits[0]))


def test_m3d_asks_its_choices_on_one_line_and_for_the_letter(tmp_path: Path) -> None:
    samples = samples_of("m3d-vqa", tmp_path)
    assert len(samples) == 4
    assert {s.tags["question_type"] for s in samples} <= {"plane", "phase", "organ", "abnormality", "location"}
    for sample in samples:
        assert sample.options is not None
        a, b, c, d = sample.options.values()
        assert sample.prompt == f"{sample.question} Choices: A. {a} B. {b} C. {c} D. {d}\n{LETTER}"
        assert sample.gold in "ABCD"
    as_published = list(benchmark("m3d-vqa").variant("m3d").read(tmp_path, "test"))
    assert [s.prompt + "\n" + LETTER for s in as_published] == [s.prompt for s in samples]
    opened = list(benchmark("m3d-vqa-open").read(tmp_path, "test"))
    for one, closed in zip(opened, samples, strict=True):
        assert one.kind == "open"
        assert one.prompt == closed.question
        assert one.gold == (closed.options or {})[closed.gold]


def test_a_nifti_beside_an_array_is_read_in_its_place(tmp_path: Path) -> None:
    sample = samples_of("m3d-vqa", tmp_path, 1)[0]
    (source,) = (medium.source for medium in sample.media)
    assert isinstance(source, Path)
    assert source.name == "Axial.nii.gz"
    assert read(source).items
    array = np.load(source.with_name("Axial.npy"))
    assert array.shape == (1, 12, 32, 32)
    assert array.min() == 0
    assert array.max() == 1
    source.unlink()
    (again,) = benchmark("m3d-vqa").read(tmp_path, "test")
    assert str(again.media[0].source).endswith("Axial.npy")


def test_3d_rad_takes_dashes_for_empty_cells_and_patients_for_clusters(tmp_path: Path) -> None:
    samples = samples_of("3d-rad", tmp_path)
    assert {s.kind for s in samples} == {"open", "mcq"}
    for sample in samples:
        assert sample.cluster in ("test_1", "test_2")
        if sample.kind == "open":
            assert sample.prompt == sample.question
            assert sample.tags["task"] == "1"
        else:
            assert sample.prompt.endswith(f"\n{LETTER}")
            assert sample.id.startswith("Task6_Longitudinal_Temporal_Diagnosis/b-")


def test_3d_rad_finds_volumes_in_the_tree_of_ct_rate(tmp_path: Path) -> None:
    count = len(samples_of("3d-rad", tmp_path, 2))
    deep = tmp_path / "dataset" / "valid" / "valid_1" / "valid_1_a"
    deep.mkdir(parents=True)
    (tmp_path / "volumes" / "test_1_a_1.nii.gz").rename(deep / "valid_1_a_1.nii.gz")
    samples = list(benchmark("3d-rad").read(tmp_path, "test"))
    assert len(samples) == count
    assert samples[0].media[0].source == deep / "valid_1_a_1.nii.gz"


M3D = {
    "Image Path": "v.nii.gz", "Question Type": 3, "Question": "Which?", "Choice A": "a", "Choice B": "b",
    "Choice C": "c", "Choice D": "d", "Answer": "b", "Answer Choice": "B",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"Image Path": "no.nii.gz"}, "row 1, column 'Image Path': there is no such volume"),
        ({"Image Path": "../v.nii.gz"}, "row 1, column 'Image Path': the path leads out of the folder"),
        ({"Image Path": ""}, "row 1, column 'Image Path': the text is empty"),
        ({"Question": ""}, "row 1, column 'Question': the text is empty"),
        ({"Choice B": ""}, "row 1, column 'Choice B': the option is empty"),
        ({"Answer Choice": "E"}, "row 1, column 'Answer Choice': the answer is none of the options ABCD"),
    ],
)
def test_bad_cells_of_m3d_are_told(change: dict[str, str], told: str, tmp_path: Path) -> None:
    (tmp_path / "v.nii.gz").write_bytes(b"volume")
    write_csv(tmp_path / "M3D_VQA_test.csv", [M3D | change])
    with pytest.raises(InputError, match=told):
        list(benchmark("m3d-vqa").read(tmp_path, "test"))

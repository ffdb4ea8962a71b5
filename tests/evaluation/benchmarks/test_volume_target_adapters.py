"""Reports, positions and masks of volumes: twins read back with their truth; bad files are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from vesalius.errors import InputError
from vesalius.evaluation.benchmarks import benchmark
from vesalius.evaluation.benchmarks.prompts import REPORT
from vesalius.evaluation.benchmarks.twin_files import write_json
from vesalius.evaluation.benchmarks.twin_volumes import write_npy
from vesalius.evaluation.contract import Sample


def samples_of(name: str, folder: Path, count: int = 2, seed: int = 3) -> list[Sample]:
    found = benchmark(name)
    found.twin(folder, count, seed)
    return list(found.read(folder, found.splits[0]))


@pytest.mark.parametrize("name", ["m3d-cap", "amos-mm", "ct-rate-reports"])
def test_reports_of_volumes_read_back(name: str, tmp_path: Path) -> None:
    samples = samples_of(name, tmp_path)
    assert len(samples) == 2
    for sample in samples:
        assert sample.kind == "report"
        assert sample.media[0].kind == "volume"
        assert len(sample.gold) > 20
        assert (sample.prompt == REPORT) is (name != "m3d-cap")
    if name == "ct-rate-reports":
        assert [s.cluster for s in samples] == ["valid_1", "valid_1"]
        assert all(s.gold.startswith("Findings: ") and " Impression: " in s.gold for s in samples)


def test_ct_rate_questions_stand_behind_their_tags(tmp_path: Path) -> None:
    samples = samples_of("ct-rate-vqa", tmp_path, 4)
    assert [s.tags["type"] for s in samples] == ["long_answer", "short_answer", "multiple_choice", "report_generation"]
    assert all(s.prompt == f"<{s.tags['type']}>{s.question}" for s in samples)
    choice = samples[2]
    assert choice.options is not None
    assert choice.extra["answer"] == f"({choice.gold.lower()}) {choice.options[choice.gold]}"


def test_a_position_is_the_box_of_its_mask_and_an_empty_mask_has_none(tmp_path: Path) -> None:
    mask = np.zeros((1, 10, 20, 30), np.uint8)
    mask[0, 2:5, 4:8, 3:9] = 1
    write_npy(tmp_path / "0001/7/image.npy", np.zeros((1, 10, 20, 30), np.float32))
    write_npy(tmp_path / "0001/7/mask_1.npy", mask)
    write_npy(tmp_path / "0001/7/mask_0.npy", mask * 0)
    rows = [{"image": "0001/7/image.npy", "label": f"0001/7/mask_{k}.npy"} for k in (0, 1)]
    write_json(tmp_path / "0001" / "0001.json", {"test": rows})
    write_json(tmp_path / "dataset_info.json", {"0001": ["liver", "spleen"]})
    (sample,) = benchmark("m3d-positioning").read(tmp_path, "test")
    assert sample.gold == [0.2, 0.2, 0.1, 0.4, 0.35, 0.267]
    assert sample.prompt == "Can you find the spleen in this image? Give coordinates."
    masks = list(benchmark("m3d-segmentation").read(tmp_path, "test"))
    assert [m.gold for m in masks] == [tmp_path / "0001/7/mask_0.npy", tmp_path / "0001/7/mask_1.npy"]
    assert masks[0].prompt == "Can you segment the liver in this image?"


def test_masks_of_the_twin_lie_on_the_grid_of_their_volumes(tmp_path: Path) -> None:
    from nibabel.nifti1 import Nifti1Image

    for sample in samples_of("m3d-segmentation", tmp_path):
        files: list[Any] = [sample.media[0].source, sample.gold]
        image, mask = (cast("Any", Nifti1Image.from_filename(path)) for path in files)
        assert image.shape == mask.shape
        assert np.allclose(image.affine, mask.affine)
        assert np.asarray(mask.dataobj).any()


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"image": "i.npy", "label": "m.npy"}, "column 'label': the file's name leads to no name of a class"),
        ({"image": "i.npy", "label": "mask_5.npy"}, "column 'label': the file's name leads to no name of a class"),
        ({"image": "none.npy", "label": "mask_0.npy"}, "column 'image': there is no such volume"),
        ({"image": "i.npy", "label": "mask_0.npy"}, r"column 'label': the mask is not \[1, slices, rows, columns\]"),
    ],
)
def test_bad_rows_of_m3d_targets_are_told(row: dict[str, Any], told: str, tmp_path: Path) -> None:
    for name in ("i.npy", "mask_0.npy", "m.npy"):
        write_npy(tmp_path / name, np.zeros((3, 4, 5)))
    write_json(tmp_path / "0000" / "0000.json", {"labels": {"0": "liver"}, "test": [row]})
    with pytest.raises(InputError, match=f"0000.json: row 1, {told}"):
        list(benchmark("m3d-positioning").read(tmp_path, "test"))


def test_a_missing_report_is_told(tmp_path: Path) -> None:
    (tmp_path / "v.nii.gz").write_bytes(b"volume")
    write_json(tmp_path / "M3D_Cap.json", {"test": [{"image": "v.nii.gz", "text": "no.txt"}]})
    with pytest.raises(InputError, match="row 1, column 'text': there is no such file"):
        list(benchmark("m3d-cap").read(tmp_path, "test"))

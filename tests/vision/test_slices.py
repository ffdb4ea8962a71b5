"""Slices become a model's array in one go or while the file is still being inflated, with equal bytes."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest

from vesalius.errors import InputError
from vesalius.study.items import Axis
from vesalius.study.read import read
from vesalius.study.windows import Window
from vesalius.vision.slices import model_ready, volume_ready

WINDOW = Window(-160, 240)


def stored_scan(path: Path, signs: tuple[int, int, int] = (1, 1, 1)) -> Path:
    values = np.random.default_rng(3).integers(-500, 500, (40, 30, 20)).astype(np.int16)
    nibabel.Nifti1Image(values, np.diag([0.8 * signs[0], 0.9 * signs[1], 2.0 * signs[2], 1.0])).to_filename(path)
    return path


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1)])
@pytest.mark.parametrize("name", ["scan.nii.gz", "scan.nii"])
def test_resizing_while_inflating_gives_the_same_array(
    name: str, signs: tuple[int, int, int], axis: Axis, tmp_path: Path
):
    volume = read(stored_scan(tmp_path / name, signs)).volumes[0]
    indices = [17, 3, 3, 9]
    expected = model_ready(volume.slices(indices, axis, WINDOW), (28, 42))
    assert expected.shape == (4, 3, 28, 42)
    assert np.array_equal(volume_ready(volume, indices, (28, 42), axis=axis, window=WINDOW), expected)


def test_a_window_that_depends_on_the_values_is_the_same_too(tmp_path: Path):
    volume = read(stored_scan(tmp_path / "scan.nii.gz"), modality="MR").volumes[0]
    expected = model_ready(volume.slices([1, 2]), 28, mean=(0.1, 0.2, 0.3), std=(1.0, 0.9, 0.8))
    assert np.array_equal(volume_ready(volume, [1, 2], 28, mean=(0.1, 0.2, 0.3), std=(1.0, 0.9, 0.8)), expected)


def test_a_file_cut_short_is_still_named(tmp_path: Path):
    whole = gzip.decompress(stored_scan(tmp_path / "scan.nii.gz").read_bytes())
    (tmp_path / "cut.nii.gz").write_bytes(gzip.compress(whole[: len(whole) // 2]))
    volume = read(tmp_path / "cut.nii.gz").volumes[0]
    with pytest.raises(InputError, match="cut short"):
        volume_ready(volume, [2, 18], 28, window=WINDOW)
    with pytest.raises(InputError, match="no slices"):
        volume_ready(volume, [], 28)

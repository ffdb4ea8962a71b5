"""NIfTI masks lie on the grid the scan was stored on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from tests.findings.scans import volume
from vesalius.errors import InputError, OptionError
from vesalius.findings import Mask, Where
from vesalius.findings.export_nifti import write_nifti_mask
from vesalius.study.items import Volume

SHEARED = np.array([[0.7, 0.1, 0.2, 3], [0, -0.9, 0.4, 5], [0.05, 0, 2.5, -7], [0, 0, 0, 1.0]])


def load(path: Path) -> Any:
    return nibabel.load(path)  # pyright: ignore[reportPrivateImportUsage]


@pytest.mark.parametrize("scan", [volume(), volume(affine=SHEARED), volume(affine=np.diag([-1.1, -1.2, 1.3, 1]))])
def test_a_mask_is_written_on_the_source_grid_with_the_source_affine(scan: Volume, tmp_path: Path) -> None:
    voxels = np.random.default_rng(3).random(scan.shape) < 0.3
    labels = write_nifti_mask([Mask(label="liver", mask=voxels)], scan, tmp_path / "m.nii.gz")
    image = load(tmp_path / "m.nii.gz")
    assert labels == {1: "liver"}
    assert image.shape == scan.source.shape
    assert image.get_data_dtype() == np.uint8
    assert np.array_equal(image.affine, scan.stored_affine_ras.astype(np.float32)), "to the last bit of float32"
    assert np.array_equal(np.asarray(image.dataobj) > 0, scan.to_stored(voxels))


def test_the_canonical_view_of_the_file_is_the_mask(tmp_path: Path) -> None:
    scan = volume()
    voxels = np.random.default_rng(4).random(scan.shape) < 0.3
    write_nifti_mask([Mask(label="x", mask=voxels)], scan, tmp_path / "m.nii")
    again = nibabel.as_closest_canonical(load(tmp_path / "m.nii"))  # pyright: ignore[reportPrivateImportUsage]
    assert np.array_equal(np.asarray(again.dataobj) > 0, voxels)
    assert np.allclose(again.affine, scan.affine_ras, atol=1e-5)


def test_slice_masks_land_in_their_slices_and_labels_count_up(tmp_path: Path) -> None:
    scan = volume()
    view = scan.slices([2], "sagittal")[0]
    flat = np.zeros((view.height, view.width), dtype=bool)
    flat[1, 2] = True
    where = Where(axis="sagittal", slice_index=2)
    solid = np.zeros(scan.shape, dtype=bool)
    solid[0, 0, 0] = solid[0, 0, 1] = True
    masks = [Mask(label="a", mask=solid), Mask(label="b", mask=flat, where=where), Mask(label="a", mask=solid)]
    assert write_nifti_mask(masks, scan, tmp_path / "m.nii.gz") == {1: "a", 2: "b"}
    stored = np.asarray(load(tmp_path / "m.nii.gz").dataobj)
    assert (stored == 1).sum() == 2
    assert scan.source.all()[stored == 2].tolist() == [view.values[1, 2]]


def test_the_same_masks_give_the_same_bytes(tmp_path: Path) -> None:
    scan = volume()
    mask = Mask(label="x", mask=np.ones(scan.shape, dtype=bool))
    for name in ("a.nii.gz", "b.nii.gz"):
        write_nifti_mask([mask], scan, tmp_path / name)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_what_does_not_fit_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    scan = volume()
    good = Mask(label="x", mask=np.ones(scan.shape, dtype=bool))
    with pytest.raises(InputError, match="does not match"):
        write_nifti_mask([Mask(label="x", mask=np.ones((1, 2, 3), dtype=bool))], scan, tmp_path / "m.nii")
    with pytest.raises(InputError, match="slice_index"):
        write_nifti_mask([Mask(label="x", mask=np.ones((2, 3), dtype=bool))], scan, tmp_path / "m.nii")
    with pytest.raises(InputError, match="255"):
        write_nifti_mask([Mask(label=str(n), mask=good.mask) for n in range(256)], scan, tmp_path / "m.nii")
    with pytest.raises(OptionError, match=r"\.nii"):
        write_nifti_mask([good], scan, tmp_path / "m.img")
    with pytest.raises(OptionError, match="cannot be written"):
        write_nifti_mask([good], scan, tmp_path / "nowhere" / "m.nii")
    assert list(tmp_path.iterdir()) == []

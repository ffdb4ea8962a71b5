"""A mask keeps its place from scan to volume to file and back, for any orientation, spacing, order and gap."""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highdicom
import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom import dcmread

from tests.findings.scans import volume, write_multi_frame, write_series
from vesalius.findings import Mask
from vesalius.findings.export_dicom_seg import write_dicom_seg
from vesalius.findings.export_nifti import write_nifti_mask
from vesalius.findings.read_dicom_seg import read_dicom_seg
from vesalius.study import read
from vesalius.study.items import Volume

LIMIT_MM = 1e-4


@dataclass(frozen=True)
class Series:
    """A series to write: row and column direction and the arguments of `write_series`."""

    directions: tuple[Any, Any]
    how: dict[str, Any]


@st.composite
def series(draw: Any) -> Series:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    turned, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    if draw(st.booleans()):  # along the patient's axes: any order and any signs
        turned = np.eye(3)[rng.permutation(3)] * rng.choice([-1.0, 1.0], 3)[:, None]
    slices = draw(st.integers(3, 7))
    how: dict[str, Any] = {
        "rows": draw(st.integers(4, 9)),
        "columns": draw(st.integers(4, 9)),
        "slices": slices,
        "spacing": (draw(st.floats(0.2, 3)), draw(st.floats(0.2, 3))),
        "step": draw(st.sampled_from([-1, 1])) * draw(st.floats(0.4, 9)),
        "thickness": draw(st.sampled_from([0.5, 2.5, 10.0])),
        "origin": [round(float(v), 3) for v in rng.uniform(-400, 400, 3)],
    }
    how["spacing"] = tuple(round(v, 4) for v in how["spacing"])
    how["step"] = round(how["step"], 3)
    return Series((turned[0], turned[1]), how)


def truth(paths: list[Path]) -> dict[str, NDArray[np.float64]]:
    """SOP instance UID -> positions `[rows, columns, 3]` (LPS mm) of its pixels, from its header (C.7.6.2.1.1)."""
    placed: dict[str, NDArray[np.float64]] = {}
    for header in map(dcmread, paths):
        turned = np.asarray(header.ImageOrientationPatient, float)
        rows, columns = np.mgrid[: header.Rows, : header.Columns]
        across = columns[..., None] * turned[:3] * float(header.PixelSpacing[1])
        down = rows[..., None] * turned[3:] * float(header.PixelSpacing[0])
        placed[str(header.SOPInstanceUID)] = np.asarray(header.ImagePositionPatient, float) + across + down
    return placed


def lps(affine_ras: NDArray[np.float64], voxels: NDArray[Any]) -> NDArray[np.float64]:
    return (np.column_stack([voxels, np.ones(len(voxels))]) @ affine_ras.T)[:, :3] * [-1, -1, 1]


def ordered(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return points[np.lexsort(np.round(points, 2).T)]


def check_segmentation(scan: Volume, file: Path, seed: int) -> None:
    """Mask -> SEG -> highdicom's own volume, and -> our own reading: the same voxels, in place."""
    mask = np.random.default_rng(seed).random(scan.shape) < 0.4
    mask[tuple(n // 2 for n in scan.shape)] = True
    write_dicom_seg([Mask(label="liver", mask=mask)], scan, file)
    (again,) = read_dicom_seg(file, scan)
    assert np.array_equal(again.mask, mask)
    back = highdicom.seg.segread(file).get_volume(segment_numbers=[1], allow_missing_positions=True)
    stored = np.argwhere(back.array.reshape(back.spatial_shape))
    assert len(stored) == mask.sum()
    found = lps(back.affine * [[-1], [-1], [1], [1]], stored)
    # Each voxel found is the voxel of the mask nearest to it, and misses its place by no more than the limit.
    homogeneous = np.column_stack([found * [-1, -1, 1], np.ones(len(found))])
    voxels = np.rint((homogeneous @ np.linalg.inv(scan.affine_ras).T)[:, :3]).astype(int)
    assert len({tuple(v) for v in voxels.tolist()}) == len(voxels)
    assert mask[tuple(voxels.T)].all()
    assert np.linalg.norm(lps(scan.affine_ras, voxels) - found, axis=1).max() <= LIMIT_MM


@settings(max_examples=20, deadline=None)
@given(series(), st.integers(0, 1000), st.booleans())
def test_scan_to_volume_to_segmentation_to_volume(given_series: Series, seed: int, frames: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "series").mkdir()
        paths = write_series(folder / "series", given_series.directions, **given_series.how)
        if frames:
            write_multi_frame(paths, folder / "frames.dcm")
        scan = read(folder / "frames.dcm" if frames else folder / "series").items[0]
        assert isinstance(scan, Volume)
        # The volume's voxels lie where the headers say the pixels lie.
        real = np.concatenate([points.reshape(-1, 3) for points in truth(paths).values()])
        homogeneous = np.column_stack([real * [-1, -1, 1], np.ones(len(real))])
        voxels = np.rint((homogeneous @ np.linalg.inv(scan.affine_ras).T)[:, :3]).astype(int)
        assert len({tuple(v) for v in voxels.tolist()}) == len(real) == np.prod(scan.shape)
        assert np.linalg.norm(lps(scan.affine_ras, voxels) - real, axis=1).max() <= LIMIT_MM
        check_segmentation(scan, folder / "seg.dcm", seed)


@settings(max_examples=6, deadline=None)
@given(series(), st.integers(0, 1000), st.data())
def test_the_parts_of_a_series_with_missing_slices_keep_their_places(
    given_series: Series, seed: int, data: st.DataObject
) -> None:
    slices = 8
    gap = data.draw(st.integers(2, slices - 3))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "series").mkdir()
        how: dict[str, Any] = given_series.how | {"slices": slices, "missing": [gap]}
        paths = write_series(folder / "series", given_series.directions, **how)
        parts = read(folder / "series", allow_gaps=True).items
        assert len(parts) == 2
        places = truth(paths)
        for part in parts:
            assert isinstance(part, Volume)
            real = np.concatenate([places[uid].reshape(-1, 3) for _, uid in part.origin.instances])
            assert len(real) == np.prod(part.shape)
            every = lps(part.affine_ras, np.argwhere(np.ones(part.shape)))
            nearest = np.linalg.norm(real[:, None] - every[None], axis=-1)
            assert max(nearest.min(axis=0).max(), nearest.min(axis=1).max()) <= LIMIT_MM
            check_segmentation(part, folder / "seg.dcm", seed)


AXIS_ORDERS = [
    (order, signs) for order in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)
]


@pytest.mark.parametrize(("order", "signs"), AXIS_ORDERS)
@pytest.mark.parametrize("tilted", [False, True], ids=["straight", "tilted"])
def test_nifti_masks_keep_the_source_grid_in_all_48_axis_orders(
    order: Any, signs: Any, tilted: bool, tmp_path: Path
) -> None:
    axes = np.zeros((3, 3))
    for stored, (axis, sign, size) in enumerate(zip(order, signs, (0.7, 1.3, 2.9), strict=True)):
        axes[axis, stored] = sign * size
    if tilted:  # by 20 degrees about a slanted axis
        axis, angle = np.array([1, 2, -2]) / 3, np.deg2rad(20)
        cross = np.cross(np.eye(3), axis)
        axes = (np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross) @ axes
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes, (12.5, -33.25, 7)
    scan = volume((3, 4, 5), affine)
    mask = np.random.default_rng(7).random(scan.shape) < 0.4
    write_nifti_mask([Mask(label="liver", mask=mask)], scan, tmp_path / "m.nii.gz")
    image: Any = nibabel.load(tmp_path / "m.nii.gz")  # pyright: ignore[reportPrivateImportUsage]
    assert image.shape == (3, 4, 5)
    assert np.abs(image.affine - affine).max() <= 1e-5
    found = lps(image.affine, np.argwhere(np.asarray(image.dataobj)))
    expected = lps(scan.affine_ras, np.argwhere(mask))
    assert np.abs(ordered(found) - ordered(expected)).max() <= LIMIT_MM

"""Findings get the millimetres their study item's geometry gives them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.findings.scans import clip, picture, volume
from vesalius.errors import InputError
from vesalius.findings import Box, Count, Mask, Point, Report, Where, place, slice_mask_to_volume, volume_mask_to_slice
from vesalius.study.geometry import AXES
from vesalius.study.items import Axis, Document, Origin, Slide

AXIS_NAMES: tuple[Axis, ...] = ("axial", "coronal", "sagittal")


def test_a_box_on_a_picture_without_spacing_has_no_millimetres() -> None:
    placed = place(Box(label="mass", x0=1, y0=2, x1=5, y1=8), picture())
    assert placed.size_mm is None
    assert placed.centre_ras_mm is None


def test_a_box_on_a_picture_gets_its_size() -> None:
    placed = place(Box(label="mass", x0=1, y0=2, x1=5, y1=8), picture(spacing_mm=(0.5, 2.0)))
    assert placed.size_mm == (2.0, 12.0)


def test_a_picture_with_patient_geometry_tells_place_and_spacing() -> None:
    to_ras = np.array([[-0.5, 0, 0, 10], [0, 0, 1, 20], [0, -0.25, 0, 30], [0, 0, 0, 1.0]])
    item = picture(pixel_to_ras=to_ras)
    assert place(Point(label="tip", x=4, y=8), item).ras_mm == (8.0, 20.0, 28.0)
    assert place(Box(label="mass", x0=0, y0=0, x1=4, y1=4), item).size_mm == (2.0, 1.0)


@pytest.mark.parametrize("axis", AXIS_NAMES)
def test_a_point_on_a_slice_lies_where_its_voxel_lies(axis: Axis) -> None:
    scan = volume()
    view = scan.slices([1], axis)[0]
    canonical = scan.values()
    for y in range(view.height):
        for x in range(view.width):
            point = place(Point(label="p", x=x + 0.5, y=y + 0.5, where=Where(axis=axis, slice_index=1)), scan)
            voxel = np.linalg.inv(scan.affine_ras) @ np.array([*(point.ras_mm or ()), 1.0])
            assert np.allclose(voxel, np.rint(voxel), atol=1e-6)
            assert canonical[tuple(np.rint(voxel[:3]).astype(int))] == view.values[y, x]


@pytest.mark.parametrize("axis", AXIS_NAMES)
def test_a_box_on_a_slice_is_measured_along_the_displayed_axes(axis: Axis) -> None:
    scan = volume()
    view = scan.slices([0], axis)[0]
    where = Where(axis=axis, slice_index=0)
    placed = place(Box(label="all", x0=0, y0=0, x1=view.width, y1=view.height, where=where), scan)
    assert placed.size_mm == pytest.approx((view.width * view.spacing_mm[0], view.height * view.spacing_mm[1]))
    centre = view.display_to_ras @ np.array([view.width / 2, view.height / 2, 0, 1])
    assert placed.centre_ras_mm == pytest.approx(tuple(centre[:3]))


@pytest.mark.parametrize("axis", AXIS_NAMES)
def test_a_slice_mask_goes_into_the_volume_and_back_exactly(axis: Axis) -> None:
    scan, rng = volume(), np.random.default_rng(1)
    for index in range(scan.num_slices(axis)):
        view = scan.slices([index], axis)[0]
        mask = rng.random((view.height, view.width)) < 0.4
        voxels = slice_mask_to_volume(mask, scan, axis, index)
        assert np.array_equal(volume_mask_to_slice(voxels, axis, index), mask)
        assert set(scan.values()[voxels]) == set(view.values[mask]), "the same voxels as were displayed"
        others = np.delete(voxels, index, axis=AXES[axis])
        assert not others.any()


def test_slice_masks_add_up_in_one_volume() -> None:
    scan = volume()
    out = np.zeros(scan.shape, dtype=bool)
    for index in range(scan.num_slices("coronal")):
        view = scan.slices([index], "coronal")[0]
        slice_mask_to_volume(np.ones((view.height, view.width), dtype=bool), scan, "coronal", index, out=out)
    assert out.all()


def test_masks_get_area_or_volume() -> None:
    scan = volume()
    solid = place(Mask(label="m", mask=np.ones(scan.shape, dtype=bool)), scan)
    assert solid.volume_ml == pytest.approx(np.prod(scan.shape) * 0.7 * 0.9 * 3.0 / 1000)
    flat = place(Mask(label="m", mask=np.ones((40, 60), dtype=bool)), picture(spacing_mm=(0.1, 0.5)))
    assert flat.area_mm2 == pytest.approx(40 * 60 * 0.05)


def test_a_finding_on_a_clip_learns_its_time() -> None:
    placed = place(Box(label="polyp", x0=0, y0=0, x1=4, y1=8, where=Where(frame=3)), clip())
    assert placed.where.time_s == 0.75
    assert placed.size_mm == (2.0, 4.0)


def test_a_slide_measures_in_micrometres_per_pixel() -> None:
    slide = Slide(
        ((1000, 800),),
        lambda *_: np.zeros((1, 1, 3), np.uint8),
        lambda _: np.zeros((1, 1, 3), np.uint8),
        Origin("svs"),
        mpp=(0.25, 0.5),
    )
    assert place(Box(label="cell", x0=0, y0=0, x1=40, y1=40), slide).size_mm == pytest.approx((0.01, 0.02))


def test_counts_and_reports_pass_unchanged() -> None:
    count, report = Count(label="cell", count=3), Report(findings="None.", impression="Normal.")
    assert place(count, volume()) == count
    assert place(report, picture()) == report


@pytest.mark.parametrize(
    ("finding", "item"),
    [
        (Box(label="b", x0=-1, y0=0, x1=5, y1=5), picture()),
        (Box(label="b", x0=0, y0=0, x1=61, y1=5), picture()),
        (Box(label="b", x0=5, y0=0, x1=5, y1=5), picture()),
        (Box(label="b", x0=float("nan"), y0=0, x1=5, y1=5), picture()),
        (Point(label="p", x=3, y=41), picture()),
        (Mask(label="m", mask=np.ones((60, 40), dtype=bool)), picture()),
        (Mask(label="m", mask=np.ones((2, 2, 2), dtype=bool)), picture()),
        (Mask(label="m", mask=np.ones((2, 2, 2), dtype=bool)), volume()),
        (Point(label="p", x=1, y=1), volume()),
        (Point(label="p", x=1, y=1, where=Where(axis="axial", slice_index=9)), volume()),
        (Point(label="p", x=1, y=1, where=Where(axis="axial", slice_index=-1)), volume()),
        (Count(label="c", count=1, where=Where(axis="axial", slice_index=99)), volume()),
        (Point(label="p", x=1, y=1, where=Where(frame=5)), clip()),
        (Point(label="p", x=1, y=1), Document("text", Origin("text"))),
    ],
)
def test_a_finding_that_does_not_fit_its_item_is_refused(finding: Box | Point | Mask | Count, item: object) -> None:
    with pytest.raises(InputError):
        place(finding, item)  # pyright: ignore[reportArgumentType]


def test_a_slice_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match="does not match"):
        slice_mask_to_volume(np.ones((2, 2), dtype=bool), volume(), "axial", 0)
    with pytest.raises(InputError, match="outside"):
        volume_mask_to_slice(np.ones((2, 2, 2), dtype=bool), "axial", 2)

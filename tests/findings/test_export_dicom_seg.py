"""DICOM SEG objects lie exactly on the images they were drawn on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from pydicom import dcmread

from tests.findings.scans import (
    CANARY,
    OBLIQUE,
    picture,
    volume,
    write_cine,
    write_multi_frame,
    write_radiograph,
    write_series,
)
from vesalius.errors import InputError, UnsupportedError
from vesalius.findings import Mask, Where
from vesalius.findings.export_dicom_seg import write_dicom_seg
from vesalius.study import read
from vesalius.study.items import Clip, Picture, Volume

AXIAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
SAGITTAL = ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0))


def read_volume(folder: Path) -> Volume:
    item = read(folder).items[0]
    assert isinstance(item, Volume)
    return item


def lps_points(segmentation: Any, segment: int) -> np.ndarray:
    """Patient positions (LPS mm) of a segment's pixels, from the object's own attributes alone."""
    points: list[np.ndarray] = []
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    frames = np.atleast_3d(segmentation.pixel_array.reshape(-1, segmentation.Rows, segmentation.Columns))
    directions = [float(v) for v in shared.PlaneOrientationSequence[0].ImageOrientationPatient]
    spacing = [float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing]
    for frame, group in zip(frames, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        named = group if "SegmentIdentificationSequence" in group else shared
        if named.SegmentIdentificationSequence[0].ReferencedSegmentNumber != segment:
            continue
        rows, columns = np.nonzero(frame)
        start = np.array([float(v) for v in group.PlanePositionSequence[0].ImagePositionPatient])
        across, down = np.array(directions[:3]) * spacing[1], np.array(directions[3:]) * spacing[0]
        points.append(start + columns[:, None] * across + rows[:, None] * down)
    return np.concatenate(points)


@pytest.mark.parametrize("directions", [AXIAL, SAGITTAL, OBLIQUE], ids=["axial", "sagittal", "oblique"])
def test_every_voxel_comes_back_at_its_place(directions: Any, tmp_path: Path) -> None:
    source = tmp_path / "series"
    source.mkdir()
    write_series(source, directions)
    scan = read_volume(source)
    rng = np.random.default_rng(5)
    masks = [Mask(label=name, mask=rng.random(scan.shape) < 0.2) for name in ("liver", "肿瘤")]
    assert write_dicom_seg(masks, scan, tmp_path / "seg.dcm") == {1: "liver", 2: "肿瘤"}
    segmentation = highdicom.seg.segread(tmp_path / "seg.dcm")
    assert [s.SegmentLabel for s in segmentation.SegmentSequence] == ["liver", "肿瘤"]
    for number, mask in enumerate(masks, start=1):
        found = lps_points(segmentation, number)
        voxels = np.argwhere(mask.mask)
        homogeneous = np.concatenate([voxels, np.ones((len(voxels), 1))], axis=1)
        expected = (homogeneous @ scan.affine_ras.T)[:, :3] * [-1, -1, 1]
        assert len(found) == len(expected)
        nearest = np.linalg.norm(found[:, None] - expected[None], axis=-1)
        assert nearest.min(axis=1).max() <= 1e-4, "mm, found to expected"
        assert nearest.min(axis=0).max() <= 1e-4, "mm, expected to found"


@pytest.mark.parametrize("seed", range(3))
def test_an_oblique_series_goes_to_a_segmentation_and_back_to_a_volume_in_place(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    turned, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    source = tmp_path / "series"
    source.mkdir()
    rows, columns, slices = (int(n) for n in rng.integers(4, 12, 3))
    write_series(source, (turned[0], turned[1]), rows=rows, columns=columns, slices=slices)
    scan = read_volume(source)
    mask = rng.random(scan.shape) < 0.5
    write_dicom_seg([Mask(label="liver", mask=mask)], scan, tmp_path / "seg.dcm")
    # Another reader puts the frames together, from their own positions.
    back = highdicom.seg.segread(tmp_path / "seg.dcm").get_volume(segment_numbers=[1])
    stored = np.argwhere(back.array.reshape(back.spatial_shape))
    lps = (np.column_stack([stored, np.ones(len(stored))]) @ back.affine.T)[:, :3]
    voxels = (np.column_stack([lps * [-1, -1, 1], np.ones(len(lps))]) @ np.linalg.inv(scan.affine_ras).T)[:, :3]
    nearest = np.rint(voxels).astype(int)
    error = np.linalg.norm((voxels - nearest) @ scan.affine_ras[:3, :3].T, axis=1)
    assert error.max() <= 1e-4, "mm"
    found = np.zeros(scan.shape, dtype=bool)
    found[tuple(nearest.T)] = True
    assert np.array_equal(found, mask)


def test_each_frame_names_the_image_it_was_drawn_on(tmp_path: Path) -> None:
    source = tmp_path / "series"
    source.mkdir()
    paths = write_series(source, OBLIQUE)
    scan = read_volume(source)
    solid = np.zeros(scan.shape, dtype=bool)
    solid[3, 4, 2] = True
    write_dicom_seg([Mask(label="nodule", mask=solid)], scan, tmp_path / "seg.dcm")
    segmentation: Any = dcmread(tmp_path / "seg.dcm")
    (group,) = segmentation.PerFrameFunctionalGroupsSequence
    named = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
    positions = {str(d.SOPInstanceUID): d.ImagePositionPatient for d in (dcmread(p) for p in paths)}
    assert list(positions[named]) == list(group.PlanePositionSequence[0].ImagePositionPatient)
    segment = segmentation.SegmentSequence[0]
    assert segment.SegmentLabel == "nodule"
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Nodule"
    assert segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert segmentation.StudyInstanceUID == dcmread(paths[0]).StudyInstanceUID


def test_a_mask_without_pixels_keeps_its_segment_beside_others(tmp_path: Path) -> None:
    source = tmp_path / "series"
    source.mkdir()
    write_series(source)
    scan = read_volume(source)
    full, empty = np.ones(scan.shape, dtype=bool), np.zeros(scan.shape, dtype=bool)
    write_dicom_seg([Mask(label="cyst", mask=empty), Mask(label="liver", mask=full)], scan, tmp_path / "seg.dcm")
    segmentation = highdicom.seg.segread(tmp_path / "seg.dcm")
    assert [s.SegmentLabel for s in segmentation.SegmentSequence] == ["cyst", "liver"]
    assert len(lps_points(segmentation, 2)) == full.size


def test_overlapping_segments_and_slice_masks_are_kept(tmp_path: Path) -> None:
    source = tmp_path / "series"
    source.mkdir()
    write_series(source)
    scan = read_volume(source)
    view = scan.slices([3])[0]
    flat = np.zeros((view.height, view.width), dtype=bool)
    flat[2:5, 3:9] = True
    masks = [Mask(label=f"m{n}", mask=flat, where=Where(axis="axial", slice_index=3)) for n in range(2)]
    write_dicom_seg(masks, scan, tmp_path / "seg.dcm")
    frames = highdicom.seg.segread(tmp_path / "seg.dcm").pixel_array
    assert frames.shape == (2, view.height, view.width)
    assert (frames.sum(axis=(1, 2)) == flat.sum()).all()


def test_a_multi_frame_source_is_one_image_with_all_its_frames(tmp_path: Path) -> None:
    source = tmp_path / "series"
    source.mkdir()
    write_multi_frame(write_series(source, OBLIQUE), tmp_path / "frames.dcm")
    scan = read_volume(tmp_path / "frames.dcm")
    assert len(scan.origin.files) == 1
    voxels = np.random.default_rng(8).random(scan.shape) < 0.2
    write_dicom_seg([Mask(label="liver", mask=voxels)], scan, tmp_path / "seg.dcm")
    found = lps_points(highdicom.seg.segread(tmp_path / "seg.dcm"), 1)
    homogeneous = np.concatenate([np.argwhere(voxels), np.ones((voxels.sum(), 1))], axis=1)
    expected = (homogeneous @ scan.affine_ras.T)[:, :3] * [-1, -1, 1]
    assert len(found) == len(expected)
    assert np.linalg.norm(found[:, None] - expected[None], axis=-1).min(axis=1).max() <= 1e-4


def test_a_radiograph_without_frame_of_reference_gets_its_mask(tmp_path: Path) -> None:
    write_radiograph(tmp_path / "chest.dcm")
    item = read(tmp_path / "chest.dcm").items[0]
    assert isinstance(item, Picture)
    mask = np.zeros((item.height, item.width), dtype=bool)
    mask[4:9, 2:7] = True
    write_dicom_seg([Mask(label="heart", mask=mask)], item, tmp_path / "seg.dcm")
    segmentation: Any = dcmread(tmp_path / "seg.dcm")
    assert np.array_equal(segmentation.pixel_array.reshape(mask.shape) > 0, mask)
    referenced = segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0]
    assert referenced.ReferencedSOPInstanceUID == item.origin.instances[0][1]


def test_masks_of_a_cine_clip_name_their_frames(tmp_path: Path) -> None:
    write_cine(tmp_path / "cine.dcm")
    item = read(tmp_path / "cine.dcm").items[0]
    assert isinstance(item, Clip)
    drawn: list[Mask] = []
    for number, frame in enumerate((4, 1, 4)):
        mask = np.zeros((item.height, item.width), dtype=bool)
        mask[3 + number : 9, 2 : 7 + number] = True
        drawn.append(Mask(label="cyst", mask=mask, where=Where(frame=frame)))
    write_dicom_seg(drawn, item, tmp_path / "seg.dcm")
    segmentation: Any = dcmread(tmp_path / "seg.dcm")
    assert np.array_equal(segmentation.pixel_array > 0, np.stack([one.mask for one in drawn]))
    named = [
        int(group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber)
        for group in segmentation.PerFrameFunctionalGroupsSequence
    ]
    assert named == [5, 2, 5]
    referenced = segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0]
    assert referenced.ReferencedSOPClassUID.name == "Ultrasound Multi-frame Image Storage"
    with pytest.raises(InputError, match="frame 6"):
        write_dicom_seg([Mask(label="cyst", mask=drawn[0].mask, where=Where(frame=6))], item, tmp_path / "seg.dcm")


def test_nothing_of_the_patient_is_copied_unless_asked(tmp_path: Path) -> None:
    source = tmp_path / "series"
    source.mkdir()
    write_series(source)
    scan = read_volume(source)
    mask = Mask(label="liver", mask=np.ones(scan.shape, dtype=bool))
    write_dicom_seg([mask], scan, tmp_path / "bare.dcm")
    assert b"CANARY" not in (tmp_path / "bare.dcm").read_bytes()
    write_dicom_seg([mask], scan, tmp_path / "filed.dcm", include_patient=True)
    assert dcmread(tmp_path / "filed.dcm").PatientID == CANARY


def test_what_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "series"
    source.mkdir()
    paths = write_series(source)
    scan = read_volume(source)
    mask = Mask(label="liver", mask=np.ones(scan.shape, dtype=bool))
    out = tmp_path / "seg.dcm"
    with pytest.raises(InputError, match="no mask with a pixel"):
        write_dicom_seg([Mask(label="x", mask=np.zeros(scan.shape, dtype=bool))], scan, out)
    other = volume()
    with pytest.raises(UnsupportedError, match="not nifti"):
        write_dicom_seg([Mask(label="x", mask=np.ones(other.shape, dtype=bool))], other, out)
    with pytest.raises(InputError, match="does not match"):
        write_dicom_seg([Mask(label="x", mask=np.ones((2, 2, 2), dtype=bool))], scan, out)
    with pytest.raises(UnsupportedError, match="not png"):
        write_dicom_seg([mask], picture(), out)
    paths[2].unlink()
    with pytest.raises(InputError, match="1 of 6 source images"):
        write_dicom_seg([mask], scan, out)
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(UnsupportedError, match=r"vesalius\[export\]"):
        write_dicom_seg([mask], scan, out)
    assert not out.exists()


@pytest.mark.parametrize("slices", [1, 6])
@pytest.mark.parametrize("lacking", ["SliceThickness", "FrameOfReferenceUID"])
@pytest.mark.parametrize("empty", [True, False])
def test_what_many_archives_leave_out_is_made_up_for(slices: int, lacking: str, empty: bool, tmp_path: Path) -> None:
    source = tmp_path / "series"
    source.mkdir()
    for path in write_series(source, slices=slices, step=0.7 / 3, thickness=1.0):
        dataset = dcmread(path)
        delattr(dataset, lacking)
        if empty:
            setattr(dataset, lacking, None)
        dataset.save_as(path)
    (item,) = read(source).items
    assert isinstance(item, Volume | Picture)
    shape = item.shape if isinstance(item, Volume) else (item.height, item.width)
    frames: set[str] = set()
    for name in ("a.dcm", "b.dcm"):
        write_dicom_seg([Mask(label="liver", mask=np.ones(shape, dtype=bool))], item, tmp_path / name)
        written = dcmread(tmp_path / name)
        assert written.pixel_array.any()
        frames.add(written.FrameOfReferenceUID)
    assert len(frames) == 1
    (measures,) = written.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    if slices > 1 and lacking == "SliceThickness":
        assert measures.SliceThickness == pytest.approx(0.7 / 3, abs=1e-5)

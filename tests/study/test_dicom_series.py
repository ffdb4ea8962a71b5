"""Series become volumes whose voxels sit where DICOM says, whatever the files are called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.study import dicom_files as files
from vesalius.errors import GeometryError, InputError
from vesalius.study.dicom import read_dicom
from vesalius.study.items import Clip, Document, Picture, Volume
from vesalius.study.read import gathered


def read(datasets: list, **options: bool):
    return read_dicom([files.file_bytes(d) for d in datasets], **options)


def volume(datasets: list, **options: bool) -> Volume:
    [item], _ = read(datasets, **options)
    assert isinstance(item, Volume)
    return item


def ras_of(found: Volume, value: int) -> np.ndarray:
    """RAS mm of the only voxel with this value."""
    [voxel] = np.argwhere(found.values() == value)
    return (found.affine_ras @ [*voxel, 1])[:3]


def test_voxels_lie_where_position_orientation_and_spacing_put_them() -> None:
    found = volume(files.series(5))
    assert found.shape == (8, 6, 5)
    assert found.spacing_mm == pytest.approx((0.75, 0.5, 2.5))
    # Slice 3, row 2, column 6: LPS = start + (6 * 0.75, 2 * 0.5, 3 * 2.5).
    np.testing.assert_allclose(ras_of(found, 326), [-(-20 + 4.5), -(-10 + 1.0), 12.5], atol=1e-9)


@pytest.mark.parametrize("step", [(0, 0, 2.5), (0, 0, -2.5)])
def test_file_names_and_numbers_do_not_decide_the_order(step: tuple[float, ...], tmp_path: Path) -> None:
    ordered = files.series(6, step=step, number_of=lambda k: 7 * (k + 3) % 11)
    [found], warnings = read_dicom(files.save(ordered, tmp_path))
    assert isinstance(found, Volume)
    assert warnings == []
    heights = [ras_of(found, 100 * k)[2] for k in range(6)]
    np.testing.assert_allclose(heights, 5 + np.arange(6) * step[2])
    stored = [uid for _, uid in found.origin.instances]
    assert stored == [str(d.SOPInstanceUID) for d in (ordered if step[2] > 0 else ordered[::-1])]
    assert len(found.origin.files) == 6


def test_oblique_slices_keep_their_angle() -> None:
    angle = np.radians(20)
    row, column = np.array([np.cos(angle), np.sin(angle), 0]), np.array([0, 0, -1.0])
    normal = np.cross(row, column)
    slices = files.series(4, step=(3 * normal).tolist(), orientation=[*row, *column])
    found = volume(slices)
    expected = np.array([-20, -10, 5]) + 2 * 3 * normal + 5 * 0.75 * row + 4 * 0.5 * column
    np.testing.assert_allclose(ras_of(found, 245), expected * [-1, -1, 1], atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_planes_equal_the_whole_volume_and_only_needed_files_are_opened(axis: int, tmp_path: Path) -> None:
    paths = files.save(files.series(6), tmp_path, "rle")
    [found], _ = read_dicom(paths)
    [whole], _ = read_dicom(paths)
    assert isinstance(found, Volume)
    assert isinstance(whole, Volume)
    picked = [3, 1, 1]
    if axis == 2:
        whole.source.all()
        for index, path in enumerate(found.origin.files):
            if index not in picked:
                Path(path).unlink()
    np.testing.assert_array_equal(found.source.planes(axis, picked), np.moveaxis(whole.source.all(), axis, 0)[picked])


def test_a_missing_slice_is_an_error_that_counts_it_and_allow_gaps_splits() -> None:
    slices = files.series(9)
    del slices[4:6]
    with pytest.raises(GeometryError, match="2 slices are missing"):
        read(slices)
    items, warnings = read(slices, allow_gaps=True)
    assert [type(i) for i in items] == [Volume, Volume]
    assert [i.shape[2] for i in items if isinstance(i, Volume)] == [4, 3]
    assert any("2 separate parts" in w for w in warnings)


def test_rounding_of_positions_is_no_gap() -> None:
    slices = files.series(8)
    for k, dataset in enumerate(slices):
        dataset.ImagePositionPatient[2] = round(float(dataset.ImagePositionPatient[2]) + 0.01 * (-1) ** k, 3)
    assert volume(slices).shape[2] == 8


def test_uneven_distances_are_an_error() -> None:
    slices = files.series(6)
    slices[3].ImagePositionPatient[2] = float(slices[3].ImagePositionPatient[2]) + 0.9
    with pytest.raises(GeometryError, match=r"vary from 1\.6 to 3\.4 mm"):
        read(slices)


def test_a_duplicated_position_is_left_out_with_a_warning() -> None:
    slices = files.series(5)
    extra = files.placed(files.ramp(start=5000), slices[2].ImagePositionPatient, number=77)
    [found], warnings = read([extra, *slices])
    assert isinstance(found, Volume)
    assert found.values().max() < 5000
    assert any("duplicated" in w for w in warnings)


def test_the_same_file_twice_counts_once() -> None:
    slices = files.series(4)
    [found], warnings = read([*slices, slices[1]])
    assert isinstance(found, Volume)
    assert found.shape[2] == 4
    assert any("repeat" in w for w in warnings)


def test_positions_that_all_occur_twice_are_two_time_points() -> None:
    first = files.series(4)
    second = [files.placed(files.ramp(start=900), d.ImagePositionPatient, number=50 + k) for k, d in enumerate(first)]
    items, warnings = read([*first, *second])
    assert [type(i) for i in items] == [Volume, Volume]
    assert items[1].values().min() == 900  # type: ignore[union-attr]
    assert any("2 separate stacks" in w for w in warnings)


def test_a_localizer_inside_a_series_is_split_off() -> None:
    scout = files.placed(files.ramp(), (0, 0, 0), orientation=(0, 1, 0, 0, 0, -1), number=99)
    items, warnings = read([scout, *files.series(5)])
    assert [type(i) for i in items] == [Volume, Picture]
    assert any("orientations" in w for w in warnings)


def test_a_different_pixel_spacing_is_split_off() -> None:
    odd = files.placed(files.ramp(), (-20, -10, 50), spacing=(1, 1), number=99)
    items, _ = read([*files.series(5), odd])
    assert [type(i) for i in items] == [Volume, Picture]


def test_gantry_tilt_is_flagged_and_kept_as_a_shear() -> None:
    found, warnings = read(files.series(5, step=(0, 0.5, 2.5)))
    [tilted] = found
    assert isinstance(tilted, Volume)
    assert any("Gantry tilt" in w and "11.3 degrees" in w for w in warnings)
    np.testing.assert_allclose(ras_of(tilted, 400), [20, -(-10 + 2.0), 15], atol=1e-9)


def test_two_series_are_two_volumes() -> None:
    items, warnings = read([*files.series(4), *files.series(3, series="2")])
    assert [type(i) for i in items] == [Volume, Volume]
    assert any("2 series" in w for w in warnings)


@pytest.mark.parametrize(
    "other", [{"patient": "P2"}, {"name": "Somebody^Else"}, {"patient": "", "name": "Someone^Else"}]
)
def test_two_patients_are_refused_without_naming_them(other: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="more than one patient") as caught:
        read([*files.series(3), files.image(files.ramp(), series="2", **other)])
    assert not any(word in str(caught.value) for word in ("P1", "P2", "Test", "Some"))


def test_one_patient_spelled_two_ways_is_one_patient() -> None:
    items, _ = read([*files.series(3), files.image(files.ramp(), series="2", name="TEST^PATIENT^M")])
    assert len(items) == 2


def test_an_enhanced_multiframe_is_a_volume_in_its_own_units() -> None:
    found = volume([files.enhanced(4)])
    assert found.shape == (8, 6, 4)
    assert found.spacing_mm == pytest.approx((0.75, 0.5, 3.0))
    np.testing.assert_allclose(ras_of(found, (300 + 25) * 2 - 10), [-5 * 0.75, -2 * 0.5, 9.0], atol=1e-9)
    assert len(found.origin.instances) == 4


def test_slices_with_their_own_slope_share_one_dtype() -> None:
    slices = files.series(3)
    for k, dataset in enumerate(slices):
        dataset.RescaleSlope, dataset.RescaleIntercept = 0.5 * (k + 1), 0
    values = volume(slices).values()
    assert values.dtype == np.float32
    assert values.max() == pytest.approx((200 + 57) * 1.5)


def test_pictures_know_where_they_are() -> None:
    [found], _ = read([files.placed(files.ramp(), (10, 20, 30))])
    assert isinstance(found, Picture)
    assert found.spacing_mm == (0.75, 0.5)
    assert found.pixel_to_ras is not None
    # The centre of the first pixel, (0.5, 0.5), is ImagePositionPatient.
    np.testing.assert_allclose(found.pixel_to_ras @ [0.5, 0.5, 0, 1], [-10, -20, 30, 1])


def test_films_take_their_times_from_the_header() -> None:
    frames = np.stack([files.ramp(dtype="u1")] * 3)
    tags: dict[str, Any] = {"NumberOfFrames": 3, "Modality": "XA"}
    [counted], warnings = read([files.image(frames, **tags)])
    assert isinstance(counted, Clip)
    assert counted.times_s.tolist() == [0, 1, 2]
    assert any("frame rate" in w for w in warnings)
    [vector], _ = read([files.image(frames, FrameTimeVector=[0, 30, 70], **tags)])
    assert isinstance(vector, Clip)
    np.testing.assert_allclose(vector.times_s, [0, 0.03, 0.1])
    [rated], _ = read([files.image(frames, RecommendedDisplayFrameRate=20, **tags)])
    assert isinstance(rated, Clip)
    np.testing.assert_allclose(rated.times_s, [0, 0.05, 0.1])


def test_ultrasound_regions_give_the_spacing() -> None:
    from pydicom.dataset import Dataset

    region = Dataset()
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX, region.PhysicalDeltaY = 0.02, -0.03
    dataset = files.image(files.ramp(dtype="u1"), Modality="US", SequenceOfUltrasoundRegions=[region])
    [found], _ = read([dataset])
    assert isinstance(found, Picture)
    assert found.spacing_mm == pytest.approx((0.2, 0.3))


def test_detector_spacing_is_used_with_a_warning() -> None:
    [found], warnings = read([files.image(files.ramp(dtype="u2"), Modality="DX", ImagerPixelSpacing=[0.14, 0.15])])
    assert isinstance(found, Picture)
    assert found.spacing_mm == (0.15, 0.14)
    assert any("detector" in w for w in warnings)


def test_a_structured_report_is_read_as_an_outline() -> None:
    from pydicom.dataset import Dataset

    def code(meaning: str) -> list[Dataset]:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "1", "99X", meaning
        return [item]

    report, finding = Dataset(), Dataset()
    report.SOPClassUID, report.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.11", "1.2.3.9"
    report.Modality, report.ValueType = "SR", "CONTAINER"
    report.ConceptNameCodeSequence = code("Chest report")
    finding.ValueType, finding.TextValue = "TEXT", "No pleural effusion."
    finding.ConceptNameCodeSequence = code("Finding")
    report.ContentSequence = [finding]
    [found], _ = read([report])
    assert isinstance(found, Document)
    assert found.text == "Chest report\n  Finding: No pleural effusion."


def test_an_encapsulated_pdf_gives_its_text() -> None:
    from pydicom.dataset import Dataset

    stream = b"BT /F1 12 Tf 10 100 Td (Normal heart size) Tj ET"
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    pdf, offsets = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, start=1):
        offsets.append(len(pdf))
        pdf += b"%d 0 obj%s endobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % o for o in offsets)
    pdf += b"xref\n0 6\n0000000000 65535 f \n%strailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (
        table,
        len(pdf),
    )
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.104.1", "1.2.3.8"
    dataset.Modality, dataset.EncapsulatedDocument = "DOC", pdf + b"\n" * (len(pdf) % 2)
    [found], _ = read([dataset])
    assert isinstance(found, Document)
    assert "Normal heart size" in found.text


def test_plans_beside_images_are_left_out_and_alone_are_refused() -> None:
    from pydicom.dataset import Dataset

    structures = Dataset()
    structures.SOPClassUID, structures.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.481.3", "1.2.3.7"
    structures.Modality = "RTSTRUCT"
    with pytest.raises(InputError, match="RT Structure Set Storage"):
        read([structures])
    items, warnings = read([structures, *files.series(3)])
    assert [type(i) for i in items] == [Volume]
    assert any("Left out" in w for w in warnings)


def test_slices_named_one_by_one_are_gathered_in_place_of_the_first(tmp_path: Path) -> None:
    paths = files.save(files.series(4), tmp_path)
    other, missing, folder = str(tmp_path / "a.png"), str(tmp_path / "gone.dcm"), str(tmp_path)
    Path(other).write_bytes(b"\x89PNG\r\n\x1a\n")
    assert gathered([other, *paths[:2], missing, folder, *paths[2:]]) == [other, paths, missing, folder]
    assert gathered([paths[0], other]) == [paths[0], other]
    assert gathered([Path(p).read_bytes() for p in paths[:2]]) == [[Path(p).read_bytes() for p in paths[:2]]]

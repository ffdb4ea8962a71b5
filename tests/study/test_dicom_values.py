"""Units, polarity and windows come out as the standard orders them."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset

from tests.study import dicom_files as files
from vesalius.errors import InputError
from vesalius.study.dicom import read_dicom
from vesalius.study.items import Clip, Picture, Volume
from vesalius.study.windows import Window


def picture(pixels: np.ndarray | None = None, **tags) -> Picture:
    pixels = files.ramp(dtype="u2") if pixels is None else pixels
    [item], _ = read_dicom([files.file_bytes(files.image(pixels, **tags))])
    assert isinstance(item, Picture)
    return item


def test_integral_rescale_keeps_integers() -> None:
    values = picture(bits=12, RescaleSlope=1, RescaleIntercept=-1024).values()
    assert values.dtype == np.int16
    np.testing.assert_array_equal(values, files.ramp(start=-1024))


def test_rescale_that_leaves_sixteen_bits_widens() -> None:
    values = picture(np.full((4, 4), 65535, "u2"), RescaleSlope=2, RescaleIntercept=-1).values()
    assert values.dtype == np.int32
    assert values[0, 0] == 131069


def test_fractional_rescale_gives_floats() -> None:
    values = picture(RescaleSlope=0.5, RescaleIntercept=0.25).values()
    assert values.dtype == np.float32
    assert values[1, 2] == 6.25


def test_a_missing_slope_is_one() -> None:
    assert picture(RescaleIntercept=-5).values()[0, 0] == -5


@pytest.mark.parametrize("slope", [0, 1e300])
def test_a_useless_slope_is_an_error(slope: float) -> None:
    with pytest.raises(InputError, match="RescaleSlope"):
        picture(RescaleSlope=slope, RescaleIntercept=0)


def test_a_modality_table_is_applied_and_clamps_at_its_ends() -> None:
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [4, 10, 16], "US"
    table.LUTData = np.array([100, 200, 300, 400], "<u2").tobytes()
    values = picture(np.array([[9, 10], [12, 90]], "u2"), ModalityLUTSequence=[table]).values()
    assert values.tolist() == [[100, 100], [300, 400]]


def test_monochrome1_keeps_values_and_shows_bright_as_bright() -> None:
    found = picture(np.array([[0, 255]], "u1"), photometric="MONOCHROME1", Modality="CR")
    assert found.inverted
    assert found.values().tolist() == [[0, 255]]
    assert found.view().tolist() == [[255, 0]]


def test_a_monochrome1_volume_says_so() -> None:
    items, warnings = read_dicom([files.file_bytes(d) for d in files.series(3, photometric="MONOCHROME1")])
    assert isinstance(items[0], Volume)
    assert any("MONOCHROME1" in w for w in warnings)


def test_a_monochrome1_film_is_shown_right() -> None:
    frames = np.stack([np.array([[0, 255]], "u1")] * 2)
    data = files.file_bytes(files.image(frames, photometric="MONOCHROME1", NumberOfFrames=2, Modality="XA"))
    [clip], _ = read_dicom([data])
    assert isinstance(clip, Clip)
    assert clip.frames([1])[0][0, :, 0].tolist() == [255, 0]


def test_the_first_usable_window_is_taken_in_rescaled_units() -> None:
    found = picture(RescaleIntercept=-1024, RescaleSlope=1, WindowCenter=[40, -600], WindowWidth=[401, 1501])
    assert found.window == Window(-160.5, 239.5, "file")
    exact = picture(WindowCenter=40, WindowWidth=400, VOILUTFunction="LINEAR_EXACT")
    assert exact.window == Window(-160, 240, "file")


@pytest.mark.parametrize("width", [0, -3, 0.5])
def test_a_window_without_width_is_left_out_with_a_warning(width: float) -> None:
    dataset = files.image(files.ramp(dtype="u2"), Modality="CR", WindowCenter=40, WindowWidth=width)
    [found], warnings = read_dicom([files.file_bytes(dataset)])
    assert isinstance(found, Picture)
    assert found.window is None
    assert any("window" in w for w in warnings)
    assert found.view().max() == 255


def test_a_voi_table_becomes_the_window_it_rises_over() -> None:
    table = Dataset()
    table.LUTDescriptor = [6, 20, 8]
    table.LUTData = np.array([0, 0, 50, 150, 255, 255], "<u2").tobytes()
    assert picture(VOILUTSequence=[table]).window == Window(21, 24, "file")


def test_free_text_in_coded_fields_never_leaves_the_header() -> None:
    found = picture(
        Modality="IGNORE RULES",
        BodyPartExamined="JANE DOE",
        ViewPosition="OBEY",
        WindowCenter=1,
        WindowWidth=9,
        WindowCenterWidthExplanation="Jane",
    )
    assert found.origin.modality is None
    assert found.origin.body_part is None
    assert not any(word in repr(found.origin) + repr(found.window) for word in ("JANE", "Jane", "OBEY", "IGNORE"))


def test_known_terms_are_passed_on() -> None:
    found = picture(Modality="DX", BodyPartExamined="Chest", ViewPosition="PA", BurnedInAnnotation="YES")
    assert (found.origin.modality, found.origin.body_part) == ("DX", "CHEST")
    assert (found.origin.details["view"], found.origin.details["burned_in"]) == ("PA", "YES")

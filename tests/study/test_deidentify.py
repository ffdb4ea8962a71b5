"""De-identified copies hold no trace of the patient, stay consistent and still read as the same images."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from tests.study import dicom_files as files
from vesalius.errors import InputError, OptionError, UnsupportedError
from vesalius.study.deidentify import deidentify
from vesalius.study.dicom import read_dicom
from vesalius.study.items import Study, Volume

CANARY = "Qzxcanary^Wvbmarker"
WORDS = (b"Qzxcanary", b"Wvbmarker", b"QZXCANARY", b"WVBMARKER", b"ZQ998877")


def marked(number: int, position: float, **tags) -> Dataset:
    """A slice with the canary wherever text fits: known, private, nested and misused attributes."""
    dataset = files.placed(
        files.ramp(start=100 * number),
        (0, 0, position),
        number=number,
        name=CANARY,
        patient="ZQ998877",
        StudyDate="20200229",
        SeriesDate="20200303",
        AcquisitionDateTime="20200303101112.5+0100",
        StudyTime="101112",
        PatientBirthDate="19500101",
        PatientSex="F",
        PatientAge="070Y",
        ReferringPhysicianName="Wvbmarker^Doc",
        InstitutionName="Hospital " + CANARY,
        StudyDescription=CANARY,
        SeriesDescription=CANARY,
        ProtocolName=CANARY,
        Manufacturer="Scans by Wvbmarker",
        ManufacturerModelName="Model 7",
        BodyPartExamined="QZXCANARY",
        ImageComments=CANARY,
        AccessionNumber="ZQ998877",
        BurnedInAnnotation="NO",
        RescaleSlope=1,
        RescaleIntercept=-1024,
        **tags,
    )
    with files.unchecked():
        dataset.InstanceCreationDate = "QZXCANARY"
        dataset.add_new(0x00091001, "LO", CANARY)
        dataset.add_new(0x60003000, "OW", CANARY.encode())
        dataset.add_new(0xFFFCFFFC, "OB", CANARY.encode() + b"\0")
        inner, deeper = Dataset(), Dataset()
        inner.ReferencedSOPClassUID, inner.ReferencedSOPInstanceUID = files.CT, "1.2.3.1.1"
        deeper.PatientName, deeper.CodeMeaning = CANARY, "Seen by Wvbmarker"
        deeper.add_new(0x00111001, "UT", CANARY)
        inner.PurposeOfReferenceCodeSequence = [deeper]
        dataset.SourceImageSequence = [inner]
    return dataset


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(1, 4):
        data = files.file_bytes(marked(number, 2.0 * number))
        # The preamble and the file meta group may hold names, too.
        data = CANARY.encode().ljust(128, b"\0") + data[128:]
        (source / f"{number}.dcm").write_bytes(data)
    (source / "notes.txt").write_text("not DICOM")
    return source


def test_no_byte_of_the_patient_is_left(folder: Path, tmp_path: Path) -> None:
    report = deidentify(str(folder), str(tmp_path / "out"))
    assert len(report.files) == 3
    assert sorted(os.listdir(tmp_path / "out")) == sorted(os.path.basename(f) for f in report.files)
    for path in report.files:
        data = Path(path).read_bytes()
        assert not any(word in data for word in WORDS)
    assert not any(word.decode() in repr(report) for word in WORDS)


def test_the_copies_read_as_the_same_volume(folder: Path, tmp_path: Path) -> None:
    report = deidentify(str(folder), str(tmp_path / "out"))
    [before], _ = read_dicom([str(p) for p in sorted(folder.glob("*.dcm"))])
    [after], _ = read_dicom(report.files)
    assert isinstance(before, Volume)
    assert isinstance(after, Volume)
    np.testing.assert_array_equal(before.values(), after.values())
    np.testing.assert_array_equal(before.affine_ras, after.affine_ras)
    assert after.origin.series_uid != before.origin.series_uid


def test_uids_and_dates_change_the_same_way_everywhere(folder: Path, tmp_path: Path) -> None:
    report = deidentify(str(folder), str(tmp_path / "out"))
    copies = {d.InstanceNumber: d for d in map(pydicom.dcmread, report.files)}
    assert len({d.SeriesInstanceUID for d in copies.values()}) == 1
    assert len({d.SOPInstanceUID for d in copies.values()}) == 3
    assert copies[2].SourceImageSequence[0].ReferencedSOPInstanceUID == copies[1].SOPInstanceUID
    assert copies[2].SOPClassUID == files.CT
    study, series = (np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:]}") for d in (copies[1].StudyDate, copies[1].SeriesDate))
    assert series - study == np.timedelta64(3, "D")
    assert copies[1].StudyDate != "20200229"
    assert copies[1].AcquisitionDateTime == copies[1].SeriesDate + "101112.5+0100"
    assert copies[1].StudyTime == "101112"


def test_the_file_says_what_was_done(folder: Path, tmp_path: Path) -> None:
    report = deidentify(str(folder), str(tmp_path / "out"))
    copy = pydicom.dcmread(report.files[0])
    assert copy.PatientIdentityRemoved == "YES"
    assert "PS3.15" in copy.DeidentificationMethod
    assert [c.CodeValue for c in copy.DeidentificationMethodCodeSequence] == ["113100", "113107"]
    assert copy.LongitudinalTemporalInformationModified == "MODIFIED"
    assert (copy.PatientBirthDate, copy.PatientSex, copy.AccessionNumber) == ("", "", "")
    assert copy.ManufacturerModelName == "Model 7"
    assert str(copy.PatientName) == "Anonymous"
    assert report.removed["StudyDescription"] == 3
    assert report.replaced["PatientName"] == 3
    assert report.remapped["SOPInstanceUID"] == 3
    assert report.shifted["StudyDate"] == 3
    assert report.private == 6
    assert report.skipped == 1
    assert report.burned_in == {"NO": 3}
    assert "NOT removed" in report.statement


def test_dates_stay_when_asked_for_except_the_birth_date(folder: Path, tmp_path: Path) -> None:
    report = deidentify(str(folder), str(tmp_path / "out"), keep_dates=True)
    copy = pydicom.dcmread(report.files[0])
    assert copy.StudyDate == "20200229"
    assert copy.PatientBirthDate == ""
    assert copy.LongitudinalTemporalInformationModified == "UNMODIFIED"
    assert report.dates_kept
    assert report.shifted == {}


def test_one_salt_maps_alike_and_fresh_ones_do_not(folder: Path, tmp_path: Path) -> None:
    names = [
        {os.path.basename(f) for f in deidentify(str(folder), str(tmp_path / out), salt=salt).files}
        for out, salt in (("a", b"one"), ("b", b"one"), ("c", None))
    ]
    assert names[0] == names[1]
    assert not names[0] & names[2]


@pytest.mark.parametrize("syntax", ["implicit", "big", "deflated", "rle", "jpegls"])
def test_every_encoding_keeps_its_pixels(syntax: str, tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(files.file_bytes(files.image(files.ramp(dtype="u2"), name=CANARY), syntax))
    report = deidentify([str(path)], tmp_path / "out")
    [copy], _ = read_dicom(report.files)
    np.testing.assert_array_equal(copy.values(), files.ramp(dtype="u2"))  # type: ignore[union-attr]
    assert copy.origin.details["transfer_syntax"] == files.SYNTAXES[syntax]


def test_a_study_can_be_given(folder: Path, tmp_path: Path) -> None:
    items, warnings = read_dicom([str(p) for p in sorted(folder.glob("*.dcm"))])
    assert len(deidentify(Study(tuple(items), tuple(warnings)), tmp_path / "out").files) == 3


def test_a_name_inside_the_pixel_stream_is_refused(tmp_path: Path) -> None:
    dataset = files.image(np.frombuffer(b"..QZXCANARY was here", "u1").reshape(4, 5), name=CANARY)
    (tmp_path / "a.dcm").write_bytes(files.file_bytes(dataset))
    with pytest.raises(InputError, match="inside its pixel stream") as caught:
        deidentify(str(tmp_path / "a.dcm"), tmp_path / "out")
    assert "anary" not in str(caught.value).casefold()
    assert os.listdir(tmp_path / "out") == []


def test_what_cannot_be_cleaned_is_refused(tmp_path: Path) -> None:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.104.1", "1.2.3.8"
    dataset.Modality, dataset.EncapsulatedDocument = "DOC", b"%PDF-1.4"
    (tmp_path / "a.dcm").write_bytes(files.file_bytes(dataset))
    with pytest.raises(UnsupportedError, match="encapsulated document"):
        deidentify(str(tmp_path / "a.dcm"), tmp_path / "out")


def test_the_target_may_not_lie_in_the_source(folder: Path) -> None:
    with pytest.raises(OptionError, match="inside the source"):
        deidentify(str(folder), str(folder / "out"))


@pytest.mark.parametrize("content", [b"", b"text", None])
def test_what_is_not_dicom_is_refused(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError):
        deidentify([str(path)], tmp_path / "out")


def test_an_error_leaves_no_part_of_the_series_behind(folder: Path, tmp_path: Path) -> None:
    cut = folder / "3.dcm"
    cut.write_bytes(cut.read_bytes()[:-80])
    twice = folder / "2 again.dcm"
    twice.write_bytes((folder / "2.dcm").read_bytes())
    with pytest.raises(InputError, match=r"3\.dcm"):
        deidentify(str(folder), tmp_path / "out")
    assert os.listdir(tmp_path / "out") == []

"""`vesalius deidentify`: what is written, printed and refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vesalius.cli.main import main

NAME = "Canary^Patient"


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A small DICOM picture of a patient with a name nobody else has."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    picture = Dataset()
    picture.file_meta = FileMetaDataset()
    picture.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    picture.SOPClassUID = picture.file_meta.MediaStorageSOPClassUID = CTImageStorage
    picture.SOPInstanceUID = picture.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    picture.PatientName, picture.PatientID, picture.StudyDate = NAME, "4711-canary", "20200229"
    picture.Modality = "CT"
    picture.Rows = picture.Columns = 4
    picture.BitsAllocated = picture.BitsStored = 16
    picture.HighBit, picture.PixelRepresentation, picture.SamplesPerPixel = 15, 0, 1
    picture.PhotometricInterpretation = "MONOCHROME2"
    picture.PixelData = bytes(32)
    folder = tmp_path / "in"
    folder.mkdir()
    path = folder / "one.dcm"
    picture.save_as(path, enforce_file_format=True)
    return path


def test_the_copy_does_not_hold_the_name(scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = scan.read_bytes()
    assert NAME.encode() in before
    assert main(["deidentify", str(scan.parent), "--out", str(tmp_path / "out")]) == 0
    (copy,) = (tmp_path / "out").iterdir()
    assert b"anary" not in copy.read_bytes()
    assert scan.read_bytes() == before
    out = capsys.readouterr().out
    assert "1 files written" in out
    assert "NOT removed" in out  # the warning about text burnt into pixels
    assert "anary" not in out


def test_json_says_the_same(scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deidentify", str(scan), "--out", str(tmp_path / "out"), "--keep-dates", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["dates_kept"] is True
    assert len(report["files"]) == 1


def test_a_folder_among_files_is_refused(scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deidentify", str(scan), str(scan.parent), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_no_dicom_is_one_line_and_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    assert main(["deidentify", str(tmp_path / "notes.txt"), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1

"""Damaged, hostile and foreign files end in one of our errors: no traceback, no bomb, no patient data."""

from __future__ import annotations

import struct
import time
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from tests.study import dicom_files as files
from vesalius import limits
from vesalius.errors import InputError, LimitError, UnsupportedError
from vesalius.study.dicom import looks_like_dicom, read_dicom
from vesalius.study.items import Clip, Picture, Volume

NAME = "Canary^Patricia"


def decode(items: list) -> None:
    for item in items:
        if isinstance(item, Picture):
            item.values()
            item.view()
        elif isinstance(item, Volume):
            item.values()
            item.slices([0])
        elif isinstance(item, Clip):
            item.frames([0, item.num_frames - 1])


def good(syntax: str = "explicit", **tags) -> bytes:
    return files.file_bytes(files.image(files.ramp(dtype="u2"), name=NAME, **tags), syntax)


def with_size(data: bytes, rows: int, cols: int) -> bytes:
    def old(element: int, value: int) -> bytes:
        return struct.pack("<HH2sHH", 0x28, element, b"US", 2, value)

    data = data.replace(old(0x10, 6), old(0x10, rows)).replace(old(0x11, 8), old(0x11, cols))
    assert old(0x10, rows) in data
    return data


@pytest.mark.parametrize("data", [b"", b"\x00", b"hello, this is text\n" * 40, b"\x89PNG\r\n\x1a\n" + b"\0" * 200])
def test_what_is_not_dicom_is_said_to_be_not_dicom(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "renamed.dcm"
    path.write_bytes(data)
    assert not looks_like_dicom(data)
    with pytest.raises(InputError, match=r"renamed\.dcm: is not DICOM"):
        read_dicom([str(path)])


@pytest.mark.parametrize("syntax", ["implicit", "explicit", "big"])
def test_a_dataset_without_preamble_is_read_and_flagged(syntax: str) -> None:
    dataset = files.image(files.ramp(dtype="u2"))
    data = files.file_bytes(dataset, syntax, preamble=False)
    assert looks_like_dicom(data[:512])
    [found], warnings = read_dicom([data])
    assert isinstance(found, Picture)
    np.testing.assert_array_equal(found.values(), files.ramp(dtype="u2"))
    assert any("transfer syntax" in w for w in warnings)


def test_the_mark_alone_is_no_dataset() -> None:
    with pytest.raises(InputError):
        read_dicom([b"\0" * 128 + b"DICM"])
    with pytest.raises(InputError):
        read_dicom([b"\0" * 128 + b"DICM" + b"\0" * 4_000_000])


def test_truncated_pixels_state_bytes_got_and_expected() -> None:
    with pytest.raises(InputError, match="86 bytes, 96 expected"):
        read_dicom([good()[:-10]])


@pytest.mark.parametrize("syntax", ["rle", "jpegls", "j2k-lossless", "jpeg-lossless-sv1"])
def test_truncated_compressed_frames_are_errors_and_never_filled(syntax: str) -> None:
    whole = files.file_bytes(files.image(np.random.default_rng(0).integers(0, 4096, (64, 64)).astype("u2")), syntax)
    for cut in (20, 200, 2000):
        with pytest.raises(InputError):
            decode(read_dicom([whole[:-cut]])[0])


def test_giant_zero_and_wrongly_typed_sizes_are_refused_before_allocation() -> None:
    with pytest.raises(LimitError, match="60000 x 60000"):
        read_dicom([with_size(good(), 60000, 60000)])
    with pytest.raises(InputError, match="at least 1"):
        read_dicom([with_size(good(), 0, 8)])
    with pytest.raises(InputError, match="expected"):
        read_dicom([with_size(good(), 4000, 8000)])
    old = struct.pack("<HH2sHH", 0x28, 0x10, b"US", 2, 6)
    for vr, body in ((b"UL", struct.pack("<I", 70000)), (b"SS", struct.pack("<h", -6))):
        data = good().replace(old, struct.pack("<HH2sH", 0x28, 0x10, vr, len(body)) + body)
        with pytest.raises(InputError, match=f"Rows as {vr.decode()}"):
            read_dicom([data])


@pytest.mark.parametrize("undefined", [True, False])
def test_twenty_thousand_nested_sequences_are_refused(undefined: bool) -> None:
    with pytest.raises(LimitError, match="nests sequences deeper"):
        read_dicom([files.nested(20_000, undefined=undefined)])


def test_a_deflate_bomb_stops_at_the_cap() -> None:
    data = good("deflated")
    body = struct.pack("<HH2sHI", 0x0009, 0x1001, b"OB", 0, 256 << 20) + b"\0" * (256 << 20)
    engine = zlib.compressobj(1, zlib.DEFLATED, -15)
    start = data.index(b"1.2.840.10008.1.2.1.99") + 22
    bomb = data[:start] + engine.compress(body) + engine.flush()
    began = time.perf_counter()
    with pytest.raises(LimitError, match="inflates from"):
        read_dicom([bomb])
    assert time.perf_counter() - began < 2


def test_a_dicomdir_is_not_followed() -> None:
    directory, record = Dataset(), Dataset()
    directory.SOPClassUID, directory.SOPInstanceUID = "1.2.840.10008.1.3.10", "1.2.3.6"
    with files.unchecked():
        record.ReferencedFileID = ["..", "..", "etc", "passwd"]
    directory.DirectoryRecordSequence = [record]
    with pytest.raises(UnsupportedError, match="not followed") as caught:
        read_dicom([files.file_bytes(directory)])
    assert "passwd" not in str(caught.value)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match=r"nowhere\.dcm: cannot be opened"):
        read_dicom(["nowhere.dcm"])


def test_a_header_that_contradicts_its_codestream_is_refused() -> None:
    data = with_size(files.file_bytes(files.image(files.ramp(dtype="u2")), "j2k-lossless"), 7, 9)
    [found], _ = read_dicom([data])
    with pytest.raises(InputError, match="8 x 6 with 1 samples in its JPEG 2000 codestream, 9 x 7"):
        decode([found])


def test_too_many_voxels_are_refused_from_the_headers() -> None:
    with limits.using(replace(limits.current(), max_voxels=100)), pytest.raises(LimitError, match="240 voxels"):
        read_dicom([files.file_bytes(d) for d in files.series(5)])


def test_odd_dates_and_ages_do_not_matter() -> None:
    decode(read_dicom([good(PatientAge="999Y", StudyDate="00000000", PatientBirthDate="20000230")])[0])


SEEDS = {
    "explicit": lambda: good(),
    "implicit": lambda: good("implicit"),
    "big": lambda: good("big"),
    "deflated": lambda: good("deflated"),
    "rle": lambda: good("rle"),
    "jpegls": lambda: good("jpegls"),
    "j2k-lossless": lambda: good("j2k-lossless"),
    "jpeg-lossless-sv1": lambda: good("jpeg-lossless-sv1"),
    "enhanced": lambda: files.file_bytes(files.enhanced(3, name=NAME)),
    "headerless": lambda: files.file_bytes(files.image(files.ramp(dtype="u2")), "implicit", preamble=False),
}


@pytest.mark.parametrize("seed", SEEDS)
def test_mutated_files_read_or_raise_our_error_and_nothing_else(seed: str) -> None:
    original = SEEDS[seed]()
    rng = np.random.default_rng(zlib.crc32(seed.encode()))
    for _ in range(60):
        data = bytearray(original)
        kind = rng.integers(4)
        if kind == 0:
            del data[int(rng.integers(len(data))) :]
        elif kind == 1:
            begin = int(rng.integers(132, len(data)))
            del data[begin : begin + int(rng.integers(1, 40))]
        else:
            for _ in range(int(rng.integers(1, 12))):
                data[int(rng.integers(120, len(data)))] = int(rng.integers(256))
        message, began = "", time.perf_counter()
        try:
            decode(read_dicom([bytes(data)])[0])
        except InputError as error:
            message = str(error)
        assert time.perf_counter() - began < 2
        assert "Canary" not in message
        assert "\n" not in message


def test_messages_warnings_and_details_never_hold_the_patients_name(capsys, caplog) -> None:
    slices = files.series(4, name=NAME, StudyDescription=NAME, SeriesDescription=NAME, Modality="CT")
    items, warnings = read_dicom([files.file_bytes(d) for d in slices])
    shown = repr(items) + repr(warnings) + repr([i.origin for i in items])  # type: ignore[union-attr]
    del slices[2]
    try:
        read_dicom([files.file_bytes(d) for d in slices])
    except InputError as error:
        shown += str(error)
    captured = capsys.readouterr()
    assert "Canary" not in shown + captured.out + captured.err + caplog.text


def test_an_image_without_pixels_says_so(tmp_path: Path) -> None:
    dataset = files.image(files.ramp())
    del dataset.PixelData
    (tmp_path / "a.dcm").write_bytes(files.file_bytes(dataset))
    with pytest.raises(InputError, match=r"a\.dcm: has no pixel data"):
        read_dicom([str(tmp_path / "a.dcm")])

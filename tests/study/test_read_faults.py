"""Files that cannot be used: one of our errors that names the file, at once, whatever the bytes."""

# What nibabel, av and NumPy say of their types is narrower than what they accept and return.
# pyright: reportAttributeAccessIssue=none, reportArgumentType=none, reportCallIssue=none, reportOptionalMemberAccess=none
# pyright: reportIndexIssue=none

from __future__ import annotations

import contextlib
import gzip
import io
import os
import socket
import struct
import subprocess
import sys
import time
import zipfile
import zlib

import numpy as np
import pytest
from isal import igzip
from PIL import Image

import vesalius
from vesalius.errors import InputError, LimitError, OptionError, UnsupportedError

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)


def decode(study):
    """Touch the pixels of every item."""
    for item in study.items:
        if hasattr(item, "frames"):
            item.frames(range(item.num_frames))
        elif hasattr(item, "values"):
            item.values()


def refused(path, error=InputError, words=None):
    start = time.perf_counter()
    with pytest.raises(error, match=words) as caught:
        decode(vesalius.read(path))
    assert time.perf_counter() - start < 2
    assert os.path.basename(str(path)) in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


def saved(path, content):
    path.write_bytes(content)
    return path


def png(size=(8, 6), mode="L"):
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, "PNG")
    return buffer.getvalue()


def png_header(width, height):
    """A PNG of `width` x `height` one-bit pixels, all black, as small as it gets."""
    body = zlib.compress(bytes((width + 7) // 8 + 1) * height, 9)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)), (b"IDAT", body), (b"IEND", b"")]
    packed = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def nifti_header(shape, *, datatype=4, offset=352.0):
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 3, *shape, 1, 1, 1, 1)
    struct.pack_into("<2h", head, 70, datatype, 16)
    struct.pack_into("<8f", head, 76, 1, 1, 1, 1, 1, 1, 1, 1)
    struct.pack_into("<f", head, 108, offset)
    struct.pack_into("<2h", head, 252, 0, 1)
    struct.pack_into("<12f", head, 280, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
    head[344:348] = b"n+1\0"
    return bytes(head)


@pytest.mark.parametrize("name", ["a.dcm", "a.nii.gz", "a.nii", "a.nrrd", "a.mha", "a.png", "a.mp4", "a"])
@pytest.mark.parametrize(
    "content", [b"", b"\0", b"\x1f", bytes(range(200, 256)) + b"\0\x01"], ids=["0", "1", "gz", "noise"]
)
def test_nothing_one_byte_and_noise_are_refused(name, content, tmp_path):
    refused(saved(tmp_path / name, content))


@pytest.mark.parametrize(
    ("name", "promised"), [("scan.dcm", "DICOM"), ("scan.nii.gz", "NIfTI"), ("x.png", "PNG"), ("x.mp4", "a video")]
)
def test_text_under_a_picture_name_is_called_text(name, promised, tmp_path):
    refused(saved(tmp_path / name, b"This is a letter, not a scan.\n"), words=f"is text, not {promised}")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.svg", b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        ("a.png", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "PDF"),
        ("a.zip", b"PK\x03\x04" + bytes(60), "[Uu]npack"),
        ("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(60), "HDF5"),
        ("a.jpg", b"\0\0\0\x18ftypheic" + bytes(60), "HEIF"),
        ("a.nii.gz", gzip.compress(b"just a text", mtime=0), "gzip data that holds no NIfTI"),
    ],
)
def test_formats_that_are_not_read_are_named(name, content, words, tmp_path):
    refused(saved(tmp_path / name, content), UnsupportedError, words)


def test_analyze_is_refused_for_want_of_orientation(tmp_path):
    head = bytearray(nifti_header((4, 4, 4)))
    head[344:348] = bytes(4)
    refused(saved(tmp_path / "old.hdr", bytes(head[:348])), UnsupportedError, "Analyze")


def test_a_picture_under_another_name_is_read_with_a_warning(tmp_path):
    study = vesalius.read(saved(tmp_path / "photo.dcm", png()))
    assert len(study.pictures) == 1
    assert any("PNG" in warning for warning in study.warnings)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF"])
@pytest.mark.parametrize("share", [0.2, 0.6])
def test_pictures_cut_short_are_refused(kind, share, tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)).save(buffer, kind)
    content = buffer.getvalue()
    refused(saved(tmp_path / f"cut.{kind.lower()}", content[: int(len(content) * share)]))


@pytest.mark.parametrize("side", [9000, 12_000, 30_000])
def test_a_png_bomb_is_refused_from_its_header(side, tmp_path):
    refused(saved(tmp_path / "bomb.png", png_header(side, side)), LimitError, "limit")


def test_a_gif_of_a_hundred_thousand_frames_is_refused(tmp_path):
    frame = b"\x2c" + struct.pack("<4HB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    screen = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    refused(saved(tmp_path / "many.gif", screen + frame * 100_000 + b"\x3b"), LimitError, "frames")


def test_a_tiff_of_a_million_pages_or_in_a_circle_is_refused(tmp_path):
    pages = b"".join(struct.pack("<HI", 0, 8 + 6 * (page + 1)) for page in range(20_000))
    refused(saved(tmp_path / "many.tif", b"II*\0" + struct.pack("<I", 8) + pages + bytes(8)), LimitError, "pages")
    circle = b"II*\0" + struct.pack("<IHI", 8, 0, 8) + bytes(8)
    refused(saved(tmp_path / "round.tif", circle), InputError, "circle")


BOMB = """
import resource, sys, vesalius
from vesalius.errors import LimitError
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    vesalius.read(sys.argv[1]).volumes[0].slices([0, 3])
    print("read", end=" ")
except LimitError:
    print("LimitError", end=" ")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) // 1024)
"""


@pytest.mark.parametrize(("shape", "outcome"), [((1024, 1024, 1024), "LimitError"), ((32, 32, 8), "read")])
def test_a_gzip_bomb_costs_no_memory(shape, outcome, tmp_path):
    path = tmp_path / "bomb.nii.gz"
    block = igzip.compress(bytes(64 << 20))
    path.write_bytes(igzip.compress(nifti_header(shape)) + block * 32)
    assert path.stat().st_size < 16 << 20
    start = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, "-c", BOMB, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert time.perf_counter() - start < 10
    said, grown_mib = ran.stdout.split()
    assert said == outcome
    assert int(grown_mib) < 100


def test_zip_bombs_dressed_as_workbooks_and_arrays_are_refused(tmp_path):
    for name, member in (("bomb.xlsx", "xl/workbook.xml"), ("bomb.npz", "a.npy")):
        with (
            zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open(member, "w", force_zip64=True) as file,
        ):
            for _ in range(600 if name.endswith("npz") else 80):
                file.write(bytes(1 << 20))
        refused(tmp_path / name, LimitError, "expands")


def test_places_that_are_no_file_are_refused(tmp_path):
    refused(tmp_path / "missing.dcm", words="does not exist")
    (tmp_path / "empty_folder").mkdir()
    refused(tmp_path / "empty_folder", words="holds no image")
    (tmp_path / "letters").mkdir()
    saved(tmp_path / "letters" / "labels.csv", b"file,label\na.png,1\n")
    refused(tmp_path / "letters", words="holds no image")
    os.mkfifo(tmp_path / "pipe.dcm")
    refused(tmp_path / "pipe.dcm", words="pipe, socket or device")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        refused(tmp_path / "socket", words="pipe, socket or device")
    refused("/dev/null", words="pipe, socket or device")
    with pytest.raises(InputError, match="zero byte"):
        vesalius.read("a\0b")
    with pytest.raises(InputError):
        vesalius.read(str(tmp_path / ("x" * 300)))
    with pytest.raises(InputError, match="empty"):
        vesalius.read([])
    with pytest.raises(OptionError, match="cannot read a dict"):
        vesalius.read({})


def test_permission_denied_is_said(tmp_path, monkeypatch):
    path = saved(tmp_path / "locked.png", png())

    def denied(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    # A test run as root may open anything, so the refusal is put in place of open() itself.
    monkeypatch.setattr("vesalius.study.gzip_stream.open", denied, raising=False)
    refused(path, words="permission denied")


@pytest.mark.parametrize("name", ["with space.png", "Knochen-Röntgen-骨.png", "a'b\"c;d.png", "line\u202ertl.png"])
def test_odd_names_are_ordinary(name, tmp_path):
    assert vesalius.read(saved(tmp_path / name, png())).pictures[0].width == 8


def test_a_folder_reads_pictures_and_names_what_it_passed_over(tmp_path):
    for name in ("b10.png", "b2.png", "deep/a.png", ".hidden.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        saved(tmp_path / name, png())
    saved(tmp_path / "notes.txt", b"diagnosis: normal\n")
    saved(tmp_path / "odd.xyz", b"\x01\x02\x03\xff\x00")
    (tmp_path / "out.png").symlink_to("/etc/hostname")
    study = vesalius.read(tmp_path)
    assert [os.path.basename(p.origin.files[0]) for p in study.pictures] == ["b2.png", "b10.png", "a.png"]
    told = " ".join(study.warnings)
    assert all(word in told for word in ("notes.txt", "odd.xyz", "hidden", "lead outside"))


def test_one_broken_picture_in_a_folder_is_an_error_that_names_it(tmp_path):
    saved(tmp_path / "good.png", png())
    saved(tmp_path / "bad.png", png()[:40])
    with pytest.raises(InputError, match=r"bad\.png"):
        vesalius.read(tmp_path)


def test_wrong_options_are_option_errors():
    with pytest.raises(OptionError, match="modality"):
        vesalius.read(GREY, modality="../x")
    with pytest.raises(OptionError, match="affine"):
        vesalius.read(GREY, affine="identity")
    with pytest.raises(OptionError, match="volume_index"):
        vesalius.read(GREY, volume_index="last")


@pytest.mark.parametrize("start", ["nifti", "nrrd", "metaimage", "png", "tiff", "gif", "webp"])
def test_random_damage_gives_a_study_or_our_error(start, tmp_path):
    pictures = {}
    for kind in ("PNG", "TIFF", "GIF", "WEBP"):
        buffer = io.BytesIO()
        Image.fromarray(GREY).save(buffer, kind)
        pictures[kind.lower()] = buffer.getvalue()
    good = {
        "nifti": nifti_header((4, 4, 4)) + bytes(128),
        "nrrd": b"NRRD0004\ntype: short\ndimension: 3\nsizes: 2 2 2\nspacings: 1 1 1\nendian: little\n"
        b"encoding: raw\n\n" + bytes(16),
        "metaimage": b"ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementSpacing = 1 1 1\n"
        b"ElementType = MET_SHORT\nElementDataFile = LOCAL\n" + bytes(16),
        **pictures,
    }[start]
    decode(vesalius.read(good))
    rng = np.random.default_rng(3)
    for _ in range(150):
        data = bytearray(good)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            data[place] = rng.integers(0, 256)
        with contextlib.suppress(vesalius.VesaliusError):
            decode(vesalius.read(bytes(data)))


def test_folders_of_links_say_that_links_were_passed_over(tmp_path):
    (tmp_path / "scans").mkdir()
    saved(tmp_path / "scans" / "a.png", png())
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "scans").symlink_to(tmp_path / "scans")
    (linked / "a.png").symlink_to(tmp_path / "scans" / "a.png")
    (linked / "circle").symlink_to(linked / "circle")
    with pytest.raises(InputError, match="1 folders that are links, 2 links that lead outside"):
        vesalius.read(linked)
    saved(linked / "b.png", png())
    study = vesalius.read(linked)
    assert len(study.pictures) == 1
    assert any("1 folders that are links" in warning for warning in study.warnings)

"""NIfTI, NRRD, MetaImage and arrays: the same scan, whatever the file and however its axes run."""

# What nibabel, av and NumPy say of their types is narrower than what they accept and return.
# pyright: reportAttributeAccessIssue=none, reportArgumentType=none, reportCallIssue=none, reportOptionalMemberAccess=none
# pyright: reportIndexIssue=none

from __future__ import annotations

import itertools
import os
import struct

import nibabel as nib
import numpy as np
import pytest
from isal import igzip
from PIL import Image

import vesalius
from vesalius.errors import GeometryError, InputError, LimitError, OptionError, UnsupportedError
from vesalius.study import late_warnings

CODES = ["".join(code) for order in itertools.permutations(("RL", "AP", "SI")) for code in itertools.product(*order)]
RNG = np.random.default_rng(7)
CANONICAL = RNG.integers(-1000, 3000, (5, 6, 7)).astype(np.int16)
TURN = nib.quaternions.quat2mat([0.98, 0.05, -0.1, 0.15])
AFFINE = np.eye(4)
AFFINE[:3, :3] = TURN / np.linalg.norm(TURN, axis=0) * (0.7, 0.8, 2.5)
AFFINE[:3, 3] = (-30, 12.5, 101)


def reoriented(code):
    """The canonical scan stored in axis order `code`: (stored array, stored affine)."""
    image = nib.Nifti1Image(CANONICAL, AFFINE)
    transform = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(AFFINE), nib.orientations.axcodes2ornt(code)
    )
    turned = image.as_reoriented(transform)
    return np.asarray(turned.dataobj), turned.affine


def assert_is_the_scan(volume, atol=1e-4):
    assert volume.shape == CANONICAL.shape
    np.testing.assert_allclose(volume.affine_ras, AFFINE, atol=atol)
    np.testing.assert_array_equal(volume.values(), CANONICAL)
    for axis, cut in (("axial", CANONICAL[:, :, 2]), ("coronal", CANONICAL[:, 2]), ("sagittal", CANONICAL[2])):
        (view,) = volume.slices([2], axis)
        np.testing.assert_array_equal(view.values, cut.T[::-1, ::-1])


def nrrd_bytes(array, affine, *, encoding="raw", extra=""):
    lps = np.diag([-1, -1, 1, 1]) @ affine
    directions = " ".join(f"({','.join(repr(float(v)) for v in lps[:3, axis])})" for axis in range(3))
    header = (
        f"NRRD0004\n# made by a test\ntype: short\ndimension: 3\nspace: left-posterior-superior\n"
        f"sizes: {' '.join(map(str, array.shape))}\nspace directions: {directions}\nkinds: domain domain domain\n"
        f"endian: little\nencoding: {encoding}\n"
        f"space origin: ({','.join(repr(float(v)) for v in lps[:3, 3])})\n{extra}\n"
    )
    data = array.astype("<i2").tobytes(order="F")
    packed = {"raw": lambda: data, "gzip": lambda: igzip.compress(data), "ascii": lambda: " ".join(
        map(str, array.ravel(order="F"))).encode()}[encoding]()  # fmt: skip
    return header.encode() + packed


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("form", ["sform", "qform"])
def test_nifti_in_any_axis_order_is_the_same_scan_as_nibabel_reads(code, form, tmp_path):
    array, affine = reoriented(code)
    image = nib.Nifti1Image(array, affine)
    image.set_sform(affine, code=1 if form == "sform" else 0)
    image.set_qform(affine, code=1)
    path = tmp_path / f"{code}.nii.gz"
    nib.save(image, path)
    volume = vesalius.read(path).volumes[0]
    assert_is_the_scan(volume)
    np.testing.assert_allclose(volume.stored_affine_ras, nib.load(path).affine, atol=1e-5)


@pytest.mark.parametrize("code", CODES)
def test_nrrd_in_any_axis_order_is_the_same_scan(code, tmp_path):
    path = tmp_path / "scan.nrrd"
    path.write_bytes(nrrd_bytes(*reoriented(code)))
    assert_is_the_scan(vesalius.read(path).volumes[0])


@pytest.mark.parametrize("code", ["RAS", "LPS", "IPR", "SLA"])
@pytest.mark.parametrize("compressed", [True, False])
def test_metaimage_in_several_axis_orders_is_the_same_scan(code, compressed, tmp_path):
    import zlib

    array, affine = reoriented(code)
    lps = np.diag([-1, -1, 1, 1]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    rows = (lps[:3, :3] / spacing).T
    header = (
        f"ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        f"CompressedData = {compressed}\nTransformMatrix = {' '.join(repr(float(v)) for v in rows.ravel())}\n"
        f"Offset = {' '.join(repr(float(v)) for v in lps[:3, 3])}\n"
        f"ElementSpacing = {' '.join(repr(float(v)) for v in spacing)}\nDimSize = {' '.join(map(str, array.shape))}\n"
        f"ElementType = MET_SHORT\nElementDataFile = scan.raw\n"
    )
    data = array.astype("<i2").tobytes(order="F")
    (tmp_path / "scan.mhd").write_text(header)
    (tmp_path / "scan.raw").write_bytes(zlib.compress(data) if compressed else data)
    study = vesalius.read(tmp_path)
    assert len(study.items) == 1
    assert_is_the_scan(study.volumes[0])


@pytest.mark.parametrize("encoding", ["raw", "gzip", "ascii"])
def test_nrrd_encodings_agree(encoding):
    assert_is_the_scan(vesalius.read(nrrd_bytes(*reoriented("LPS"), encoding=encoding)).volumes[0])


def test_nrrd_header_may_not_point_outside_its_folder(tmp_path):
    (tmp_path / "secret.raw").write_bytes(bytes(1000))
    inner = tmp_path / "inner"
    inner.mkdir()
    text = nrrd_bytes(*reoriented("LPS"), extra="data file: ../secret.raw\n")
    (inner / "scan.nhdr").write_bytes(text)
    with pytest.raises(InputError, match=r"scan\.nhdr.*outside its own folder"):
        vesalius.read(inner / "scan.nhdr")


def test_pair_of_header_and_image_is_read_from_either_name(tmp_path):
    nib.save(nib.Nifti1Pair(CANONICAL, AFFINE), tmp_path / "scan.img")
    for name in ("scan.hdr", "scan.img"):
        assert_is_the_scan(vesalius.read(tmp_path / name).volumes[0])
    assert len(vesalius.read(tmp_path).volumes) == 1


def test_nifti_2_and_big_endian_are_read(tmp_path):
    nib.save(nib.Nifti2Image(CANONICAL, AFFINE), tmp_path / "two.nii")
    assert_is_the_scan(vesalius.read(tmp_path / "two.nii").volumes[0])
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nib.save(nib.Nifti1Image(CANONICAL.astype(">i2"), AFFINE, header), tmp_path / "big.nii")
    volume = vesalius.read(tmp_path / "big.nii").volumes[0]
    assert_is_the_scan(volume)
    assert volume.values().dtype.isnative


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_every_number_type_keeps_its_values(dtype, tmp_path):
    array = RNG.integers(0, 100, (3, 4, 5)).astype(dtype)
    nib.save(nib.Nifti1Image(array, np.eye(4), dtype=dtype), tmp_path / "scan.nii")
    values = vesalius.read(tmp_path / "scan.nii").volumes[0].values()
    np.testing.assert_array_equal(values, array)
    assert values.dtype == (np.float32 if dtype[0] == "f" else array.dtype)


def patched(path, *changes, image=None):
    """A NIfTI-1 file with header bytes overwritten: (offset, struct code, value)…"""
    image = image or nib.Nifti1Image(CANONICAL, AFFINE)
    data = bytearray(image.to_bytes())
    for offset, code, value in changes:
        struct.pack_into("<" + code, data, offset, value)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("slope", "inter", "dtype"),
    [(2.0, -10.0, np.int32), (0.5, 1.0, np.float32), (0.0, 5.0, np.int16), (np.nan, 5.0, np.int16)],
)
def test_slope_and_intercept_follow_the_standard(slope, inter, dtype, tmp_path):
    path = patched(tmp_path / "scan.nii", (112, "f", slope), (116, "f", inter))
    values = vesalius.read(path).volumes[0].values()
    factor, shift = (slope, inter) if slope and np.isfinite(slope) else (1, 0)
    assert values.dtype == dtype
    np.testing.assert_allclose(values, CANONICAL * factor + shift)


def test_infinite_slope_is_ignored_with_a_warning(tmp_path):
    study = vesalius.read(patched(tmp_path / "scan.nii", (112, "f", np.inf)))
    assert any("not finite" in warning for warning in study.warnings)
    np.testing.assert_array_equal(study.volumes[0].values(), CANONICAL)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ([(40, "h", 0)], InputError, "0 dimensions"),
        ([(40, "h", 9)], InputError, "9 dimensions"),
        ([(42, "h", -5)], InputError, "-5"),
        ([(42, "h", 32000), (44, "h", 32000), (46, "h", 32000)], LimitError, "voxels"),
        ([(80, "f", 0.0)], GeometryError, "spacing"),
        ([(280, "f", np.nan)], GeometryError, "not finite"),
        ([(280, "f", 0.0), (296, "f", 0.0), (312, "f", 0.0)], GeometryError, "zero"),
        ([(280 + 4, "f", 0.5), (296 + 4, "f", 0.0), (312 + 4, "f", 0.0),
          (280, "f", 1.0), (296, "f", 0.0), (312, "f", 0.0)], GeometryError, "singular"),
        ([(70, "h", 32)], UnsupportedError, "complex"),
        ([(70, "h", 128)], UnsupportedError, "RGB"),
        ([(40, "h", 5), (48, "h", 1), (50, "h", 2)], UnsupportedError, "5 dimensions"),
        ([(46, "h", 70)], InputError, "cut short: 420 bytes, the header promises 4200"),
        ([(108, "f", np.nan)], InputError, "offset"),
    ],
)  # fmt: skip
def test_a_nifti_header_that_makes_no_sense_is_refused(changes, error, words, tmp_path):
    path = patched(tmp_path / "odd.nii", *changes)
    with pytest.raises(error, match=words) as caught:
        vesalius.read(path)
    assert "odd.nii" in str(caught.value)


def test_affine_from_the_caller_replaces_a_broken_one(tmp_path):
    path = patched(tmp_path / "scan.nii", (280, "f", np.nan), (80, "f", 0.0))
    assert_is_the_scan(vesalius.read(path, affine=AFFINE).volumes[0], atol=1e-9)


def test_fifteen_noughts_of_voxels_are_refused_in_nifti_2(tmp_path):
    data = bytearray(nib.Nifti2Image(CANONICAL, AFFINE).to_bytes())
    struct.pack_into("<3q", data, 24, 100_000, 100_000, 100_000)
    (tmp_path / "huge.nii").write_bytes(data)
    with pytest.raises(LimitError, match=r"huge\.nii.*1000000000000000 voxels"):
        vesalius.read(tmp_path / "huge.nii")


def test_sform_and_qform_that_differ_are_reported(tmp_path):
    image = nib.Nifti1Image(CANONICAL, AFFINE)
    image.set_qform(np.diag([1, 1, 1, 1.0]), code=1)
    image.set_sform(AFFINE, code=1)
    nib.save(image, tmp_path / "two_forms.nii")
    study = vesalius.read(tmp_path / "two_forms.nii")
    assert any("sform and qform differ" in warning for warning in study.warnings)
    assert_is_the_scan(study.volumes[0])


def test_without_any_form_the_spacing_alone_is_used_and_said(tmp_path):
    image = nib.Nifti1Image(CANONICAL, AFFINE)
    image.set_sform(None, code=0)
    image.set_qform(None, code=0)
    nib.save(image, tmp_path / "plain.nii")
    study = vesalius.read(tmp_path / "plain.nii")
    assert any("no orientation" in warning for warning in study.warnings)
    np.testing.assert_allclose(study.volumes[0].stored_affine_ras, nib.load(tmp_path / "plain.nii").affine, atol=1e-5)


def test_of_a_4d_file_the_first_volume_is_read_unless_another_is_chosen(tmp_path):
    series = np.stack([CANONICAL + n for n in range(3)], axis=3)
    nib.save(nib.Nifti1Image(series, AFFINE), tmp_path / "time.nii.gz")
    study = vesalius.read(tmp_path / "time.nii.gz")
    assert any("3 volumes" in warning for warning in study.warnings)
    np.testing.assert_array_equal(study.volumes[0].values(), CANONICAL)
    for index in range(3):
        chosen = vesalius.read(tmp_path / "time.nii.gz", volume_index=index).volumes[0]
        np.testing.assert_array_equal(chosen.values(), CANONICAL + index)
    assert len(vesalius.read(tmp_path / "time.nii.gz", volume_index="all").volumes) == 3
    with pytest.raises(OptionError, match="0…2"):
        vesalius.read(tmp_path / "time.nii.gz", volume_index=3)


def test_nan_and_infinity_become_a_constant_and_are_reported_once_decoded(tmp_path):
    array = CANONICAL.astype(np.float32)
    array[0, 0, 0], array[1, 0, 0], array[2, 0, 0] = np.nan, np.inf, -np.inf
    nib.save(nib.Nifti1Image(array, AFFINE), tmp_path / "nan.nii")
    volume = vesalius.read(tmp_path / "nan.nii").volumes[0]
    assert late_warnings(volume) == ()
    values = volume.values()
    assert np.isfinite(values).all()
    assert values[0, 0, 0] == values[1, 0, 0] == values[2, 0, 0] == 0
    assert "not finite" in late_warnings(volume)[0]
    assert vesalius.read(tmp_path / "nan.nii", modality="CT").volumes[0].values()[0, 0, 0] == -1024


def test_a_cut_gzip_says_how_much_there_was(tmp_path):
    path = tmp_path / "cut.nii.gz"
    noise = RNG.integers(-1000, 3000, (64, 64, 20)).astype(np.int16)
    nib.save(nib.Nifti1Image(noise, AFFINE), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    volume = vesalius.read(path).volumes[0]
    volume.slices([0])
    with pytest.raises(InputError, match=r"cut\.nii\.gz.*cut short: \d+ bytes, the header promises 163840"):
        volume.values()


def test_flipped_bytes_in_gzip_are_noticed(tmp_path):
    path = tmp_path / "bad.nii.gz"
    nib.save(nib.Nifti1Image(CANONICAL, AFFINE), path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 8] = b"\xff" * 8
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"bad\.nii\.gz"):
        vesalius.read(path).volumes[0].values()


def test_planes_of_a_compressed_file_may_repeat_and_come_in_any_order(tmp_path):
    nib.save(nib.Nifti1Image(CANONICAL, AFFINE), tmp_path / "scan.nii.gz")
    source = vesalius.read(tmp_path / "scan.nii.gz").volumes[0].source
    for axis in range(3):
        wanted = [3, 0, 3, 4]
        np.testing.assert_array_equal(
            source.planes(axis, wanted), np.moveaxis(np.take(CANONICAL, wanted, axis), axis, 0)
        )
        assert source.planes(axis, []).shape[0] == 0


def test_warm_cache_gives_the_same_voxels_and_notices_a_changed_file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(CANONICAL, AFFINE), path)
    assert_is_the_scan(vesalius.read(path, cache=True).volumes[0])
    folder = tmp_path / "cache" / "vesalius" / "voxels"
    (entry,) = folder.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert entry.stat().st_mode & 0o777 == 0o600
    assert_is_the_scan(vesalius.read(path, cache=True).volumes[0])
    nib.save(nib.Nifti1Image(CANONICAL + 1, AFFINE), path)
    os.utime(path, ns=(1, 1))
    np.testing.assert_array_equal(vesalius.read(path, cache=True).volumes[0].values(), CANONICAL + 1)
    monkeypatch.setenv("VESALIUS_CACHE_BYTES", "1")
    nib.save(nib.Nifti1Image(CANONICAL + 2, AFFINE), path)
    vesalius.read(path, cache=True).volumes[0].values()
    assert len(list(folder.iterdir())) == 1


def test_nothing_is_cached_unless_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("VESALIUS_CACHE", raising=False)
    nib.save(nib.Nifti1Image(CANONICAL, AFFINE), tmp_path / "scan.nii.gz")
    vesalius.read(tmp_path / "scan.nii.gz").volumes[0].values()
    assert not (tmp_path / "cache").exists()


def test_array_with_affine_is_a_volume_and_without_is_refused():
    array, affine = reoriented("LPS")
    assert_is_the_scan(vesalius.read(array, affine=affine).volumes[0])
    with pytest.raises(GeometryError, match="no known geometry"):
        vesalius.read(array)
    with pytest.raises(GeometryError, match="singular"):
        vesalius.read(array, affine=np.ones((4, 4)))


def test_npy_is_memory_mapped_and_objects_are_never_loaded(tmp_path):
    np.save(tmp_path / "scan.npy", CANONICAL)
    assert_is_the_scan(vesalius.read(tmp_path / "scan.npy", affine=AFFINE).volumes[0])
    np.savez_compressed(tmp_path / "scan.npz", scan=CANONICAL, affine=AFFINE)
    assert_is_the_scan(vesalius.read(tmp_path / "scan.npz").volumes[0])
    np.save(tmp_path / "objects.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"objects\.npy"):
        vesalius.read(tmp_path / "objects.npy")


def test_model_ready_is_what_pillow_gives(tmp_path):
    from vesalius.study import Window
    from vesalius.vision.slices import model_ready

    views = vesalius.read(CANONICAL, affine=AFFINE).volumes[0].slices([1, 4], window=Window(-160, 240))
    batch = model_ready(views, (12, 10))
    assert batch.shape == (2, 3, 12, 10)
    assert batch.dtype == np.float32
    expected = Image.fromarray(views[1].view()).convert("RGB").resize((10, 12), Image.Resampling.BICUBIC)
    np.testing.assert_allclose(
        batch[1].transpose(1, 2, 0), (np.asarray(expected, np.float32) / 255 - 0.5) / 0.5, atol=1e-6
    )

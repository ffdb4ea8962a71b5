"""Every transfer syntax gives the pixels pydicom gives, signed and unsigned, in every colour model."""

from __future__ import annotations

import io
import sys
import warnings

import numpy as np
import pydicom
import pytest

from tests.study import dicom_files as files
from vesalius.errors import InputError, UnsupportedError
from vesalius.study.dicom import read_dicom
from vesalius.study.items import Clip, Picture

KINDS = [("u1", 8), ("u2", 12), ("u2", 16), ("i2", 12), ("i2", 16)]
NOT_IN_PYDICOM = ("jpeg-extended", "jpeg-lossless", "jpeg-lossless-sv1")


def noise(dtype: str, bits: int, shape: tuple[int, ...] = (33, 47)):
    low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if dtype[0] == "i" else (0, 1 << bits)
    return np.random.default_rng(bits).integers(low, high, shape).astype(dtype)


def picture(data: bytes) -> Picture:
    [item], _ = read_dicom([data])
    assert isinstance(item, Picture)
    return item


def possible(syntax: str, dtype: str, bits: int) -> bool:
    """Whether the encoder at hand can write it: baseline has 8 bits; its JPEG-LS marks no sign below 16 bits."""
    return (syntax != "jpeg-baseline" or bits == 8) and (syntax != "jpegls" or (dtype, bits) != ("i2", 12))


@pytest.mark.parametrize(
    ("syntax", "dtype", "bits"), [(s, *kind) for s in files.LOSSLESS for kind in KINDS if possible(s, *kind)]
)
def test_lossless_syntaxes_give_back_the_stored_values(syntax: str, dtype: str, bits: int) -> None:
    pixels = noise(dtype, bits)
    values = picture(files.file_bytes(files.image(pixels, bits=bits), syntax)).values()
    assert values.dtype == pixels.dtype
    np.testing.assert_array_equal(values, pixels)


@pytest.mark.parametrize(
    ("syntax", "dtype", "bits"),
    [(s, *kind) for s in files.SYNTAXES if s not in NOT_IN_PYDICOM for kind in KINDS if possible(s, *kind)],
)
def test_every_syntax_equals_pydicom(syntax: str, dtype: str, bits: int) -> None:
    data = files.file_bytes(files.image(noise(dtype, bits), bits=bits), syntax)
    np.testing.assert_array_equal(picture(data).values(), pydicom.dcmread(io.BytesIO(data)).pixel_array)


def test_twelve_bit_jpeg_is_close_to_what_went_in() -> None:
    smooth = files.ramp(64, 64).astype("u2") * 3
    values = picture(files.file_bytes(files.image(smooth, bits=12), "jpeg-extended")).values()
    assert np.abs(values.astype(int) - smooth).max() <= 16


@pytest.mark.parametrize("syntax", ["implicit", "big", "rle", "jpegls", "j2k-lossless", "jpeg-lossless-sv1"])
def test_colour_survives_lossless_syntaxes(syntax: str) -> None:
    pixels = noise("u1", 8, (16, 18, 3))
    photometric = "YBR_RCT" if syntax == "j2k-lossless" else "RGB"
    dataset = files.image(pixels, photometric=photometric, SOPClassUID=files.SECONDARY, Modality="OT")
    np.testing.assert_array_equal(picture(files.file_bytes(dataset, syntax)).values(), pixels)


@pytest.mark.parametrize("photometric", ["YBR_FULL", "RGB"])
@pytest.mark.parametrize("syntax", ["explicit", "rle", "jpeg-baseline"])
def test_colour_models_equal_pydicom(syntax: str, photometric: str) -> None:
    dataset = files.image(noise("u1", 8, (16, 18, 3)), photometric=photometric, SOPClassUID=files.SECONDARY)
    data = files.file_bytes(dataset, syntax)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns when a JFIF mark contradicts the header's RGB
        expected = pydicom.dcmread(io.BytesIO(data)).pixel_array
    np.testing.assert_array_equal(picture(data).values(), expected)


def test_planar_configuration_one_is_interleaved() -> None:
    pixels = noise("u1", 8, (6, 8, 3))
    dataset = files.image(pixels, SOPClassUID=files.SECONDARY)
    dataset.PlanarConfiguration = 1
    dataset.PixelData = np.moveaxis(pixels, 2, 0).tobytes()
    np.testing.assert_array_equal(picture(files.file_bytes(dataset)).values(), pixels)


def test_uncompressed_422_equals_pydicom() -> None:
    dataset = files.image(noise("u1", 8, (4, 6, 3)), photometric="YBR_FULL_422", SOPClassUID=files.SECONDARY)
    dataset.PixelData = noise("u1", 8, (4, 6, 2)).tobytes()
    data = files.file_bytes(dataset)
    np.testing.assert_array_equal(picture(data).values(), pydicom.dcmread(io.BytesIO(data)).pixel_array)


def test_odd_sized_big_endian_words_are_put_in_order() -> None:
    pixels = np.arange(15, dtype="u1").reshape(3, 5)
    dataset = files.image(pixels)
    words = np.frombuffer(pixels.tobytes() + b"\0", "<u2").astype(">u2").tobytes()
    dataset.add_new(0x7FE00010, "OW", words)
    np.testing.assert_array_equal(picture(files.file_bytes(dataset, "big")).values(), pixels)


def test_bits_above_the_stored_ones_are_ignored() -> None:
    pixels = noise("u2", 12)
    dataset = files.image(pixels | 0xA000, bits=12)
    np.testing.assert_array_equal(picture(files.file_bytes(dataset)).values(), pixels)


def test_a_palette_becomes_colour_and_an_index_outside_it_is_an_error() -> None:
    pixels = np.arange(16, dtype="u1").reshape(4, 4)
    dataset = files.image(pixels, photometric="PALETTE COLOR", SOPClassUID=files.SECONDARY)
    for colour, factor in (("Red", 1), ("Green", 2), ("Blue", 3)):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [16, 0, 16])
        table = (np.arange(16) * factor * 256 + 5 * 256).astype("<u2")
        setattr(dataset, f"{colour}PaletteColorLookupTableData", table.tobytes())
    values = picture(files.file_bytes(dataset)).values()
    assert values.dtype == np.uint8
    assert values[0, 3].tolist() == [8, 11, 14]
    dataset.PixelData = (pixels + 1).tobytes()
    with pytest.raises(InputError, match="palette index outside its table"):
        picture(files.file_bytes(dataset)).values()


def test_frames_of_a_compressed_film_are_found_one_by_one() -> None:
    frames = noise("u1", 8, (5, 12, 14))
    dataset = files.image(frames, NumberOfFrames=5, Modality="US", SOPClassUID=files.ULTRASOUND_FILM, FrameTime=40)
    [clip], _ = read_dicom([files.file_bytes(dataset, "jpegls")])
    assert isinstance(clip, Clip)
    np.testing.assert_array_equal(clip.frames([3])[0][..., 0], frames[3])
    np.testing.assert_allclose(clip.times_s, [0, 0.04, 0.08, 0.12, 0.16])


def test_a_missing_codec_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    found = picture(files.file_bytes(files.image(noise("u2", 12), bits=12), "j2k-lossless"))
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(UnsupportedError, match="pip install"):
        found.values()


def test_a_video_transfer_syntax_is_named_as_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(files.SYNTAXES, "jpegls", "1.2.840.10008.1.2.4.102")
    data = files.file_bytes(files.image(noise("u1", 8)), "jpegls")
    with pytest.raises(UnsupportedError, match="video stream"):
        read_dicom([data])

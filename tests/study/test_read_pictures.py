"""Pictures, animations, clips, slides, tables and texts: what their pixels and cells become."""

# What nibabel, av and NumPy say of their types is narrower than what they accept and return.
# pyright: reportAttributeAccessIssue=none, reportArgumentType=none, reportCallIssue=none, reportOptionalMemberAccess=none
# pyright: reportIndexIssue=none

from __future__ import annotations

import io
import json
import sys

import av
import numpy as np
import pytest
from PIL import Image

import vesalius
from vesalius.errors import InputError, LimitError
from vesalius.limits import Limits, using

RNG = np.random.default_rng(5)
GREY = RNG.integers(0, 256, (6, 8), np.uint8)
COLOUR = RNG.integers(0, 256, (6, 8, 3), np.uint8)


def packed(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
@pytest.mark.parametrize("array", [GREY, COLOUR], ids=["grey", "colour"])
def test_lossless_pictures_keep_every_pixel(kind, array):
    picture = vesalius.read(packed(Image.fromarray(array), kind)).pictures[0]
    assert (picture.width, picture.height) == (8, 6)
    np.testing.assert_array_equal(picture.values(), array)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_stays_sixteen_bit(kind):
    deep = (GREY.astype(np.uint16) << 8) + 7
    values = vesalius.read(packed(Image.fromarray(deep), kind)).pictures[0].values()
    assert values.dtype == np.uint16
    np.testing.assert_array_equal(values, deep)


def test_one_bit_palette_cmyk_and_alpha_become_grey_or_rgb():
    bits = vesalius.read(packed(Image.fromarray(GREY > 99), "PNG")).pictures[0].values()
    np.testing.assert_array_equal(bits, np.where(GREY > 99, 255, 0))
    palette = Image.fromarray(COLOUR).quantize(16)
    shown = vesalius.read(packed(palette, "PNG")).pictures[0].values()
    np.testing.assert_array_equal(shown, np.asarray(palette.convert("RGB")))
    cmyk = vesalius.read(packed(Image.fromarray(COLOUR).convert("CMYK"), "TIFF")).pictures[0].values()
    np.testing.assert_array_equal(cmyk, COLOUR)
    rgba = np.dstack([COLOUR, np.where(GREY > 99, 255, 0).astype(np.uint8)])
    over = vesalius.read(packed(Image.fromarray(rgba), "PNG")).pictures[0].values()
    np.testing.assert_array_equal(over, np.where(GREY[..., None] > 99, COLOUR, 0))


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_rotation_is_applied_to_size_and_pixels(turn):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = turn
    data = packed(Image.fromarray(COLOUR), "PNG", exif=exif)
    picture = vesalius.read(data).pictures[0]
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    np.testing.assert_array_equal(picture.values(), expected)
    assert (picture.height, picture.width) == expected.shape[:2]


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1)])
def test_tiny_pictures_and_strips_are_pictures(size):
    assert vesalius.read(packed(Image.new("L", size), "PNG")).pictures[0].view().shape == size[::-1]


@pytest.mark.parametrize(("kind", "suffix"), [("GIF", "gif"), ("PNG", "apng"), ("WEBP", "webp")])
def test_animations_are_clips_with_their_own_times(kind, suffix):
    frames = [Image.fromarray(np.full((6, 8, 3), level, np.uint8)) for level in (0, 100, 200)]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = packed(frames[0], kind, save_all=True, append_images=frames[1:], duration=[100, 300, 200], **options)
    clip = vesalius.read(data).clips[0]
    np.testing.assert_allclose(clip.times_s, [0, 0.1, 0.4])
    last, first = clip.frames([2, 0])
    assert (int(first.mean()), int(last.mean())) == (0, 200)


def test_each_page_of_a_tiff_is_a_picture():
    pages = [Image.fromarray(GREY + n) for n in range(3)]
    study = vesalius.read(packed(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert len(study.pictures) == 3
    np.testing.assert_array_equal(study.pictures[2].values(), GREY + 2)


def test_float_tiff_keeps_its_numbers(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    for dtype in (np.float32, np.float64):
        tifffile.imwrite(tmp_path / "float.tif", GREY.astype(dtype) / 7)
        values = vesalius.read(tmp_path / "float.tif").pictures[0].values()
        np.testing.assert_allclose(values, GREY.astype(np.float32) / 7, rtol=1e-6)


def test_a_caller_may_set_a_lower_limit():
    data = packed(Image.fromarray(GREY), "PNG")
    with using(Limits(max_pixels=47)), pytest.raises(LimitError, match="48 pixels; the limit is 47"):
        vesalius.read(data)


def test_arrays_become_pictures_and_clips():
    np.testing.assert_array_equal(vesalius.read(GREY).pictures[0].values(), GREY)
    np.testing.assert_array_equal(vesalius.read(COLOUR).pictures[0].values(), COLOUR)
    study = vesalius.read(np.stack([COLOUR] * 4))
    assert study.clips[0].num_frames == 4
    assert any("frame rate" in warning for warning in study.warnings)
    with pytest.raises(InputError):
        vesalius.read(np.zeros((0, 4)))
    with pytest.raises(InputError):
        vesalius.read(np.zeros((4, 4), complex))


def test_items_and_studies_pass_through():
    picture = vesalius.read(GREY).pictures[0]
    assert vesalius.read(picture).items == (picture,)
    assert vesalius.read([vesalius.read(GREY), picture]).items[1] is picture


# --- video -----------------------------------------------------------------------------------------------------------


def written(path, count=60, *, container=None, codec="libx264", gop=12, stamps=None, size=(64, 48), audio_only=False):
    """A clip whose frame n is a grey of level 4 n."""
    with av.open(str(path), "w", format=container) as out:
        if audio_only:
            track = out.add_stream("aac", rate=16000, layout="mono")
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
            frame.sample_rate = 16000
            out.mux(track.encode(frame))
            out.mux(track.encode(None))
            return path
        track = out.add_stream(codec, rate=25)
        track.width, track.height, track.pix_fmt = *size, "yuv420p"
        track.codec_context.gop_size = gop
        for n in range(count):
            frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), 4 * n % 256, np.uint8), format="rgb24")
            if stamps is not None:
                frame.pts = stamps[n]
            out.mux(track.encode(frame))
        out.mux(track.encode(None))
    return path


def every_frame(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.mov", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4")]
)
@pytest.mark.parametrize("gop", [10, 250])
def test_chosen_frames_equal_those_of_decoding_everything(name, codec, gop, tmp_path):
    path = written(tmp_path / name, codec=codec, gop=gop)
    clip = vesalius.read(path).clips[0]
    frames = every_frame(path)
    assert clip.num_frames == len(frames) == 60
    np.testing.assert_allclose(np.diff(clip.times_s), 0.04, atol=2e-3)
    chosen = [55, 0, 31, 31, 32]
    for index, frame in zip(chosen, clip.frames(chosen), strict=True):
        np.testing.assert_array_equal(frame, frames[index])


def test_variable_frame_rate_keeps_its_times(tmp_path):
    stamps = [0, 1, 2, 10, 11, 40]
    path = written(tmp_path / "vfr.mkv", 6, stamps=stamps)
    np.testing.assert_allclose(vesalius.read(path).clips[0].times_s, np.array(stamps) / 25, atol=2e-3)


def test_one_frame_and_bytes_are_clips(tmp_path):
    path = written(tmp_path / "one.mp4", 1)
    assert vesalius.read(path.read_bytes()).clips[0].num_frames == 1


def test_a_rotated_clip_is_upright(tmp_path):
    path = tmp_path / "turned.mp4"
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24] = 255
    with av.open(str(path), "w") as out:
        track = out.add_stream("libx264", rate=25)
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
        track.set_display_rotation(90)
        out.mux(track.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(track.encode(None))
    clip = vesalius.read(path).clips[0]
    assert (clip.width, clip.height) == (48, 64)
    (frame,) = clip.frames([0])
    # 90 degrees in the file is counterclockwise: the bright upper half comes to lie on the left.
    assert frame.shape == (64, 48, 3)
    assert frame[:, :20].mean() > 200 > 50 > frame[:, 28:].mean()


@pytest.mark.parametrize("name", ["cut.mp4", "sound.mp4", "none.mkv"])
def test_clips_without_pictures_are_refused(name, tmp_path):
    path = tmp_path / name
    if name == "cut.mp4":  # the index of an MP4 lies at its end
        whole = written(path).read_bytes()
        path.write_bytes(whole[: whole.index(b"moov") - 4])
    else:
        written(path, 0, audio_only=name == "sound.mp4")
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        vesalius.read(path)


# --- slides ----------------------------------------------------------------------------------------------------------


def pyramid(path, **options):
    tifffile = pytest.importorskip("tifffile")
    whole = np.tile(np.repeat(np.repeat(COLOUR, 16, 0), 16, 1), (8, 6, 1))
    with tifffile.TiffWriter(path) as out:
        out.write(whole, tile=(64, 64), photometric="rgb", subifds=1, **options)
        out.write(whole[::2, ::2], tile=(64, 64), photometric="rgb", subfiletype=1)
    return whole


def test_a_pyramid_is_a_slide_read_region_by_region(tmp_path):
    whole = pyramid(tmp_path / "slide.tif", resolution=(20_000, 20_000), resolutionunit="CENTIMETER")
    study = vesalius.read(tmp_path / "slide.tif")
    (slide,) = study.items
    assert isinstance(slide, vesalius.Slide)
    assert (slide.width, slide.height) == (whole.shape[1], whole.shape[0])
    np.testing.assert_array_equal(slide.region(0, 100, 50, 70, 90), whole[50:140, 100:170])
    assert max(slide.thumbnail(100).shape) == 100
    assert slide.mpp == pytest.approx((0.5, 0.5))
    with pytest.raises(LimitError):
        slide.region(0, 0, 0, 10**6, 10**6)


def test_without_openslide_the_tiles_are_read_by_tifffile(tmp_path, monkeypatch):
    whole = pyramid(tmp_path / "slide.tif", resolution=(20_000, 20_000), resolutionunit="CENTIMETER")
    monkeypatch.setattr("vesalius.study.slides._by_openslide", lambda *_: None)
    (slide,) = vesalius.read(tmp_path / "slide.tif").items
    assert len(slide.level_sizes) == 2
    np.testing.assert_array_equal(slide.region(0, 100, 50, 70, 90), whole[50:140, 100:170])
    np.testing.assert_array_equal(slide.region(1, 100, 50, 70, 90), whole[::2, ::2][25:115, 50:120])
    assert slide.mpp == pytest.approx((0.5, 0.5))
    assert slide.thumbnail(100).shape[2] == 3


def test_a_slide_without_scale_says_so(tmp_path):
    pyramid(tmp_path / "slide.tif")
    study = vesalius.read(tmp_path / "slide.tif")
    assert study.items[0].mpp is None
    assert any("micrometres per pixel" in warning for warning in study.warnings)


# --- tables and texts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_tables_of_any_dialect_and_encoding(delimiter, encoding, tmp_path):
    rows = [["Größe", "mm"], ["Herd 1", "12.5"], ["Herd 2", "7"]]
    path = tmp_path / "table.csv"
    path.write_bytes("\r\n".join(delimiter.join(row) for row in rows).encode(encoding))
    study = vesalius.read(path)
    assert study.items[0].columns == ("Größe", "mm")
    assert study.items[0].rows == (("Herd 1", "12.5"), ("Herd 2", "7"))
    assert any("Latin-1" in warning for warning in study.warnings) == (encoding == "latin-1")


def test_each_filled_sheet_of_a_workbook_is_a_table(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["organ", "ml"])
    book.active.append(["liver", 1500])
    book.create_sheet("empty")
    book.save(tmp_path / "book.xlsx")
    (table,) = vesalius.read(tmp_path / "book.xlsx").items
    assert (table.columns, table.rows) == (("organ", "ml"), (("liver", "1500"),))


def test_a_table_with_too_many_cells_is_refused(tmp_path):
    (tmp_path / "long.csv").write_text("a,b\n" * 100)
    with using(Limits(max_table_cells=150)), pytest.raises(LimitError, match="150 cells"):
        vesalius.read(tmp_path / "long.csv")


def test_text_is_a_document(tmp_path):
    (tmp_path / "report.txt").write_text("Kein Herd.\nGrüße", encoding="utf-8")
    (document,) = vesalius.read(tmp_path / "report.txt").items
    assert document.text == "Kein Herd.\nGrüße"


# --- vesalius info ---------------------------------------------------------------------------------------------------


def test_info_prints_one_json_object(tmp_path, capsys):
    from vesalius.cli.info import info

    (tmp_path / "a.png").write_bytes(packed(Image.fromarray(GREY), "PNG"))
    written(tmp_path / "b.mp4", 5)
    info([str(tmp_path)], json=True)
    said = json.loads(capsys.readouterr().out)
    assert [item["kind"] for item in said["items"]] == ["picture", "clip"]
    assert said["items"][0]["size"] == [8, 6]
    assert said["items"][1]["frames"] == 5
    info([str(tmp_path / "a.png")])
    assert "8 x 6" in capsys.readouterr().out


def test_info_of_a_volume_decodes_nothing_and_loads_nothing_heavy(tmp_path):
    import subprocess

    import nibabel as nib

    nib.save(nib.Nifti1Image(np.zeros((4, 5, 6), np.int16), np.diag([1, 2, 3, 1])), tmp_path / "scan.nii.gz")
    code = (
        "import sys; from vesalius.cli.info import info; info([sys.argv[1]], json=True);"
        "sys.stderr.write(' '.join(m for m in ('torch', 'transformers', 'nibabel', 'pydicom', 'av', 'PIL', 'scipy')"
        " if m in sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path / "scan.nii.gz")], capture_output=True, text=True)
    assert json.loads(ran.stdout)["items"][0]["spacing_mm"] == [1, 2, 3]
    assert ran.stderr == ""


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "u4", "f4"])
@pytest.mark.parametrize("compression", [None, "zstd"])
def test_a_tiff_whose_white_is_zero_is_shown_right(tmp_path, dtype, compression):
    import tifffile

    stored = (np.arange(600) % 250).reshape(20, 30).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite", compression=compression)
    (picture,) = vesalius.read(tmp_path / "a.tif").pictures
    assert np.corrcoef(picture.view().ravel(), stored.ravel())[0, 1] < -0.99


def test_large_unsigned_numbers_of_a_tiff_stay_positive(tmp_path):
    import tifffile

    stored = np.array([[0, 1, 2**31], [2**32 - 1, 7, 2**31 - 1]], np.uint32)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack")
    np.testing.assert_array_equal(vesalius.read(tmp_path / "a.tif").pictures[0].values(), stored)


def test_info_takes_what_read_takes(tmp_path, capsys):
    from vesalius.cli.info import info

    path = tmp_path / "a.npy"
    np.save(path, np.zeros((4, 5), np.uint8))
    info([str(path)], json=True, modality="us")
    assert json.loads(capsys.readouterr().out)["items"][0]["modality"] == "US"

"""The size read from the header is the size of the picture as read, and a cut file is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vesalius import read
from vesalius.errors import InputError
from vesalius.study.picture_size import picture_size


def picture(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(width * 1000 + height)
    return Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "webp", "tif", "gif"])
@pytest.mark.parametrize("size", [(1, 1), (7, 31), (640, 480)])
def test_the_size_is_that_of_the_picture_as_read(tmp_path: Path, ending: str, size: tuple[int, int]) -> None:
    path = tmp_path / f"a.{ending}"
    picture(*size).save(path)
    assert picture_size(path) == size
    item = read(path).items[0]
    assert (item.width, item.height) == size  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("ending", ["png", "jpg"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_rotation_is_applied(tmp_path: Path, ending: str, turn: int) -> None:
    path = tmp_path / f"a.{ending}"
    exif = Image.Exif()
    exif[0x0112] = turn
    picture(30, 20).save(path, exif=exif)
    item = read(path).items[0]
    assert picture_size(path) == (item.width, item.height)  # pyright: ignore[reportAttributeAccessIssue]
    assert picture_size(path) == ((20, 30) if turn >= 5 else (30, 20))


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp"])
def test_a_cut_or_foreign_file_is_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    picture(64, 64).save(path)
    whole = path.read_bytes()
    if ending != "bmp":
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(InputError, match="cut off"):
            picture_size(path)
    path.write_bytes(b"no picture at all")
    with pytest.raises(InputError):
        picture_size(path)
    path.write_bytes(b"")
    with pytest.raises(InputError):
        picture_size(path)
    with pytest.raises(InputError, match="cannot be read"):
        picture_size(tmp_path / "none.png")

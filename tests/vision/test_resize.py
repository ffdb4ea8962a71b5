"""Resizing is Pillow's to the last bit, the fast way stays within what it promises, and threads change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from vesalius.errors import OptionError
from vesalius.vision import strips
from vesalius.vision.patches import PatchRule, patches_of
from vesalius.vision.resize import check_resize, resized

RULE = PatchRule(14, 2, 2, (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)


def pillow(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("shape", [(300, 420, 3), (512, 512)])
def test_the_exact_way_is_pillows(shape: tuple[int, ...]) -> None:
    picture = noise(*shape)
    assert np.array_equal(resized(picture, 252, 364), pillow(picture, 252, 364))


def test_a_picture_that_fits_is_not_copied() -> None:
    picture = noise(28, 56, 3)
    assert resized(picture, 28, 56) is picture


@pytest.mark.parametrize("shape", [(300, 420, 3), (300, 420), (64, 64, 3)])
@pytest.mark.parametrize("size", [(252, 364), (448, 588)])
def test_the_fast_way_is_within_two_grey_levels(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    picture = noise(*shape)
    picture.flags.writeable = False
    made = resized(picture, *size, "fast")
    apart = np.abs(made.astype(int) - pillow(picture, *size))
    assert made.dtype == np.uint8
    assert made.shape == (*size, *shape[2:])
    assert apart.max() <= 2
    assert apart.mean() <= 0.01


def test_another_way_of_resizing_is_refused() -> None:
    assert check_resize("fast") == "fast"
    with pytest.raises(OptionError, match="Use exact or fast"):
        check_resize("nearest")


def test_patches_are_the_same_on_one_and_on_three_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [noise(420, 448, 3), noise(420, 448, 3)[::-1], noise(420, 448, 3)]
    monkeypatch.setattr(strips, "num_threads", lambda: 1)
    alone, grid = patches_of(frames, RULE)
    monkeypatch.setattr(strips, "num_threads", lambda: 3)
    together, _ = patches_of(frames, RULE)
    assert grid == (2, 30, 32)
    assert np.array_equal(alone, together)


def test_an_error_on_another_thread_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strips, "num_threads", lambda: 2)

    def work(first: int, last: int) -> None:
        if first:
            raise OptionError(f"{first} to {last}")

    with pytest.raises(OptionError, match="2 to 4"):
        strips.in_strips(work, 4)


@pytest.mark.parametrize(("wished", "most"), [("1", 1), ("", 4096), ("many", 4096)])
def test_the_threads_are_those_the_process_may_use(monkeypatch: pytest.MonkeyPatch, wished: str, most: int) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", wished)
    assert 1 <= strips.num_threads() <= most

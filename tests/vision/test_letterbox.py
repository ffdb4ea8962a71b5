"""A letterboxed picture keeps its shape, and every place on it leads back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesalius.errors import InputError
from vesalius.vision.letterbox import fit_square, letterbox

sides = st.integers(1, 3000)


@given(sides, sides, st.floats(0, 1), st.floats(0, 1))
def test_a_place_goes_to_the_square_and_back(width: int, height: int, across: float, down: float):
    fit = fit_square(width, height, 224)
    x, y = across * width, down * height
    back = fit.to_source(*fit.to_square(x, y))
    assert back == pytest.approx((x, y), abs=1e-6 * max(width, height))


@given(sides, sides)
def test_the_picture_lies_inside_the_square_and_touches_two_edges(width: int, height: int):
    x0, y0, x1, y1 = fit_square(width, height, 224).inner
    assert 0 <= x0 < x1 <= 224
    assert 0 <= y0 < y1 <= 224
    assert x1 - x0 == 224 or y1 - y0 == 224


def test_the_margin_is_black_and_grey_becomes_three_channels():
    square, fit = letterbox(np.full((50, 100), 200, np.uint8), 224)
    assert square.shape == (224, 224, 3)
    assert fit.inner == (0, 56, 224, 168)
    assert not square[:56].any()
    assert (square[56:168] == 200).all()


def test_a_square_of_the_right_size_is_not_resampled():
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    square, _ = letterbox(pixels, 224)
    assert (square == pixels).all()


def test_an_empty_picture_is_refused():
    with pytest.raises(InputError, match="0×5"):
        fit_square(0, 5, 224)

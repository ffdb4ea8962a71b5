"""Run lengths, outlines, areas and diameters of masks."""

from __future__ import annotations

import contextlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from vesalius.errors import InputError, LimitError
from vesalius.findings import area_mm2, bounding_box, contours, decode_rle, encode_rle, longest_diameter, volume_ml
from vesalius.limits import Limits, using

MASKS_2D = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12))
MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=3, max_side=9))


@given(MASKS)
def test_run_lengths_give_the_mask_back(mask: np.ndarray) -> None:
    assert np.array_equal(decode_rle(encode_rle(mask)), mask)


def test_run_lengths_are_those_of_coco() -> None:
    # Column by column the runs are 1, 2, 3, 2, 1: false first, each later run stored against the one two before.
    mask = np.array([[0, 0, 1], [1, 0, 1], [1, 0, 0]], dtype=bool)
    assert encode_rle(mask) == {"size": [3, 3], "counts": "1230N"}
    assert np.array_equal(decode_rle({"size": [3, 3], "counts": [1, 2, 3, 2, 1]}), mask)


def test_long_runs_take_several_characters() -> None:
    # 1000 = 0b11111_01000: the low five bits are 8, with the "more" bit chr(48 + 40); 31 has its sign bit set, so a
    # third group of 0 follows.
    assert encode_rle(np.zeros((1000, 1), dtype=bool))["counts"] == "Xo0"


def test_a_first_true_pixel_is_written_as_an_empty_false_run() -> None:
    assert encode_rle(np.ones((1, 3), dtype=bool))["counts"] == "03"


@pytest.mark.parametrize(
    "rle",
    [
        {},
        {"size": [2, 2]},
        {"size": [2], "counts": "4"},
        {"size": [2, -2], "counts": "4"},
        {"size": [2, 2], "counts": "5"},
        {"size": [2, 2], "counts": [5, -1]},
        {"size": [2, 2], "counts": "4\x01"},
        {"size": [2, 2], "counts": "Xo"},
        {"size": [2, 2], "counts": "o" * 40},
        {"size": [True, 2], "counts": "4"},
        {"size": [2, 2], "counts": 4},
    ],
)
def test_damaged_run_lengths_are_refused(rle: dict[str, object]) -> None:
    with pytest.raises(InputError):
        decode_rle(rle)


@settings(max_examples=60)
@given(st.text(max_size=20))
def test_no_text_makes_the_decoder_fail_otherwise(text: str) -> None:
    with contextlib.suppress(InputError):
        assert decode_rle({"size": [3, 4], "counts": text}).shape == (3, 4)


def test_a_mask_above_the_limits_is_not_expanded() -> None:
    with using(Limits(max_pixels=100)), pytest.raises(LimitError):
        decode_rle({"size": [11, 10], "counts": [110]})


@given(MASKS_2D)
def test_outlines_enclose_exactly_the_mask(mask: np.ndarray) -> None:
    def signed_area(outline: np.ndarray) -> float:
        x, y = outline.T
        return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2

    outlines = contours(mask)
    assert sum(map(signed_area, outlines)) == mask.sum()
    for outline in outlines:
        steps = np.roll(outline, -1, axis=0) - outline
        assert ((steps == 0).sum(axis=1) == 1).all(), "every side runs along pixel edges"
        turns = steps[:, 0] * np.roll(steps[:, 1], -1) - steps[:, 1] * np.roll(steps[:, 0], -1)
        assert (turns != 0).all(), "straight runs are joined"


def test_a_ring_has_an_outer_outline_and_a_hole() -> None:
    ring = np.ones((3, 3), dtype=bool)
    ring[1, 1] = False
    assert sorted(len(outline) for outline in contours(ring)) == [4, 4]


def test_pixels_that_touch_at_a_corner_are_apart() -> None:
    assert len(contours(np.eye(2, dtype=bool))) == 2


def test_areas_and_volumes_use_the_spacing() -> None:
    assert area_mm2(np.ones((2, 3), dtype=bool), (0.5, 2.0)) == 6.0
    sheared = np.array([[2.0, 0.5, 0, 9], [0, 1.0, 0, 9], [0, 0, 5.0, 9], [0, 0, 0, 1]])
    assert volume_ml(np.ones((10, 10, 1), dtype=bool), sheared) == pytest.approx(1.0)


def test_the_bounding_box_uses_outer_corners() -> None:
    mask = np.zeros((5, 6), dtype=bool)
    mask[1:3, 2:6] = True
    assert bounding_box(mask) == (2.0, 1.0, 6.0, 3.0)
    assert bounding_box(np.zeros((3, 3), dtype=bool)) is None


def test_a_lone_pixel_is_one_pixel_long() -> None:
    mask = np.zeros((5, 5), dtype=bool)
    mask[2, 3] = True
    found = longest_diameter(mask, (2.0, 1.0))
    assert found is not None
    assert found[0] == 2.0


def test_a_disc_is_as_long_as_its_diameter() -> None:
    y, x = np.mgrid[0:101, 0:101] + 0.5
    found = longest_diameter((x - 50.5) ** 2 + (y - 50.5) ** 2 <= 40**2, (0.5, 0.5))
    assert found is not None
    length, a, b = found
    assert length == pytest.approx(40.0, abs=0.6)
    assert math.dist(a, b) * 0.5 == pytest.approx(length)


@given(MASKS_2D.filter(lambda m: bool(m.any())), st.floats(0.2, 5), st.floats(0.2, 5))
def test_the_longest_diameter_is_that_of_all_edge_midpoints(mask: np.ndarray, sx: float, sy: float) -> None:
    ys, xs = np.nonzero(mask)
    shifts = ((0, 0.5), (1, 0.5), (0.5, 0), (0.5, 1))
    rim = np.array([((x + dx) * sx, (y + dy) * sy) for x, y in zip(xs, ys, strict=True) for dx, dy in shifts])
    expected = np.linalg.norm(rim[:, None] - rim[None], axis=-1).max()
    found = longest_diameter(mask, (sx, sy))
    assert found is not None
    assert found[0] == pytest.approx(expected)

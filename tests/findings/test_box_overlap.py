"""IoU, GIoU and one-to-one matching."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vesalius.errors import InputError
from vesalius.findings.box_overlap import giou_matrix, giou_pairs, iou_matrix, iou_pairs
from vesalius.findings.matching import match_boxes, match_points

whole = st.integers(0, 30)
boxes = st.lists(
    st.tuples(whole, whole, st.integers(1, 15), st.integers(1, 15)).map(
        lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
    ),
    max_size=6,
)
points = st.lists(st.tuples(whole, whole), max_size=6)


def painted(box, shape=(48, 48)):
    x0, y0, x1, y1 = box
    mask = np.zeros(shape, dtype=bool)
    mask[y0:y1, x0:x1] = True
    return mask


@given(boxes, boxes)
def test_iou_is_that_of_painted_pixels(a, b):
    found = iou_matrix(a, b)
    for i, one in enumerate(a):
        for j, other in enumerate(b):
            p, q = painted(one), painted(other)
            assert found[i, j] == pytest.approx((p & q).sum() / (p | q).sum(), abs=1e-12)


def test_giou_tells_how_far_apart_boxes_are():
    box = [[100, 100, 300, 300]]
    assert giou_pairs(box, box)[0] == 1
    assert giou_pairs(box, [[700, 700, 900, 900]])[0] == pytest.approx(-0.875)
    assert giou_pairs(box, [[0, 0, 1000, 1000]])[0] == pytest.approx(0.04)
    assert giou_matrix(box, [[200, 100, 400, 300]])[0, 0] == pytest.approx(1 / 3)


def test_three_dimensional_boxes_overlap_in_volume():
    assert iou_pairs([[0, 0, 0, 2, 2, 2]], [[1, 0, 0, 3, 2, 2]])[0] == pytest.approx(4 / 12)


def test_swapped_corners_overlap_nothing_and_nothing_overlaps_nothing():
    assert iou_pairs([[10, 10, 0, 0]], [[0, 0, 10, 10]])[0] == 0
    assert iou_pairs([[5, 5, 5, 5]], [[5, 5, 5, 5]])[0] == 0
    assert iou_matrix([], [[0, 0, 1, 1]]).shape == (0, 1)


@pytest.mark.parametrize("bad", [[[1, 2, 3]], [[0, 0, float("nan"), 1]], [["a", 1, 2, 3]], [[0, 0, 1, 1], [0, 0, 1]]])
def test_what_is_no_box_is_refused(bad):
    with pytest.raises(InputError):
        iou_matrix(bad, [[0, 0, 1, 1]])


def test_copies_of_a_right_point_are_one_hit():
    found = match_points([[50, 50]] * 10, [[50, 50], [90, 90], [10, 90], [90, 10], [10, 10]])
    assert (found.num_matched, found.precision, found.recall) == (1, 0.1, 0.2)
    assert found.f1 == pytest.approx(0.1333, abs=5e-5)


def test_a_point_at_the_radius_is_not_near():
    assert match_points([[0, 0]], [[10, 0]], radius=10).num_matched == 0
    assert match_points([[0, 0]], [[9.999, 0]], radius=10).num_matched == 1


@given(boxes)
def test_perfect_boxes_score_one(truth):
    found = match_boxes(truth[::-1], truth)
    assert (found.precision, found.recall, found.f1) == (1, 1, 1)


@settings(deadline=None)  # the first example imports scipy
@given(boxes, boxes, st.randoms())
def test_matching_does_not_depend_on_order(said, truth, shuffler):
    found = match_boxes(said, truth, 0.3)
    assert sum(v >= 0.3 for v in found.values) == found.num_matched
    assert len({p for p, _ in found.pairs}) == len({g for _, g in found.pairs}) == found.num_matched
    for i, j in found.pairs:
        assert iou_matrix([said[i]], [truth[j]])[0, 0] >= 0.3
    said, truth = said[:], truth[:]
    shuffler.shuffle(said)
    shuffler.shuffle(truth)
    again = match_boxes(said, truth, 0.3)
    assert sorted(again.values) == sorted(found.values)


@settings(deadline=None)
@given(points, points, st.randoms())
def test_matching_points_does_not_depend_on_order(said, truth, shuffler):
    found = match_points(said, truth, 6)
    said, truth = said[:], truth[:]
    shuffler.shuffle(said)
    shuffler.shuffle(truth)
    assert match_points(said, truth, 6).num_matched == found.num_matched

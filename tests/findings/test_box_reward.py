"""The box reward on the cases its definition was printed with, and what must hold of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesalius.errors import OptionError
from vesalius.findings.box_reward import box_reward, chance_of_box_reward

FRAME = (1000, 1000)
GOOD, FAR = [100, 100, 300, 300], [700, 700, 900, 900]
FREE = {"miss_penalty": 0.0, "surplus_penalty": 0.0}
side = st.floats(0, 1000, allow_nan=False)
boxes = st.lists(st.tuples(side, side, side, side).map(list), max_size=5)


@pytest.mark.parametrize(
    ("predicted", "true", "free", "charged"),
    [
        ([GOOD], [GOOD], 1.0, 1.0),
        ([[200, 100, 400, 300]], [GOOD], 0.854254, 0.854254),
        ([FAR], [GOOD], 0.126051, 0.126051),
        ([[0, 0, 1000, 1000]], [GOOD], 0.458796, 0.458796),
        ([GOOD, FAR], [GOOD], 1.0, 0.75),
        ([GOOD], [GOOD, FAR], 0.5, 0.375),
        ([FAR, GOOD], [GOOD, FAR], 1.0, 1.0),
        ([], [GOOD], 0.0, 0.0),
        ([GOOD] * 21, [GOOD], 1.0, 0.0),
        ([[0, 0, 1000, 1000]], [[0, 0, 50, 50]], 0.377678, 0.377678),
    ],
)
def test_printed_cases(predicted, true, free, charged):
    assert box_reward(predicted, true, FRAME, **FREE) == pytest.approx(free, abs=1e-6)
    assert box_reward(predicted, true, FRAME) == pytest.approx(charged, abs=1e-6)


@pytest.mark.parametrize(("num", "reward"), [(0, 1.0), (1, 0.75), (3, 0.25), (5, 0.0)])
def test_nothing_to_find(num, reward):
    assert box_reward([GOOD] * num, [], FRAME) == reward


def test_chance_is_far_above_zero():
    rng = np.random.default_rng(0)

    def random_boxes(num):
        return np.sort(rng.random((num, 2, 2)), axis=1).reshape(num, 4) * 1000

    one = np.mean([box_reward(random_boxes(1), random_boxes(1), FRAME) for _ in range(2000)])
    assert one == pytest.approx(0.536, abs=0.01)
    many = np.mean([box_reward(random_boxes(20), random_boxes(1), FRAME, **FREE) for _ in range(300)])
    assert many == pytest.approx(0.77, abs=0.02)
    chance = chance_of_box_reward([[300, 300, 700, 700]], FRAME)
    assert 0.4 < chance < 0.8
    assert box_reward([GOOD], [GOOD], FRAME, chance=chance) == 1
    assert box_reward([FAR], [GOOD], FRAME, chance=chance) == 0


@given(boxes, boxes, st.randoms())
def test_it_stays_in_range_and_knows_no_order(predicted, true, shuffler):
    reward = box_reward(predicted, true, FRAME)
    assert 0 <= reward <= 1
    shuffler.shuffle(predicted)
    shuffler.shuffle(true)
    assert box_reward(predicted, true, FRAME) == pytest.approx(reward, abs=1e-9)


def test_swapped_corners_are_put_in_order_and_flat_boxes_are_surplus():
    assert box_reward([[300, 300, 100, 100]], [GOOD], FRAME) == 1
    assert box_reward([GOOD, [5, 5, 5, 90]], [GOOD], FRAME) == 0.75


def test_it_rises_as_a_box_slides_on_to_the_target():
    rewards = [box_reward([[x, 100, x + 200, 300]], [GOOD], FRAME) for x in range(800, 99, -50)]
    assert rewards == sorted(rewards)
    assert len(set(rewards)) == len(rewards)


def test_pairs_below_the_gate_score_nothing():
    assert box_reward([[200, 100, 400, 300]], [GOOD], FRAME, min_iou=0.5) == 0
    assert box_reward([GOOD], [GOOD], FRAME, min_iou=0.5) == 1


def test_an_impossible_frame_is_refused():
    with pytest.raises(OptionError):
        box_reward([GOOD], [GOOD], (0, 1000))

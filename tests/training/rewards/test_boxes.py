"""Box rewards on written answers: the printed cases through the codec, and what must hold of every reward."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vesalius.findings.findings import Box
from vesalius.training.rewards import REWARDS, Completion, Truth

GOOD, FAR, ALL = [100, 100, 300, 300], [700, 700, 900, 900], [0, 0, 1000, 1000]


def truth(*boxes, label="Mass"):
    return Truth(boxes=tuple((label, tuple(map(float, box))) for box in boxes), size=(1000, 1000))


def said(*boxes, label="Mass"):
    return f"{label} <box>{json.dumps([list(box) for box in boxes])}</box>" if boxes else "There are none."


@pytest.mark.parametrize(
    ("boxes", "true", "published", "penalised"),
    [
        ([GOOD], [GOOD], 1.0, 1.0),
        ([[200, 100, 400, 300]], [GOOD], 0.854254, 0.854254),
        ([FAR], [GOOD], 0.126051, 0.126051),
        ([ALL], [GOOD], 0.458796, 0.458796),
        ([GOOD, FAR], [GOOD], 1.0, 0.75),
        ([GOOD], [GOOD, FAR], 0.5, 0.375),
        ([FAR, GOOD], [GOOD, FAR], 1.0, 1.0),
        ([], [GOOD], 0.0, 0.0),
        ([GOOD] * 21, [GOOD], 1.0, 0.0),
        ([ALL], [[0, 0, 50, 50]], 0.377678, 0.377678),
    ],
)
def test_printed_cases_as_text(boxes, true, published, penalised):
    assert REWARDS["box_medmo"](said(*boxes), truth(*true)) == pytest.approx(published, abs=1e-6)
    assert REWARDS["box_penalised"](said(*boxes), truth(*true)) == pytest.approx(penalised, abs=1e-6)


@pytest.mark.parametrize(("num", "reward"), [(0, 1.0), (1, 0.75), (3, 0.25), (5, 0.0)])
def test_nothing_to_find(num, reward):
    assert REWARDS["box_penalised"](said(*[GOOD] * num), truth()) == reward


def test_a_gate_pays_no_near_miss():
    near = said([200, 100, 400, 300])  # IoU 1/3
    assert REWARDS["box_iou_threshold"](near, truth(GOOD)) == 0
    assert REWARDS["box_iou_threshold"](near, truth(GOOD), iou=0.3) == pytest.approx(0.854254, abs=1e-6)
    assert REWARDS["box_iou_threshold"](said(GOOD), truth(GOOD)) == 1


def test_chance_earns_nothing_when_it_is_taken_off():
    rng = np.random.default_rng(0)
    raw, corrected = [], []
    for _ in range(60):
        box = (np.sort(rng.random((2, 2)), axis=0) * 1000).ravel().round().tolist()
        raw.append(REWARDS["box_penalised"](said(box), truth(GOOD)))
        corrected.append(REWARDS["box_chance_corrected"](said(box), truth(GOOD)))
    assert np.mean(raw) > 0.3
    assert np.mean(corrected) < 0.5 * np.mean(raw)
    assert REWARDS["box_chance_corrected"](said(GOOD), truth(GOOD)) == 1


def test_mean_iou_and_f1_are_those_of_the_matched_boxes():
    two = truth(GOOD, FAR)
    assert REWARDS["box_mean_iou"](said([200, 100, 400, 300]), two) == pytest.approx(1 / 6)
    assert REWARDS["box_f1"](said(GOOD), two) == pytest.approx(2 / 3)
    assert REWARDS["box_mean_iou"](said(), truth()) == 1
    assert REWARDS["box_mean_iou"](said(GOOD), truth()) == 0


def test_the_family_s_own_reading_goes_before_the_text():
    cited = Completion("It is here: [3].", found=(Box(label="mass", x0=100, y0=100, x1=300, y1=300),))
    assert REWARDS["box_penalised"](cited, truth(GOOD)) == 1
    assert REWARDS["box_penalised"]("It is here: [3].", truth(GOOD)) == 0


def test_prompts_without_boxes_are_passed_over():
    for name in REWARDS:
        if name.startswith("box") or name == "tags":
            assert REWARDS[name](said(GOOD), Truth(answer="A")) is None


side = st.integers(0, 999)
box = st.tuples(side, side, side, side).map(lambda b: [min(b[0], b[2]), min(b[1], b[3]),
                                                       max(b[0], b[2]) + 1, max(b[1], b[3]) + 1])  # fmt: skip


def test_ties_break_the_same_way_in_any_order():
    """Both assignments cost the same; only one of them has a pair below the threshold."""
    true = truth((0, 0, 2, 1), (1, 0, 2, 1))
    for name in ("box_medmo", "box_penalised", "box_iou_threshold"):
        assert REWARDS[name](said((0, 0, 1, 1), (0, 0, 2, 1)), true) == REWARDS[name](
            said((0, 0, 2, 1), (0, 0, 1, 1)), true
        )


@settings(max_examples=60, deadline=None)
@given(st.lists(box, max_size=5), st.lists(box, max_size=4), st.randoms(use_true_random=False))
def test_order_does_not_matter_and_it_stays_in_bounds(boxes, true, random):
    mixed = random.sample(boxes, len(boxes))
    for name in ("box_medmo", "box_penalised", "box_iou_threshold", "box_mean_iou", "box_f1"):
        one = REWARDS[name](said(*boxes), truth(*true))
        assert one is not None
        assert 0 <= one <= 1
        assert one == pytest.approx(REWARDS[name](said(*mixed), truth(*true)), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(box, st.lists(box, min_size=1, max_size=3))
def test_a_useless_box_costs_exactly_its_share(extra, true):
    before = REWARDS["box_penalised"](said(*true), truth(*true))
    after = REWARDS["box_penalised"](said(*true, extra), truth(*true))
    assert before == 1
    assert after == pytest.approx(1 - 0.25 / len(true))


def test_the_reward_rises_while_a_box_slides_on_to_the_target():
    places = [said([x, 100, x + 200, 300]) for x in range(700, 99, -50)]
    rewards = [REWARDS["box_penalised"](place, truth(GOOD)) or 0.0 for place in places]
    assert rewards == sorted(rewards)


def test_twenty_boxes_are_scored_quickly():
    rng = np.random.default_rng(1)
    boxes = [np.sort(rng.random((2, 2)), axis=0).ravel() * 1000 for _ in range(40)]
    found = tuple(Box(label="x", x0=a, y0=b, x1=c, y1=d) for a, b, c, d in boxes[:20])
    completion, real = Completion("", found=found), truth(*boxes[20:])
    best = min(_timed(lambda: REWARDS["box_penalised"](completion, real)) for _ in range(20))
    assert best < 2e-3


def _timed(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start

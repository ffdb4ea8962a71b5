"""Rewards of answers, labels, counts, points, masks, tags, thoughts and length, and how a recipe weighs them."""

from __future__ import annotations

import numpy as np
import pytest

from vesalius.errors import OptionError
from vesalius.findings.findings import Mask
from vesalius.training.rewards import REWARDS, Completion, Truth, combined, weighted_rewards

NONE = Truth()


@pytest.mark.parametrize(
    ("text", "truth", "reward"),
    [
        ("Final answer: B", Truth(answer="B", kind="mcq", options=4), 1),
        ("<think>B?</think>\\boxed{C}", Truth(answer="B", kind="mcq", options=4), 0),
        ("I cannot determine this.", Truth(answer="A", kind="mcq", options=4), 0),
        ("Yes, there is no doubt.", Truth(answer="yes", kind="yesno"), 1),
        ("The left lung.", Truth(answer="left lung"), 1),
        ("right lung", Truth(answer="left lung"), 0),
        ("", Truth(answer="left lung"), 0),
        ("anything", NONE, None),
    ],
)
def test_answer(text, truth, reward):
    assert REWARDS["answer"](text, truth) == reward


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ("Nodule, effusion", 1),
        ("effusion", 0.5),
        ("nodule; effusion; mass", 0.875),  # one surplus label over two true ones
        ("nodule, nodule, pleural fluid", 1),  # said twice is said once; a synonym is the name
        ("mass, cyst", 0),
        ("", 0),
    ],
)
def test_labels(text, reward):
    truth = Truth(labels=("nodule", "effusion"), synonyms=(("effusion", ("pleural fluid",)),))
    assert REWARDS["label"](text, truth) == pytest.approx(reward)


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ("nodule <box>[[10, 10, 30, 30]]</box>", 1),
        ("mass <box>[[10, 10, 30, 30]]</box>", 0),
        ("nodule <box>[[600, 600, 630, 630]]</box>", 0),  # the right name in the wrong place
        ("nodule <box>[[12, 10, 32, 30]]</box>\nmass <box>[[500, 500, 600, 600]]</box>", 0.75),
    ],
)
def test_a_label_counts_on_its_box_alone(text, reward):
    truth = Truth(boxes=(("nodule", (10, 10, 30, 30)),), size=(1000, 1000))
    assert REWARDS["label"](text, truth) == pytest.approx(reward)


@pytest.mark.parametrize(
    ("text", "reward"),
    [("There are 3.", 1), ("5", 1 / 3), ("12", 0), ("several", 0), ('```json\n{"counts": 2}\n```', 2 / 3)],
)
def test_count(text, reward):
    dialect = "qwen-json" if "json" in text else "medmo"
    assert REWARDS["count"](text, Truth(count=3, dialect=dialect)) == pytest.approx(reward)


def test_counting_nothing():
    assert [REWARDS["count"](text, Truth(count=0)) for text in ("0", "1")] == [1, 0]


def test_points_within_ten_pixels():
    cells = (("cell", (50, 50)), ("cell", (200, 80)))
    truth = Truth(points=cells, size=(400, 400), dialect="qwen-json", coord="abs_original")
    text = '```json\n[{"point_2d": [55, 52], "label": "cell"}, {"point_2d": [300, 300], "label": "cell"}]\n```'
    assert REWARDS["point"](text, truth) == pytest.approx(0.5)
    assert REWARDS["point"](text, truth, radius_px=3) == 0
    assert REWARDS["point"]("[]", Truth(points=(), size=(9, 9))) == 1


def test_masks_are_matched_before_they_are_compared():
    first, second = np.zeros((2, 8, 8), bool)
    first[:4], second[4:] = True, True
    half = np.zeros((8, 8), bool)
    half[:2] = True
    found = (Mask(label="a", mask=second), Mask(label="b", mask=half))
    assert REWARDS["mask"](Completion("", found=found), Truth(masks=(first, second))) == pytest.approx((1 + 2 / 3) / 2)
    assert REWARDS["mask"](Completion("", found=found[:1]), Truth(masks=(first, second))) == 0.5
    assert REWARDS["mask"](Completion("", found=()), Truth(masks=())) == 1
    assert REWARDS["mask"](Completion("", found=(Mask(label="a", mask=second[:4]),)), Truth(masks=(first,))) == 0


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ("The heart is large. There is no effusion.", 1),
        ("Cardiomegaly and consolidation.", 2 / 3),
        ("No enlarged heart.", 0),
        ("No effusion but cardiomegaly is seen.", 1),
        ("", 0),
    ],
)
def test_findings_of_a_report(text, reward):
    truth = Truth(
        findings=("cardiomegaly",),
        known=("cardiomegaly", "effusion", "consolidation"),
        synonyms=(("cardiomegaly", ("heart is large", "enlarged heart")),),
    )
    assert REWARDS["finding_f1"](text, truth) == pytest.approx(reward)


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ("a <box>[[1, 2, 3, 4]]</box>\nb <box>[[5, 6, 7, 8], [1, 1, 2, 2]]</box>", 1),
        ("a <box>[[1, 2, 3, 4]]</box>", 0),
        ("a <box>[[1, 2, 3, 4]]</box>\nb <box>[[5, 6, 7, 8]", 0),
        ("a <box>[[1, 2, 3]]</box>\nb <box>[[5, 6, 7, 8]]</box>", 0),
        ("a <box>[1, 2, 3, 4]</box>\nb <box>[[5, 6, 7, 8]]</box>", 0),
        ("a <box>[[true, 2, 3, 4]]</box>\nb <box>[[5, 6, 7, 8]]</box>", 0),
        ("a <box><box>[[1, 2, 3, 4]]</box></box>\nb <box>[[5, 6, 7, 8]]</box>", 0),
    ],
)
def test_tags(text, reward):
    truth = Truth(boxes=(("a", (0, 0, 1, 1)), ("b", (0, 0, 2, 2)), ("b", (0, 0, 3, 3))), size=(10, 10))
    assert REWARDS["tags"](text, truth) == reward


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ("a <box>[[1, 2, 3, 4]]</box>", 1),
        ("a <box>[[1, 2, 3, 4]]", 0.5),  # the close tag is mended
        ("over there", 0),
    ],
)
def test_format_of_places(text, reward):
    assert REWARDS["format"](text, Truth(boxes=(("a", (0, 0, 1, 1)),), size=(10, 10))) == reward


def test_format_of_plain_answers():
    assert REWARDS["format"]("B", NONE) == 1
    assert REWARDS["format"](" ", NONE) == 0
    assert REWARDS["format"](Completion("and so on", finish="length"), NONE) == 0


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ("<think>it is round</think>\nA cyst.", 1),
        ("A cyst.", 0),
        ("<think>it is round", 0),
        ("<think></think>A cyst.", 0),
        ("<think>round</think>", 0),
        ("Well: <think>round</think>A cyst.", 0),
        ("<think>a</think><think>b</think>A cyst.", 0),
    ],
)
def test_thoughts(text, reward):
    assert REWARDS["think_format"](text, NONE) == reward


@pytest.mark.parametrize(("tokens", "reward"), [(384, 0), (448, -0.5), (512, -1), (600, -1), (1, 0)])
def test_overlong_answers(tokens, reward):
    assert REWARDS["overlong"](Completion("x", num_tokens=tokens), NONE) == reward


@pytest.mark.parametrize(("tokens", "reward"), [(10, 1), (64, 1), (96, 0.5), (128, 0), (500, 0)])
def test_length(tokens, reward):
    assert REWARDS["length"](Completion("x", num_tokens=tokens), NONE) == reward
    assert REWARDS["length"]("x", NONE) is None


def test_weights_add_up_and_what_does_not_apply_is_left_out():
    rewards = weighted_rewards(
        {"answer": 1, "think_format": {"weight": 0.5}, "overlong": {"max_tokens": 8, "cache_tokens": 4}}
    )
    truth = Truth(answer="yes", kind="yesno")
    said = Completion("<think>clear</think>yes", num_tokens=6)
    assert combined(rewards, said, truth) == pytest.approx(1 + 0.5 - 0.5)
    assert combined(weighted_rewards({"count": 1}), said, truth) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"box_medmoo": 1.0}, "box_medmo"),
        ({"box_medmo": "much"}, "finite number"),
        ({"box_medmo": {"weight": 1.0, "mis_penalty": 1}}, "miss_penalty"),
        ({"box_medmo": {"exponent": "x"}}, "finite number"),
        ({"box_medmo": float("nan")}, "finite"),
        ({"box_medmo": 0}, "no reward has a weight"),
        ({}, "names none"),
    ],
)
def test_bad_choices_are_told(given, said):
    with pytest.raises(OptionError, match=said):
        weighted_rewards(given)

"""M3D, MedEvalKit, Uni-Med and MedRegA by their published rules, defects included, beside ours."""

from __future__ import annotations

import numpy as np
import pytest

from vesalius.evaluation.metrics.token_overlap import token_overlap
from vesalius.evaluation.published import m3d, medevalkit, medrega, meduni_eval, uni_med
from vesalius.evaluation.published.medrega import Region
from vesalius.evaluation.published.vqa_words import normalise_vqa, word_exact_match, word_f1


def test_permuted_columns_of_token_scores_and_the_right_ones():
    ours = token_overlap(["left lung base"], ["left lung"])
    assert (ours.precision[0], ours.recall[0], ours.f1[0]) == (pytest.approx(2 / 3), 1, pytest.approx(0.8))
    printed = medevalkit.printed_columns(medevalkit.token_sets(["left lung base"], ["left lung"]))
    assert (printed.precision[0], printed.recall[0], printed.f1[0]) == (pytest.approx(0.8), pytest.approx(2 / 3), 1)
    assert medevalkit.exact_matches(["MRI."], ["mri"]) == [False]


def test_a_substring_is_right_as_published():
    assert m3d.closed_right(["A. or B.", "B", "", None], ["B", "B", "A", "A"]).tolist() == [True, False, False, False]
    assert m3d.ct_rate_choice_right(["(b) yes", "no", "x"], ["(b) Yes", "(c) No", "free text"]) == [True, False, None]


def test_a_missing_position_scores_nothing_or_minus_one_as_published():
    box = [0.1, 0.1, 0.1, 0.5, 0.5, 0.5]
    assert m3d.position_ious([box, None], [box, box]).tolist() == [1, 0]
    assert m3d.position_ious([box, None], [box, box], missing=-1).tolist() == [1, -1]


def test_referring_boxes_in_percent_with_a_pixel_more_on_every_side():
    assert uni_med.percent_box("<unk> {<10><20><30><40>} done", (200, 100)) == (20, 20, 60, 40)
    assert uni_med.percent_box("at {<10><20><30><40>}", (200, 100)) is None
    ious = uni_med.refer_ious(["{<10><20><30><40>}", "none"], [[20, 20, 40, 20], [0, 0, 5, 5]], [(200, 100)] * 2)
    assert ious.tolist() == [1, 0]
    half = uni_med.refer_ious(["{<0><0><49><99>}"], [[0, 0, 99, 99]], [(100, 100)])
    assert half[0] == pytest.approx(50 * 100 / (100 * 100))


@pytest.mark.parametrize(
    ("answer", "normal"),
    [
        ("The Left Lung.", "left lung"),
        ("two nodules, none large", "2 nodules 0 large"),
        ("T2-weighted", "t2 weighted"),  # no blank beside the mark: it becomes one
        ("T2- weighted a-b", "t2 weighted ab"),  # a blank somewhere beside it: it goes, here and elsewhere
        ("1,000 cells", "1000 cells"),
        ("x-ray 1,000", "xray 1000"),  # a comma between digits makes every mark go
        ("3.5 cm.", "3.5 cm"),
        ("e.g. x.5", "eg x.5"),
        ("dont couldnt've lets", "don't couldn't've lets"),
        ("a. " * 33, "a."),  # 32 points go, and then the articles
        ("肺炎。", "肺炎。"),
        ("", ""),
        (" , ", ""),
    ],
)
def test_answers_in_the_form_of_the_vqa_challenge(answer, normal) -> None:
    assert normalise_vqa(answer) == normal


def test_word_scores_as_published_forgive_a_part_and_reward_a_repetition() -> None:
    assert word_exact_match("left lung", "the left lung.") == 1
    assert word_exact_match("lung", "left lung") == 1  # a part of the reference
    assert word_exact_match("left lung base", "left lung") == pytest.approx(2 / 3)
    assert word_exact_match("lung lung", "lung") == 0.5
    assert word_exact_match("", "lung") == word_exact_match("the", "lung") == 0
    once, twice = word_f1("lung base", "left lung"), word_f1("lung lung base", "left lung")
    assert once == pytest.approx((0.5, 0.5, 0.5))
    assert twice == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert word_f1("liver", "lung") == word_f1("", "lung") == word_f1("lung", "") == (0, 0, 0)
    assert meduni_eval.open_3d_scores("Lung", "left lung")["exact_match"] == 1


def test_short_answers_and_captions_of_uni_med() -> None:
    right = uni_med.short_answer_scores("The left lung.", "left lung")
    assert (right["accuracy"], right["bleu_1"], right["bleu_2"], right["token_f1"]) == (1, 1, 1, 1)
    longer = uni_med.short_answer_scores("left lung base", "left lung")
    assert (longer["accuracy"], longer["bleu_1"]) == (0, pytest.approx(2 / 3))
    assert set(uni_med.short_answer_scores("", "left lung").values()) == {0.0}
    found = uni_med.caption_bleu(["The lungs are clear.", "", None], ["the lungs are clear", "x", "y"])
    assert found is not None
    assert found[0] == 1
    assert uni_med.caption_bleu(["", None], ["a", "b"]) is None
    assert uni_med.caption_bleu([" "], ["clear lungs"]) == (0, 0, 0, 0)  # a blank is an answer there


def test_dropping_empty_captions_raises_the_published_average():
    scores, answers = np.array([0.8, 0.0]), ["a clear chest", ""]
    assert scores.mean() == 0.4
    assert uni_med.mean_of_answered(scores, answers, ["a", "b"]) == 0.8


BOX, OTHER = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 60.0, 60.0)


def test_divisors_are_right_and_the_swapped_pair_is_there():
    found = medrega.region_scores([[Region(BOX, "liver")]], [[Region(BOX, "liver"), Region(OTHER, "spleen")]])
    assert (found.box.precision, found.box.recall, found.box.f1) == (1, 0.5, pytest.approx(2 / 3))
    assert (found.box.published_precision, found.box.published_recall) == (0.5, 1)


def test_right_places_under_wrong_names_are_no_object_hits():
    found = medrega.region_scores(
        [[Region(BOX, "spleen"), Region(OTHER, "")]], [[Region(BOX, "liver"), Region(OTHER, "cyst")]]
    )
    assert (found.box.hits, found.object.hits, found.object_box.hits, found.alignment) == (2, 0, 0, 0)
    loose = medrega.region_scores(
        [[Region(BOX, "spleen"), Region(OTHER, "")]], [[Region(BOX, "liver"), Region(OTHER, "cyst")]], published=True
    )
    assert loose.object_box.hits == 1


def test_regions_know_no_order_and_perfect_ones_score_one():
    truth = [Region(BOX, "left kidney"), Region(OTHER, "cyst")]
    found = medrega.region_scores([truth[::-1]], [truth])
    assert (found.box.f1, found.object.f1, found.object_box.f1, found.alignment) == (1, 1, 1, 1)
    assert medrega.single_region_ious([[truth[1], truth[0]], []], [truth[0], truth[0]]).tolist() == [1, 0]
    assert medrega.named_right(
        ["a cyst of the left kidney", "liver", None], ["left kidney cyst", "cyst", "x"]
    ).tolist() == [
        True,
        False,
        False,
    ]

"""M3D, MedEvalKit, Uni-Med and MedRegA by their published rules, defects included, beside ours."""

from __future__ import annotations

import numpy as np
import pytest

from vesalius.evaluation.metrics.token_overlap import token_overlap
from vesalius.evaluation.published import m3d, medevalkit, medrega, uni_med
from vesalius.evaluation.published.medrega import Region


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

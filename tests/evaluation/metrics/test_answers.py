"""Classes, labels, counts, agreement, confidence, retrieval, survival, robustness."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesalius.errors import InputError
from vesalius.evaluation.metrics.agreement import agreement
from vesalius.evaluation.metrics.calibration import brier_score, expected_calibration_error, log_loss, risk_coverage
from vesalius.evaluation.metrics.classification import (
    accuracy,
    area_under_roc,
    average_precision,
    class_scores,
    multilabel_scores,
)
from vesalius.evaluation.metrics.counting import number_scores
from vesalius.evaluation.metrics.report_labels import CHEXPERT_5, CHEXPERT_14, CT_RATE_18, label_scores
from vesalius.evaluation.metrics.retrieval import rank_candidates
from vesalius.evaluation.metrics.robustness import kept_share, option_consistency, relative_robustness
from vesalius.evaluation.metrics.survival import concordance_index

answers = st.lists(st.tuples(st.sampled_from(["A", "B", "C", None]), st.sampled_from("ABC")), min_size=1, max_size=20)


@given(answers, st.randoms())
def test_accuracy_divides_by_all_items_and_knows_no_order(pairs, shuffler):
    said, truth = zip(*pairs, strict=True)
    assert accuracy(said, truth) == sum(a == b for a, b in pairs) / len(pairs)
    found = class_scores(said, truth)
    assert accuracy(truth, truth) == class_scores(truth, truth).macro_f1 == class_scores(truth, truth).micro_f1 == 1
    shuffler.shuffle(pairs)
    again = class_scores(*zip(*pairs, strict=True))
    assert (found.labels, found.f1.tolist()) == (again.labels, again.f1.tolist())
    assert 0 <= found.macro_f1 <= 1


def test_class_averages():
    # Printed by scikit-learn 1.9.1 for the same lists.
    truth = [0, 0, 1, 1, 2, 2, 2, 3]
    said = [0, 1, 1, 1, 2, 0, 2, 2]
    found = class_scores(said, truth)
    assert found.f1 == pytest.approx([0.5, 0.8, 2 / 3, 0])
    assert found.micro_f1 == 0.625
    assert found.weighted_f1 == pytest.approx((1 + 1.6 + 2) / 8)
    assert found.balanced_accuracy == pytest.approx((0.5 + 1 + 2 / 3 + 0) / 4)


def test_what_did_not_parse_is_missed_and_claims_nothing():
    found = class_scores([None, "yes"], ["yes", "yes"], ["yes", "no"])
    assert (found.precision[0], found.recall[0]) == (1, 0.5)
    assert found.micro_f1 == pytest.approx(2 / 3)
    with pytest.raises(InputError):
        class_scores(["yes"], ["maybe"], ["yes", "no"])
    with pytest.raises(InputError):
        accuracy([], [])


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=25))
def test_area_under_roc_counts_pairs_and_average_precision_counts_steps(rows):
    scores, truth = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[truth] for b in scores[~truth]]
    assert area_under_roc(scores, truth) == (pytest.approx(np.mean(pairs)) if pairs else None)
    if truth.any():
        steps, before = 0.0, 0
        for threshold in sorted(set(scores), reverse=True):
            taken = scores >= threshold
            hits = (truth & taken).sum()
            steps += (hits - before) * hits / taken.sum()
            before = hits
        assert average_precision(scores, truth) == pytest.approx(steps / truth.sum())
    else:
        assert average_precision(scores, truth) is None


def test_labels_of_reports():
    assert (len(CHEXPERT_14), len(CHEXPERT_5), len(CT_RATE_18)) == (14, 5, 18)
    truth = [{"Edema": 1, "Fracture": 0}, {"Edema": -1}, {"Fracture": 1}]
    assert label_scores(truth, truth).macro_f1 == 1
    found = label_scores([{"Edema": 1}, None, {}], truth)
    edema = CHEXPERT_14.index("Edema")
    assert (found.precision[edema], found.recall[edema]) == (1, 0.5)
    assert label_scores([{"Edema": 1}, None, {}], truth, uncertain="absent").recall[edema] == 1
    assert found.micro_f1 == pytest.approx(2 / 4)
    with pytest.raises(InputError, match="Oedema"):
        label_scores([{"Oedema": 1}], truth[:1])
    assert multilabel_scores([[1, 0]], [[1, 1]], ["a", "b"]).hits.tolist() == [1, 0]


def test_counts_miss_when_missing_and_never_become_zero():
    found = number_scores([3, None, float("nan"), 7], [3, 0, 2, 5])
    assert (found.mae, found.mse, found.exact, found.missing) == (1, 2, 0.25, 2)
    assert number_scores([10.4], [10], tolerance=0.5).exact == 1
    assert number_scores([None], [1]).mae is None


def test_kappa():
    yes, no = "yes", "no"
    first = [yes] * 25 + [no] * 25
    second = [yes] * 20 + [no] * 5 + [yes] * 10 + [no] * 15
    found = agreement(first, second)
    assert (found.n, found.share, found.kappa) == (50, 0.7, pytest.approx(0.4))
    assert agreement([1, 2, 3], [1, 2, 3]).kappa == 1
    assert agreement([1, 1], [1, 1]).kappa == 1
    assert agreement([1, 2], [2, 1]).kappa == -1
    # Printed by scikit-learn 1.9.1 for the same lists.
    a, b = [0, 1, 2, 3, 3, 2, 1, 0], [0, 1, 2, 3, 1, 2, 2, 1]
    assert agreement(a, b, weights="linear").kappa == pytest.approx(0.555555555556)
    with pytest.raises(InputError):
        agreement([1, "a"], [1, "a"])


def test_calibration():
    assert expected_calibration_error([1.0, 1.0], [True, True]) == 0
    assert expected_calibration_error([0.8] * 10, [True] * 6 + [False] * 4) == pytest.approx(0.2)
    assert expected_calibration_error([0.6, 0.601], [True, False]) == pytest.approx((0.4 + 0.601) / 2)
    assert brier_score([0.9, 0.2], [True, False]) == pytest.approx((0.01 + 0.04) / 2)
    assert brier_score([[0.5, 0.25, 0.25]], [0]) == pytest.approx(0.25 + 0.125)
    assert log_loss([[0.5, 0.5]], [1]) == pytest.approx(np.log(2))
    assert log_loss([[1.0, 0.0]], [0]) == 0
    with pytest.raises(InputError):
        expected_calibration_error([1.2], [True])


def test_risk_falls_with_coverage_when_confidence_means_something():
    found = risk_coverage([0.9, 0.8, 0.8, 0.1], [True, True, False, False])
    assert found.coverage.tolist() == [0.25, 0.75, 1]
    assert found.risk == pytest.approx([0, 1 / 3, 0.5])
    assert found.risk_at(0.5) == pytest.approx(1 / 3)
    assert found.area == pytest.approx((0 + 2 / 3 + 0.5) / 4)
    assert risk_coverage([0.3, 0.9], [True, True]).area == 0


def test_retrieval_by_hand():
    similarity = [[0.9, 0.8, 0.7, 0.1], [0.1, 0.2, 0.3, 0.4]]
    relevant = [[False, True, False, True], [True, False, False, True]]
    found = rank_candidates(similarity, relevant)
    assert found.hit_rate(1).tolist() == [0, 1]
    assert found.recall(2).tolist() == [0.5, 0.5]
    assert found.precision(2).tolist() == [0.5, 0.5]
    assert found.average_precision() == pytest.approx([(1 / 2 + 2 / 4) / 2, (1 + 2 / 4) / 2])
    assert found.median_rank() == 1.5
    assert rank_candidates([[0.5, 0.5]], [[True, False]]).first_rank().tolist() == [2]
    out = rank_candidates([[1.0, 0.5, 0.2]], [[True, False, True]], leave_out=[[True, False, False]])
    assert out.average_precision().tolist() == [0.5]
    with pytest.raises(InputError, match="query 0"):
        rank_candidates([[1.0]], [[False]])


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 6), st.booleans()), min_size=1, max_size=15))
def test_concordance_counts_pairs(rows):
    good = total = 0.0
    for risk, time, event in rows:
        for other, later, failed in rows:
            if event and (time < later or (time == later and not failed)):
                total += 1
                good += (risk > other) + 0.5 * (risk == other)
    found = concordance_index(*(np.array(column) for column in zip(*rows, strict=True)))
    assert found == (pytest.approx(good / total) if total else None)


def test_perfect_risks_are_concordant():
    assert concordance_index([3, 2, 1], [1, 2, 3], [True, True, False]) == 1
    assert concordance_index([1, 2], [1, 2], [False, False]) is None


@pytest.mark.parametrize(("iid", "ood", "rr"), [(0.8, 0.6, 0.75), (0.5, 0.5, 1), (0.5, 0.6, 1.2), (0, 0.3, None)])
def test_relative_robustness(iid, ood, rr):
    assert relative_robustness(iid, ood) == (None if rr is None else pytest.approx(rr))
    assert kept_share(iid, ood) == (None if rr is None else pytest.approx(ood / iid))


def test_consistent_answers_keep_their_text_under_every_order():
    assert option_consistency([["liver", "lung", None], ["liver", "heart", None]]) == pytest.approx(1 / 3)
    with pytest.raises(InputError):
        option_consistency([["liver"]])

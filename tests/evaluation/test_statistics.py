"""Intervals by clusters, paired tests, several seeds."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesalius.errors import InputError, OptionError
from vesalius.evaluation.statistics import (
    bootstrap_difference,
    bootstrap_macro,
    bootstrap_mean,
    bootstrap_ratio,
    cluster_items,
    clustered_standard_error,
    holm,
    mcnemar,
    over_seeds,
    randomisation_p,
)

RNG = np.random.default_rng(3)
SCORES = RNG.random(400)
RIGHT = (RNG.random(400) < 0.7).astype(float)


@pytest.mark.parametrize("scores", [SCORES, RIGHT])
def test_an_interval_is_that_of_resampled_items(scores):
    found = bootstrap_mean(scores, resamples=4000, seed=1)
    direct = [scores[np.random.default_rng(k).integers(0, 400, 400)].mean() for k in range(4000)]
    assert found.value == scores.mean()
    assert (found.low, found.high) == pytest.approx(np.percentile(direct, (2.5, 97.5)), abs=0.003)
    assert (found.n, found.clusters, found.unit) == (400, 400, "item")


@pytest.mark.parametrize("scores", [SCORES, RIGHT])
def test_copies_leave_the_clustered_interval_and_shrink_the_naive_one(scores):
    copies = np.repeat(scores, 4)
    patients = np.repeat(np.arange(400), 4).tolist()
    clustered = bootstrap_mean(copies, cluster_items(1600, patients))
    single, naive = bootstrap_mean(scores), bootstrap_mean(copies)
    assert (clustered.low, clustered.high) == pytest.approx((single.low, single.high), abs=1e-12)
    assert (naive.high - naive.low) * 2 == pytest.approx(single.high - single.low, rel=0.1)
    error = clustered_standard_error(copies, cluster_items(1600, patients))
    assert error == pytest.approx(clustered_standard_error(scores))
    assert clustered_standard_error(copies) == pytest.approx(clustered_standard_error(scores) / 2)
    assert clustered_standard_error(scores) == pytest.approx(scores.std() / 20)


def test_the_interval_of_clusters_is_that_of_drawn_clusters():
    sizes = RNG.integers(1, 9, 60)
    patients = np.repeat(np.arange(60), sizes)
    scores = RNG.random(len(patients)) * 0.3 + (patients % 3 == 0)
    found = bootstrap_mean(scores, cluster_items(len(scores), patients.tolist()), resamples=4000)
    direct = []
    for k in range(4000):
        drawn = np.random.default_rng(k).integers(0, 60, 60)
        direct.append(np.concatenate([scores[patients == c] for c in drawn]).mean())
    assert (found.low, found.high) == pytest.approx(np.percentile(direct, (2.5, 97.5)), abs=0.02)
    assert found.unit == "patient"


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=40), st.randoms())
def test_a_seed_gives_one_answer_in_any_order(scores, shuffler):
    found = bootstrap_mean(scores, resamples=200, seed=7)
    assert found == bootstrap_mean(scores, resamples=200, seed=7)
    shuffled = scores[:]
    shuffler.shuffle(shuffled)
    again = bootstrap_mean(shuffled, resamples=200, seed=7)
    assert (again.low, again.high) == pytest.approx((found.low, found.high), abs=1e-12)


def test_one_item_and_a_constant_score_have_no_spread():
    for scores in ([0.4], [0.25] * 50, [1.0] * 3):
        found = bootstrap_mean(scores)
        assert found.low == pytest.approx(found.value) == pytest.approx(found.high)


@pytest.mark.parametrize("bad", [[], [[0.5]], [float("nan")], [1.0, float("inf")]])
def test_what_cannot_be_resampled_is_refused(bad):
    with pytest.raises(InputError):
        bootstrap_mean(bad)


def test_clusters_that_do_not_fit_and_bad_settings_are_refused():
    with pytest.raises(InputError):
        bootstrap_mean([0.5, 0.5], cluster_items(3))
    with pytest.raises(InputError):
        cluster_items(2, ["a"])
    with pytest.raises(InputError):
        cluster_items(0)
    with pytest.raises(OptionError):
        bootstrap_mean([0.5], resamples=0)
    with pytest.raises(OptionError):
        bootstrap_mean([0.5], level=95)


def test_items_belong_to_patients_then_images_then_themselves():
    found = cluster_items(5, ["p", None, "p", None, None], ["i", "i", "j", "i", None])
    assert found.codes.tolist() == [0, 1, 0, 1, 2]
    assert found.unit == "patient"


def test_a_ratio_of_sums_is_not_a_mean_of_ratios():
    found = bootstrap_ratio([2, 0, 4], [2, 10, 4])
    assert found.value == 6 / 16
    assert found.low <= found.value <= found.high
    with pytest.raises(InputError):
        bootstrap_ratio([0, 0], [0, 0])


def test_a_macro_average_resamples_within_tasks():
    found = bootstrap_macro({"a": [1.0] * 30, "b": RIGHT})
    assert found.value == pytest.approx((1 + RIGHT.mean()) / 2)
    one = bootstrap_mean(RIGHT)
    assert found.high - found.low == pytest.approx((one.high - one.low) / 2, rel=0.15)


def test_a_paired_interval_sees_what_two_intervals_do_not():
    better = np.clip(SCORES + 0.02, 0, 2)
    found = bootstrap_difference(better, SCORES)
    assert found.low > 0
    assert bootstrap_difference(SCORES, SCORES).high == 0


def test_mcnemar_is_the_binomial_of_the_discordant_pairs():
    found = mcnemar([1] * 10 + [0] * 3 + [1] * 50, [0] * 10 + [1] * 3 + [1] * 50)
    assert (found.only_first, found.only_second) == (10, 3)
    assert found.p == pytest.approx(0.09228515625)
    assert mcnemar(RIGHT, RIGHT).p == 1
    assert mcnemar([1] * 20_000, [0] * 20_000).p == pytest.approx(0, abs=1e-300)
    with pytest.raises(InputError):
        mcnemar([0.5], [1])


def test_randomisation_gives_one_for_equal_runs_and_little_for_distant_ones():
    assert randomisation_p(SCORES, SCORES) == 1
    assert randomisation_p(SCORES + 1, SCORES, trials=999) == 1 / 1000
    assert 0.05 < randomisation_p(SCORES, RNG.permutation(SCORES), seed=2) <= 1
    assert randomisation_p([1, 1, 0, 1], [0, 0, 1, 0]) == pytest.approx(10 / 16, abs=0.02)
    clusters = cluster_items(8, [k // 4 for k in range(8)])
    assert randomisation_p([1] * 8, [0] * 8, clusters) == pytest.approx(0.5, abs=0.02)


def test_holm_steps_down():
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03})
    assert found.adjusted == {"a": pytest.approx(0.03), "b": pytest.approx(0.06), "c": pytest.approx(0.06)}
    assert found.rejected == {"a": True, "b": False, "c": False}
    assert "3 comparisons" in found.note
    with pytest.raises(InputError):
        holm({"a": 1.5})


def test_several_seeds_have_a_sample_deviation_and_one_has_none():
    found = over_seeds([0.1, 0.2, 0.4])
    assert (found.mean, found.sd, found.n) == (pytest.approx(0.7 / 3), pytest.approx(0.152752523), 3)
    assert over_seeds([0.5]).sd is None
    assert str(over_seeds([0.5])) == "0.5000 (1 seed)"


def test_ten_thousand_items_are_resampled_in_a_blink():
    scores = np.random.default_rng(0).random(10_000)
    start = time.process_time()
    bootstrap_mean(scores)
    bootstrap_mean((scores < 0.6).astype(float), resamples=10_000)
    assert time.process_time() - start < 3

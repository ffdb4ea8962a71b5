"""Two runs on the same items: differences, tests, and refusals."""

from __future__ import annotations

import pytest

from tests.evaluation.scored import benchmark_of, item, stored_run
from vesalius.errors import InputError
from vesalius.evaluation.benchmarks import registry
from vesalius.evaluation.compare import compare_runs, several_seeds

SAMPLES = [item(f"q{k:02}", "open", "left lung", cluster=f"p{k // 2}") for k in range(20)]


@pytest.fixture
def named(monkeypatch):
    benchmark = benchmark_of(SAMPLES)
    monkeypatch.setattr(registry, "benchmark", lambda name: benchmark)
    monkeypatch.setattr("vesalius.evaluation.benchmarks.benchmark", lambda name: benchmark)
    return benchmark


def test_identical_runs_differ_by_nothing(tmp_path, named) -> None:
    runs = [stored_run(tmp_path / name, named, ["left lung", "liver"] * 10) for name in "ab"]
    found = compare_runs(runs[0], runs[1], resamples=50)
    assert {one.difference for one in found.differences} == {0.0}
    assert {one.p_holm for one in found.differences} == {1.0}


def test_a_better_run_is_told_with_its_test(tmp_path, named) -> None:
    first = stored_run(tmp_path / "a", named, ["liver"] * 18 + ["left lung"] * 2)
    second = stored_run(tmp_path / "b", named, ["left lung base"] * 2 + ["left lung"] * 18)
    found = {one.metric: one for one in compare_runs(first, second, resamples=200).differences}
    one = found["accuracy"]
    assert (one.first, one.second, one.test) == (0.1, 0.9, "McNemar exact")
    assert (one.only_first, one.only_second, one.clusters) == (0, 16, 10)
    assert one.p == pytest.approx(2 / 2**16)
    assert one.p_holm >= one.p
    assert one.low > 0
    assert found["token_f1"].test == "approximate randomisation"


def test_runs_of_other_items_are_refused(tmp_path, named, monkeypatch) -> None:
    first = stored_run(tmp_path / "a", named, ["liver"] * 20)
    fewer = benchmark_of(SAMPLES[:19])
    second = stored_run(tmp_path / "b", fewer, ["liver"] * 19)
    both = iter([named, fewer])
    monkeypatch.setattr("vesalius.evaluation.benchmarks.benchmark", lambda name: next(both))
    with pytest.raises(InputError, match=r"not of the same items .*'q19'"):
        compare_runs(first, second)


def test_seeds_have_a_mean_and_a_spread(tmp_path, named) -> None:
    runs = [stored_run(tmp_path / str(k), named, ["left lung"] * k + ["liver"] * (20 - k)) for k in (10, 12, 14)]
    assert several_seeds(runs)["accuracy"] == "0.6000 ± 0.1000 (3 seeds)"

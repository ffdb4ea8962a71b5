"""`vesalius score` and `vesalius compare` on stored runs."""

from __future__ import annotations

import json

import pytest

from tests.evaluation.scored import benchmark_of, item, stored_run
from vesalius.cli.main import main

SAMPLES = [item(f"q{k}", "yesno", ("yes", "no")[k % 2]) for k in range(6)]


@pytest.fixture
def runs(tmp_path, monkeypatch):
    benchmark = benchmark_of(SAMPLES)
    monkeypatch.setattr("vesalius.evaluation.benchmarks.benchmark", lambda name: benchmark)
    first = stored_run(tmp_path / "a" / "tiny", benchmark, ["yes", "no"] * 3)
    second = stored_run(tmp_path / "b" / "tiny", benchmark, ["yes", "yes"] * 3)
    return first, second


def test_scores_are_a_table_in_a_pipe_and_json_on_request(runs, capsys) -> None:
    assert main(["score", str(runs[1].parent)]) == 0
    said = capsys.readouterr().out
    assert "profile strict, n = 6" in said
    assert "baseline: always no" in said
    assert main(["score", str(runs[1]), "--json", "--profile", "tolerant"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((runs[1] / "summary.json").read_text())
    assert (told["profile"], told["overall"]["figures"][0]["value"]) == ("tolerant", 0.5)


def test_missing_answers_are_one_line_and_exit_2(runs, capsys) -> None:
    path = runs[0] / "predictions.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:5]))
    assert main(["score", str(runs[0])]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (runs[0] / "summary.json").exists()
    assert main(["score", str(runs[0]), "--partial"]) == 0
    assert "Partial: 1 of 6" in capsys.readouterr().out


def test_two_runs_are_compared(runs, capsys) -> None:
    assert main(["compare", *map(str, runs), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["differences"][0]
    assert (told["metric"], told["difference"], told["only_first"]) == ("accuracy", -0.5, 3)
    assert told["p"] == pytest.approx(0.25)
    assert main(["compare", str(runs[0])]) == 2
    assert main(["compare", *[str(run.parent) for run in runs], "--seeds"]) == 0
    assert "accuracy: 0.7500 ± 0.3536 (2 seeds)" in capsys.readouterr().out

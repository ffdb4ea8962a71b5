"""Preference training in two processes that hold shards of a real family (FSDP2, gloo) learns what it learns in one."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training import tiny
from tests.training.launched import launched
from tests.training.resumable_rewards import trained_and_logged, weights_left
from vesalius.errors import OptionError

STEPS = 4
PARTS = {
    "adapters": {"projector": "train", "language": {"mode": "lora", "rank": 4}},
    "whole": {"vision": "train", "language": "train"},
}


def _run(out: Path, data: Path, parts: str, killed_after: int = 0) -> None:
    keys = {"parts": PARTS[parts], "steps": STEPS, "save_every": 2}
    trained_and_logged("dpo", out, data, killed_after=killed_after, **keys)


@pytest.fixture(scope="module", params=list(PARTS))
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, processes: Any) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    data = tiny.write_pairs(folder / "data")  # most steps have a row without a picture in one of two processes
    made = {name: folder / name for name in ("one", "two", "two then one", "killed")}
    launched(processes, 1, _run, made["one"], data, request.param)
    launched(processes, 2, _run, made["two"], data, request.param)
    shutil.copytree(made["two"] / "checkpoint-2", made["two then one"] / "checkpoint-2")
    launched(processes, 1, _run, made["two then one"], data, request.param)
    launched(processes, 2, _run, made["killed"], data, request.param, 2, ends=-9)
    launched(processes, 2, _run, made["killed"], data, request.param)
    return made


def _log(run: Path, measure: str, held_out: bool = False) -> Any:
    log = json.loads((run / "log.json").read_text())
    return np.array([float(one[measure]) for one in log if ("eval_loss" if held_out else "grad_norm") in one])


@pytest.mark.parametrize("name", ["two", "two then one"])
def test_losses_margins_and_gradients_are_those_of_one_process(runs: dict[str, Path], name: str) -> None:
    wanted = _log(runs["one"], "loss")
    assert wanted.shape == (STEPS,)
    for measure in ("loss", "margin", "gain/chosen", "gain/rejected", "preferred"):
        np.testing.assert_allclose(_log(runs[name], measure), _log(runs["one"], measure), atol=1e-5)
    np.testing.assert_allclose(_log(runs[name], "grad_norm"), _log(runs["one"], "grad_norm"), rtol=1e-3)
    for measure in ("eval_loss", "eval_preferred"):
        np.testing.assert_allclose(_log(runs[name], measure, True), _log(runs["one"], measure, True), atol=1e-5)


def test_the_reference_is_the_start_and_the_policy_leaves_it(runs: dict[str, Path]) -> None:
    losses = _log(runs["two"], "loss")
    assert losses[0] == pytest.approx(math.log(2), abs=1e-5)
    assert float(np.abs(losses[1:] - math.log(2)).min()) > 1e-3
    assert losses[-1] < losses[0]


def test_what_is_left_is_one_file_of_the_sameweights_left(runs: dict[str, Path]) -> None:
    wanted, made = weights_left(runs["one"]), weights_left(runs["two"])
    assert wanted.keys() == made.keys()
    moved = 0.0
    for name, value in wanted.items():
        torch.testing.assert_close(made[name], value, atol=1e-3, rtol=0)
        moved = max(moved, float(value.abs().max()))
    assert moved > 0


def test_two_killed_processes_end_as_if_nothing_had_happened(runs: dict[str, Path]) -> None:
    wanted = weights_left(runs["two"])
    assert all(torch.equal(value, wanted[name]) for name, value in weights_left(runs["killed"]).items())
    for measure in ("loss", "margin", "grad_norm"):
        assert _log(runs["killed"], measure).tolist() == _log(runs["two"], measure).tolist()


def test_rows_that_cannot_be_shared_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(OptionError, match="accumulate is 4 rows a step, which 3 processes cannot share"):
        _run(tmp_path / "run", tiny.write_pairs(tmp_path / "data"), "whole")

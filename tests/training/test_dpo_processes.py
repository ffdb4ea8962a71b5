"""Preference training in two processes that hold shards of a real family (FSDP2, gloo) learns what it learns in one."""

from __future__ import annotations

import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.training import tiny
from tests.training.launched import launched
from tests.training.resumable_rewards import killed_while_writing, trained
from vesalius.errors import OptionError

STEPS = 4
PARTS = {
    "adapters": {"projector": "train", "language": {"mode": "lora", "rank": 4}},
    "whole": {"vision": "train", "language": "train"},
}


def _data(folder: Path) -> Path:
    """Pairs about pictures and about text: most steps have a row without a picture in one of two processes."""
    tiny.write_samples(folder, 3)
    pairs = [json.loads(line) for line in (tiny.FIXTURES / "preferences.jsonl").read_text().splitlines()]
    for place, pair in enumerate(pairs[:3]):
        pair["media"] = [{"kind": "image", "path": f"images/{place}.png"}]
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in pairs))
    return path


def _run(out: Path, data: Path, parts: str, killed_after: int = 0) -> None:
    if killed_after:
        killed_while_writing(killed_after)
    keys = {"parts": PARTS[parts], "steps": STEPS, "accumulate": 4, "save_every": 2, "keep": 9, "log_every": 1}
    evaluated = {"eval": {"data": [{"path": str(data)}], "every": 4, "rows": 3}}
    made, _ = trained("dpo", out, data, **keys, **evaluated)
    if os.environ.get("RANK", "0") == "0":
        (out / "log.json").write_text(json.dumps(made.log))


@pytest.fixture(scope="module", params=list(PARTS))
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, processes: Any) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    data = _data(folder / "data")
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


def _weights(run: Path) -> dict[str, torch.Tensor]:
    (file,) = (run / "final").glob("*.safetensors")
    return load_file(file)


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


def test_what_is_left_is_one_file_of_the_same_weights(runs: dict[str, Path]) -> None:
    wanted, made = _weights(runs["one"]), _weights(runs["two"])
    assert wanted.keys() == made.keys()
    moved = 0.0
    for name, value in wanted.items():
        torch.testing.assert_close(made[name], value, atol=1e-3, rtol=0)
        moved = max(moved, float(value.abs().max()))
    assert moved > 0


def test_two_killed_processes_end_as_if_nothing_had_happened(runs: dict[str, Path]) -> None:
    wanted = _weights(runs["two"])
    assert all(torch.equal(value, wanted[name]) for name, value in _weights(runs["killed"]).items())
    for measure in ("loss", "margin", "grad_norm"):
        assert _log(runs["killed"], measure).tolist() == _log(runs["two"], measure).tolist()


def test_rows_that_cannot_be_shared_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(OptionError, match="accumulate is 4 rows a step, which 3 processes cannot share"):
        _run(tmp_path / "run", _data(tmp_path / "data"), "whole")

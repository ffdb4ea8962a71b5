"""Reinforcement in two processes that hold shards of a real family (FSDP2, gloo) is what it is in one: the same
prompts, completions, rewards and advantages, the same loss."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training import tiny
from tests.training.launched import launched
from tests.training.resumable_rewards import trained_and_logged, weights_left
from tests.training.test_grpo import letters
from vesalius.errors import OptionError
from vesalius.training.rewards import registry

STEPS = 4
MEASURES = (
    "loss", "reward", "reward_std", "frac_reward_zero_std", "rewards/letters/mean",
    "rewards/answer/mean", "completions/mean_length", "completions/clipped_ratio", "num_tokens",
)  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    # Three prompts: the middle one's group lies across both processes. Rows hold two completions or fewer.
    "adapters": {"parts": {"projector": "train", "language": {"mode": "lora", "rank": 4}}, "prompts": 3},
    "whole": {"parts": {"vision": "train", "language": "train"}, "prompts": 2, "loss": "grpo", "iterations": 2,
              "mask_truncated": True},
}  # fmt: skip


def _data(folder: Path) -> Path:
    """Prompts with and without a picture."""
    path = tiny.write_samples(folder, 4)
    texts = [
        {
            "id": f"t{k}",
            "turns": [{"role": "user", "text": "Why? " * (3 + 9 * k)}, {"role": "assistant", "text": "So."}],
        }
        for k in range(3)
    ]
    path.write_text(path.read_text() + "".join(json.dumps(one) + "\n" for one in texts))
    return path


def _run(out: Path, data: Path, kind: str, killed_after: int = 0) -> None:
    registry.REWARDS = {**registry.REWARDS, "letters": letters}
    keys = {
        **KINDS[kind],
        "steps": STEPS,
        "save_every": 1,
        "max_length": 130,
        "rewards": {"letters": 1.0, "answer": 0.5},
    }
    trained_and_logged("grpo", out, data, killed_after=killed_after, **keys)


@pytest.fixture(scope="module", params=list(KINDS))
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, processes: Any) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    data = _data(folder / "data")
    made = {name: folder / name for name in ("one", "two", "two then one" if request.param == "adapters" else "killed")}
    launched(processes, 1, _run, made["one"], data, request.param)
    launched(processes, 2, _run, made["two"], data, request.param)
    if request.param == "adapters":
        shutil.copytree(made["two"] / "checkpoint-2", made["two then one"] / "checkpoint-2")
        launched(processes, 1, _run, made["two then one"], data, request.param)
    else:  # its last whole checkpoint lies between two passes over the same completions
        launched(processes, 2, _run, made["killed"], data, request.param, 1, ends=-9)
        launched(processes, 2, _run, made["killed"], data, request.param)
    return made


def _log(run: Path, measure: str, named: str = "grad_norm") -> Any:
    log = json.loads((run / "log.json").read_text())
    return np.array([float(one[measure]) for one in log if named in one and measure in one])


def _alike(runs: dict[str, Path], name: str) -> None:
    """A run measured what that of one process did."""
    assert _log(runs["one"], "loss").shape == (STEPS,)
    for measure in MEASURES:
        wanted = _log(runs["one"], measure)
        assert len(wanted), measure
        np.testing.assert_allclose(_log(runs[name], measure), wanted, atol=1e-5, err_msg=measure)
    np.testing.assert_allclose(_log(runs[name], "grad_norm"), _log(runs["one"], "grad_norm"), rtol=1e-3)
    wanted = _log(runs["one"], "eval_letters", "eval_letters")
    assert len(wanted) == 1
    np.testing.assert_allclose(_log(runs[name], "eval_letters", "eval_letters"), wanted, atol=1e-6)


def test_what_is_drawn_rewarded_and_learnt_is_that_of_one_process(runs: dict[str, Path]) -> None:
    _alike(runs, "two")


@pytest.mark.parametrize("runs", ["adapters"], indirect=True)
def test_two_go_on_as_one(runs: dict[str, Path]) -> None:
    _alike(runs, "two then one")
    # Means over backward passes, which hold other completions; here alike many tokens.
    for measure in ("kl", "entropy"):
        for name in ("two", "two then one"):
            np.testing.assert_allclose(_log(runs[name], measure), _log(runs["one"], measure), rtol=0.1, atol=1e-5)


def test_it_learns(runs: dict[str, Path]) -> None:
    assert float(_log(runs["two"], "grad_norm").max()) > 0
    assert float(_log(runs["two"], "kl")[-1]) > 0  # and is held against the start


def test_what_is_left_is_one_file_of_the_sameweights_left(runs: dict[str, Path]) -> None:
    wanted, made = weights_left(runs["one"]), weights_left(runs["two"])
    assert wanted.keys() == made.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(made[name], value, atol=1e-3, rtol=0)


@pytest.mark.parametrize("runs", ["whole"], indirect=True)
def test_two_killed_processes_end_as_if_nothing_had_happened(runs: dict[str, Path]) -> None:
    wanted = weights_left(runs["two"])
    assert all(torch.equal(value, wanted[name]) for name, value in weights_left(runs["killed"]).items())
    for measure in (*MEASURES, "kl", "entropy", "grad_norm"):
        assert _log(runs["killed"], measure).tolist() == _log(runs["two"], measure).tolist()


def test_passes_that_cannot_be_shared_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(OptionError, match="accumulate is 4 rows a step, which 3 processes cannot share"):
        _run(tmp_path / "run", _data(tmp_path / "data"), "whole")

"""Preference and reinforcement runs that were killed end as if nothing had happened, to the bit."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.training import tiny
from tests.training.resumable_rewards import STEPS, run_to_be_killed, trained
from vesalius.errors import OptionError
from vesalius.training.checkpoint import checkpoints, defect
from vesalius.training.prompt_rows import PromptRows

_TIMES = ("tokens_per_s", "memory_gb", "step_time", "_runtime", "_per_second", "train_loss")


def _data(kind: str, folder: Path) -> Path:
    return tiny.write_samples(folder, 5) if kind == "grpo" else tiny.write_pairs(folder)


def _numbers(log: Any) -> list[dict[str, Any]]:
    """What was logged, without what depends on the clock."""
    kept = [{name: value for name, value in one.items() if not name.endswith(_TIMES)} for one in log]
    return [{**one, "grad_norm": float(one["grad_norm"])} for one in kept if "grad_norm" in one]


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter_model.safetensors")


@pytest.mark.parametrize("kind", ["dpo", "grpo"])
def test_a_killed_run_ends_as_one_that_was_not(kind: str, tmp_path: Path, processes: Any) -> None:
    data = _data(kind, tmp_path / "data")
    straight, _ = trained(kind, tmp_path / "straight", data)
    killed = tmp_path / "killed"
    for step in (3, 4) if kind == "grpo" else (4,):
        child = processes.Process(target=run_to_be_killed, args=(kind, killed, data, step, torch.get_num_threads()))
        child.start()
        child.join(120)
        assert child.exitcode == -9
        assert checkpoints(killed)[0].name == f"checkpoint-{step}"
    assert list(killed.glob(".checkpoint-*"))
    resumed, said = trained(kind, killed, data)
    assert not list(killed.glob(".checkpoint-*"))
    steps = [int(line.split()[1].split("/")[0]) for line in said if line.startswith("step ")]
    assert min(steps) == 6
    assert _numbers(resumed.log) == _numbers(straight.log)
    assert len(_numbers(resumed.log)) >= STEPS // 2
    wanted = _weights(straight.folder)
    assert _weights(resumed.folder).keys() == wanted.keys()
    for name, value in _weights(resumed.folder).items():
        assert torch.equal(value, wanted[name]), name
    assert any(bool(value.any()) for name, value in wanted.items() if "lora_B" in name)

    for folder in checkpoints(killed):
        assert defect(folder) is None
        assert {path.suffix for path in folder.iterdir()} == {".json", ".safetensors"}

    # Started once more it only loads what it has.
    shutil.rmtree(resumed.folder)
    again, said = trained(kind, killed, data)
    assert not any(line.startswith("step ") for line in said)
    assert all(torch.equal(value, wanted[name]) for name, value in _weights(again.folder).items())
    assert _numbers(again.log) == _numbers(straight.log)

    # What it learnt from may not change under it.
    lines = data.read_text().splitlines()
    data.write_text("\n".join(lines[1:]) + "\n")
    with pytest.raises(OptionError, match="was trained with another data"):
        trained(kind, killed, data)


def test_prompts_go_on_where_they_were_and_fill_every_step() -> None:
    def rows() -> PromptRows:
        return PromptRows(7, prompts=2, generations=3, times=2, seed=1)

    every = [row for row, _ in zip(iter(rows()), range(20), strict=False)]
    assert every[0] == every[1] != every[2]
    assert all(len(row) == 6 and [row[0]] * 3 == row[:3] for row in every)
    passed = [row[place]["prompt"] for row in every[:6:2] for place in (0, 3)]
    assert len(set(passed)) == 6
    assert passed != [row[place]["prompt"] for row in every[6:12:2] for place in (0, 3)]
    for given in range(1, 14):
        first, second = rows(), rows()
        for _ in zip(range(given), first, strict=False):
            pass
        second.load_state_dict(first.state_dict())
        assert [row for row, _ in zip(second, range(5), strict=False)] == every[given : given + 5]


def test_processes_share_the_prompts_of_every_step_in_order() -> None:
    def rows(processes: int) -> PromptRows:
        return PromptRows(7, prompts=3, generations=2, times=4, seed=1, processes=processes)

    whole = [row for row, _ in zip(iter(rows(1)), range(12), strict=False)]
    shared = [row for row, _ in zip(iter(rows(2)), range(12), strict=False)]
    for place in range(0, 12, 2):
        assert shared[place] + shared[place + 1] == whole[place] == whole[place + 1]

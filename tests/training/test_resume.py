"""A run that was killed, stopped or hit by a bad file ends as if nothing had happened, to the bit."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback

from tests.training.resumable_run import final_state, tiny_trainer
from vesalius.errors import InputError, OptionError, StoppedError, VesaliusError
from vesalius.training.checkpoint import checkpoints, defect

STEPS = 24


def _run(out: Path, steps: int, options: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    trainer = tiny_trainer(out, steps, **options)
    try:
        trainer.train_on()
    except VesaliusError as error:
        (out / "error.txt").write_text(str(error))
        sys.exit(error.exit_code)
    state = {name: value for name, value in final_state(trainer).items() if name != "head.weight"}
    save_file(state, out / "final.safetensors")


def _started(processes: Any, out: Path, **options: Any) -> Any:
    out.mkdir(parents=True, exist_ok=True)
    child = processes.Process(target=_run, args=(out, STEPS, options))
    child.start()
    return child


def _norms(out: Path) -> dict[int, tuple[str, str]]:
    """Step → (loss, gradient norm), the last said of each step."""
    said = [json.loads(line) for line in (out / "norms.jsonl").read_text().splitlines() if line.endswith("}")]
    return {one["step"]: (one["loss"], one["norm"]) for one in said}


def _wait_for(out: Path, step: int, child: Any) -> None:
    ends = time.monotonic() + 120
    while time.monotonic() < ends and child.is_alive():
        if (out / "norms.jsonl").is_file() and max(_norms(out), default=0) >= step:
            return
        time.sleep(0.002)
    assert child.is_alive(), "the run ended before it could be disturbed"


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, processes: Any) -> Path:
    out = tmp_path_factory.mktemp("straight")
    child = _started(processes, out)
    child.join(120)
    assert child.exitcode == 0
    return out


def _assert_equal_to_the_bit(out: Path, straight: Path) -> None:
    assert _norms(out) == _norms(straight)
    made, wanted = load_file(out / "final.safetensors"), load_file(straight / "final.safetensors")
    assert made.keys() == wanted.keys()
    for name, value in wanted.items():
        assert torch.equal(made[name], value), name


def test_a_run_killed_at_random_moments_ends_as_one_that_was_not(tmp_path, processes, uninterrupted) -> None:
    dice = random.Random(11)
    out = tmp_path / "run"
    for kill in range(3):
        child = _started(processes, out, save=1, pause=0.03)
        _wait_for(out, 5 * kill + dice.randint(2, 5), child)
        time.sleep(dice.uniform(0, 0.06))
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        whole = checkpoints(out)
        assert whole
        assert all(defect(folder) is None for folder in whole)
    child = _started(processes, out, save=1)
    child.join(120)
    assert child.exitcode == 0
    assert not list(out.glob(".checkpoint-*"))
    _assert_equal_to_the_bit(out, uninterrupted)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_ends_with_its_code(tmp_path, processes, uninterrupted, number: int, code: int) -> None:
    out = tmp_path / "run"
    child = _started(processes, out, save=1000, pause=0.03)
    _wait_for(out, 4, child)
    os.kill(child.pid, number)
    child.join(60)
    assert child.exitcode == code
    (saved,) = checkpoints(out)
    step = int(saved.name.partition("-")[2])
    assert f"stopped by signal {int(number)} after step {step} of {STEPS}" in (out / "error.txt").read_text()
    child = _started(processes, out, save=1000)
    child.join(120)
    assert child.exitcode == 0
    _assert_equal_to_the_bit(out, uninterrupted)


def test_a_trainer_at_work_is_named_to_the_second(tmp_path: Path, processes: Any) -> None:
    out = tmp_path / "run"
    child = _started(processes, out, pause=0.05)
    _wait_for(out, 2, child)
    with pytest.raises(OptionError, match=f"another trainer is at work here .process {child.pid} on "):
        tiny_trainer(out, STEPS).train_on()
    os.kill(child.pid, signal.SIGKILL)
    child.join()


@pytest.mark.parametrize("log", [1, 3])
def test_a_damaged_newest_checkpoint_costs_its_steps_and_nothing_else(tmp_path: Path, log: int) -> None:
    tiny_trainer(tmp_path / "run", 4, log=log).train_on()
    with (tmp_path / "run" / "checkpoint-4" / "optimizer.safetensors").open("r+b") as stream:
        stream.seek(-3, os.SEEK_END)
        stream.write(b"\x01\x02\x03")
    told: list[str] = []
    again = tiny_trainer(tmp_path / "run", 4, log=log, report=told.append)
    again.train_on()
    assert told
    assert told[0].startswith("checkpoint-4 is damaged: optimizer.safetensors is not what was written")
    assert told[0].endswith("going back to checkpoint-2")
    fresh = tiny_trainer(tmp_path / "fresh", 4, log=log)
    fresh.train_on()
    wanted = final_state(fresh)
    assert all(torch.equal(value, wanted[name]) for name, value in final_state(again).items())
    assert _norms(tmp_path / "run") == _norms(tmp_path / "fresh")


def test_a_resumed_run_does_not_make_the_learnt_rows_again(tmp_path: Path) -> None:
    tiny_trainer(tmp_path, 6).train_on()
    again = tiny_trainer(tmp_path, 8)
    again.train_on()
    rows: Any = again.train_dataset
    assert rows.source.number >= 16
    assert rows.source.made <= 2 * 2 + 2


def test_a_run_at_its_end_is_only_loaded(tmp_path: Path) -> None:
    done = tiny_trainer(tmp_path, 4)
    done.train_on()
    again = tiny_trainer(tmp_path, 4, seed=4)
    again.train_on()
    assert again.state.global_step == 4
    assert [one["loss"] for one in again.state.log_history if "loss" in one]
    wanted = final_state(done)
    assert all(torch.equal(value, wanted[name]) for name, value in final_state(again).items())
    assert [folder.name for folder in checkpoints(tmp_path)] == ["checkpoint-4", "checkpoint-2"]


def test_other_recipes_and_data_are_refused(tmp_path: Path) -> None:
    tiny_trainer(tmp_path, 2).train_on()
    with pytest.raises(OptionError, match="checkpoint-2 was trained with another data"):
        tiny_trainer(tmp_path, 4, hashes={"recipe": "r", "data": "other"}).train_on()


def test_a_full_disk_ends_the_run_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(place)], capture_output=True)
    if made.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        with pytest.raises(OptionError, match=r"cannot be written \(No space left on device\); checkpoint-\d+ is kept"):
            tiny_trainer(place / "run", STEPS, keep=0).train_on()
        whole = checkpoints(place / "run")
        assert whole
        assert all(defect(folder) is None for folder in whole)
        assert not list((place / "run").glob(".checkpoint-*"))
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_sample(tmp_path: Path) -> None:
    trainer = tiny_trainer(tmp_path, 6, spoiled=(6,))
    with pytest.raises(
        InputError, match=r"the loss of step 3 is not finite \(samples row-6; all in not_finite.jsonl\)"
    ):
        trainer.train_on()
    assert all(bool(torch.isfinite(value).all()) for name, value in final_state(trainer).items() if "norm" not in name)
    (line,) = (tmp_path / "not_finite.jsonl").read_text().splitlines()
    assert json.loads(line)["samples"] == ["row-6"]
    assert [folder.name for folder in checkpoints(tmp_path)] == ["checkpoint-2"]


def test_by_policy_the_step_is_left_out_and_counted_up_to_a_limit(tmp_path: Path) -> None:
    told: list[str] = []
    trainer = tiny_trainer(tmp_path / "skip", 4, spoiled=(3,), nonfinite="skip", report=told.append)
    before = final_state(tiny_trainer(tmp_path / "one", 1))
    trainer.train_on()
    assert told == ["step 2 is left out: its loss or gradient is not finite (not_finite.jsonl)"]
    assert trainer.guard.skipped == 1
    weights = {name: value for name, value in final_state(trainer).items() if "norm" not in name}
    assert all(bool(torch.isfinite(value).all()) for value in weights.values())
    assert not torch.equal(weights["first.weight"], before["first.weight"])
    limited = tiny_trainer(tmp_path / "limit", 9, spoiled=(1, 5, 9), nonfinite="skip", limit=2)
    with pytest.raises(InputError, match="after 2 skipped steps, the limit"):
        limited.train_on()
    lines = [json.loads(line) for line in (tmp_path / "limit" / "not_finite.jsonl").read_text().splitlines()]
    assert [(line["step"], line["done"]) for line in lines] == [(1, "skipped"), (3, "skipped"), (5, "stopped")]


def test_a_left_out_step_changes_no_weight(tmp_path: Path) -> None:
    seen: list[dict[str, torch.Tensor]] = []
    trainer = tiny_trainer(tmp_path, 2, spoiled=(3,), nonfinite="skip", report=lambda line: None)

    class Keep(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            seen.append(final_state(trainer))

    trainer.add_callback(Keep())
    trainer.train_on()
    first, second = seen
    assert all(torch.equal(first[name], value) for name, value in second.items() if "norm" not in name)


def test_a_signal_in_the_same_process_raises_interrupted(tmp_path: Path) -> None:
    trainer = tiny_trainer(tmp_path, 6)

    class Stop(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == 2:
                os.kill(os.getpid(), signal.SIGTERM)

    trainer.add_callback(Stop())
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(StoppedError) as caught:
        trainer.train_on()
    assert caught.value.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) is before
    assert checkpoints(tmp_path)[0].name == "checkpoint-3"

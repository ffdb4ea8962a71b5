"""Several processes with slices of the model (FSDP2, gloo) train as one does, and go on from each other's work."""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.training.resumable_run import tiny_trainer

STEPS = 6


def _run(process: int, processes: int, port: int, out: Path) -> None:
    torch.set_num_threads(1)
    os.environ.update(
        RANK=str(process), LOCAL_RANK=str(process), WORLD_SIZE=str(processes), LOCAL_WORLD_SIZE=str(processes),
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), ACCELERATE_USE_CPU="true",
    )  # fmt: skip
    trainer = tiny_trainer(out, STEPS, accumulate=2 // processes, dropout=0.0, save=3, keep=0, fsdp=True)
    trainer.train_on()
    model: Any = trainer.model
    kinds = {type(value).__name__ for value in model.parameters()}
    (out / f"kinds-{process}.json").write_text(json.dumps(sorted(kinds)))
    torch.distributed.destroy_process_group()


def _together(context: Any, out: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = [context.Process(target=_run, args=(number, 2, port, out)) for number in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(180)
    assert [child.exitcode for child in children] == [0, 0]


def _alone(out: Path) -> None:
    tiny_trainer(out, STEPS, accumulate=2, dropout=0.0, save=3, keep=0).train_on()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, processes: Any) -> dict[str, Path]:
    """One process alone, two together, and each going on from the other's checkpoint of the middle."""
    folder = tmp_path_factory.mktemp("runs")
    made = {name: folder / name for name in ("one", "two", "one then two", "two then one")}
    _alone(made["one"])
    _together(processes, made["two"])
    for first in ("one", "two"):
        then = made[f"{first} then {'two' if first == 'one' else 'one'}"]
        shutil.copytree(made[first] / "checkpoint-3", then / "checkpoint-3")
    _together(processes, made["one then two"])
    _alone(made["two then one"])
    return made


def _log(run: Path) -> dict[int, tuple[float, float]]:
    said = [json.loads(line) for line in (run / "norms.jsonl").read_text().splitlines()]
    return {one["step"]: (float.fromhex(one["loss"]), float.fromhex(one["norm"])) for one in said}


@pytest.mark.parametrize("name", ["two", "one then two", "two then one"])
def test_loss_and_gradient_norm_of_every_step_are_those_of_one_process(runs: dict[str, Path], name: str) -> None:
    wanted, made = _log(runs["one"]), _log(runs[name])
    assert set(made) == (set(wanted) if name == "two" else {4, 5, 6})
    for step, numbers in made.items():
        assert numbers == pytest.approx(wanted[step], abs=1e-5)


@pytest.mark.parametrize("name", ["two", "one then two", "two then one"])
def test_the_end_is_the_same_and_one_file(runs: dict[str, Path], name: str) -> None:
    last = runs[name] / "checkpoint-6"
    assert [path.name for path in last.glob("model*")] == ["model.safetensors"]
    made, wanted = load_file(last / "model.safetensors"), load_file(runs["one"] / "checkpoint-6" / "model.safetensors")
    assert made.keys() == wanted.keys()
    for key, value in wanted.items():
        if "running" not in key and "num_batches" not in key:  # each process has its own
            torch.testing.assert_close(made[key], value, atol=1e-5, rtol=0)


def test_the_data_stand_where_they_stand_for_one_process(runs: dict[str, Path]) -> None:
    places = {name: json.loads((run / "checkpoint-6" / "about.json").read_text()) for name, run in runs.items()}
    assert all(place["position"] == places["one"]["position"] for place in places.values())
    assert {name: place["processes"] for name, place in places.items()} == {
        "one": 1, "two": 2, "one then two": 2, "two then one": 1
    }  # fmt: skip


def test_the_model_really_was_sharded(runs: dict[str, Path]) -> None:
    for process in range(2):
        assert json.loads((runs["two"] / f"kinds-{process}.json").read_text()) == ["DTensor"]

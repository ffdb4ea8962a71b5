"""A recipe in two processes that hold slices of a real family (FSDP2, gloo) learns what it learns in one."""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import vesalius
from tests.training import tiny
from vesalius.errors import OptionError
from vesalius.training.processes import Processes
from vesalius.training.recipe_reading import filled
from vesalius.training.recipe_sft import SftRecipe, check_recipe
from vesalius.training.sft import train_sft

STEPS = 4


def _recipe(out: Path, data: Path) -> SftRecipe:
    keys = {
        "model": str(tiny.FIXTURES / "hulumed" / "qwen2_hf"), "out": str(out), "data": [{"path": str(data)}],
        "prepare": {"max_tokens": 16}, "parts": {"vision": "train", "projector": "train", "language": "train"},
        "max_length": 256, "look_ahead": 4, "steps": STEPS, "accumulate": 2, "learning_rate": 1e-3, "warmup": 0,
        "precision": "float32", "device": "cpu", "save_every": 2, "keep": 5, "log_every": 1, "report_to": [],
    }  # fmt: skip
    return check_recipe(filled(SftRecipe, keys, "recipe"), "recipe")


def _data(folder: Path) -> Path:
    """Pictures and texts: most steps have a row without a picture in one of two processes."""
    path = tiny.write_samples(folder, 6)
    texts = [
        {"id": f"t{k}", "turns": [{"role": "user", "text": "Why? " * (20 + k)}, {"role": "assistant", "text": "So."}]}
        for k in range(6)
    ]
    path.write_text(path.read_text() + "".join(json.dumps({**one, "tags": {"task": "talk"}}) + "\n" for one in texts))
    return path


def _run(process: int, processes: int, port: int, out: Path, data: Path) -> None:
    torch.set_num_threads(1)
    if processes > 1:
        os.environ.update(
            RANK=str(process), LOCAL_RANK=str(process), WORLD_SIZE=str(processes), LOCAL_WORLD_SIZE=str(processes),
            MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), ACCELERATE_USE_CPU="true",
        )  # fmt: skip
    done = train_sft(_recipe(out, data), lambda line: None)
    numbers = [[one["step"], one["loss"], float(one["grad_norm"])] for one in done.log if "grad_norm" in one]
    norms = [[one["grad_norm/vision"], one["grad_norm/language"]] for one in done.log if "grad_norm" in one]
    if process == 0:
        (out / "log.json").write_text(json.dumps({"log": numbers, "parts": norms}))
    if processes > 1:
        torch.distributed.destroy_process_group()


def _train(context: Any, processes: int, out: Path, data: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = [context.Process(target=_run, args=(k, processes, port, out, data)) for k in range(processes)]
    for child in children:
        child.start()
    for child in children:
        child.join(240)
    assert [child.exitcode for child in children] == [0] * processes


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, processes: Any) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sft")
    data = _data(folder / "data")
    made = {name: folder / name for name in ("one", "two", "two then one")}
    _train(processes, 1, made["one"], data)
    _train(processes, 2, made["two"], data)
    shutil.copytree(made["two"] / "checkpoint-2", made["two then one"] / "checkpoint-2")
    _train(processes, 1, made["two then one"], data)
    return made


def _log(run: Path) -> Any:
    return np.array(json.loads((run / "log.json").read_text())["log"])


@pytest.mark.parametrize("name", ["two", "two then one"])
def test_losses_and_gradients_are_those_of_one_process(runs: dict[str, Path], name: str) -> None:
    wanted, made = _log(runs["one"]), _log(runs[name])
    assert wanted.shape == (STEPS, 3)
    np.testing.assert_allclose(made[:, 1], wanted[:, 1], atol=1e-5)
    np.testing.assert_allclose(made[:, 2], wanted[:, 2], rtol=1e-3)


def test_the_norm_of_every_part_is_that_of_the_whole(runs: dict[str, Path]) -> None:
    parts = {name: np.array(json.loads((runs[name] / "log.json").read_text())["parts"]) for name in ("one", "two")}
    assert float(parts["one"].max(0).min()) > 0  # a step may show no picture
    np.testing.assert_allclose(parts["two"], parts["one"], rtol=1e-3)


def test_what_is_left_is_one_checkpoint_that_loads(runs: dict[str, Path]) -> None:
    whole = {name: load_file(runs[name] / "checkpoint-4" / "model.safetensors") for name in ("one", "two")}
    assert {key: value.shape for key, value in whole["one"].items()} == {
        key: value.shape for key, value in whole["two"].items()
    }
    one, two = (vesalius.load(str(runs[name] / "final"), device="cpu", dtype="float32") for name in ("one", "two"))
    asked = tiny.conversation("hulumed", "a cyst")
    batch = one.prepare(asked, max_tokens=16)
    assert float((one.logits(batch) - two.logits(batch)).abs().max()) < 1e-2


def test_rows_that_cannot_be_shared_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    here = Processes.here()
    assert (here.first, here.rows_each(6)) == (False, 2)
    with pytest.raises(OptionError, match="accumulate is 8 rows a step, which 3 processes cannot share"):
        here.rows_each(8)
    monkeypatch.setenv("RANK", "3")
    with pytest.raises(OptionError, match="ranks count from 0"):
        Processes.here()

"""The starter learns from anyone's data: the adapter or the whole weights load again and answer differently."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import vesalius
from vesalius.cli.main import main
from vesalius.errors import CheckpointError
from vesalius.inference.identity import identify
from vesalius.models.starter.starter import WEIGHTS
from vesalius.phantoms import draw_picture
from vesalius.training.recipe_reading import filled
from vesalius.training.recipe_sft import SftRecipe, check_recipe
from vesalius.training.sft import train_sft

QUESTION = "Which modality is this?"
LORA = {"projector": "train", "language": {"mode": "lora", "rank": 4, "alpha": 8}}
pytestmark = pytest.mark.skipif(not (WEIGHTS / "config.json").is_file(), reason="no trained starter here")


@pytest.fixture(scope="module")
def data(starter_base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures whose answers no starter gives."""
    folder = tmp_path_factory.mktemp("data")
    rows: list[str] = []
    for seed in range(3):
        Image.fromarray(draw_picture(seed, "ct", (64, 64)).pixels).save(folder / f"{seed}.png")
        turns = [{"role": "user", "text": QUESTION}, {"role": "assistant", "text": "protocol seven"}]
        rows.append(json.dumps({"id": f"s{seed}", "media": [{"kind": "image", "path": f"{seed}.png"}], "turns": turns}))
    (folder / "samples.jsonl").write_text("\n".join(rows) + "\n")
    return folder


def trained(data: Path, out: Path, parts: dict[str, Any], steps: int, rate: float) -> tuple[Path, list[float]]:
    given = {
        "model": "starter", "out": str(out), "data": [{"path": str(data / "samples.jsonl")}], "parts": parts,
        "steps": steps, "max_length": 160, "precision": "float32", "device": "cpu", "report_to": [], "warmup": 0,
        "learning_rate": rate, "log_every": 1, "look_ahead": 4, "schedule": "constant",
    }  # fmt: skip
    made = train_sft(check_recipe(filled(SftRecipe, given, "recipe"), "recipe"), lambda line: None)
    return made.folder, [entry["loss"] for entry in made.log if "loss" in entry]


def said(model: Any, data: Path) -> str:
    return model.ask(data / "0.png", QUESTION, max_new_tokens=4).text


@pytest.fixture(scope="module")
def untrained(data: Path) -> str:
    """What the starter says."""
    return said(vesalius.load("starter"), data)


def test_an_adapter_of_the_starter_answers_as_it_was_taught_here_and_elsewhere(
    data: Path, untrained: str, tmp_path: Path
) -> None:
    folder, losses = trained(data, tmp_path / "run", LORA, 8, 3e-3)
    assert losses[-1] < 0.5 * losses[0]
    adapted = vesalius.load("starter", adapter=folder)
    answer = said(adapted, data)
    assert answer.startswith("protocol")
    assert answer != untrained
    asked = [sys.executable, "-m", "vesalius", "ask", str(data / "0.png"), QUESTION]
    asked += ["--model", str(folder), "--max-new-tokens", "4", "--json"]
    elsewhere = subprocess.run(asked, check=True, capture_output=True, text=True, cwd=tmp_path)
    assert json.loads(elsewhere.stdout)["answer"] == answer
    identity = identify(str(folder))
    assert (identity.name, identity.adapter) == ("starter", "final")
    assert identity.adapter_sha256 != identify("starter").adapter_sha256
    merged = tmp_path / "merged"
    assert main(["convert", "starter", str(merged), "--to", "same", "--adapter", str(folder)]) == 0
    one = vesalius.load(str(merged))
    batch = one.prepare([{"role": "user", "content": QUESTION}])
    assert torch.allclose(one.logits(batch), adapted.logits(batch), atol=1e-3)
    with pytest.raises(CheckpointError, match=r"another base \(starter\)"):
        vesalius.load(str(merged), adapter=folder)


def test_the_whole_starter_is_trained_saved_and_loaded(data: Path, untrained: str, tmp_path: Path) -> None:
    folder, losses = trained(data, tmp_path / "run", {"projector": "train", "language": "train"}, 3, 3e-4)
    assert losses[-1] < losses[0]
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "say.safetensors", "see.safetensors"]
    model: Any = vesalius.load(str(folder))
    assert said(model, data) != untrained
    batch = model.prepare([{"role": "user", "content": QUESTION}])
    before = model.logits(batch)
    assert model.family.model is not None  # from here on answers come from the modules that training takes
    assert torch.allclose(before, model.logits(batch), atol=1e-3)

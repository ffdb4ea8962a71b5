"""The page on fine-tuning: its code and commands are taken from the page and run, on a tiny checkpoint."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.models.parity import ROOT
from tests.training.tiny import FIXTURES
from vesalius.cli.main import main

PAGE = (ROOT / "docs" / "fine-tuning.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"```(python|sh|yaml)[^\n]*\n(.*?)```", PAGE, re.DOTALL)
TINY = str(FIXTURES / "hulumed" / "qwen2_hf")
SMALL = ["precision=float32", "device=cpu", "steps=8", "log_every=2", "eval.every=4", "eval.rows=3",
         "parts.language.learning_rate=0.01", "warmup=0", "max_length=512", "prepare={max_tokens: 16}",
         "report_to=[tensorboard]"]  # fmt: skip


def test_the_tutorial_is_forty_lines() -> None:
    lines = [line for _, block in BLOCKS for line in block.splitlines() if line.strip()]
    assert len(lines) <= 40, len(lines)


def test_from_a_folder_to_an_adapter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    made: dict[str, Any] = {}
    for kind, block in BLOCKS:
        block = block.replace("model: starter", f"model: {TINY}").replace("convert starter", f"convert {TINY}")
        if kind == "yaml":
            Path("my.yaml").write_text(block, encoding="utf-8")
        elif kind == "python":
            exec(compile(block, "page.py", "exec"), made)
        else:
            for line in block.splitlines():
                command = shlex.split(line)[1:]
                assert main([*command, *(SMALL if command[0] == "train" else [])]) == 0, line
    said = capsys.readouterr()
    losses = [float(one) for one in re.findall(r"\| loss ([\d.]+)", said.err)]
    assert losses[-1] < losses[0]
    assert Path("runs/mine/card.html").is_file()
    assert Path("runs/mine/curves.png").is_file()
    assert list(Path("runs/mine/tensorboard").glob("events*"))
    import vesalius

    merged = vesalius.load("runs/merged", device="cpu", dtype="float32")
    asked = made["model"].ask("my-data/0.png", "Which modality is this?", max_new_tokens=4).text
    assert merged.ask("my-data/0.png", "Which modality is this?", max_new_tokens=4).text == asked

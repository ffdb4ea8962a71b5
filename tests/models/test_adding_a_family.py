"""The page on adding a family: its code is taken from the page and run."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import vesalius
from tests.models.parity import ROOT
from vesalius.cli.main import main
from vesalius.errors import CheckpointError, InputError, OptionError
from vesalius.findings.findings import Box
from vesalius.models.convert import convert
from vesalius.models.registry import FAMILIES

PAGE = (ROOT / "docs" / "adding-a-family.md").read_text(encoding="utf-8")
FILE, LINE, USE = re.findall(r"```python title=.*?\n(.*?)```", PAGE, re.DOTALL)


def spot(page: dict[str, Any], corner: int) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    picture, _ = page["spot"](corner, 5000 + corner)
    x, y = 40.0 * (corner % 2), 40.0 * (corner // 2)
    return picture, (x, y, x + 40, y + 40)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the page's code leaves behind, run from top to bottom in a folder of its own."""
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(FAMILIES):  # what the page adds is taken out again
            patch.setitem(FAMILIES, name, FAMILIES[name])
        patch.setitem(FAMILIES, "thumb", FAMILIES["starter"])
        module = ModuleType("vesalius.models.thumb")
        patch.setitem(sys.modules, module.__name__, module)
        patch.chdir(folder)
        made: dict[str, Any] = {}
        exec(compile(FILE, "thumb.py", "exec"), module.__dict__)
        exec(compile(LINE, "registry.py", "exec"), made)
        torch.set_grad_enabled(True)
        exec(compile(USE, "use.py", "exec"), made)
        yield {**made, "folder": folder / "thumb-tiny"}


def test_a_whole_family_is_at_most_80_lines() -> None:
    assert len(FILE.splitlines()) <= 80
    assert len([line for line in (FILE + LINE).splitlines() if line.strip()]) <= 80


def test_what_the_page_prints_is_so(page: dict[str, Any]) -> None:
    (box,) = page["answer"].findings
    assert (box.label, box.x0, box.y0, box.x1, box.y1) == ("spot", 0, 40, 40, 80)


def test_it_finds_spots_it_has_not_seen_in_original_pixels(page: dict[str, Any]) -> None:
    model: Any = vesalius.load(str(page["folder"]), device="cpu")
    for corner in range(4):
        picture, expected = spot(page, corner)
        large = np.kron(picture, np.ones((3, 3), np.uint8))
        for shown, scale in ((picture, 1), (large, 3)):
            (box,) = model.ask(shown, "Where?", max_new_tokens=48).findings
            assert (box.x0, box.y0, box.x1, box.y1) == pytest.approx([side * scale for side in expected])


def test_prepare_logits_stream_and_batch_agree(page: dict[str, Any]) -> None:
    model: Any = vesalius.load(str(page["folder"]), device="cpu")
    pictures = [spot(page, corner)[0] for corner in (0, 3)]
    asked = [{"role": "user", "content": [{"type": "image", "image": pictures[0]}, {"type": "text", "text": "Where?"}]}]
    batch = model.prepare(asked)
    assert model.logits(batch).shape == (1, 1 + batch["input_ids"].shape[1], 257)
    alone = [model.ask(one, "Where?", max_new_tokens=48) for one in pictures]
    assert chr(int(model.logits(batch)[0, -1].argmax())) == alone[0].text[0]
    together = model.ask_batch([(one, "Where?") for one in pictures], max_new_tokens=48)
    assert [one.text for one in together] == [one.text for one in alone]
    *pieces, last = model.stream(pictures[0], "Where?", max_new_tokens=48)
    assert "".join(pieces) == last.text == alone[0].text


def test_its_faults_are_clear_errors(page: dict[str, Any], tmp_path: Path) -> None:
    model: Any = vesalius.load(str(page["folder"]), device="cpu")
    with pytest.raises(InputError, match="one picture"):
        model.ask(None, "Where?")
    with pytest.raises(OptionError, match="no options"):
        model.ask(spot(page, 0)[0], "Where?", max_pixels=3)
    (tmp_path / "config.json").write_bytes((page["folder"] / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes((page["folder"] / "model.safetensors").read_bytes()[:-9])
    with pytest.raises(CheckpointError, match="cut off"):
        vesalius.load(str(tmp_path))


def test_conversion_and_the_list_of_models_know_it(
    page: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    convert(page["folder"], tmp_path / "clean")
    convert(tmp_path / "clean", tmp_path / "back")
    picture, expected = spot(page, 1)
    for folder in ("clean", "back"):
        (box,) = vesalius.load(str(tmp_path / folder), device="cpu").ask(picture, "Where?", max_new_tokens=48).findings
        assert isinstance(box, Box)
        assert (box.x0, box.y0, box.x1, box.y1) == expected
    assert main(["models", "thumb"]) == 0
    assert "thumb-tiny" in capsys.readouterr().out
    network = page["network"]
    (weights,) = FAMILIES["thumb"].weights
    assert weights.parameters == sum(one.numel() for one in network.parameters())
    layers = [one for one in network.llm.model.modules() if isinstance(one, torch.nn.Linear)]
    assert weights.in_layers == sum(one.weight.numel() for one in layers)

"""device_map: parts of a language model on disk, what cannot be said or done refused."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import vesalius
from tests.models.sharded import TINY, copied, question, stored, tiny
from vesalius import limits
from vesalius.errors import CheckpointError, LimitError, OptionError, UnsupportedError
from vesalius.models.placement import LanguageTower, Placement, _greedy

TOWERS = {
    "medmo": ("model.language_model", "lm_head"),
    "qwen2_5_vl": ("model.language_model", "lm_head"),
    "citrusv": ("mllm.model.language_model", "mllm.lm_head"),
    "hulumed": ("model", "lm_head"),
    "medmvl": ("llm.model", "llm.lm_head"),
    "medmvl_3d": ("llm.model", "llm.lm_head"),
}


def on_disk(family: str) -> dict[str, str]:
    text, head = TOWERS[family]
    return {"": "cpu", f"{text}.layers.1": "disk", f"{text}.embed_tokens": "disk", head: "disk"}


def load(folder: Path, **options: Any) -> Any:
    return vesalius.load(str(folder), dtype="float32", **options)


@pytest.mark.parametrize("family", list(TINY))
def test_layers_embeddings_and_head_on_disk_compute_the_same(family: str) -> None:
    model = load(tiny(family), device_map=on_disk(family))
    text, head = TOWERS[family]
    module = model.family.model
    moved = {name for name, p in module.named_parameters(remove_duplicate=False) if p.is_meta}
    assert moved
    assert {name.removeprefix(f"{text}.").split(".")[0] for name in moved if name.startswith(text)} >= {"layers"}
    plain = load(tiny(family), device="cpu")
    for _ in range(2):  # a second pass reads again
        batch = model.prepare(question(family))
        assert torch.equal(model.logits(batch), plain.logits(batch))
    assert {name for name, p in module.named_parameters(remove_duplicate=False) if p.is_meta} == moved
    asked = [one.ask(question(family), max_new_tokens=4).text for one in (model, plain)]
    assert asked[0] == asked[1]
    assert head in {name.rsplit(".", 1)[0] for name in moved} or module.get_submodule(head).weight.is_meta


def test_a_tied_head_goes_where_the_embeddings_go(tmp_path: Path) -> None:
    tensors = {name: value for name, value in stored("hulumed").items() if name != "lm_head.weight"}
    folder = copied("hulumed", tmp_path / "c", tensors)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": True}))
    plain = load(folder, device="cpu")
    batch = plain.prepare(question("hulumed"))
    moved = load(folder, device_map={"": "cpu", "model.embed_tokens": "disk"})
    assert moved.family.model.lm_head.weight.is_meta
    assert torch.equal(moved.logits(batch), plain.logits(batch))


def test_auto_keeps_what_fits_and_leaves_the_rest_on_disk() -> None:
    plain = load(tiny("medmo"), device="cpu")
    size = sum(p.numel() * 4 for p in plain.family.model.parameters())
    batch = plain.prepare(question("medmo"))
    whole = load(
        tiny("medmo"),
        device_map="auto",
    )
    assert not any(p.is_meta for p in whole.family.model.parameters())
    with limits.using(replace(limits.current(), max_model_bytes=int(size * 0.8))):
        part = load(tiny("medmo"), device_map="auto")
    kept = sum(p.numel() * 4 for p in part.family.model.parameters() if not p.is_meta)
    assert 0 < kept <= 0.8 * size
    assert torch.equal(part.logits(batch), plain.logits(batch))
    with (
        limits.using(replace(limits.current(), max_model_bytes=size // 10)),
        pytest.raises(LimitError, match=r"at least .* at a time, .* are available"),
    ):
        load(tiny("medmo"), device_map="auto")


def test_a_device_may_be_the_whole_map() -> None:
    model = load(tiny("medmo"), device_map="cpu")
    assert not hasattr(model.family.model.model.language_model.layers[0], "_hf_hook")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"": "cpu", "model.language_model.layer.1": "disk"}, r"does not have.*Did you mean model\.language_model"),
        ({"": "cpu", "xyzzy": "disk"}, "It has model, lm_head"),
        ({"": "quantum"}, "'quantum' is unknown"),
        ({"": "cuda:0"}, "no CUDA device"),
        ({"": "mps"}, "not supported"),
        ({"model.language_model": "cpu"}, r"nothing of lm_head.*Add \"\""),
        ({"": "cpu", "model.visual": "disk"}, r"puts model\.visual on disk; only"),
        ("quantum", "'quantum' is unknown"),
        ('{"": "cpu"}', "a mapping written as text"),
    ],
)
def test_a_map_that_cannot_be_is_refused(given: Any, said: str) -> None:
    if torch.cuda.is_available() and "CUDA" in said:
        pytest.skip("there is one")
    with pytest.raises(OptionError, match=said):
        load(tiny("medmo"), device_map=given)


def test_device_and_map_together_are_refused() -> None:
    with pytest.raises(OptionError, match="both"):
        load(tiny("medmo"), device="cpu", device_map="auto")


def test_without_accelerate_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(UnsupportedError, match=r"vesalius\[offload\]"):
        load(tiny("medmo"), device_map=on_disk("medmo"))


def test_the_checkpoint_must_stay_while_parts_are_on_disk(tmp_path: Path) -> None:
    folder = copied("medmo", tmp_path / "c")
    model = load(folder, device_map=on_disk("medmo"))
    batch = model.prepare(question("medmo"))
    shutil.rmtree(folder)
    with pytest.raises(CheckpointError, match="cannot be read"):
        model.logits(batch)


def test_layers_fill_devices_in_order_and_never_go_back() -> None:
    room = {torch.device("cuda", 0): 25, torch.device("cuda", 1): 20, torch.device("cpu"): 11}
    sizes = {"embed": 10, "0": 10, "1": 10, "2": 10, "3": 10, "4": 10, "5": 1}
    assert list(_greedy(sizes, room).values()) == ["cuda:0"] * 2 + ["cuda:1"] * 2 + ["cpu", "disk", "disk"]


def test_needs_count_by_device_and_once_more_for_the_largest_brought_in() -> None:
    placed = Placement(torch.device("cuda", 0), {"t.layers.0": "cpu", "t.layers.1": "cuda:1", "h": "disk"})
    sizes = {"v.w": 5, "t.layers.0.w": 7, "t.layers.1.w": 11, "h.w": 13, "t.layers.10.w": 2}
    assert placed.needed(sizes) == {
        torch.device("cuda", 0): 5 + 2 + 13,
        torch.device("cpu"): 7,
        torch.device("cuda", 1): 11,
    }
    assert LanguageTower("t", "h").units(torch.nn.ModuleDict({
        "t": torch.nn.ModuleDict({"layers": torch.nn.ModuleList([torch.nn.Identity()])}), "h": torch.nn.Identity(),
    })) == ["t.embed_tokens", "t.layers.0", "h"]  # fmt: skip

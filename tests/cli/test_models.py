"""`vesalius models`: the table, one family in full, and that what is listed is so."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vesalius
from vesalius.cli.main import main
from vesalius.models.family_card import CAPABILITIES
from vesalius.models.registry import FAMILIES

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
SHOWN: dict[str, str] = {
    "medmo": "medmo/qwen3vl_tiny",
    "qwen2_5_vl": "medmo/qwen25vl_tiny",
    "citrusv": "citrusv/citrusv_tiny",
    "hulumed": "hulumed/qwen2_hf",
}
PARTS: dict[str, dict[str, Any]] = {
    "2D": {"type": "image", "image": np.zeros((60, 70), np.uint8)},
    "video": {"type": "video", "video": np.zeros((4, 56, 56, 3), np.uint8)},
}


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main(["models", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_every_checkpoint_has_one_line_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.split("\n\n")[0].splitlines()
    checkpoints = [one for card in FAMILIES.values() for one in card.weights]
    assert len(lines) == 1 + len(checkpoints)
    hulu = next(line for line in lines if "Hulu-Med-7B" in line)
    assert all(part in hulu for part in ("8.04 B", "32.2 GB", "16.1 GB", "6.3 GB", "3D video", "ZJU-AI4H/Hulu-Med-7B"))
    assert not any("…" in line or "\x1b" in line for line in lines)


def test_a_terminal_gets_a_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "220")
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    assert "─" in out
    assert "Citrus-V-8B" in out


def test_json_is_what_the_cards_say(capsys: pytest.CaptureFixture[str]) -> None:
    cards = told(capsys)
    assert [card["name"] for card in cards] == list(FAMILIES)
    for card in cards:
        assert tuple(card["can"]) == FAMILIES[card["name"]].can
        assert set(card["can"]) <= set(CAPABILITIES)
        for one in card["checkpoints"]:
            assert set(one["can"]) <= set(card["can"])
            if "4-bit" in one["memory_bytes"]:
                assert one["memory_bytes"]["4-bit"] < one["memory_bytes"]["bfloat16"] == 2 * one["parameters"]
    assert not next(card for card in cards if card["name"] == "starter")["converts"]


def test_one_family_in_full_names_its_quirks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "hulumed"]) == 0
    out = capsys.readouterr().out
    assert all(f"{name}: " in out for name in FAMILIES["hulumed"].quirks().explained())
    assert told(capsys, "hulumed")["quirks"] == FAMILIES["hulumed"].quirks().explained()


def test_a_family_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "hulu-med"]) == 2
    assert "Did you mean hulumed?" in capsys.readouterr().err


@pytest.mark.parametrize("family", SHOWN)
def test_what_a_family_is_said_to_read_it_reads(family: str) -> None:
    can = FAMILIES[family].can
    model: Any = vesalius.load(str(FIXTURES / SHOWN[family]), device="cpu")
    volume = vesalius.read(np.zeros((40, 42, 3), np.int16), affine=np.eye(4))
    parts: list[list[dict[str, Any]]] = [[PARTS[name]] for name in ("2D", "video") if name in can]
    if "3D" in can:
        parts.append([{"type": "volume", "volume": volume, "num_slices": 2}])
    if "text" in can:
        parts.append([])
    for shown in parts:
        batch = model.prepare([{"role": "user", "content": [*shown, {"type": "text", "text": "What is it?"}]}])
        assert bool(torch.isfinite(model.logits(batch)).all())
    assert ("think" in can) == hasattr(model.family, "split_thinking")


@pytest.mark.parametrize(
    ("family", "text"),
    [
        ("medmo", "lung <box>[[100, 100, 500, 600]]</box>"),
        ("qwen2_5_vl", '[{"bbox_2d": [1, 1, 20, 20], "label": "lung"}]'),
        ("citrusv", '[{"bbox_2d": [1, 1, 20, 20], "label": "lung"}]'),
        ("hulumed", "lung <box>[[100, 100, 500, 600]]</box>"),
    ],
)
def test_boxes_are_said_to_be_found_where_they_are(family: str, text: str) -> None:
    model: Any = vesalius.load(str(FIXTURES / SHOWN[family]), device="cpu")
    asked = [{"role": "user", "content": [PARTS["2D"], {"type": "text", "text": "Where?"}]}]
    list(model.family.say(batch := model.prepare(asked), max_new_tokens=1, sampling=_greedy()))
    kinds = {finding.kind for finding in model.family.findings(batch, text)}
    assert ("box" in kinds) == ("boxes" in FAMILIES[family].can)


def _greedy() -> Any:
    from vesalius.models.parts.token_stream import Sampling

    return Sampling()


# --- the numbers ------------------------------------------------------------------------------------------------------


def listed(name: str) -> Any:
    return next(one for card in FAMILIES.values() for one in card.weights if one.name == name)


def test_parameters_of_hulumed_are_those_of_its_published_shapes() -> None:
    table = json.loads((FIXTURES / "hulumed" / "tables" / "published_key_shapes.json").read_text())
    for size in ("4B", "7B", "14B", "32B"):
        shapes = table[size]["hf_layout"]
        assert listed(f"Hulu-Med-{size}").parameters == sum(math.prod(s) * n for s, n in shapes.values())
        layers = [
            math.prod(s) * n for name, (s, n) in shapes.items() if name.startswith("model.layers.") and len(s) == 2
        ]
        assert listed(f"Hulu-Med-{size}").in_layers == sum(layers)


def test_parameters_of_citrusv_are_those_of_its_published_shapes() -> None:
    table = json.loads((FIXTURES / "citrusv" / "statedict_8b_shapes.json").read_text())
    shapes: dict[str, Any] = table.get("shapes") or table
    shapes = {name: shape for name, shape in shapes.items() if "." in name}
    assert listed("Citrus-V-8B").parameters == sum(math.prod(shape) for shape in shapes.values())
    layers = [s for name, s in shapes.items() if name.startswith("mllm.model.language_model.layers") and len(s) == 2]
    assert listed("Citrus-V-8B").in_layers == sum(math.prod(shape) for shape in layers)


SIZES = {  # hidden, layers, heads, KV heads, feed-forward, vision feed-forward, whether the head is tied
    "Qwen2.5-VL-3B": (2048, 36, 16, 2, 11008, 3420, True),
    "Qwen2.5-VL-7B": (3584, 28, 28, 4, 18944, 3420, False),
    "Qwen2.5-VL-32B": (5120, 64, 40, 8, 27648, 3456, False),
    "Qwen2.5-VL-72B": (8192, 80, 64, 8, 29568, 3456, False),
}


@pytest.mark.parametrize("name", SIZES)
def test_parameters_of_qwen2_5_vl_are_those_of_its_network(name: str) -> None:
    from vesalius.models.qwen_vl.network import build_network

    hidden, layers, heads, kv, wide, seen_wide, tied = SIZES[name]
    vocabulary = 151936 if tied else 152064
    vision = {"depth": 32, "hidden_size": 1280, "intermediate_size": seen_wide, "num_heads": 16, "in_chans": 3}
    vision |= {"out_hidden_size": hidden, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2}
    config = {"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads}
    config |= {"num_key_value_heads": kv, "intermediate_size": wide, "vocab_size": vocabulary}
    with torch.device("meta"):
        network = build_network({**config, "tie_word_embeddings": tied, "vision_config": vision}, "qwen2_5_vl")
    total = sum(one.numel() for one in network.parameters()) - (hidden * vocabulary if tied else 0)
    linear = [one for one in network.model.language_model.modules() if isinstance(one, torch.nn.Linear)]
    assert (listed(name).parameters, listed(name).in_layers) == (total, sum(one.weight.numel() for one in linear))

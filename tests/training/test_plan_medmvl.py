"""The sizes that plans know of MedM-VL are those of the networks that its published settings build."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.models.parity import ROOT
from vesalius.cli.main import main
from vesalius.models.registry import FAMILIES
from vesalius.training.plan import PUBLISHED

_SIGLIP = "google/siglip-base-patch16-256-multilingual"
_QWEN = {"llm_type": "qwen2", "llm_name_or_path": "Qwen/Qwen2.5-3B-Instruct", "llm_max_length": 2048}
_LLAMA = {"llm_type": "llama3", "llm_name_or_path": "meta-llama/Llama-3.2-3B-Instruct", "llm_max_length": 512}
_PICTURE = {"encoder_image_type": "siglip", "encoder_image_name_or_path": _SIGLIP,
            "encoder_image_select_feature": "cls_patch", "encoder_image_select_layer": -1}  # fmt: skip
_VOLUME = {"encoder_image3d_type": "m3dclip", "encoder_image3d_name_or_path": "m3dclip",
           "encoder_image3d_select_feature": "patch", "encoder_image3d_select_layer": -1}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "settings", "queries"),
    [
        ("2D-3B", _QWEN | _PICTURE | {"connector_image_type": "mlp", "connector_image_name": "mlp2x_gelu"}, {}),
        (
            "CT-Chest-3B",
            _QWEN | _PICTURE | {"connector_image_type": "attn_pooling", "connector_image_name": "mlp2x_gelu"},
            {"connector_image": 256},
        ),
        (
            "CT-3B",
            _LLAMA | _VOLUME | {"connector_image3d_type": "spatial_pooling", "connector_image3d_name": "mlp2x_gelu"},
            {},
        ),
    ],
)
def test_published_medmvl_sizes(name: str, settings: dict[str, Any], queries: dict[str, int], tmp_path: Path) -> None:
    import torch

    from vesalius.models.medmvl.config import load_config
    from vesalius.models.medmvl.network import MedmvlNetwork
    from vesalius.models.weights import building

    groups = ("connector_image", "connector_image3d", "encoder_image", "encoder_image3d")
    keys = dict.fromkeys(f"lvlm_{group}_{what}" for group in groups for what in ("type", "name", "path"))
    keys |= {f"lvlm_{key}": value for key, value in settings.items()} | {"lvlm_llm_padding_side": "right"}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "lvlm", "torch_dtype": "bfloat16", **keys}))
    with building(torch.bfloat16):
        network = MedmvlNetwork(load_config(tmp_path), queries, tied=True)
    parts = {"llm": "language", "encoder_image": "vision", "encoder_image3d": "vision"}
    counted: dict[str, int] = {}
    for key, value in network.named_parameters():
        part = parts.get(key.split(".")[0], "projector")
        counted[part] = counted.get(part, 0) + value.numel()
    size = PUBLISHED[f"shiym2000/MedM-VL-{name}-en"]
    assert dict(size.parts) == counted
    layer = sum(value.numel() for value in network.llm.model.layers[0].parameters() if value.ndim == 2)
    assert size.layer == layer
    listed = {one.source: one.parameters for one in FAMILIES["medmvl"].weights}
    assert listed[f"shiym2000/MedM-VL-{name}-en"] == size.parameters


def test_every_recipe_for_a_published_model_can_be_planned(capsys: pytest.CaptureFixture[str]) -> None:
    planned = 0
    for path in sorted((ROOT / "recipes").glob("medmvl-*.yaml")):
        if "medmclip" not in path.stem:
            assert main(["train", str(path), "--plan", "--gpu", "h100-80gb"]) == 0, path
            planned += 1
    assert planned == 7
    assert capsys.readouterr().out.count("GB of 80") == planned

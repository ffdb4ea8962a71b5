"""A tiny checkpoint made wide: the layout, names and tokenizer of its family, a language model of any size, random
weights, several files and an index. For measuring what loading takes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

FAMILIES = {
    "medmo": "medmo/qwen3vl_tiny",
    "qwen2_5_vl": "medmo/qwen25vl_tiny",
    "citrusv": "citrusv/citrusv_tiny",
    "hulumed": "hulumed/qwen2_hf",
    "medmvl": "medmvl/siglip_mlp_qwen2",
}
"""Family → its tiny checkpoint under tests/fixtures."""


def write_wide(tiny: Path, folder: Path, *, width: int, layers: int, dtype: torch.dtype, shard_bytes: int) -> int:
    """Write a checkpoint like `tiny` whose language model is `width` times as wide (as many more heads) and `layers`
    deep, in files of about `shard_bytes`; its weights in bytes."""
    folder.mkdir(parents=True)
    for file in tiny.iterdir():
        if file.is_file() and ".safetensors" not in file.name:
            shutil.copy(file, folder / file.name)
    for name in ("config.json", "llm_config.json"):
        path = folder / name
        if path.is_file():
            config = json.loads(path.read_text(encoding="utf-8"))
            _widen(config, width, layers)
            path.write_text(json.dumps(config), encoding="utf-8")
    stored = load_file(tiny / "model.safetensors")
    return _write(folder, _published(folder, stored), dtype, shard_bytes)


def _widen(config: dict[str, Any], width: int, layers: int) -> None:
    for part in (config, config.get("text_config") or {}):
        for name in ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads"):
            if name in part:
                part[name] *= width
        if "num_hidden_layers" in part:
            part["num_hidden_layers"] = layers
    vision = config.get("vision_config") or {}
    if "out_hidden_size" in vision:
        vision["out_hidden_size"] *= width


def _published(folder: Path, stored: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Published name → shape. Names that the families rename (SAM2's) keep the tiny shape: they are not widened."""
    module, outside = _empty_module(folder, stored)
    own = {name: tuple(value.shape) for name, value in module.state_dict().items() if not name.startswith(outside)}
    if "lm_head.weight" not in stored and "llm.lm_head.weight" not in stored:
        own.pop("lm_head.weight", None)
        own.pop("llm.lm_head.weight", None)
    return own | {name: tuple(value.shape) for name, value in stored.items() if outside and name.startswith(outside)}


def _empty_module(folder: Path, stored: dict[str, Tensor]) -> tuple[nn.Module, tuple[str, ...]]:
    """(the family's module without weights, prefixes of names that are taken over as stored)."""
    from vesalius.models.citrusv.module import build_citrus
    from vesalius.models.citrusv.settings import read_settings
    from vesalius.models.hulumed import config as hulumed_config
    from vesalius.models.hulumed import network as hulumed_network
    from vesalius.models.medmvl.config import load_config
    from vesalius.models.medmvl.load import build_network as build_medmvl
    from vesalius.models.qwen_vl.network import build_network as build_qwen
    from vesalius.models.registry import recognise

    raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    match recognise(folder).name:
        case "citrusv":
            return build_citrus(raw, read_settings(folder, raw)), ("grounding_encoder.",)
        case "hulumed":
            made = hulumed_config.read_config(folder, stored)
            return hulumed_network.build_network(made, torch.float32), ()
        case "medmvl":
            return build_medmvl(load_config(folder), stored, torch.float32), ()
        case _:
            return build_qwen(raw, raw["model_type"]), ()


def _write(folder: Path, shapes: dict[str, tuple[int, ...]], dtype: torch.dtype, shard_bytes: int) -> int:
    groups = list(_grouped(shapes, dtype.itemsize, shard_bytes))
    index: dict[str, str] = {}
    total = 0
    for number, names in enumerate(groups, 1):
        file = f"model-{number:05}-of-{len(groups):05}.safetensors"
        torch.manual_seed(number)
        tensors = {name: _random(name, shapes[name]).to(dtype) for name in names}
        total += sum(tensor.numel() * dtype.itemsize for tensor in tensors.values())
        save_file(tensors, folder / file, metadata={"format": "pt"})
        index |= dict.fromkeys(names, file)
    text = json.dumps({"metadata": {"total_size": total}, "weight_map": index})
    (folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")
    return total


def _random(name: str, shape: tuple[int, ...]) -> Tensor:
    """Weights of a size at which every layer changes what goes through it: norms of 1, products that keep the scale."""
    if len(shape) == 1:
        return torch.ones(shape) if name.endswith("norm.weight") else torch.randn(shape) * 0.02
    return torch.randn(shape) * torch.Size(shape[1:]).numel() ** -0.5


def _grouped(shapes: dict[str, tuple[int, ...]], item: int, most: int) -> Iterator[list[str]]:
    group: list[str] = []
    size = 0
    for name, shape in shapes.items():
        bytes_here = torch.Size(shape).numel() * item
        if group and size + bytes_here > most:
            yield group
            group, size = [], 0
        group.append(name)
        size += bytes_here
    yield group

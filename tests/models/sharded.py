"""Tiny checkpoints of every family, copied and cut into several files with an index."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.models.parity import ROOT

TINY = {
    "medmo": "medmo/qwen3vl_tiny",
    "qwen2_5_vl": "medmo/qwen25vl_tiny",
    "citrusv": "citrusv/citrusv_tiny",
    "hulumed": "hulumed/qwen2_hf",
    "medmvl": "medmvl/siglip_mlp_qwen2",
    "medmvl_3d": "medmvl/m3dclip_spatialpool_qwen2",
}
VOLUME = str(ROOT / "tests" / "fixtures" / "medmvl" / "inputs" / "ct_int16.npy")
PICTURE = str(ROOT / "tests" / "fixtures" / "hulumed" / "inputs" / "grey_74x99.png")


def tiny(family: str) -> Path:
    return ROOT / "tests" / "fixtures" / TINY[family]


def question(family: str) -> list[dict[str, Any]]:
    """A conversation the family's tiny checkpoint can answer."""
    kind, source = ("volume", VOLUME) if family == "medmvl_3d" else ("image", PICTURE)
    return [{"role": "user", "content": [{"type": kind, kind: source}, {"type": "text", "text": "What is it?"}]}]


def stored(family: str) -> dict[str, Tensor]:
    return load_file(tiny(family) / "model.safetensors")


def copied(family: str, folder: Path, tensors: dict[str, Tensor] | None = None, files: int = 3) -> Path:
    """The checkpoint with `tensors` (its own if None) in `files` files and an index; 1 file has none."""
    shutil.copytree(tiny(family), folder, ignore=shutil.ignore_patterns("cases", "*.safetensors"))
    tensors = stored(family) if tensors is None else tensors
    if files == 1:
        save_file(tensors, folder / "model.safetensors")
        return folder
    names = list(tensors)
    index: dict[str, str] = {}
    for number in range(files):
        file = f"model-{number + 1:05}-of-{files:05}.safetensors"
        here = names[number::files]
        save_file({name: tensors[name].contiguous() for name in here}, folder / file)
        index |= dict.fromkeys(here, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return folder

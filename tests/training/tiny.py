"""Tiny checkpoints of every family, and conversations that end with an answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import vesalius
from tests.models.parity import ROOT
from vesalius.training.learned_rows import Learned, Row, learned_masks, learned_tokens, packed_row
from vesalius.training.recipe_reading import filled
from vesalius.training.recipe_sft import SftRecipe

FIXTURES = ROOT / "tests" / "fixtures"
PICTURES = {
    "hulumed": "hulumed/qwen2_hf",
    "medmo": "medmo/qwen3vl_tiny",
    "qwen2_5_vl": "medmo/qwen25vl_tiny",
    "citrusv": "citrusv/citrusv_tiny",
    "medmvl": "medmvl/siglip_mlp_qwen2",
}
VOLUMES = {
    "slices": "medmvl/siglip_slices_attnpool_qwen2",
    "m3dclip": "medmvl/m3dclip_spatialpool_qwen2",
    "medmclip": "medmvl/medmclip_spatialpool_qwen2",
}
EVERY = {**PICTURES, **VOLUMES}


def load(name: str, **how: Any) -> Any:
    """A fresh copy: training changes it."""
    return vesalius.load(str(FIXTURES / EVERY[name]), device="cpu", dtype="float32", **how)


def recipe(parts: dict[str, Any], **keys: Any) -> SftRecipe:
    """A recipe in float32; nothing of it is read from disk."""
    given = {"model": "tiny", "data": [{"path": "none.jsonl"}], "parts": parts, "precision": "float32", "device": "cpu"}
    return filled(SftRecipe, {**given, "report_to": [], **keys}, "recipe")


def conversation(name: str, answer: str, seed: int = 0) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    if name in VOLUMES:
        volume = FIXTURES / "medmvl" / "inputs" / "vol_0_255_uint8.npy"
        shown: dict[str, Any] = {"type": "volume", "volume": np.load(volume)}
    else:
        shown = {"type": "image", "image": rng.integers(0, 255, (56, 56, 3)).astype(np.uint8)}
    asked = {"role": "user", "content": [shown, {"type": "text", "text": "What is it?"}]}
    return [asked, {"role": "assistant", "content": answer}]


def learned(model: Any, name: str, answer: str = "a cyst", seed: int = 0, masked: bool = False) -> Learned:
    options: dict[str, Any] = {"max_tokens": 16} if name == "hulumed" else {}
    if name in VOLUMES:
        options["volume_intensity"] = "0_255"
    if masked:
        inside = np.zeros((56, 56), np.uint8)
        inside[8 : 30 + seed, 10:40] = 255
        options["masks"] = [inside]
        answer += " [SEG]"
    batch = model.prepare(conversation(name, answer, seed), **options)
    length = model.family.length(batch)
    return Learned(batch, f"s{seed}", "qa", length, learned_tokens(batch), learned_masks(batch), True)


def row(model: Any, name: str, seeds: tuple[int, ...] = (0, 1), masked: bool = False) -> Row:
    return packed_row(model.family, [learned(model, name, "a cyst" + " or" * k, k, masked) for k in seeds])


def write_samples(folder: Path, count: int = 6, **changes: Any) -> Path:
    """A small data set of pictures."""
    import json

    from PIL import Image

    (folder / "images").mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    for k in range(count):
        pixels = np.full((48, 48, 3), 40 * k % 255, np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{k}.png")
        sample = {
            "id": f"s{k}",
            "media": [{"kind": "image", "path": f"images/{k}.png"}],
            "turns": [{"role": "user", "text": "What is it?"}, {"role": "assistant", "text": f"shade {k % 2}"}],
            "tags": {"task": "shade"},
        }
        lines.append(json.dumps({**sample, **changes.get(f"s{k}", {})}))
    path = folder / "samples.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def write_pairs(folder: Path) -> Path:
    """The tests' preferences, three of them about pictures."""
    import json

    write_samples(folder, 3)
    pairs = [json.loads(line) for line in (FIXTURES / "preferences.jsonl").read_text().splitlines()]
    for place, pair in enumerate(pairs[:3]):
        pair["media"] = [{"kind": "image", "path": f"images/{place}.png"}]
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in pairs))
    return path

"""What a recipe needs before it is started: memory of each GPU and time, for published models and checkpoints here.

Memory is counted: weights, gradients and AdamW's moments by the number types that training uses, cut over the GPUs as
FSDP2 cuts them, gathered layers, and the activations of one row. Time is arithmetic divided by the share of the GPU's
peak that training reaches (`EFFICIENCY`); it is no measurement, and reading files or waiting for other machines is not
in it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vesalius.errors import OptionError
from vesalius.training.recipe_sft import SftRecipe

__all__ = ["EFFICIENCY", "GPUS", "PUBLISHED", "Gpu", "ModelSize", "Plan", "flops_per_position", "plan_of", "size_of"]

EFFICIENCY = 0.35
"""Share of the peak that well-filled rows reach; an assumption, printed with every plan."""
_VISUAL = 0.7
"""Share of a row's positions that stand for pixels; each reads four patches."""
_RESERVE = 2e9
"""Bytes a GPU's runtime and its allocator's gaps take."""
_LOSS_POSITIONS = 1024
"""Positions whose logits exist at one time."""


@dataclass(frozen=True)
class Gpu:
    """`memory` in bytes; `flops`: dense bfloat16 operations a second, from the maker's data sheet."""

    memory: float
    flops: float


GPUS: Mapping[str, Gpu] = {
    "a100-40gb": Gpu(40e9, 312e12), "a100-64gb": Gpu(64e9, 312e12), "a100-80gb": Gpu(80e9, 312e12),
    "h100-80gb": Gpu(80e9, 989e12), "h200-141gb": Gpu(141e9, 989e12), "l40s-48gb": Gpu(48e9, 362e12),
    "rtx4090-24gb": Gpu(24e9, 165e12),
}  # fmt: skip


@dataclass(frozen=True)
class ModelSize:
    """`parts`: part → parameters. Of the language model: width, layers, width of the MLP, of all queries and of keys
    and values together, vocabulary."""

    parts: Mapping[str, int]
    hidden: int
    layers: int
    ffn: int
    queries: int
    keys_values: int
    vocabulary: int

    @property
    def parameters(self) -> int:
        """Of all parts."""
        return sum(self.parts.values())

    @property
    def layer(self) -> int:
        """Parameters of a language layer's matrices."""
        return self.hidden * (2 * self.queries + self.keys_values + 3 * self.ffn)


def _size(
    language: int, vision: int, projector: int, dims: tuple[int, int, int, int, int, int], masks: int = 0
) -> ModelSize:
    parts = {"vision": vision, "projector": projector, "language": language}
    return ModelSize(parts | ({"mask_head": masks} if masks else {}), *dims)


_QWEN_7B = (3584, 28, 18944, 3584, 1024, 152064)
_QWEN_3B = (2048, 36, 11008, 2048, 512, 151936)
_QWEN3_VL_8B = _size(8_190_735_360, 415_891_440, 160_496_896, (4096, 36, 12288, 4096, 2048, 151936))
_QWEN3_VL_4B = _size(4_022_468_096, 306_242_560, 109_105_152, (2560, 36, 9728, 4096, 2048, 151936))
PUBLISHED: Mapping[str, ModelSize] = {
    "ZJU-AI4H/Hulu-Med-4B": _size(4_411_424_256, 412_147_440, 9_507_840, (2560, 36, 9728, 4096, 2048, 151936)),
    "ZJU-AI4H/Hulu-Med-7B": _size(7_615_616_512, 412_147_440, 16_980_992, _QWEN_7B),
    "ZJU-AI4H/Hulu-Med-14B": _size(14_768_307_200, 412_147_440, 32_122_880, (5120, 40, 17408, 5120, 2048, 151936)),
    "ZJU-AI4H/Hulu-Med-32B": _size(32_763_876_352, 412_147_440, 32_122_880, (5120, 64, 27648, 5120, 2048, 152064)),
    "jdh-algo/Citrus-V-8B-v1.0": _size(7_615_616_512, 631_975_680, 44_574_464, _QWEN_7B, masks=238_196_786),
    "shiym2000/MedM-VL-2D-3B-en": _size(3_085_938_688, 85_841_664, 5_771_264, _QWEN_3B),
    "shiym2000/MedM-VL-CT-Chest-3B-en": _size(3_085_938_688, 85_841_664, 8_330_240, _QWEN_3B),
    "shiym2000/MedM-VL-CT-3B-en": _size(3_212_749_824, 87_387_648, 11_802_624, (3072, 28, 8192, 3072, 2048, 128256)),
    "Qwen/Qwen2.5-VL-7B-Instruct": _size(7_615_616_512, 631_975_680, 44_574_464, _QWEN_7B),
    "Qwen/Qwen3-VL-8B-Instruct": _QWEN3_VL_8B,
    "MBZUAI/MedMO-8B": _QWEN3_VL_8B,
    "Qwen/Qwen3-VL-4B-Instruct": _QWEN3_VL_4B,
    "MBZUAI/MedMO-4B": _QWEN3_VL_4B,
}
"""Counted from the published shapes of every tensor, or from the network that the published config builds."""


def size_of(model: str) -> ModelSize:
    """Of a published model by its hub id, or of a checkpoint folder from the headers of its files (no weight is read).
    OptionError for others."""
    if model in PUBLISHED:
        return PUBLISHED[model]
    folder = Path(model)
    if not (folder / "config.json").is_file():
        raise OptionError(
            f"the size of {model} is not known here.",
            fix=f"Give a checkpoint folder, or one of {', '.join(PUBLISHED)}.",
        )
    parts: dict[str, int] = {}
    for name, shape in _shapes(folder).items():
        part = _part(name)
        parts[part] = parts.get(part, 0) + math.prod(shape)
    text = _text_config(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    try:
        heads = int(text["num_attention_heads"])
        width = int(text.get("head_dim") or int(text["hidden_size"]) // heads)
        pairs = 2 * int(text.get("num_key_value_heads") or heads) * width
        return ModelSize(parts, int(text["hidden_size"]), int(text["num_hidden_layers"]),
                         int(text["intermediate_size"]), heads * width, pairs, int(text["vocab_size"]))  # fmt: skip
    except (KeyError, TypeError, ValueError) as exc:
        raise OptionError("its config does not say the sizes of a language model.", file=folder) from exc


def _shapes(folder: Path) -> dict[str, list[int]]:
    from vesalius.models.safetensors_header import header_entries

    files = sorted(folder.glob("*.safetensors"))
    return {name: list(entry.shape) for file in files for name, entry in header_entries(file).items()}


def _part(name: str) -> str:
    if re.search(r"grounding_encoder|seg_projector", name):
        return "mask_head"
    if re.search(r"merger|projector|connector", name):
        return "projector"
    return "vision" if re.search(r"visual|vision|encoder_image", name) else "language"


def _text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in ("text_config", "llm_config", "llm", "mllm"):
        inner = config.get(name)
        if isinstance(inner, dict):
            return _text_config(inner)
    return config


@dataclass(frozen=True)
class Plan:
    """Bytes on each of `gpus` GPUs by what they are for; seconds of a step and of a million positions."""

    size: ModelSize
    gpu: Gpu
    gpus: int
    learning: int
    memory: Mapping[str, float]
    step_s: float
    million_s: float

    @property
    def total(self) -> float:
        return sum(self.memory.values())

    @property
    def fits(self) -> bool:
        return self.total <= self.gpu.memory

    def lines(self) -> list[str]:
        """For people."""
        held = ", ".join(f"{name} {value / 1e9:.1f}" for name, value in self.memory.items())
        verdict = "fits" if self.fits else "DOES NOT FIT"
        return [
            f"{self.size.parameters:,} parameters, {self.learning:,} learn; {self.gpus} GPUs",
            f"each GPU: {self.total / 1e9:.1f} GB of {self.gpu.memory / 1e9:.0f} ({verdict}): {held}",
            f"a step takes {self.step_s:.1f} s, a million positions {self.million_s / 60:.1f} min, at "
            f"{EFFICIENCY:.0%} of the peak (an assumption)",
        ]


def plan_of(recipe: SftRecipe, size: ModelSize, gpu: Gpu, gpus: int) -> Plan:
    """Memory and time of a recipe on `gpus` GPUs. OptionError where its rows cannot be shared out."""
    if gpus < 1 or recipe.accumulate % gpus:
        raise OptionError(
            f"accumulate is {recipe.accumulate} rows a step, which {gpus} GPUs cannot share.",
            fix=f"Set accumulate to a multiple of {max(1, gpus)}.",
        )
    half = recipe.precision == "bfloat16"
    number = 2 if half else 4
    learning = {part: _learning(recipe, size, part) for part in size.parts}
    learns = sum(learning.values())
    lora = {part for part, plan in recipe.parts.items() if plan.mode == "lora"}
    frozen = sum(count for part, count in size.parts.items() if part in lora or not learning[part])
    memory = {
        "weights": (4 * learns + number * frozen) / gpus,
        "gradients": 4 * learns / gpus,
        "AdamW": 8 * learns / gpus,
        "gathered": _gathered(size, learns, gpus, number),
        "activations": _activations(recipe, size, number),
        "logits": 3 * 4 * _LOSS_POSITIONS * size.vocabulary,
        "runtime": _RESERVE,
    }
    row = recipe.max_length * flops_per_position(recipe, size)
    rate = gpu.flops * EFFICIENCY * (1 if half else 0.5)
    step_s = row * recipe.accumulate / gpus / rate
    return Plan(size, gpu, gpus, learns, memory, step_s, 1e6 * row / recipe.max_length / rate / gpus)


def _learning(recipe: SftRecipe, size: ModelSize, part: str) -> int:
    plan = recipe.parts.get(part)
    if plan is None or plan.mode == "freeze":
        return 0
    if plan.mode == "train":
        return size.parts[part]
    if part != "language":
        return size.parts[part] // 50  # adapters of a tower whose layers are not known here: about a fiftieth
    each = 4 * size.hidden + 2 * size.queries + size.keys_values + 3 * (size.hidden + size.ffn)
    return plan.rank * size.layers * each


def _gathered(size: ModelSize, learns: int, gpus: int, number: int) -> float:
    """Whole copies: alone, what autocast makes of learning weights; of several, two layers and all that is no layer."""
    if gpus == 1:
        return number * learns if number == 2 else 0.0
    rest = size.parameters - size.layers * size.layer
    return number * (2 * size.layer + rest) + 4 * size.layer


def _activations(recipe: SftRecipe, size: ModelSize, number: int) -> float:
    """Of one row: all that language layers keep for the way back; with checkpointing their inputs, and one layer."""
    layer = 12 * size.hidden + number * (2 * size.hidden + 3 * size.queries + size.keys_values + 4 * size.ffn)
    kept = number * size.hidden * size.layers + layer if recipe.activation_checkpointing else layer * size.layers
    return float(recipe.max_length * kept)


def flops_per_position(recipe: SftRecipe, size: ModelSize) -> float:
    """Operations of one position. Forward 2 a parameter, back through it 2, its own gradient 2 where it
    learns whole; forward again with checkpointing. A visual position reads four patches; attention reads half a row of
    2048 at most."""
    again = 2 if recipe.activation_checkpointing else 0
    below = False
    total = 0.0
    for part in ("vision", "projector", "language"):
        plan = recipe.parts.get(part)
        mode = "freeze" if plan is None else plan.mode
        below = below or mode != "freeze"
        each = 2 + (again + 2 if below or part == "language" else 0) + (2 if mode == "train" else 0)
        times = 4 * _VISUAL if part == "vision" else _VISUAL if part == "projector" else 1
        computed = size.parts.get(part, 0)
        if part == "language":
            computed = size.layers * size.layer + size.hidden * size.vocabulary * 0.3  # the head reads answers alone
            computed += size.layers * size.queries * min(recipe.max_length, 2048)
        total += each * times * computed
    return total

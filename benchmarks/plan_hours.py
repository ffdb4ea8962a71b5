"""`vesalius train --plan` beside the GPU time that authors publish.

    python benchmarks/plan_hours.py

Nobody publishes how many positions a sample took, so a plan can be compared only where that number falls out: between
sizes that learnt the same samples, and between full training and LoRA on the same batches. Where it does not, the table
says how long a sample would have been, were the plan exact. Prints Markdown.
"""

from __future__ import annotations

from typing import Any

from vesalius.training.plan import GPUS, PUBLISHED, plan_of
from vesalius.training.recipe_reading import filled
from vesalius.training.recipe_sft import SftRecipe

WHOLE = {"vision": "train", "projector": "train", "language": "train"}
LORA = {"vision": "freeze", "projector": "freeze", "language": {"mode": "lora", "rank": 8}}
HULUMED_HOURS = {"7B": 4_000, "14B": 8_000, "32B": 40_000}
HULUMED_SAMPLES = 16_700_000


def hours_of_million(model: str, parts: dict[str, Any], max_length: int) -> float:
    """GPU hours that the plan gives a million positions on an A100."""
    given = {"model": model, "parts": parts, "data": [{"path": "none.jsonl"}], "max_length": max_length}
    recipe: SftRecipe = filled(SftRecipe, {**given, "activation_checkpointing": True}, "plan")
    return plan_of(recipe, PUBLISHED[model], GPUS["a100-80gb"], 1).million_s / 3600


def rows() -> list[tuple[str, str, str, str]]:
    """(what, published, plan, plan / published)."""
    made: list[tuple[str, str, str, str]] = []
    hulumed = {size: hours_of_million(f"ZJU-AI4H/Hulu-Med-{size}", WHOLE, 16384) for size in HULUMED_HOURS}
    for size in ("14B", "32B"):
        said = HULUMED_HOURS[size] / HULUMED_HOURS["7B"]
        plan = hulumed[size] / hulumed["7B"]
        made.append(
            (f"Hulu-Med {size}: GPU hours over those of 7B", f"{said:.2f}", f"{plan:.2f}", f"{plan / said:.2f}")
        )
    whole, lora = (hours_of_million("Qwen/Qwen2.5-VL-7B-Instruct", parts, 4096) for parts in (WHOLE, LORA))
    said, plan = 4.1 / 2.3, whole / lora
    name = "Qwen2.5-VL-7B (ms-swift): a step of full training over one of LoRA"
    made.append((name, f"{said:.2f}", f"{plan:.2f}", f"{plan / said:.2f}"))
    for size, hours in hulumed.items():
        positions = HULUMED_HOURS[size] / hours * 1e6 / HULUMED_SAMPLES
        made.append((f"Hulu-Med {size}: {HULUMED_HOURS[size]:,} GPU hours for 16.7 M samples", "–",
                     f"{positions:,.0f} positions a sample", "–"))  # fmt: skip
    hours = hours_of_million("Qwen/Qwen3-VL-4B-Instruct", LORA, 4096)
    positions = 2 * 12 / 60 / hours * 1e6 / 17_000
    made.append(("Qwen3-VL-4B LoRA (ms-swift): 17,000 samples in 12 min on 2 GPUs", "–",
                 f"{positions:,.0f} positions a sample", "–"))  # fmt: skip
    return made


def main() -> None:
    """Print the table."""
    print("| | published | plan | plan / published |\n|---|---|---|---|")
    for row in rows():
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()

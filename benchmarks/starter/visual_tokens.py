"""What the visual tokens bring the language model beside the scene's text: the same questions with them and without.

Pairs, clips and volumes have none in training, so a prompt without any is nothing new to the model.

python -m benchmarks.starter.visual_tokens [--per-task 60]
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.starter.harness import METRICS, Bench, row_of
from benchmarks.starter.held_out import held_out_items, write_items
from vesalius.inference.model import load

TASKS = ("modality", "region", "present", "side", "count", "report")


def main() -> None:
    """One line per task."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--per-task", type=int, default=60)
    count: int = options.parse_args().per_task
    items = held_out_items(count, "en", tasks=TASKS)
    model = load("starter")
    eyes: Any = model.family.eyes  # pyright: ignore[reportAttributeAccessIssue]
    look = eyes.look
    told: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="vesalius-tokens-") as scratch:
        for number, seeing in enumerate((look, lambda *given, **named: [_bare(one) for one in look(*given, **named)])):
            eyes.look = seeing
            bench = Bench(model, "starter", Path(scratch) / str(number))
            write_items(bench.data("phantoms"), items, 0)
            summary = bench.scored("phantoms")
            told.append({task: row_of(summary, task, METRICS.get(task, "accuracy")) for task in TASKS})
    print("| what | n | 16 visual tokens | none |\n|---|---|---|---|")
    for task in TASKS:
        with_them, without = (one[task] for one in told)
        print(f"| {task} | {with_them['n']} | {with_them['mean']:.3f} | {without['mean']:.3f} |")


def _bare(sight: Any) -> Any:
    return replace(sight, tokens=sight.tokens[:0])


if __name__ == "__main__":
    main()

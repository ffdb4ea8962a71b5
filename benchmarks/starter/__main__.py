"""Measure the starter and write its tables into the model card.

python -m benchmarks.starter                 # everything
python -m benchmarks.starter --per-task 40   # a quick look; does not touch the card without --write
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.starter import languages, over_time, phantoms, real, volumes
from benchmarks.starter.card import write_card
from benchmarks.starter.harness import Bench
from vesalius.inference.model import load
from vesalius.models.starter.starter import WEIGHTS

PARTS = ("phantoms", "over time", "languages", "volumes", "real")
ROOT = Path(__file__).resolve().parent.parent.parent


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--per-task", type=int, default=300, help="held-out phantom questions per task")
    options.add_argument("--baseline", type=int, default=100, help="of these, asked of blank and shuffled pictures")
    options.add_argument("--volumes", type=int, default=12, help="held-out phantom volumes")
    options.add_argument("--every", type=int, default=1, help="ask about every n-th real slice what it is")
    options.add_argument("--studies", type=Path, default=ROOT / ".cache" / "studies")
    options.add_argument("--model", default="starter")
    options.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to measure")
    options.add_argument("--tasks", nargs="+", choices=phantoms.TASKS, default=list(phantoms.TASKS))
    options.add_argument("--write", action="store_true", help="write the model card")
    options.add_argument("--out", type=Path, help="keep data and answers there; a run that is there goes on")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="vesalius-starter-") as scratch:
        return measure(chosen, chosen.out or Path(scratch))


def measure(chosen: argparse.Namespace, out: Path) -> int:
    """Ask, score, print, and with --write put the figures into the card."""
    model = load(chosen.model)
    bench = Bench(model, chosen.model, out)
    started = time.perf_counter()
    results: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "commit": _commit(),
        "machine": f"{os.cpu_count()} cores {platform.machine()}, Python {platform.python_version()}",
        "weights": model.family.config.recipe_sha256[:12],  # pyright: ignore[reportAttributeAccessIssue]
    }
    if "phantoms" in chosen.parts:
        results["phantoms"] = phantoms.measure(bench, chosen.per_task, chosen.baseline, chosen.tasks)
    if "over time" in chosen.parts:
        results["over time"] = over_time.measure(bench, chosen.per_task, max(20, chosen.per_task // 3), chosen.baseline)
    if "languages" in chosen.parts:
        results["languages"] = languages.measure(bench, max(20, chosen.per_task // 3))
    if "volumes" in chosen.parts:
        results["volumes"] = volumes.measure(bench, chosen.volumes)
    if "real" in chosen.parts and (chosen.studies / "lung2_image.nrrd").is_file():
        results["real"] = real.measure(bench, chosen.studies, chosen.every)
    results["seconds"] = round(time.perf_counter() - started)
    print(json.dumps(results, indent=1))
    measured = [part for part in PARTS[1:] if part in results] + [
        t for t in results.get("phantoms", ()) if t in chosen.tasks
    ]
    results["commits"] = dict.fromkeys(measured, results["commit"])
    if chosen.write:
        write_card(results, WEIGHTS, ROOT / "README.md")
    return 0


def _commit() -> str:
    told = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    return told.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())

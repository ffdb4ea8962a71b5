"""Kill a training run without warning at random moments, resume it each time, and compare with a run left alone.

    make soak                                  20 kills
    .venv/bin/python scripts/soak_resume.py 50 --seed 3

Losses, gradient norms and final weights must be equal to the bit. Exit code 1 when they are not. Runs on a CPU with one
thread; the model is a tiny random one from the tests, so all that is measured is whether anything is lost.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
STEPS = 40


def recipe_for(out: Path, data: Path) -> Any:
    """LoRA with dropout, a projector, two rows a step, a checkpoint every step."""
    from vesalius.training.recipe_reading import filled
    from vesalius.training.recipe_sft import SftRecipe, check_recipe

    keys = {
        "model": str(ROOT / "tests" / "fixtures" / "hulumed" / "qwen2_hf"), "out": str(out),
        "data": [{"path": str(data)}], "prepare": {"max_tokens": 64},
        "parts": {"projector": "train", "language": {"mode": "lora", "rank": 4, "dropout": 0.1}},
        "max_length": 768, "look_ahead": 8, "steps": STEPS, "accumulate": 2, "learning_rate": 1e-3,
        "weight_decay": 0.01, "warmup": 0.1, "precision": "float32", "device": "cpu", "save_every": 1, "keep": 3,
        "log_every": 1, "check": 4, "report_to": [],
    }  # fmt: skip
    return check_recipe(filled(SftRecipe, keys, "soak"), "soak")


def run(out: Path, data: Path) -> None:
    """In a child: train to the end, then note what was learnt."""
    import torch

    from vesalius.training.sft import train_sft

    torch.set_num_threads(1)
    with (out.parent / f"{out.name}.log").open("a", buffering=1) as log:
        done = train_sft(recipe_for(out, data), lambda line: print(line, file=log))
    numbers = [
        [one["step"], one["loss"].hex(), float(one["grad_norm"]).hex()] for one in done.log if "grad_norm" in one
    ]
    weights = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(done.folder.glob("*.safetensors"))
    }
    (out.parent / f"{out.name}.json").write_text(json.dumps({"log": numbers, "weights": weights}))


def lines_of(out: Path) -> int:
    """Steps said so far."""
    log = out.parent / f"{out.name}.log"
    return sum(line.startswith("step ") for line in log.read_text().splitlines()) if log.is_file() else 0


def defects(out: Path) -> list[str]:
    """Torn checkpoints under their own name: there must be none."""
    from vesalius.training.checkpoint import checkpoints, defect

    return [f"{one.name}: {wrong}" for one in checkpoints(out) if (wrong := defect(one)) is not None]


def main() -> int:
    """Kill, resume, compare."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("kills", nargs="?", type=int, default=20)
    given.add_argument("--seed", type=int, default=0)
    asked = given.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    children = multiprocessing.get_context("forkserver")
    children.set_forkserver_preload(["torch", "transformers", "peft", "vesalius.training.trainer"])
    dice = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        from vesalius.phantoms.write import write_phantoms

        data = folder / "phantoms" / "samples.jsonl"
        write_phantoms(data.parent, count=4, seed=1, kind="picture", langs=("en",), size=64)
        straight, killed = folder / "straight", folder / "killed"
        child = children.Process(target=run, args=(straight, data))
        started = time.monotonic()
        child.start()
        while not lines_of(straight) and child.is_alive():
            time.sleep(0.01)
        first = time.monotonic()
        child.join()
        if child.exitcode != 0:
            print("the run that is left alone failed")
            return 1
        step_s = (time.monotonic() - first) / STEPS
        print(f"left alone: {STEPS} steps, start {first - started:.1f} s, {step_s:.2f} s a step")
        torn = 0
        for number in range(asked.kills):
            before = lines_of(killed)
            child = children.Process(target=run, args=(killed, data))
            child.start()
            early = dice.random() < 0.25  # while it starts or resumes
            while not early and lines_of(killed) == before and child.is_alive():
                time.sleep(0.002)
            time.sleep(dice.uniform(0, (first - started) / 2 if early else 2.5 * step_s))
            if child.pid is not None and child.is_alive():
                os.kill(child.pid, signal.SIGKILL)
            child.join()
            found = defects(killed)
            torn += len(found)
            left = len(list(killed.glob(".checkpoint-*")))
            print(f"kill {number + 1}: {'while starting' if early else 'while training'}, "
                  f"{left} half-written, {len(found)} torn", flush=True)  # fmt: skip
        child = children.Process(target=run, args=(killed, data))
        child.start()
        child.join()
        ends = [json.loads((folder / f"{name}.json").read_text()) for name in ("straight", "killed")]
        log, weights = ends[0]["log"] == ends[1]["log"], ends[0]["weights"] == ends[1]["weights"]
    print(f"{asked.kills} kills: losses and gradient norms of {STEPS} steps {'equal' if log else 'DIFFER'}, "
          f"final weights {'equal' if weights else 'DIFFER'} to the bit, {torn} torn checkpoints")  # fmt: skip
    return 0 if log and weights and not torn else 1


if __name__ == "__main__":
    sys.exit(main())

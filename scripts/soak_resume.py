"""Kill training runs without warning at random moments, resume them each time, and compare with runs left alone.

    make soak                                  supervised: 20 kills; preference and reinforcement: 6 kills each
    .venv/bin/python scripts/soak_resume.py 50 --seed 3 --kind grpo

Losses, gradient norms, rewards and final weights must be equal to the bit. Exit code 1 when they are not. Runs on a CPU
with one thread; the models are tiny random ones from the tests, so all that is measured is whether anything is lost.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KILLS = {"sft": 20, "dpo": 6, "grpo": 6}
# What depends on the clock or the machine.
CLOCK = ("tokens_per_s", "memory_gb", "step_time", "_runtime", "_per_second")
STEPS = {"sft": 60, "dpo": 20, "grpo": 16}


def recipe_for(kind: str, out: Path, data: Path) -> Any:
    """LoRA with dropout, a projector, several backward passes a step, a checkpoint every step."""
    from vesalius.training.recipe_reading import filled
    from vesalius.training.recipe_rl import DpoRecipe, GrpoRecipe, check_dpo, check_grpo
    from vesalius.training.recipe_sft import SftRecipe, check_recipe

    keys = {
        "out": str(out), "data": [{"path": str(data)}],
        "parts": {"projector": "train", "language": {"mode": "lora", "rank": 4, "dropout": 0.1}},
        "max_length": 768, "steps": STEPS[kind], "accumulate": 2, "learning_rate": 1e-3, "weight_decay": 0.01,
        "warmup": 0.1, "precision": "float32", "device": "cpu", "save_every": 1, "keep": 3, "log_every": 1,
        "report_to": [],
    }  # fmt: skip
    fixtures = ROOT / "tests" / "fixtures"
    if kind == "sft":
        own = {"prepare": {"max_tokens": 64}, "look_ahead": 8, "check": 4}
        model = fixtures / "hulumed" / "qwen2_hf"
        return check_recipe(filled(SftRecipe, {"model": str(model), **keys, **own}, "soak"), "soak")
    keys["model"] = str(fixtures / "medmo" / "qwen3vl_tiny")
    if kind == "dpo":
        return check_dpo(filled(DpoRecipe, keys, "soak"), "soak")
    # Two passes over the same completions: a kill between them loses what is still to be learnt from.
    own = {
        "rewards": {"length": {"tokens": 3}, "tags": 0.5}, "prompts": 2, "iterations": 2, "kl": 0.05,
        "rollouts": {"generations": 4, "max_new_tokens": 6},
    }  # fmt: skip
    return check_grpo(filled(GrpoRecipe, {**keys, **own}, "soak"), "soak")


def pairs_of(samples: Path) -> Path:
    """Rows with two answers: that of each sample, and one that is wrong."""
    path = samples.with_name("pairs.jsonl")
    with path.open("w") as stream:
        for line in samples.read_text().splitlines():
            row = json.loads(line)
            chosen = {"role": "assistant", "text": row["turns"][-1]["text"]}
            pair = {
                "id": row["id"], "media": row["media"], "turns": row["turns"][:-1], "chosen": chosen,
                "rejected": {"role": "assistant", "text": "Nothing can be said."},
            }  # fmt: skip
            stream.write(json.dumps(pair) + "\n")
    return path


def run(kind: str, out: Path, data: Path) -> None:
    """In a child: train to the end, then note what was learnt."""
    import torch

    from vesalius.training.run import train_recipe

    torch.set_num_threads(1)
    warnings.simplefilter("ignore", FutureWarning)
    with (out.parent / f"{out.name}.log").open("a", buffering=1) as log:
        done = train_recipe(recipe_for(kind, out, data), lambda line: print(line, file=log))
    numbers = [
        {name: value and float(value).hex() for name, value in one.items() if not name.endswith(CLOCK)}
        for one in done.log
        if "grad_norm" in one
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


def soak(kind: str, kills: int, dice: random.Random, children: Any) -> bool:
    """Whether a run of `kind` that is killed `kills` times ends as one left alone; tells what it sees."""
    from vesalius.phantoms.write import write_phantoms

    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        data = folder / "phantoms" / "samples.jsonl"
        write_phantoms(data.parent, count=4, seed=1, kind="picture", langs=("en",), size=64)
        data = pairs_of(data) if kind == "dpo" else data
        straight, killed = folder / "straight", folder / "killed"
        child = children.Process(target=run, args=(kind, straight, data))
        started = time.monotonic()
        child.start()
        while not lines_of(straight) and child.is_alive():
            time.sleep(0.01)
        first = time.monotonic()
        child.join()
        if child.exitcode != 0:
            print(f"{kind}: the run that is left alone failed")
            return False
        step_s = (time.monotonic() - first) / STEPS[kind]
        print(f"{kind}, left alone: {STEPS[kind]} steps, start {first - started:.1f} s, {step_s:.2f} s a step")
        torn = met = 0
        for number in range(kills):
            before = lines_of(killed)
            child = children.Process(target=run, args=(kind, killed, data))
            child.start()
            early = dice.random() < 0.25  # while it starts or resumes
            while not early and lines_of(killed) == before and child.is_alive():
                time.sleep(0.002)
            time.sleep(dice.uniform(0, (first - started) / 2 if early else 2.5 * step_s))
            alive = child.is_alive()
            if alive:
                child.kill()
                met += 1
            child.join()
            found = defects(killed)
            torn += len(found)
            left = len(list(killed.glob(".checkpoint-*")))
            when = "while starting" if early else "while training" if alive else "at its end already"
            print(f"{kind}, kill {number + 1}: {when}, {left} half-written, {len(found)} torn", flush=True)
        child = children.Process(target=run, args=(kind, killed, data))
        child.start()
        child.join()
        if child.exitcode != 0:
            print(f"{kind}: the run that was killed cannot go on")
            return False
        ends = [json.loads((folder / f"{name}.json").read_text()) for name in ("straight", "killed")]
        log, weights = ends[0]["log"] == ends[1]["log"], ends[0]["weights"] == ends[1]["weights"]
        learnt = len(ends[0]["log"]) == STEPS[kind] and bool(ends[0]["weights"])
    measures = len(ends[0]["log"][0]) if ends[0]["log"] else 0
    print(f"{kind}, {met} kills: {measures} logged numbers (losses, norms and the like) of {STEPS[kind]} steps "
          f"{'equal' if log else 'DIFFER'}, final weights {'equal' if weights else 'DIFFER'} to the bit, "
          f"{torn} torn checkpoints, {time.monotonic() - began:.0f} s", flush=True)  # fmt: skip
    return log and weights and learnt and not torn


def main() -> int:
    """Kill, resume, compare."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("kills", nargs="?", type=int, help="of each kind")
    given.add_argument("--kind", choices=list(KILLS), action="append", help="may be repeated; all where left out")
    given.add_argument("--seed", type=int, default=0)
    asked = given.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    children = multiprocessing.get_context("forkserver")
    loaded = ["torch", "transformers", "peft", "vesalius.training.trainer", "trl.trainer.grpo_trainer"]
    children.set_forkserver_preload(loaded)
    dice = random.Random(asked.seed)
    held = [
        soak(kind, KILLS[kind] if asked.kills is None else asked.kills, dice, children) for kind in asked.kind or KILLS
    ]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())

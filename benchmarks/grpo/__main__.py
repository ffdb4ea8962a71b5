"""Does reinforcement raise the overlap of written boxes, beside supervised training gone on with?

    python -m benchmarks.grpo [--policy tiny|starter] [--folder runs/grpo] [--sft 140] [--steps 45]

The policy first learns, supervised, to write a box on phantoms. From that checkpoint two runs go on: GRPO on the box
reward, and the control, supervised for as many updates on the same samples. Mean IoU on held-out phantoms is printed
with its interval, of greedy answers and of drawn ones.

`tiny` is a Qwen3-VL of 0.2 M random parameters (the tests' own) that writes the box of the heart on chest radiographs.
`starter` is the starter that has to look itself: its scene is withheld, and it writes the box of the optic disc from
visual tokens. As it answers otherwise, it only cites objects that its eyes report, and no reward on words can move
these: `--ceiling 100` measures that.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from benchmarks.grpo.measure import held_out_iou, starter_ceiling, summary_of
from benchmarks.grpo.pictures import drawn
from benchmarks.grpo.policies import POLICIES, reinforced, supervised


def main() -> None:
    """Draw, train three times, print. What a folder already holds is not done again; a run that was stopped goes on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", choices=sorted(POLICIES), default="tiny")
    parser.add_argument("--folder", type=Path, help="runs/grpo-POLICY unless given")
    parser.add_argument("--sft", type=int, help="supervised updates of about 8 samples before the two runs")
    parser.add_argument("--steps", type=int, help="updates of each of the two runs")
    parser.add_argument("--pictures", type=int)
    parser.add_argument("--held-out", type=int)
    parser.add_argument("--rate", type=float, help="learning rate of GRPO")
    parser.add_argument("--control-rate", type=float, help="learning rate of the control")
    parser.add_argument("--ceiling", type=int, default=0, help="measure the starter's ceiling on so many questions")
    given = parser.parse_args()
    if given.ceiling:
        reached, ceiling, boxes = starter_ceiling(given.ceiling)
        print(f"starter: mean box IoU {reached:.4f}; every object its eyes report under the label cited: {ceiling:.4f} "
              f"({boxes} boxes)")  # fmt: skip
        return
    policy = POLICIES[given.policy]
    folder: Path = given.folder or Path(f"runs/grpo-{given.policy}")
    sft_steps, steps = given.sft or policy.sft, given.steps or policy.steps
    sft_rate, rate, control_rate = policy.rates
    from vesalius.phantoms.splits import HELD_OUT, TRAIN

    task: dict[str, Any] = {"modality": policy.modality, "label": policy.label, "edge": policy.edge,
            "named": policy.dialect == "medmo"}  # fmt: skip
    train = drawn(folder / "train", TRAIN[0], given.pictures or policy.pictures, **task)
    held = drawn(folder / "held", HELD_OUT[0], given.held_out or policy.held_out, **task)
    started = time.monotonic()

    def report(line: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {line}", flush=True)

    runs: dict[str, dict[str, list[float]]] = {}

    def measured(name: str, checkpoint: Path, what: str) -> None:
        runs[name] = held_out_iou(policy, checkpoint, held)
        part = folder / "result.json"
        part.write_text(json.dumps({"summary": summary_of(runs), "pictures": runs}, indent=1) + "\n", encoding="utf-8")
        report(f"{what}: " + ", ".join(f"{key} {mean:.4f} [{low:.4f}, {high:.4f}]"
                                       for key, (mean, low, high) in summary_of(runs)[name].items()))  # fmt: skip

    start = supervised(policy, folder / "sft", train, policy.model, sft_steps, sft_rate, "cosine", report)
    measured("start", start, f"after {sft_steps} supervised updates")
    few = runs["start"]["box_mean_iou"][: policy.curve]
    report(f"the curve of GRPO begins at {sum(few) / len(few):.4f}, greedy on the first {len(few)} held-out pictures")
    tuned = reinforced(policy, folder / "grpo", train, held, str(start), steps, given.rate or rate, report)
    measured("grpo", tuned, f"and {steps} of GRPO")
    control = supervised(
        policy, folder / "control", train, str(start), steps, given.control_rate or control_rate, "constant", report
    )
    measured("sft_longer", control, f"and {steps} supervised ones instead")


if __name__ == "__main__":
    main()

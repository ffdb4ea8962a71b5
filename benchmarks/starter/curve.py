"""What further training of the head brings: checkpoints of one run on the same pictures, which none was trained on.

Average precision and best F1 of findings (a candidate is right when its mask meets a true object of its label with
IoU ≥ 0.4; mean over labels with at least 20 objects) and the Dice of their masks. No threshold is chosen, so the rows
differ in training alone. The pictures are those of the calibration seeds; their features were encoded by the recipe.
The last column is the average precision on as many pictures that were trained on: where it runs ahead of the first,
more pictures would help, and where both are low, the head sees too little.

python -m benchmarks.starter.curve runs/starter
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from vesalius.dialogue.scene_text import ANATOMY
from vesalius.models.parts.see_head import SeeHead
from vesalius.models.starter.config import load_config
from vesalius.models.starter.eyes import see_config
from vesalius.models.starter.starter import WEIGHTS
from vesalius.training.starter.calibrate import Candidate, candidates, see_shard
from vesalius.training.starter.see_cache import LABEL_NAMES, Shard, open_shard

FINDINGS = tuple(label for label in LABEL_NAMES if label not in ANATOMY)


def loaded(folder: Path) -> SeeHead:
    """The head of one of Trainer's checkpoints."""
    head = SeeHead(see_config(load_config(WEIGHTS)))
    stored = load_file(folder / "model.safetensors")
    head.load_state_dict({name.removeprefix("head."): value for name, value in stored.items()})
    return head.eval()


def first_of(shards: Sequence[Shard], count: int) -> list[Shard]:
    """The first `count` pictures."""
    kept: list[Shard] = []
    for shard in shards:
        if count > 0:
            kept.append(replace(shard, pictures=shard.pictures[:count]))
            count -= len(shard)
    return kept


def precision_and_f1(found: Sequence[Candidate], count: int) -> tuple[float, float]:
    """(average precision, best F1) of one label's candidates, of which `count` are there."""
    ranked = sorted(found, key=lambda one: -one.score)
    right = np.array([one.right for one in ranked], bool)
    hits, said = np.cumsum(right), np.arange(1, len(right) + 1)
    if not len(right):
        return 0.0, 0.0
    return float((hits / said)[right].sum() / count), float((2 * hits / (said + count)).max())


def over_findings(head: SeeHead, shard: Shard) -> tuple[float, float]:
    """(average precision, best F1), means over findings of which the shard holds twenty."""
    found, counts = candidates(head, shard, bf16=True)
    told = [
        precision_and_f1([c for c in found if c.label == label], number)
        for label in FINDINGS
        if (number := int(counts[:, LABEL_NAMES.index(label)].sum())) >= 20
    ]
    precision, f1 = np.mean(told, axis=0)
    return float(precision), float(f1)


def mask_dice(head: SeeHead, shard: Shard) -> float:
    """Mean Dice of a picture's findings, by label, on the half grid."""
    values: list[float] = []
    for picture, maps in enumerate(see_shard(head, shard, bf16=True)):
        rows, masks = shard.objects_of(picture)
        halves = masks.reshape(len(masks), masks.shape[1] // 2, 2, masks.shape[2] // 2, 2).mean((2, 4)) >= 0.5
        for label in FINDINGS:
            index = LABEL_NAMES.index(label)
            mine = rows["label"] == index
            if mine.any():
                true, seen = halves[mine].any(0), maps.masks[index] > 0
                values.append(float(2 * (true & seen).sum() / max(true.sum() + seen.sum(), 1)))
    return float(np.mean(values))


def main() -> None:
    """One line per checkpoint."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("run", type=Path, help="folder of `vesalius train recipes/starter.yaml`")
    run: Path = options.parse_args().run
    shard, trained = (open_shard(run / "cache" / name) for name in ("calibration", "phantoms-000"))
    if shard is None or trained is None:
        raise SystemExit(f"{run}/cache is incomplete: run the recipe's stage encode.")
    (trained,) = first_of([trained], len(shard))
    torch.set_num_threads(1)
    print(
        "| steps | average precision | best F1 | mask Dice | average precision where trained |\n|---|---|---|---|---|"
    )
    steps = 0
    for folder in ("see", *sorted(path.name for path in run.glob("see-restart-*"))):
        newest = max((run / folder).glob("checkpoint-*"), key=lambda path: path.stat().st_mtime)
        steps += int(newest.name.rpartition("-")[2])
        head = loaded(newest)
        precision, f1 = over_findings(head, shard)
        known, _ = over_findings(head, trained)
        print(f"| {steps} | {precision:.3f} | {f1:.3f} | {mask_dice(head, shard):.3f} | {known:.3f} |", flush=True)


if __name__ == "__main__":
    main()

"""How the head does by the size of what it looks for: what the resolution of 224 pixels costs.

Findings of the calibration pictures by the longer side of their box in the square picture: how many there are, how many
a candidate above its label's threshold meets (IoU ≥ 0.4), how many any candidate meets, and the mean Dice of the masks
of those met. What is met small and not large would be met with more pixels; what is missed at every size would not.

python -m benchmarks.starter.seen_by_size runs/starter
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.starter.curve import FINDINGS
from vesalius.models.parts.see_objects import SeenObject, find_objects
from vesalius.models.starter.checkpoint import load_head
from vesalius.models.starter.config import StarterConfig, load_config
from vesalius.models.starter.starter import WEIGHTS
from vesalius.training.starter.calibrate import see_shard
from vesalius.training.starter.see_cache import LABEL_NAMES, Shard, open_shard

EDGES = (0, 6, 9, 13, 20, 40, 225)
"""Pixels of the square picture."""

MET = 0.4
LOWEST = 0.08


def overlaps(found: list[SeenObject], mask: np.ndarray) -> Iterator[tuple[float, float, SeenObject]]:
    """(IoU, Dice, candidate) with one true mask on the half grid."""
    for one in found:
        seen = one.logits > 0
        shared, both = int((seen & mask).sum()), int(seen.sum()) + int(mask.sum())
        yield shared / max(both - shared, 1), 2 * shared / max(both, 1), one


def rows_of(config: StarterConfig, shard: Shard) -> Iterator[tuple[float, bool, bool, float]]:
    """(longer side in pixels, met above the threshold, met at all, Dice) of every finding."""
    head = load_head(WEIGHTS, config)
    for picture, maps in enumerate(see_shard(head, shard, bf16=True)):
        objects, masks = shard.objects_of(picture)
        halves = masks.reshape(len(masks), masks.shape[1] // 2, 2, masks.shape[2] // 2, 2).mean((2, 4)) >= 0.5
        for label in FINDINGS:
            mine = np.nonzero(objects["label"] == LABEL_NAMES.index(label))[0]
            if not len(mine):
                continue
            seen = find_objects(maps, LABEL_NAMES, {}, only=frozenset({label}), default_threshold=LOWEST)
            for m in mine:
                x0, y0, x1, y1 = objects["box"][m]
                best = max(overlaps(seen, halves[m]), key=lambda one: one[0], default=None)
                met = best is not None and best[0] >= MET
                sure = best is not None and met and best[2].height >= config.thresholds.get(label, 0.3)
                yield max(x1 - x0, y1 - y0), sure, met, best[1] if best is not None and met else 0.0


def main() -> None:
    """One line per range of sizes."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("run", type=Path, help="folder of `vesalius train recipes/starter.yaml`")
    run: Path = options.parse_args().run
    shard = open_shard(run / "cache" / "calibration")
    if shard is None:
        raise SystemExit(f"{run}/cache/calibration is missing: run the recipe's stage encode.")
    torch.set_num_threads(1)
    by_size: defaultdict[int, list[tuple[bool, bool, float]]] = defaultdict(list)
    for size, sure, met, dice in rows_of(load_config(WEIGHTS), shard):
        by_size[int(np.searchsorted(EDGES, size, "right")) - 1].append((sure, met, dice))
    print("| longer side, pixels | findings | told | met by any candidate | Dice of those met |\n|---|---|---|---|---|")
    for k, values in sorted(by_size.items()):
        told = [sure for sure, _, _ in values]
        met = [one for _, one, _ in values]
        dices = [dice for _, one, dice in values if one]
        print(
            f"| {EDGES[k]}–{EDGES[k + 1] - 1} | {len(values)} | {np.mean(told):.3f} | {np.mean(met):.3f} "
            f"| {np.mean(dices) if dices else float('nan'):.3f} |"
        )


if __name__ == "__main__":
    main()

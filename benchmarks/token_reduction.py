"""Does saving tokens lose a lesion? Generated volumes with lesions, reduced by `reduction_rule="vesalius"`.

A lesion of 6 mm or more is lost where not one of the tokens it lies in is kept, on any slice. Printed for each kind of
volume: lesions, those lost (seed, size, slices, and how much they differ from what is around them) and the share of
tokens kept. Small volumes are the hard ones: 16 tokens a slice.

Run: python benchmarks/token_reduction.py [--volumes 60] [--first-seed 1000]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.ndimage import binary_dilation

import vesalius
from vesalius.inference.model import Model
from vesalius.phantoms.volumes import draw_volume

CHECKPOINT = Path(__file__).resolve().parents[1] / "tests" / "fixtures" / "hulumed" / "qwen2_hf"
KINDS = (
    ("ct", "chest", (96, 96, 24)),
    ("ct", "abdomen", (96, 96, 24)),
    ("mr", "head", (96, 96, 24)),
    ("ct", "abdomen", (128, 128, 40)),
)
LEAST_MM = 6.0


def measured(
    model: Model, modality: str, region: str, shape: tuple[int, int, int], seed: int
) -> tuple[float, list[str | None]]:
    """(share of tokens kept, for every lesion None or what was lost) of one volume."""
    truth = draw_volume(seed, modality, shape, region=region)
    volume = vesalius.read(truth.values, affine=truth.affine_ras, modality=modality.upper())
    conversation = [{"role": "user", "content": [{"type": "volume", "volume": volume}, {"type": "text", "text": "?"}]}]
    batch = model.prepare(conversation, reduction_rule="vesalius")
    frames, rows, columns = (int(edge) for edge in np.asarray(batch["grid_sizes"][0]) // (1, 2, 2))
    kept = np.asarray(batch["kept_mask"]).reshape(frames, rows, columns)
    lesions: list[str | None] = []
    for number, size_mm in enumerate(truth.instance_sizes_mm, 1):
        lesion = truth.instances == number
        x, y, z = np.nonzero(lesion)  # rows of the pictures run along x, as published
        if size_mm >= LEAST_MM:
            stays = kept[z, x * rows // shape[0], y * columns // shape[1]].any()
            wide, near = (np.asarray(binary_dilation(lesion, iterations=n), bool) for n in (3, 1))
            around = wide & ~near
            apart = truth.values[lesion].mean() - truth.values[around].mean()
            told = f"seed {seed}: {size_mm:.1f} mm, on {np.ptp(z) + 1} slices, {apart:+.0f} beside what is around it"
            lesions.append(None if stays else told)
    return float(kept.mean()), lesions


def main() -> None:
    """Draw, reduce, count, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--volumes", type=int, default=60, help="of each kind")
    parser.add_argument("--first-seed", type=int, default=1000)
    given = parser.parse_args()
    seeds = range(given.first_seed, given.first_seed + given.volumes)
    model = vesalius.load(str(CHECKPOINT), device="cpu", dtype="float32")
    every: list[float] = []
    counts = np.zeros(2, int)
    for modality, region, shape in KINDS:
        shares: list[float] = []
        lost: list[str] = []
        lesions = 0
        for seed in seeds:
            share, found = measured(model, modality, region, shape, seed)
            shares.append(share)
            lesions += len(found)
            lost += [told for told in found if told is not None]
        every += shares
        counts += (lesions, len(lost))
        where = f" ({'; '.join(lost)})" if lost else ""
        print(
            f"{modality} {region} {'x'.join(map(str, shape))}: {len(shares)} volumes, {lesions} lesions, lost "
            f"{len(lost)}{where}; kept {np.mean(shares):.3f} of the tokens (at most {max(shares):.3f})",
            flush=True,
        )
    print(f"all: {counts[0]} lesions, lost {counts[1]}; kept {np.mean(every):.3f} of the tokens")


if __name__ == "__main__":
    main()

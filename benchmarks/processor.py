"""How fast pictures become patches: ours beside transformers' `Qwen2VLImageProcessorPil`, in turn, same picture.

  fits      1024 x 1024 as Qwen3-VL takes it (patches of 16, no resizing); equal to the last bit
  exact     1024 x 1024 and 1000 x 1400 as Qwen2-VL takes them by default: Pillow's bicubic; equal to the last bit
  fast      the same with `resize="fast"`: grey levels within 2 of Pillow's

Where both resize with Pillow, its share is printed too (processor time of `Image.resize` alone, least of the pairs),
and how many times as fast one could be at most on one core if everything else took no time.

Run: OMP_NUM_THREADS=2 python benchmarks/processor.py [--pairs 15]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from vesalius.phantoms.pictures import draw_picture
from vesalius.phantoms.splits import HELD_OUT
from vesalius.vision.patches import PatchRule, fit_picture, patches_of
from vesalius.vision.resize import Resize, resized
from vesalius.vision.strips import num_threads

QWEN2 = PatchRule(14, 2, 2, (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
QWEN3 = PatchRule(16, 2, 2, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
BOUNDS = {QWEN2: (3136, 1003520), QWEN3: (65536, 16777216)}


def theirs(rule: PatchRule) -> Callable[[Any], np.ndarray]:
    least, most = BOUNDS[rule]
    processor = Qwen2VLImageProcessorPil(
        size={"shortest_edge": least, "longest_edge": most},
        patch_size=rule.patch,
        image_mean=list(rule.mean),
        image_std=list(rule.std),
    )
    return lambda picture: processor(picture, return_tensors="np")["pixel_values"]


def ours(rule: PatchRule, picture: np.ndarray, how: Resize) -> np.ndarray:
    return patches_of([resized(picture, *_fitted(rule, picture), how)], rule)[0]


def _fitted(rule: PatchRule, picture: np.ndarray) -> tuple[int, int]:
    least, most = BOUNDS[rule]
    return fit_picture(*picture.shape[:2], factor=rule.factor, min_pixels=least, max_pixels=most)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """(wall, processor) seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def compare(name: str, rule: PatchRule, picture: np.ndarray, how: Resize, pairs: int) -> None:
    """Print one line: the ratio of each pair and how far the values are apart."""
    process, shown = theirs(rule), Image.fromarray(picture)
    left, right = partial(process, shown), partial(ours, rule, picture, how)
    std = np.repeat(np.array(rule.std, np.float32), rule.temporal * rule.patch**2)
    levels = np.abs(left() - right()) * std * 255
    taken = [(timed(left), timed(right)) for _ in range(pairs)]
    ceiling = ""
    if how == "exact" and (fitted := _fitted(rule, picture)) != picture.shape[:2]:
        alone = min(timed(lambda: shown.resize((fitted[1], fitted[0]), Image.Resampling.BICUBIC))[1] for _ in taken)
        sides = [min(pair[side][1] for pair in taken) for side in range(2)]
        ceiling = f"; Pillow's resize {alone * 1e3:.0f} of our {sides[1] * 1e3:.0f} ms, at most {sides[0] / alone:.1f}x"
    wall, cpu = ([a[part] / b[part] for a, b in taken] for part in range(2))
    ms = [statistics.median(pair[side][0] for pair in taken) * 1e3 for side in range(2)]
    print(
        f"{name:6} {'x'.join(str(edge) for edge in picture.shape):12} {_spread(wall)}, {ms[1]:.0f} ms beside "
        f"{ms[0]:.0f}; processor time {_spread(cpu)}; grey levels apart: most {levels.max():.2f}, "
        f"mean {levels.mean():.4f}{ceiling}",
        flush=True,
    )


def _spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.1f}x ({min(ratios):.1f} … {max(ratios):.1f})"


def main() -> None:
    """Draw, compare, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=15)
    pairs = parser.parse_args().pairs
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    print(
        f"commit {commit.stdout.strip() or '?'}; load {', '.join(f'{value:.1f}' for value in os.getloadavg())}; "
        f"{os.cpu_count()} cores, {num_threads()} threads; {pairs} pairs"
    )
    square = np.asarray(draw_picture(HELD_OUT[0], "fundus", size=(1024, 1024)).pixels)
    grey = np.asarray(draw_picture(HELD_OUT[1], "xray", size=(1024, 1024)).pixels)
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1400, 3), dtype=np.uint8)
    compare("fits", QWEN3, square, "exact", pairs)
    compare("fits", QWEN3, grey, "exact", pairs)
    ways: tuple[tuple[str, Resize], ...] = (("exact", "exact"), ("fast", "fast"))
    for name, how in ways:
        for picture in (square, grey, noise):
            compare(name, QWEN2, picture, how, pairs)


if __name__ == "__main__":
    main()

"""How many phantoms are drawn per second on one core: `python benchmarks/phantoms.py [pictures per modality]`."""

from __future__ import annotations

import sys
import time

from vesalius.phantoms import MODALITIES, draw_clip, draw_pair, draw_picture, draw_volume


def main(count: int) -> None:
    """Print a line per modality and kind; processor seconds, so that other work on the machine counts less."""
    total = 0.0
    for modality in MODALITIES:
        for seed in range(20):
            draw_picture(seed, modality)
        start = time.process_time()
        for seed in range(count):
            draw_picture(seed, modality)
        spent = time.process_time() - start
        total += spent
        print(f"{modality:12} {count / spent:7.0f} pictures/s  {1000 * spent / count:6.2f} ms each")
    print(f"{'all':12} {count * len(MODALITIES) / total:7.0f} pictures/s  (224 × 224, truth included)")
    for name, draw, number in (("volume", draw_volume, 8), ("clip of 16", draw_clip, 8), ("pair", draw_pair, 40)):
        start = time.process_time()
        for seed in range(number):
            draw(seed)
        print(f"{name:12} {1000 * (time.process_time() - start) / number:7.1f} ms each")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)

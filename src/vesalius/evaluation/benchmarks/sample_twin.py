"""The twin of people's own samples: a small folder of phantoms, pictures, pairs and clips, in three languages."""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path

__all__ = ["write_samples_twin"]

_SIZE = 128
_SHARES = {"picture": 0.7, "pair": 0.15, "clip": 0.15}
_PER_PHANTOM = 12
"""Questions a phantom gives at least, in three languages."""


def write_samples_twin(folder: Path, count: int, seed: int) -> None:
    """`count` questions, drawn from those of a few phantoms; media and masks beside them."""
    from vesalius.dialogue.samples import read_samples, write_samples
    from vesalius.phantoms.splits import HELD_OUT
    from vesalius.phantoms.write import write_phantoms

    rng = random.Random(f"samples/{seed}")
    first = HELD_OUT[rng.randrange(len(HELD_OUT) // 2)]
    left = count
    for kind, share in _SHARES.items():
        wanted = left if kind == "clip" else min(left, max(1, round(count * share)))
        left -= wanted
        if not wanted:
            continue
        with tempfile.TemporaryDirectory(dir=folder) as partial:
            made = Path(partial) / kind
            phantoms = max(1, wanted // _PER_PHANTOM + 1)
            write_phantoms(made, count=phantoms, seed=first, kind=kind, langs=("en", "zh", "ar"), size=_SIZE)  # pyright: ignore[reportArgumentType]
            samples = list(read_samples(made / "samples.jsonl"))
            chosen = sorted(rng.sample(range(len(samples)), wanted))
            for path in sorted(made.rglob("*")):
                place = folder / path.relative_to(made)
                if path.is_file() and path.parent != made:
                    place.parent.mkdir(parents=True, exist_ok=True)
                    shutil.move(path, place)
            write_samples(folder / f"{kind}s.jsonl", (samples[k] for k in chosen))

"""Stage "encode": draw the pictures of a recipe, encode each once, keep the result in shards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vesalius.errors import OptionError
from vesalius.models.parts.dinov2_encode import Dinov2Encoder
from vesalius.models.starter.config import StarterConfig
from vesalius.models.starter.eyes import encode_layers
from vesalius.phantoms.pictures import draw_picture
from vesalius.phantoms.splits import CALIBRATION, TRAIN
from vesalius.phantoms.truth import Truth
from vesalius.phantoms.volumes import draw_volume, slice_truth
from vesalius.study.geometry import AXES
from vesalius.study.items import Axis
from vesalius.study.windows import PRESETS, Window
from vesalius.training.recipe import StarterRecipe
from vesalius.training.starter.real_slices import KNOWN_ON_REAL, draw_real_slices, open_sources
from vesalius.training.starter.see_cache import Encode, Shard, write_shard

__all__ = [
    "encode_calibration",
    "encode_more",
    "encode_phantoms",
    "encode_real",
    "encode_volumes",
    "picture_encoder",
    "picture_size",
]

Report = Callable[[str], None]

SLICES_PER_VOLUME = 12

_MORE = 1_500_000
"""Where in the training seeds the further pictures begin: behind those of all modalities and of volumes."""


def picture_encoder(encoder: Dinov2Encoder, config: StarterConfig, *, bf16: bool) -> Encode:
    """The function a shard calls: `[B, S, S, 3]` uint8 → `[B, patches, F]` float16."""

    def encode(squares: NDArray[np.uint8]) -> NDArray[np.float16]:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            features = encode_layers(encoder, squares, config.encoder_layers)
        return features.to(torch.float16).numpy()

    return encode


def picture_size(seed: int, size: int) -> tuple[int, int]:
    """(height, width) a training picture is drawn at: two thirds square, the others with one side down to 70 %."""
    rng = np.random.default_rng([seed, 77])
    if rng.random() < 0.67:
        return (size, size)
    short = int(size * rng.uniform(0.7, 1.0))
    return (size, short) if rng.random() < 0.6 else (short, size)


def _truths(
    seeds: Sequence[int], size: int, modality: str | None = None
) -> Iterator[tuple[Truth, frozenset[str] | None]]:
    for seed in seeds:
        yield draw_picture(seed, modality, picture_size(seed, size)), None


def encode_phantoms(recipe: StarterRecipe, config: StarterConfig, encode: Encode, report: Report) -> list[Shard]:
    """The training phantoms, shard by shard; complete shards are reused."""
    shards: list[Shard] = []
    for number, first in enumerate(range(0, recipe.see.pictures, recipe.see.shard)):
        count = min(recipe.see.shard, recipe.see.pictures - first)
        seeds = TRAIN[first : first + count]
        note = {"kind": "phantoms", "first": seeds[0], "count": count, "layers": list(config.encoder_layers)}
        folder = Path(recipe.out) / "cache" / f"phantoms-{number:03d}"
        shards.append(write_shard(folder, _truths(seeds, config.size), count, encode, size=config.size, note=note))
        report(f"encoded {first + count} of {recipe.see.pictures} phantoms")
    return shards


def encode_more(recipe: StarterRecipe, config: StarterConfig, encode: Encode, report: Report) -> list[Shard]:
    """The further training phantoms of some modalities, a shard each."""
    shards: list[Shard] = []
    start = _MORE
    for modality, count in recipe.see.more.items():
        if count < 1:
            raise OptionError(f"see.more.{modality} is {count}.", fix="Use 1 or more, or leave it out.")
        seeds = TRAIN[start : start + count]
        start += count
        note = {"kind": modality, "first": seeds[0], "count": count, "layers": list(config.encoder_layers)}
        folder = Path(recipe.out) / "cache" / f"more-{modality}"
        truths = _truths(seeds, config.size, modality)
        shards.append(write_shard(folder, truths, count, encode, size=config.size, note=note))
        report(f"encoded {count} further phantoms: {modality}")
    return shards


def encode_volumes(recipe: StarterRecipe, config: StarterConfig, encode: Encode, report: Report) -> list[Shard]:
    """Slices of phantom volumes: what a volume shows differs from what a picture shows."""
    count = recipe.see.volumes * SLICES_PER_VOLUME
    if count == 0:
        return []
    seeds = TRAIN[1_000_000 : 1_000_000 + recipe.see.volumes]
    note = {"kind": "volumes", "first": seeds[0], "count": count, "layers": list(config.encoder_layers)}
    folder = Path(recipe.out) / "cache" / "volumes"
    shard = write_shard(folder, _slice_truths(seeds), count, encode, size=config.size, note=note)
    report(f"encoded {count} slices of {len(seeds)} phantom volumes")
    return [shard]


def _slice_truths(seeds: Sequence[int]) -> Iterator[tuple[Truth, frozenset[str] | None]]:
    axes: tuple[Axis, ...] = ("axial", "axial", "axial", "coronal", "sagittal")
    for seed in seeds:
        rng = np.random.default_rng([seed, 78])
        volume = draw_volume(seed)
        for number in range(SLICES_PER_VOLUME):
            axis = axes[int(rng.integers(len(axes)))]
            index = int(rng.integers(volume.values.shape[AXES[axis]]))
            if number % 2 == 0 and volume.instances.any():  # half of them through a finding
                index = int(rng.choice(np.nonzero(volume.instances)[AXES[axis]]))
            window = _slice_window(volume.modality, rng)
            yield slice_truth(volume, axis, index, window), None


def _slice_window(modality: str, rng: np.random.Generator) -> Window | None:
    if modality != "ct":
        return None
    chosen = PRESETS["lung" if rng.random() < 0.5 else "soft-tissue"]
    span = chosen.high - chosen.low
    return Window(chosen.low + span * rng.uniform(-0.05, 0.05), chosen.high + span * rng.uniform(-0.05, 0.05))


def encode_calibration(recipe: StarterRecipe, config: StarterConfig, encode: Encode) -> Shard:
    """Phantoms of the calibration range."""
    seeds = CALIBRATION[: recipe.see.calibration]
    note = {"kind": "calibration", "first": seeds[0], "count": len(seeds), "layers": list(config.encoder_layers)}
    folder = Path(recipe.out) / "cache" / "calibration"
    return write_shard(folder, _truths(seeds, config.size), len(seeds), encode, size=config.size, note=note)


def encode_real(recipe: StarterRecipe, config: StarterConfig, encode: Encode, report: Report) -> list[Shard]:
    """Slices of the real training volumes, when they have been fetched; says so when not."""
    if recipe.see.real_pictures == 0:
        return []
    sources = open_sources(Path(recipe.real_data))
    if not sources:
        report(f"no real training volumes in {recipe.real_data}: training on phantoms alone")
        return []
    count = recipe.see.real_pictures
    note = {
        "kind": "real",
        "sources": [source.spec.image_sha256 for source in sources],
        "seed": recipe.seed,
        "count": count,
        "layers": list(config.encoder_layers),
    }
    truths = ((truth, KNOWN_ON_REAL) for truth in draw_real_slices(sources, count, recipe.seed, config.size))
    folder = Path(recipe.out) / "cache" / "real"
    shard = write_shard(folder, truths, count, encode, size=config.size, note=note)
    report(f"encoded {count} slices of {len(sources)} real training volumes")
    return [shard]

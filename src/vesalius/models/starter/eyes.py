"""The starter's eyes: frozen encoder layers and the dense head, from square pictures to what is where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vesalius.models.parts.dinov2_encode import Dinov2Encoder
from vesalius.models.parts.see_head import SeeConfig, SeeHead
from vesalius.models.parts.see_objects import SeenMaps
from vesalius.models.starter.config import StarterConfig

__all__ = ["Eyes", "Sight", "encode_layers", "has_bfloat16_tiles", "pool_tokens", "see_config"]

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Sight:
    """What the eyes saw on one square picture.

    `tokens`: `[visual_tokens, features]` float32 pooled encoder features.  `modality`, `plane`, `region`: (name,
    probability).  `maps`: the head's logits.
    """

    tokens: NDArray[np.float32] = field(repr=False)
    maps: SeenMaps = field(repr=False)
    modality: tuple[str, float]
    plane: tuple[str, float]
    region: tuple[str, float]


def see_config(config: StarterConfig) -> SeeConfig:
    """The head's part of the configuration."""
    return SeeConfig(
        config.labels,
        config.modalities,
        config.planes,
        config.regions,
        features=config.features,
        size=config.size,
        width=config.width,
    )


def encode_layers(encoder: Dinov2Encoder, squares: NDArray[np.uint8], wanted: Sequence[int]) -> Tensor:
    """`[B, S, S, 3]` uint8 → `[B, patches, 384 × layers]`, layers concatenated in the given order."""
    pixels = torch.from_numpy(np.ascontiguousarray(squares)).permute(0, 3, 1, 2).float().div_(255)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGE_MEAN, IMAGE_STD))
    seen = encoder.encode(pixels.sub_(mean).div_(std), [n for n in wanted if n < encoder.num_layers])
    # The last layer is read after the final norm, as the encoder was trained to be read; the class token is dropped.
    states = [seen.last if n == encoder.num_layers else seen.layers[n] for n in wanted]
    return torch.cat([state[:, 1:] for state in states], dim=2)


def pool_tokens(features: Tensor, count: int, num_layers: int) -> Tensor:
    """`[B, patches, F]` → `[B, count, F]`: mean over equal squares of the patch grid, then unit RMS per layer."""
    batch, patches, channels = features.shape
    side, out = int(patches**0.5), int(count**0.5)
    grid = features.float().transpose(1, 2).reshape(batch, channels, side, side)
    pooled = torch.nn.functional.adaptive_avg_pool2d(grid, out).flatten(2).transpose(1, 2)
    layers = pooled.unflatten(2, (num_layers, -1))
    return torch.nn.functional.rms_norm(layers, layers.shape[3:]).flatten(2)


def has_bfloat16_tiles() -> bool:
    """Whether this CPU multiplies bfloat16 by tiles (AMX), which is faster than float32; elsewhere it is slower."""
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


class Eyes:
    """Encoder and head together, on the CPU; `look` runs pictures in small batches.

    `bf16`: multiply in bfloat16, as both did in training; else in float32.
    """

    def __init__(self, encoder: Dinov2Encoder, head: SeeHead, config: StarterConfig, *, bf16: bool = False) -> None:
        self.encoder, self.head, self.config, self.bf16 = encoder, head.eval(), config, bf16

    @torch.inference_mode()
    def look(self, squares: NDArray[np.uint8], *, batch: int = 8) -> list[Sight]:
        """`[N, S, S, 3]` uint8 square pictures → one Sight each."""
        sights: list[Sight] = []
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            for start in range(0, len(squares), batch):
                sights += self._look(squares[start : start + batch])
        return sights

    @torch.inference_mode()
    def tokens(self, squares: NDArray[np.uint8], count: int) -> Tensor:
        """`[N, S, S, 3]` uint8 square pictures → `[N, count, features]` float32: `Sight.tokens`, but any square
        number of them; nothing is located."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            features = encode_layers(self.encoder, squares, self.config.encoder_layers)
            return pool_tokens(features, count, len(self.config.encoder_layers)).clone()

    def _look(self, squares: NDArray[np.uint8]) -> list[Sight]:
        features = encode_layers(self.encoder, squares, self.config.encoder_layers)
        side = int(features.shape[1] ** 0.5)
        pixels = torch.from_numpy(np.ascontiguousarray(squares)).permute(0, 3, 1, 2).float() / 127.5 - 1
        seen = self.head(
            pixels.contiguous(memory_format=torch.channels_last),
            features.transpose(1, 2).unflatten(2, (side, side)),
        )
        tokens = pool_tokens(features, self.config.visual_tokens, len(self.config.encoder_layers)).numpy()
        maps = [t.float().numpy() for t in (seen.masks, seen.centres, seen.offsets, seen.sides, seen.present)]
        named = [
            _named(getattr(seen, name), getattr(self.config, f"{name[:-1]}ies" if name == "modality" else f"{name}s"))
            for name in ("modality", "plane", "region")
        ]
        return [
            Sight(tokens[b], SeenMaps(*(m[b] for m in maps)), named[0][b], named[1][b], named[2][b])
            for b in range(len(squares))
        ]


def _named(logits: Tensor, names: Sequence[str]) -> list[tuple[str, float]]:
    chance = logits.float().softmax(1)
    best: Any = chance.max(1)
    return [(names[int(i)], float(p)) for p, i in zip(best.values, best.indices, strict=True)]

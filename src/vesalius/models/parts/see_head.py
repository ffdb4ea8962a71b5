"""The starter's dense head: what is where on a picture, from frozen encoder layers and a fast pixel path.

Every label has a learnt query; a pixel's embedding times the query is its mask logit or centre logit, so all labels
are read in one pass and one label costs one dot product. Shapes: B pictures, L labels, S = `grid` (half the side of
the square picture).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["SeeConfig", "SeeHead", "Seen"]


@dataclass(frozen=True)
class SeeConfig:
    """Sizes of the head. `labels`, `modalities`, `planes`, `regions`: names in output order."""

    labels: tuple[str, ...]
    modalities: tuple[str, ...]
    planes: tuple[str, ...]
    regions: tuple[str, ...]
    features: int = 1536
    """Encoder layers concatenated, channels per patch."""
    size: int = 224
    """Side of the square picture in pixels."""
    width: int = 32
    """Channels of the finest stage; coarser stages have 2 and 3 times as many."""

    @property
    def grid(self) -> int:
        return self.size // 2


class Seen(NamedTuple):
    """Raw outputs.

    `masks`, `centres`: `[B, L, S, S]` logits.  `offsets`: `[B, 2, S, S]` (dx, dy) from a pixel to the centre of its
    object, in square pixels / 16.  `sides`: `[B, 3, S, S]` logits (right, midline, left).  `present`: `[B, L]` logits.
    `modality`, `plane`, `region`: `[B, …]` logits.
    """

    masks: Tensor
    centres: Tensor
    offsets: Tensor
    sides: Tensor
    present: Tensor
    modality: Tensor
    plane: Tensor
    region: Tensor


def _block(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()
    )


class SeeHead(nn.Module):
    """A small U-shaped network whose coarsest stage reads the encoder's patch features.

    The pixel path keeps edges that 14-pixel patches lose; the encoder's path says what they are.
    """

    def __init__(self, config: SeeConfig) -> None:
        super().__init__()
        self.config = config
        fine, mid, coarse = config.width, 2 * config.width, 3 * config.width
        labels = len(config.labels)
        self.stem = nn.Sequential(_block(12, fine), _block(fine, fine))
        self.down1 = nn.Sequential(_block(fine, mid, 2), _block(mid, mid))
        self.down2 = nn.Sequential(_block(mid, coarse, 2), _block(coarse, coarse))
        self.features = nn.Sequential(
            nn.Conv2d(config.features, 4 * config.width, 1, bias=False), nn.BatchNorm2d(4 * config.width)
        )
        self.feature_scale = nn.Parameter(torch.ones(4))
        self.fuse = nn.Sequential(_block(coarse + 4 * config.width, coarse), _block(coarse, coarse))
        self.up1 = _block(coarse + mid, mid)
        self.up2 = _block(mid + fine, fine)
        self.refine = _block(fine, fine)
        self.mask_embed = nn.Conv2d(fine, fine, 1)
        self.centre_embed = nn.Conv2d(fine, fine, 1)
        self.mask_queries = nn.Parameter(torch.randn(labels, fine) * fine**-0.5)
        self.centre_queries = nn.Parameter(torch.randn(labels, fine) * fine**-0.5)
        self.mask_bias = nn.Parameter(torch.full((labels,), -3.0))
        self.centre_bias = nn.Parameter(torch.full((labels,), -4.0))
        self.place = nn.Conv2d(fine, 5, 1)
        pooled = 2 * config.features + 2 * coarse
        self.whole = nn.Sequential(nn.LayerNorm(pooled), nn.Linear(pooled, 256), nn.GELU(), nn.Dropout(0.1))
        self.present = nn.Linear(256 + labels, labels)
        self.modality = nn.Linear(256, len(config.modalities))
        self.plane = nn.Linear(256, len(config.planes))
        self.region = nn.Linear(256, len(config.regions))

    def forward(self, pixels: Tensor, features: Tensor) -> Seen:
        """`pixels` `[B, 3, size, size]` float in −1…1; `features` `[B, F, h, w]` encoder layers, unscaled."""
        layers = features.unflatten(1, (4, -1))
        layers = functional.normalize(layers, dim=2) * layers.shape[2] ** 0.5
        patches = (layers * self.feature_scale[None, :, None, None, None]).flatten(1, 2)
        fine = self.stem(functional.pixel_unshuffle(pixels, 2))
        mid = self.down1(fine)
        coarse = self.down2(mid)
        known = functional.interpolate(self.features(patches), size=coarse.shape[-2:], mode="bilinear")
        coarse = self.fuse(torch.cat([coarse, known], dim=1))
        up = self.up1(torch.cat([_enlarge(coarse, mid), mid], dim=1))
        up = self.refine(self.up2(torch.cat([_enlarge(up, fine), fine], dim=1)))
        masks = self._read(self.mask_embed(up), self.mask_queries, self.mask_bias)
        centres = self._read(self.centre_embed(up), self.centre_queries, self.centre_bias)
        place = self.place(up)
        pooled = [patches.mean((2, 3)), patches.amax((2, 3)), coarse.mean((2, 3)), coarse.amax((2, 3))]
        whole = self.whole(torch.cat(pooled, dim=1))
        highest = centres.amax((2, 3)).clamp(-8, 8)
        return Seen(
            masks,
            centres,
            place[:, :2],
            place[:, 2:],
            self.present(torch.cat([whole, highest], dim=1)),
            self.modality(whole),
            self.plane(whole),
            self.region(whole),
        )

    @staticmethod
    def _read(embedded: Tensor, queries: Tensor, bias: Tensor) -> Tensor:
        return functional.conv2d(embedded, queries[:, :, None, None], bias)


def _enlarge(small: Tensor, like: Tensor) -> Tensor:
    # Nearest costs a fifth of bilinear in the backward pass; the 3×3 convolution after it smooths.
    return functional.interpolate(small, size=like.shape[-2:], mode="nearest")

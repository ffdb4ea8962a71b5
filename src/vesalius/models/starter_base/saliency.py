"""The saliency decoder that comes with the encoder: patch tokens to a per-pixel map. Starting point of mask heads."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["SaliencyDecoder"]


class SaliencyDecoder(nn.Module):
    """Three times (transposed convolution x2, BatchNorm, ReLU), then a 1x1 convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.upconv1 = nn.ConvTranspose2d(384, 256, 4, stride=2, padding=1)
        self.upconv2 = nn.ConvTranspose2d(256, 128, 4, stride=2, padding=1)
        self.upconv3 = nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1)
        self.bn1 = nn.BatchNorm2d(256)
        self.bn2 = nn.BatchNorm2d(128)
        self.bn3 = nn.BatchNorm2d(64)
        self.final_conv = nn.Conv2d(64, 1, 1)

    def forward(self, patches: Tensor, size: tuple[int, int] = (224, 224)) -> Tensor:
        """`patches`: [B, N, 384] final-normed tokens of a square grid without CLS. Returns [B, 1, *size] in 0..1."""
        side = round(patches.shape[1] ** 0.5)
        features = patches.transpose(1, 2).unflatten(2, (side, side))
        features = functional.relu(self.bn1(self.upconv1(features)))
        features = functional.relu(self.bn2(self.upconv2(features)))
        features = functional.relu(self.bn3(self.upconv3(features)))
        logits = functional.interpolate(self.final_conv(features), size=size, mode="bilinear", align_corners=False)
        return torch.sigmoid(logits)

"""Pictures as SAM2 reads them, masks as they are trained on, and logits as masks of the original picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vesalius.errors import InputError
from vesalius.study.items import Picture
from vesalius.study.read import read
from vesalius.vision.patches import as_rgb

__all__ = ["full_size", "mask_losses", "read_mask", "sam_picture"]

_MEAN = np.array((0.485, 0.456, 0.406))
_STD = np.array((0.229, 0.224, 0.225))
"""float64, as the published preprocessing has them: the last bit depends on it."""


def sam_picture(picture: NDArray[np.uint8], edge: int) -> Tensor:
    """`[H, W(, 3)]` uint8 → `[1, 3, edge, edge]` float32. Pillow's Lanczos straight to the square, aspect not kept:
    what the model was trained with, not SAM2's own resize."""
    from PIL import Image

    square = np.asarray(Image.fromarray(picture).resize((edge, edge), Image.Resampling.LANCZOS))
    scaled = as_rgb(square).astype(np.float32) / np.float32(255)
    normal = ((scaled - _MEAN) / _STD).astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(normal.transpose(2, 0, 1)))[None]


def read_mask(given: Any, edge: int) -> Tensor:
    """A mask picture (path, bytes, array or Picture; anything above 0 is inside) → `[edge, edge]` uint8, nearest.

    Raises InputError for what is no picture.
    """
    from PIL import Image

    item = given if isinstance(given, Picture) else next(iter(read(given).items), None)
    if not isinstance(item, Picture):
        raise InputError("a mask is not a picture.")
    values: Any = item.values()
    if values.ndim == 3:
        values = np.asarray(Image.fromarray(values.astype(np.uint8)).convert("L"))
    inside = Image.fromarray((values > 0).astype(np.uint8) * 255)
    small = np.asarray(inside.resize((edge, edge), Image.Resampling.NEAREST))
    return torch.from_numpy((small > 0).astype(np.uint8))


def full_size(logits_hw: Tensor, width: int, height: int, *, nearest: bool) -> NDArray[np.bool_]:
    """Mask logits → `[height, width]` bool: logits enlarged bilinearly, then above 0. `nearest`: as published, above 0
    first and stretched then, which leaves steps of several pixels."""
    if nearest:
        from PIL import Image

        small = (logits_hw > 0).cpu().numpy().astype(np.uint8) * 255
        return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.NEAREST)) > 0
    large = torch.nn.functional.interpolate(
        logits_hw[None, None].float(), (height, width), mode="bilinear", align_corners=False
    )
    return (large[0, 0] > 0).cpu().numpy()


def mask_losses(logits_nhw: Tensor, truth_nhw: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """(binary cross entropy over all pixels and masks, Dice loss averaged over masks)."""
    truth = truth_nhw.to(logits_nhw)
    bce = torch.nn.functional.binary_cross_entropy_with_logits(logits_nhw, truth)
    chance, truth_flat = logits_nhw.sigmoid().flatten(1), truth.flatten(1)
    both = (chance * truth_flat).sum(1)
    dice = 1 - (2 * both + eps) / (chance.sum(1) + truth_flat.sum(1) + eps)
    return bce, dice.mean()

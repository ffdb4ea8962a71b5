"""Losses of the see head. All in float32, over annotated labels only."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vesalius.models.parts.see_head import Seen

__all__ = ["see_loss"]

WEIGHTS = {
    "dice": 1.0,
    "focal": 1.0,
    "centres": 1.0,
    "offsets": 1.0,
    "sides": 0.5,
    "present": 0.5,
    "modality": 0.3,
    "plane": 0.3,
    "region": 0.3,
}

PICKED = 8
"""Labels per picture in the pixel losses."""


def see_loss(seen: Seen, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """(weighted sum, each part by name). `batch` as `see_targets.collate_pictures` gives it."""
    picked = _picked(seen.centres, batch["masks"], batch["known"])
    masks, centres = _gather(seen.masks, picked).float(), _gather(seen.centres, picked).float()
    true_masks, true_centres = _gather(batch["masks"], picked), _gather(batch["centres"], picked)
    known = batch["known"].float()
    weighed = known.gather(1, picked)
    parts = {
        "dice": _dice(masks, true_masks, weighed),
        "focal": _mask_focal(masks, true_masks, weighed),
        "centres": _centre_focal(centres, true_centres, weighed),
        "offsets": _at(functional.l1_loss(seen.offsets.float(), batch["offsets"], reduction="none"), batch["owned"]),
        "sides": functional.cross_entropy(seen.sides.float(), batch["sides"], ignore_index=-1, reduction="sum")
        / (batch["sides"] >= 0).sum().clamp(min=1),
        "present": _present(seen.present.float(), batch["masks"], known),
    }
    for name in ("modality", "plane", "region"):
        parts[name] = functional.cross_entropy(getattr(seen, name).float(), batch[name], label_smoothing=0.05)
    total = torch.stack([WEIGHTS[name] * value for name, value in parts.items()]).sum()
    return total, {name: float(value.detach()) for name, value in parts.items()}


def _picked(centres: Tensor, masks: Tensor, known: Tensor) -> Tensor:
    """`[B, PICKED]` labels per picture the pixel losses look at: all that are there, then those most wrongly seen.

    Most of the 23 labels are absent from a picture and silent on it; skipping their maps makes a step a third faster.
    """
    strength = centres.detach().amax((2, 3)).float()
    strength = strength.masked_fill(masks.amax((2, 3)) > 0, 1e4).masked_fill(~known, -1e4)
    return strength.topk(min(PICKED, strength.shape[1]), dim=1).indices


def _gather(maps: Tensor, picked: Tensor) -> Tensor:
    return maps[torch.arange(len(maps))[:, None], picked]


def _dice(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """1 − soft Dice, mean over (picture, label) pairs that are present."""
    chance = logits.sigmoid()
    overlap = (chance * target).sum((2, 3))
    sizes = chance.sum((2, 3)) + target.sum((2, 3))
    present = (target.amax((2, 3)) > 0).float() * known
    return ((1 - (2 * overlap + 1) / (sizes + 1)) * present).sum() / present.sum().clamp(min=1)


def _mask_focal(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Focal cross-entropy per label, divided by the label's area + 50 cells: small lesions weigh as much as organs."""
    chance = logits.sigmoid()
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    missed = (chance - target).abs() ** 2
    summed = (entropy * missed).sum((2, 3)) / (target.sum((2, 3)) + 50)
    return (summed * known).sum() / known.sum().clamp(min=1) * 2


def _centre_focal(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Penalty-reduced focal loss on Gaussian centres, per object."""
    chance = logits.sigmoid().clamp(1e-5, 1 - 1e-5)
    peak = (target > 0.999).float()
    positive = -((1 - chance) ** 2) * chance.log() * peak
    negative = -((1 - target) ** 4) * chance**2 * (1 - chance).log() * (1 - peak)
    summed = ((positive + negative).sum((2, 3)) * known).sum()
    return summed / (peak.sum((2, 3)) * known).sum().clamp(min=1)


def _present(logits: Tensor, masks: Tensor, known: Tensor) -> Tensor:
    truth = (masks.amax((2, 3)) > 0).float()
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return (entropy * known).sum() / known.sum().clamp(min=1)


def _at(values: Tensor, where: Tensor) -> Tensor:
    """Mean of `[B, C, S, S]` over the cells `where` `[B, S, S]`."""
    kept = values * where[:, None]
    return kept.sum() / (where.sum().clamp(min=1) * values.shape[1])

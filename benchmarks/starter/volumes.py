"""Held-out phantom volumes: 3D masks against their truth."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.starter import scores
from vesalius.dialogue.words import LABEL_NAMES
from vesalius.findings.findings import Mask
from vesalius.inference.model import Model
from vesalius.phantoms.splits import HELD_OUT
from vesalius.phantoms.truth import VolumeTruth
from vesalius.phantoms.volumes import draw_volume
from vesalius.study.read import read


def measure(model: Model, count: int) -> dict[str, Any]:
    """Dice of the asked label's 3D mask: organs and findings apart."""
    organs: list[float] = []
    findings: list[float] = []
    for seed in HELD_OUT[70_000 : 70_000 + count]:
        truth = draw_volume(seed)
        volume = read(truth.values, affine=truth.affine_ras, modality=truth.modality.upper()).volumes[0]
        requests: list[tuple[Any, str | None]] = []
        masks: list[tuple[bool, np.ndarray]] = []
        for label, mask, is_finding in _labels(truth):
            requests.append((volume, f"Outline the {LABEL_NAMES[label].en[0]}."))
            masks.append((is_finding, mask))
        for (is_finding, mask), answer in zip(masks, model.ask_batch(requests, max_new_tokens=80), strict=True):
            said = np.zeros(mask.shape, bool)
            for found in answer.findings:
                if isinstance(found, Mask) and found.mask.shape == mask.shape:
                    said |= found.mask
            (findings if is_finding else organs).append(scores.dice(mask, said))
        print(seed, truth.modality, truth.region, "organs", organs[-4:], "findings", findings[-3:], flush=True)
    table: dict[str, Any] = {}
    for name, values in (("organs", organs), ("findings", findings)):
        mean, low, high = scores.interval(values)
        table[name] = {"n": len(values), "mean": mean, "low": low, "high": high}
    return table


def _labels(truth: VolumeTruth) -> list[tuple[str, np.ndarray, bool]]:
    """(label, true mask, is a finding): each organ, and each kind of finding, that is there."""
    asked: list[tuple[str, np.ndarray, bool]] = []
    for value, name in enumerate(truth.names, 1):
        # An organ's label is overwritten where a finding lies in it; the question means the organ with its finding.
        if name in LABEL_NAMES and name not in truth.instance_labels and (truth.labels == value).sum() > 500:
            asked.append((name, (truth.labels == value), False))
    for label in dict.fromkeys(truth.instance_labels):
        numbers = [k for k, name in enumerate(truth.instance_labels, 1) if name == label]
        mask = np.isin(truth.instances, numbers)
        if mask.sum() >= 30:
            asked.append((label, mask, True))
    return asked

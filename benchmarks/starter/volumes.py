"""Held-out phantom volumes: 3D masks against their truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
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
    """Dice of the asked label's 3D mask, organs and findings apart; the baselines on every third volume."""
    found: dict[str, dict[str, list[float]]] = {kind: defaultdict(list) for kind in ("organs", "findings")}
    for number, seed in enumerate(HELD_OUT[70_000 : 70_000 + count]):
        truth = draw_volume(seed)
        asked = _labels(truth)
        for condition in ("seen", "blank", "shuffled") if number % 3 == 0 else ("seen",):
            values = truth.values
            if condition == "blank":
                values = np.full_like(values, values.min())
            elif condition == "shuffled":
                shape: Any = values.shape
                values = draw_volume(seed + 100, truth.modality, shape, region=truth.region).values
            for kind, dice in _dices(model, truth, values, asked):
                found[kind][condition].append(dice)
        print(seed, truth.modality, truth.region, {kind: by["seen"][-4:] for kind, by in found.items()}, flush=True)
    return {
        kind: scores.summary(by["seen"]) | {name: scores.mean(by[name]) for name in ("blank", "shuffled")}
        for kind, by in found.items()
    }


def _dices(
    model: Model, truth: VolumeTruth, values: np.ndarray, asked: list[tuple[str, np.ndarray, bool]]
) -> Iterator[tuple[str, float]]:
    volume = read(values, affine=truth.affine_ras, modality=truth.modality.upper()).volumes[0]
    requests: list[tuple[Any, str | None]] = [(volume, f"Outline the {LABEL_NAMES[one[0]].en[0]}.") for one in asked]
    for (_, mask, is_finding), answer in zip(asked, model.ask_batch(requests, max_new_tokens=80), strict=True):
        said = np.zeros(mask.shape, bool)
        for one in answer.findings:
            if isinstance(one, Mask) and one.mask.shape == mask.shape:
                said |= one.mask
        yield "findings" if is_finding else "organs", scores.dice(mask, said)


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

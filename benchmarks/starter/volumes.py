"""Held-out phantom volumes: 3D masks against their truth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.starter.harness import Bench, row_of
from benchmarks.starter.held_out import rows_with
from vesalius.dialogue.samples import MaskTarget, Media, Sample, Tags, Targets, Turn
from vesalius.dialogue.words import LABEL_NAMES
from vesalius.phantoms.splits import HELD_OUT
from vesalius.phantoms.truth import VolumeTruth
from vesalius.phantoms.volumes import draw_volume
from vesalius.phantoms.write_media import write_volume

__all__ = ["measure"]


def measure(bench: Bench, count: int) -> dict[str, Any]:
    """Dice of the asked label's 3D mask, organs and findings apart; the baselines on the first third of the volumes."""
    folder = bench.data("volumes")
    rows = list(volume_rows(folder, count))
    rows_with(folder, rows)
    first = {row.media[0].path for row in rows if int(row.id.partition("-")[0]) < HELD_OUT[70_000] + -(-count // 3)}
    summary = bench.scored("volumes", sum(row.media[0].path in first for row in rows), max_new_tokens=80)
    table = {kind: row_of(summary, kind, "dice") for kind in ("organs", "findings")}
    print(table, flush=True)
    return table


def volume_rows(folder: Path, count: int) -> Iterator[Sample]:
    """Each organ and each kind of finding of each volume is asked to be outlined."""
    for seed in HELD_OUT[70_000 : 70_000 + count]:
        truth = draw_volume(seed)
        write_volume(folder / f"volumes/{seed}.nii.gz", truth.values, truth.affine_ras)
        for label, mask, is_finding in _labels(truth):
            path = f"masks/{seed}-{label.replace(' ', '-')}.nii.gz"
            write_volume(folder / path, mask.astype(np.uint8), truth.affine_ras)
            name = LABEL_NAMES[label].en[0]
            targets = Targets(masks=(MaskTarget(label=label, path=path),))
            yield Sample(
                id=f"{seed}-{label}",
                media=(Media(kind="volume", path=f"volumes/{seed}.nii.gz"),),
                turns=(
                    Turn(role="user", text=f"Outline the {name}."),
                    Turn(role="assistant", text=f"The {name} is outlined: <mask>.", targets=targets),
                ),
                tags=Tags(modality=truth.modality, area=truth.region, task="findings" if is_finding else "organs"),
            )


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

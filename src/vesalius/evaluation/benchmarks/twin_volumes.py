"""What the twins of volume benchmarks are made of: small generated volumes, their files, and questions about them."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vesalius.dialogue.words import LABEL_NAMES, MODALITY_NAMES, REGION_NAMES
from vesalius.evaluation.benchmarks.twin_files import write_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vesalius.phantoms.truth import VolumeTruth

__all__ = ["VolumeQuestion", "stacked", "volume_questions", "volume_report", "volumes", "write_npy", "write_volumes"]

_SHAPE = (32, 32, 12)


@dataclass(frozen=True)
class VolumeQuestion:
    """A multiple-choice question about volume number `index`; `gold`: index of the right text."""

    index: int
    aspect: str
    question: str
    texts: tuple[str, ...]
    gold: int

    @property
    def letter(self) -> str:
        return "ABCD"[self.gold]

    @property
    def answer(self) -> str:
        return self.texts[self.gold]


def volumes(name: str, count: int, seed: int, modality: str | None = None) -> Iterator[VolumeTruth]:
    """`count` held-out volumes of 32 × 32 × 12 voxels that hold a finding. `name` keeps benchmarks apart."""
    from vesalius.phantoms.splits import HELD_OUT
    from vesalius.phantoms.volumes import draw_volume

    first = random.Random(f"{name}/{seed}").randrange(len(HELD_OUT) // 2)
    made, k = 0, first
    while made < count:
        truth = draw_volume(HELD_OUT[k % len(HELD_OUT)], modality, _SHAPE)
        k += 1
        # Nearly every second volume holds one; after many tries even a healthy one will do.
        if truth.instance_labels or k - first > 20 * (count + 1):
            made += 1
            yield truth


def stacked(values: NDArray[Any]) -> NDArray[Any]:
    """Canonical `[X, Y, Z]` as M3D stores arrays: `[1, slices, rows, columns]`, slices as they are looked at."""
    import numpy as np

    return np.ascontiguousarray(values[::-1, ::-1, :].transpose(2, 1, 0)[None])


def write_npy(path: Path, array: NDArray[Any]) -> None:
    """An array without Python objects."""
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_bytes(path, buffer.getvalue())


def write_volumes(path: Path, truth: VolumeTruth, *, npy: bool = False) -> None:
    """The volume as NIfTI at `path` (…/name.nii.gz); with `npy` beside it as M3D prepares it, scaled to 0…1."""
    import numpy as np

    from vesalius.phantoms.write_media import write_volume

    write_volume(path, truth.values, truth.affine_ras)
    if npy:
        values = stacked(truth.values).astype(np.float32)
        low, high = float(values.min()), float(values.max())
        scaled = (values - np.float32(low)) / np.float32(max(high - low, 1.0))
        write_npy(path.with_name(path.name.replace(".nii.gz", ".npy")), scaled)


def volume_report(truth: VolumeTruth) -> tuple[str, str]:
    """Findings and impression of a volume, without the numbers that cite its objects."""
    import re

    from vesalius.dialogue.scene_text import Scene
    from vesalius.phantoms.questions_scenes import scene_of
    from vesalius.phantoms.reports import report

    scene = scene_of(truth)
    assert isinstance(scene, Scene), "one volume has one scene"
    made = report(scene, "en")
    findings, impression = (re.sub(r" \[\d+\]", "", text) for text in (made.findings, made.impression))
    return findings, impression


def volume_questions(name: str, drawn: Sequence[VolumeTruth], count: int, seed: int) -> list[VolumeQuestion]:
    """`count` questions in turn about the volumes: modality, region, finding, organ, side of the first finding."""
    from vesalius.phantoms.truth import LABELS

    rng = random.Random(f"{name}/questions/{seed}")
    made: list[VolumeQuestion] = []
    for k in range(count):
        index = k % len(drawn)
        truth = drawn[index]
        here = {name for value, name in enumerate(truth.names, 1) if (truth.labels == value).any()}
        organs = sorted(label for label in here if LABELS[label] == "anatomy")
        found = sorted(set(truth.instance_labels)) or ["debris"]
        turn = (k // len(drawn) + k) % 4
        if turn == 0:
            said = MODALITY_NAMES[truth.modality].en[0]
            wrong = [said.en[0] for key, said in MODALITY_NAMES.items() if key != truth.modality]
            made.append(_mixed(rng, index, "phase", "How was this scan made?", said, wrong))
        elif turn == 1:
            said = REGION_NAMES[truth.region].en[0]
            wrong = [said.en[0] for key, said in REGION_NAMES.items() if key != truth.region]
            made.append(_mixed(rng, index, "location", "Which part of the body is scanned?", said, wrong))
        elif turn == 2:
            wrong = [_said(x) for x in LABELS if LABELS[x] == "finding" and x not in found]
            made.append(_mixed(rng, index, "abnormality", "Which abnormality is there?", _said(found[0]), wrong))
        else:
            wrong = [_said(x) for x in LABELS if LABELS[x] == "anatomy" and x not in here]
            made.append(_mixed(rng, index, "organ", "Which organ is seen?", _said(organs[0]), wrong))
    return made


def _said(label: str) -> str:
    return LABEL_NAMES[label].en[0]


def _mixed(rng: random.Random, index: int, aspect: str, question: str, right: str, wrong: list[str]) -> VolumeQuestion:
    texts = [right, *rng.sample([text for text in wrong if text != right], 3)]
    rng.shuffle(texts)
    return VolumeQuestion(index, aspect, question, tuple(texts), texts.index(right))

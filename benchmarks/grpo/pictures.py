"""Phantoms with one thing to be found, the question for its box, and the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["drawn"]


def drawn(folder: Path, first: int, count: int, *, modality: Any, label: str, edge: int, named: bool) -> Path:
    """The samples file of `count` phantoms with exactly one `label` each, from seed `first` on; drawn once. `named`:
    the answer names the label before its box (MedMO's way)."""
    from PIL import Image

    from vesalius.dialogue.samples import BoxTarget, Media, Sample, Tags, Targets, Turn, write_samples
    from vesalius.phantoms.pictures import draw_picture

    target = folder / "samples.jsonl"
    if target.is_file():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    samples: list[Sample] = []
    seed = first
    while len(samples) < count:
        truth = draw_picture(seed, modality, (edge, edge))
        seed += 1
        if len(truth.of(label)) != 1:
            continue
        box: Any = tuple(float(v) for v in truth.of(label)[0].box)
        Image.fromarray(truth.pixels).save(folder / f"{seed}.png")
        asked = Turn(role="user", text=f"Where is the {label}?")
        written = [round(1000 * value / edge) for value in box]
        answer = Turn(
            role="assistant",
            text=f"{label} <box>{[written]}</box>" if named else f"<box>{[written]}</box>",
            targets=Targets(boxes=(BoxTarget(label=label, box=box),)),
        )
        samples.append(
            Sample(
                id=f"{label.replace(' ', '-')}-{seed}",
                media=(Media(kind="image", path=f"{seed}.png"),),
                turns=(asked, answer),
                tags=Tags(modality=modality, task="box"),
            )
        )
    write_samples(target, samples)
    return target

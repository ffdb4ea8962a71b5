"""Small training data for tests: pictures of known sizes and samples on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vesalius.dialogue.samples import BoxTarget, Media, Sample, Tags, Targets, Turn


def write_picture(path: Path, size: tuple[int, int] = (64, 48), seed: int = 0) -> Path:
    """A picture (width, height) of noise: no two seeds give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(0, 255, (size[1], size[0]), dtype=np.uint8)).save(path)
    return path


def sample(number: int, *, modality: str = "ct", patient: str | None = None, path: str | None = None) -> Sample:
    box = BoxTarget(label="nodule", box=(1.0, 2.0, 30.5, 40.0))
    return Sample(
        id=f"s{number}",
        media=(Media(kind="image", path=path or f"images/{number}.png"),),
        turns=(
            Turn(role="user", text=f"Where is nodule {number}?"),
            Turn(role="assistant", text="Here: <bbox>.", targets=Targets(boxes=(box,))),
        ),
        tags=Tags(modality=modality, task="box"),
        patient=patient,
    )


def row(number: int = 0, **changes: Any) -> dict[str, Any]:
    return {**sample(number).model_dump(mode="json", exclude_defaults=True), **changes}


def write_rows(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in rows), "utf-8")
    return path

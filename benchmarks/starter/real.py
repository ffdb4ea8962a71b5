"""Smoke figures on real held-out volumes: lung2, brain2 and MNI152, slice by slice as bare pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.starter import scores
from benchmarks.starter.harness import Bench, row_of
from benchmarks.starter.held_out import rows_with
from vesalius.dialogue.samples import Media, Sample, Tags, Targets, Turn
from vesalius.evaluation.metrics.segmentation import dice
from vesalius.evaluation.statistics import bootstrap_mean
from vesalius.findings.box_overlap import as_boxes, iou_matrix
from vesalius.findings.findings import Box
from vesalius.inference.model import Model
from vesalius.models.starter.starter import Starter
from vesalius.phantoms.write_media import write_picture
from vesalius.study.items import Axis, Origin, Picture, SliceView, Volume
from vesalius.study.read import read
from vesalius.vision.views import ct_windows

T = TypeVar("T")

TUMOUR = ("nodule", "mass", "tumour")


def bare(view: SliceView, modality: str) -> Picture:
    """A slice as a picture that says nothing about where it comes from."""
    pixels: NDArray[np.uint8] = view.view(ct_windows(view.values)[0] if modality == "ct" else None)
    return Picture(view.width, view.height, lambda: pixels, Origin("array"), view.spacing_mm)


def slices_of(volume: Volume, axis: Axis, modality: str, every: int, trim: float) -> list[tuple[int, Picture]]:
    """(index, picture) of every `every`-th slice, leaving out the outer `trim` share at both ends."""
    count = volume.num_slices(axis)
    chosen = range(int(count * trim), int(count * (1 - trim)), every)
    return [(view.index, bare(view, modality)) for view in volume.slices(list(chosen), axis)]


def measure(bench: Bench, folder: Path, every: int = 1) -> dict[str, Any]:
    """All three parts; `every`: ask what every n-th slice is (tumours are looked for on all)."""
    return {
        "tumours": tumours(bench.model, folder),
        "volumes": as_volumes(bench.model, folder),
        "what": what_it_is(bench, folder, every),
    }


PLAN: tuple[tuple[str, Axis, str, str, int, float], ...] = (
    ("lung2_image.nrrd", "axial", "ct", "chest", 1, 0.0),
    ("brain2_image.nrrd", "axial", "mr", "head", 1, 0.0),
    ("mni152.nii.gz", "axial", "mr", "head", 4, 0.15),
    ("mni152.nii.gz", "coronal", "mr", "head", 4, 0.15),
    ("mni152.nii.gz", "sagittal", "mr", "head", 4, 0.15),
)
"""File, axis, modality, region, which slices, the share left out at both ends."""
BASELINE_SLICES = 24
QUESTIONS = {
    "modality": "What kind of scan is this?",
    "plane": "Which plane is this slice?",
    "region": "Which body part is shown?",
}


def what_it_is(bench: Bench, folder: Path, thin: int = 1) -> dict[str, Any]:
    """Modality, plane and region asked in words of each slice; the baselines on some of every volume."""
    data = bench.data("real slices")
    rows = list(slice_rows(data, folder, thin))
    slices = [rows[start : start + len(QUESTIONS)] for start in range(0, len(rows), len(QUESTIONS))]
    step = max(1, len(slices) // BASELINE_SLICES)
    some = slices[::step]
    rest = [one for number, one in enumerate(slices) if number % step]
    rows_with(data, (row for one in (*some, *rest) for row in one))
    summary = bench.scored("real slices", len(some) * len(QUESTIONS), max_new_tokens=40)
    return {kind: row_of(summary, kind, "accuracy") for kind in QUESTIONS}


def slice_rows(data: Path, folder: Path, thin: int) -> Iterator[Sample]:
    """Three questions about each slice, shown as a bare picture; no tag names its modality."""
    for name, axis, modality, region, every, trim in PLAN:
        right = {"modality": modality, "plane": axis, "region": region}
        for index, picture in slices_of(read(str(folder / name)).volumes[0], axis, modality, every * thin, trim):
            stem = f"{name.partition('.')[0]}-{axis}-{index}"
            write_picture(data / f"images/{stem}.png", picture.view())
            meta = {} if picture.spacing_mm is None else {"spacing_mm": list(picture.spacing_mm)}
            for kind, question in QUESTIONS.items():
                answer = Turn(role="assistant", text=right[kind], targets=Targets(answer=right[kind]))
                yield Sample(
                    id=f"{stem}-{kind}",
                    media=(Media(kind="image", path=f"images/{stem}.png", meta=meta),),
                    turns=(Turn(role="user", text=question), answer),
                    tags=Tags(task=kind),
                )


def _moved(values: Sequence[T]) -> list[T]:
    """What was seen on another picture of the set: each half a set away."""
    half = len(values) // 2
    return [*values[half:], *values[:half]]


def _grey(width: int, height: int) -> Picture:
    return Picture(width, height, lambda: np.full((height, width), 128, np.uint8), Origin("array"))


def tumours(model: Model, folder: Path) -> dict[str, Any]:
    """Per slice: is a tumour there (AUROC of the highest centre), and the best box's IoU on slices that have one."""
    out: dict[str, Any] = {}
    for name, modality in (("lung2", "ct"), ("brain2", "mr")):
        volume = read(str(folder / f"{name}_image.nrrd")).volumes[0]
        marks = read(str(folder / f"{name}_label.nrrd")).volumes[0]
        true: list[tuple[int, int, int, int] | None] = []
        for mark in marks.slices(list(range(marks.num_slices()))):
            rows, columns = np.nonzero(mark.values)
            ends = (
                (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
                if len(rows)
                else None
            )
            true.append(ends)
        positive = [one is not None for one in true]
        pictures = [picture for _, picture in slices_of(volume, "axial", modality, 1, 0.0)]
        found = [_tumour(model, picture) for picture in pictures]
        blank = [_tumour(model, _grey(pictures[0].width, pictures[0].height))] * len(found)
        low, high = scores.auroc_interval([one[0] for one in found], positive)
        auroc: dict[str, Any] = {"n": len(true), "positive": sum(positive), "low": low, "high": high}
        overlap: dict[str, Any] = {}
        for condition, views in (("mean", found), ("blank", blank), ("shuffled", _moved(found))):
            ious = [_iou(t, v[1]) if v[1] else 0.0 for t, v in zip(true, views, strict=True) if t is not None]
            auroc[condition] = scores.auroc([one[0] for one in views], positive)
            if condition != "mean":
                overlap[condition] = float(np.mean(ious))
                continue
            found_iou = bootstrap_mean(ious)
            overlap |= {"n": found_iou.n, "mean": found_iou.value, "low": found_iou.low, "high": found_iou.high}
        out[name] = {"auroc": auroc, "box_iou": overlap}
        print(name, out[name], flush=True)
    return out


def _iou(a: Sequence[float], b: Sequence[float]) -> float:
    return float(iou_matrix(as_boxes([a]), as_boxes([b]))[0, 0])


def _tumour(model: Model, picture: Picture) -> tuple[float, Sequence[float] | None]:
    """(highest tumour centre on the map, box of the surest tumour or None)."""
    starter: Any = model.family
    assert isinstance(starter, Starter)
    look = model.prepare(picture, "Where is the tumour?").seen.looks[0]
    labels = [starter.config.labels.index(name) for name in TUMOUR]
    strength = float(max(look.glances[0].sight.maps.centres[n].max() for n in labels))
    best = max((o for o in look.objects if o.label in TUMOUR), key=lambda o: o.confidence, default=None)
    return strength, None if best is None else best.best[1].box


def as_volumes(model: Model, folder: Path) -> dict[str, Any]:
    """The volumes asked as volumes: the 3D box's best slice and the mask's Dice with the tumour."""
    out: dict[str, Any] = {}
    for name in ("lung2", "brain2"):
        volume = read(str(folder / f"{name}_image.nrrd")).volumes[0]
        marks = read(str(folder / f"{name}_label.nrrd")).volumes[0].values().astype(bool)
        answer = model.ask(volume, "Where is the tumour?")
        masks = [f for f in answer.findings if getattr(f, "kind", "") == "mask"]
        boxes = [f for f in answer.findings if isinstance(f, Box)]
        best = max((dice(m.mask, marks) for m in masks), default=0.0)  # pyright: ignore[reportAttributeAccessIssue]
        out[name] = {"answer": answer.text, "boxes": len(boxes), "best_dice": best, "seconds": answer.usage.total_s}
        print(name, out[name], flush=True)
    return out

"""Smoke figures on real held-out volumes: lung2, brain2 and MNI152, slice by slice as bare pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.starter import scores
from vesalius.findings.findings import Box
from vesalius.inference.model import Model
from vesalius.models.starter.starter import Starter
from vesalius.study.items import Axis, Origin, Picture, SliceView, Volume
from vesalius.study.read import read
from vesalius.vision.views import ct_windows

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


def measure(model: Model, folder: Path, every: int = 1) -> dict[str, Any]:
    """All three parts; `every`: ask what every n-th slice is (tumours are looked for on all)."""
    return {
        "tumours": tumours(model, folder),
        "volumes": as_volumes(model, folder),
        "what": what_it_is(model, folder, every),
    }


def what_it_is(model: Model, folder: Path, thin: int = 1) -> dict[str, Any]:
    """Modality, plane and region asked in words of each slice."""
    plan: list[tuple[str, Axis, str, str, int, float]] = [
        ("lung2_image.nrrd", "axial", "ct", "chest", 1, 0.0),
        ("brain2_image.nrrd", "axial", "mr", "head", 1, 0.0),
        ("mni152.nii.gz", "axial", "mr", "head", 4, 0.15),
        ("mni152.nii.gz", "coronal", "mr", "head", 4, 0.15),
        ("mni152.nii.gz", "sagittal", "mr", "head", 4, 0.15),
    ]
    rows: dict[str, list[float]] = {"modality": [], "plane": [], "region": []}
    questions = {
        "modality": "What kind of scan is this?",
        "plane": "Which plane is this slice?",
        "region": "Which body part is shown?",
    }
    for name, axis, modality, region, every, trim in plan:
        pictures = [p for _, p in slices_of(read(str(folder / name)).volumes[0], axis, modality, every * thin, trim)]
        truth = {"modality": modality, "plane": axis, "region": region}
        for kind, question in questions.items():
            for start in range(0, len(pictures), 16):
                group = pictures[start : start + 16]
                for answer in model.ask_batch([(p, question) for p in group], batch_size=16, max_new_tokens=40):
                    rows[kind].append(float(scores.named(answer.text, kind, "en") == truth[kind]))
        print(name, axis, {k: round(float(np.mean(v[-len(pictures) :])), 3) for k, v in rows.items()}, flush=True)
    return {
        kind: dict(zip(("mean", "low", "high"), scores.interval(v), strict=True)) | {"n": len(v)}
        for kind, v in rows.items()
    }


def tumours(model: Model, folder: Path) -> dict[str, Any]:
    """Per slice: is a tumour there (AUROC of the highest centre), and the best box's IoU on slices that have one."""
    starter: Any = model.family
    assert isinstance(starter, Starter)
    labels = [starter.config.labels.index(name) for name in TUMOUR]
    out: dict[str, Any] = {}
    for name, modality in (("lung2", "ct"), ("brain2", "mr")):
        volume = read(str(folder / f"{name}_image.nrrd")).volumes[0]
        marks = read(str(folder / f"{name}_label.nrrd")).volumes[0]
        truth = marks.slices(list(range(marks.num_slices())))
        strength: list[float] = []
        overlaps: list[float] = []
        for (_, picture), mark in zip(slices_of(volume, "axial", modality, 1, 0.0), truth, strict=True):
            batch = model.prepare(picture, "Where is the tumour?")
            glance = batch.seen.looks[0].glances[0]
            strength.append(float(max(glance.sight.maps.centres[n].max() for n in labels)))
            rows, columns = np.nonzero(mark.values)
            if len(rows):
                true = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
                found = [o for o in batch.seen.looks[0].objects if o.label in TUMOUR]
                best = max(found, key=lambda o: o.confidence, default=None)
                overlaps.append(0.0 if best is None else scores.iou(true, best.best[1].box))
        positive = [bool(np.any(mark.values)) for mark in truth]
        out[name] = {
            "slices": len(truth),
            "positive": sum(positive),
            "auroc": scores.auroc(strength, positive),
            "box_iou": float(np.mean(overlaps)),
        }
        print(name, out[name], flush=True)
    return out


def as_volumes(model: Model, folder: Path) -> dict[str, Any]:
    """The volumes asked as volumes: the 3D box's best slice and the mask's Dice with the tumour."""
    out: dict[str, Any] = {}
    for name in ("lung2", "brain2"):
        volume = read(str(folder / f"{name}_image.nrrd")).volumes[0]
        marks = read(str(folder / f"{name}_label.nrrd")).volumes[0].values().astype(bool)
        answer = model.ask(volume, "Where is the tumour?")
        masks = [f for f in answer.findings if getattr(f, "kind", "") == "mask"]
        boxes = [f for f in answer.findings if isinstance(f, Box)]
        best = max((scores.dice(marks, m.mask) for m in masks), default=0.0)  # pyright: ignore[reportAttributeAccessIssue]
        out[name] = {"answer": answer.text, "boxes": len(boxes), "best_dice": best, "seconds": answer.usage.total_s}
        print(name, out[name], flush=True)
    return out

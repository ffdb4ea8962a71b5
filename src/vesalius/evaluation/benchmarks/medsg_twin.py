"""The twin of MedSG-Bench: its eight tasks by turns, made from phantoms with exact boxes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vesalius.dialogue.words import LABEL_NAMES
from vesalius.evaluation.benchmarks.twin_files import write_json
from vesalius.evaluation.benchmarks.twin_questions import truths
from vesalius.phantoms.clips import draw_clip
from vesalius.phantoms.splits import HELD_OUT
from vesalius.phantoms.truth import LABELS, PlacedObject, Truth
from vesalius.phantoms.write_media import write_picture

__all__ = ["write_medsg_twin"]

_BLOB = 22
"""Pixels a side of what the difference tasks add."""


def write_medsg_twin(folder: Path, count: int, seed: int) -> None:
    """`count` rows, at least one picture pair each, in a file a task."""
    rng = random.Random(f"medsg/{seed}")
    pictures = _with_objects(seed)
    makers = (_diff, _shifted_diff, _views, _tracking, _concept, _patch, _crossmodal, _referring)
    rows: dict[int, list[dict[str, Any]]] = {}
    for k in range(count):
        task = k % 8
        name, images, question, box = makers[task](rng, pictures, rng.randrange(len(HELD_OUT)))
        paths: list[str] = []
        for n, pixels in enumerate(images):
            paths.append(f"Task{task + 1}/{k:04}_{n}.png")
            write_picture(folder / paths[-1], pixels)
        height, width = images[-1].shape[:2]
        row = {"task": name, "question": question, "images": paths, "answer": [round(v) for v in box]}
        rows.setdefault(task, []).append(row | {"additional_info": "", "need_format": True, "size": [width, height]})
    for task, made in rows.items():
        write_json(folder / f"Task{task + 1}.json", made)


def _with_objects(seed: int) -> Iterator[tuple[Truth, PlacedObject]]:
    """Pictures without end, each with an object whose label occurs once on it."""
    for truth in truths("medsg", 1_000_000, seed, ("xray", "ct", "mr", "ultrasound")):
        labels = [one.label for one in truth.objects]
        single = [one for one in truth.objects if labels.count(one.label) == 1 and one.box[2] - one.box[0] >= 8]
        if single:
            # Findings before anatomy.
            yield truth, min(single, key=lambda one: LABELS[one.label] != "finding")


def _said(box: tuple[float, ...]) -> str:
    x0, y0, x1, y1 = (round(v) for v in box)
    return f"<|box_start|>({x0},{y0}),({x1},{y1})<|box_end|>"


Made = tuple[str, list[Any], str, tuple[float, ...]]
Pictures = Iterator[tuple[Truth, PlacedObject]]


def _blob(rng: random.Random, pixels: Any) -> tuple[Any, tuple[float, ...]]:
    changed = pixels.copy()
    height, width = changed.shape[:2]
    x, y = rng.randrange(8, width - _BLOB - 8), rng.randrange(8, height - _BLOB - 8)
    part = changed[y : y + _BLOB, x : x + _BLOB]
    # Half black or half white, whichever differs more.
    part[...] = 255 if part.mean() < 128 else 0
    return changed, (x, y, x + _BLOB, y + _BLOB)


def _diff(rng: random.Random, pictures: Pictures, seed: int) -> Made:
    truth, _ = next(pictures)
    changed, box = _blob(rng, truth.pixels)
    question = "The two images are registered. Where in the second image is what the first one lacks? "
    return "Registered_Diff", [truth.pixels, changed], question, box


def _shifted_diff(rng: random.Random, pictures: Pictures, seed: int) -> Made:
    import numpy as np

    truth, _ = next(pictures)
    moved = np.roll(truth.pixels, (rng.randint(2, 6), rng.randint(-6, -2)), axis=(0, 1))
    changed, box = _blob(rng, moved)
    question = "The second image is shifted. Where in it is what the first one lacks? "
    return "Non_Registered_Diff", [truth.pixels, changed], question, box


def _views(rng: random.Random, pictures: Pictures, seed: int) -> Made:
    """Two planes of one volume: the box of an organ on the axial slice, asked for on the coronal one."""
    from vesalius.phantoms.volumes import draw_volume, slice_truth

    volume = draw_volume(HELD_OUT[seed], "ct", (64, 64, 24), region="chest")
    for z in range(12, 24):
        axial = slice_truth(volume, "axial", z)
        for y in range(32, 8, -1):
            coronal = slice_truth(volume, "coronal", y)
            shared = [(a, b) for a in axial.of("lung") for b in coronal.of("lung") if a.side == b.side]
            if shared:
                a, b = shared[0]
                question = f"The first image marks the lung at {_said(a.box)}. Where is it in the second view? "
                return "multi_view", [axial.pixels, coronal.pixels], question, b.box
    return _concept(rng, pictures, seed)


def _tracking(rng: random.Random, pictures: Pictures, seed: int) -> Made:
    clip = draw_clip(HELD_OUT[seed], 4, (128, 128), "microscopy")
    first, last = clip.frames[0].objects, {(o.label, o.identity): o for o in clip.frames[-1].objects}
    kept = [one for one in first if (one.label, one.identity) in last]
    if not kept:
        return _tracking(rng, pictures, (seed + 1) % len(HELD_OUT))
    one = kept[0]
    question = f"The object at {_said(one.box)} in the first image moves. Where is it in the last image? "
    frames = [frame.pixels for frame in clip.frames]
    return "object_tracking", frames, question, last[one.label, one.identity].box


def _concept(rng: random.Random, pictures: Pictures, seed: int) -> Made:
    first, one = next(pictures)
    other, same = next((t, o) for t, o in pictures if o.label == one.label)
    question = f"The first image shows an object at {_said(one.box)}. Where is its kind in the second image? "
    return "concept", [first.pixels, other.pixels], question, same.box


def _patch(rng: random.Random, pictures: Pictures, seed: int) -> Made:
    truth, _ = next(pictures)
    x, y, side = rng.randrange(8, 72), rng.randrange(8, 72), rng.randrange(32, 48)
    question = "The first image is a part of the second. Where does it come from? "
    images = [truth.pixels[y : y + side, x : x + side], truth.pixels]
    return "patch", images, question, (x, y, x + side, y + side)


def _crossmodal(rng: random.Random, pictures: Pictures, seed: int) -> Made:
    truth, one = next(pictures)
    question = f"The first image marks {_said(one.box)}. Where is the same place in the other contrast? "
    return "crossmodal", [truth.pixels, 255 - truth.pixels], question, one.box


def _referring(rng: random.Random, pictures: Pictures, seed: int) -> Made:
    (truth, one), *others = [next(pictures) for _ in range(3)]
    chosen = [t for t, _ in others if not t.of(one.label)]
    question = (
        "Identify the bounding box of the region described by the following expression: "
        f"<|object_ref_start|>{LABEL_NAMES[one.label].en[0]}<|object_ref_end|>."
    )
    while not chosen:
        chosen = [t for t, _ in [next(pictures)] if not t.of(one.label)]
    images = [t.pixels for t in chosen]
    images.insert(rng.randrange(len(images) + 1), truth.pixels)
    return "referring", images, question, one.box

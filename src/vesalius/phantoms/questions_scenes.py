"""From a phantom's truth to the scene a perfect detector would report."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from vesalius.dialogue.scene_text import (
    LOOKED_FOR,
    SURE,
    Grouping,
    Scene,
    SceneSet,
    SeenChange,
    SeenObject,
    describe_change,
    group_objects,
)
from vesalius.phantoms.truth import LABELS, ClipTruth, PairTruth, PlacedObject, Truth, VolumeTruth

__all__ = [
    "AnyTruth",
    "clip_objects",
    "group_truth",
    "imperfect_scene",
    "objects_behind",
    "scene_of",
    "seen_object",
    "volume_objects",
]

AnyTruth = Truth | PairTruth | VolumeTruth | ClipTruth


def seen_object(placed: PlacedObject, motion: str | None = None) -> SeenObject:
    """A drawn object as a perfect detector would see it."""
    return SeenObject(placed.label, placed.side, placed.size_mm, placed.box, motion=motion)


def group_truth(truth: Truth, start: int = 1) -> Grouping:
    """Groups of a picture's objects; `members` index `truth.objects`."""
    height, width = truth.pixels.shape[:2]
    return group_objects([seen_object(o) for o in truth.objects], (width, height), plane=truth.plane, start=start)


def _picture_scene(truth: Truth, grouping: Grouping) -> Scene:
    return Scene(truth.modality, truth.plane, truth.region, grouping.groups, grouping.maybe)


def volume_objects(truth: VolumeTruth) -> list[SeenObject]:
    """What a volume holds: anatomy present (without size or slices), then each finding with the 0-based axial slices
    it spans. Boxes are in the displayed axial frame."""
    objects: list[SeenObject] = []
    for value, name in enumerate(truth.names, 1):
        if LABELS.get(name) == "anatomy" and bool((truth.labels == value).any()):
            objects.append(SeenObject(name, None, None, (0.0, 0.0, 1.0, 1.0)))
    size_x, size_y, _ = truth.instances.shape
    for k, (label, side, size_mm) in enumerate(
        zip(truth.instance_labels, truth.instance_sides, truth.instance_sizes_mm, strict=True), 1
    ):
        xs, ys, zs = np.nonzero(truth.instances == k)
        if not len(xs):
            continue
        box = (
            float(size_x - 1 - xs.max()),
            float(size_y - 1 - ys.max()),
            float(size_x - xs.min()),
            float(size_y - ys.min()),
        )
        objects.append(SeenObject(label, side, size_mm, box, slices=(int(zs.min()), int(zs.max()))))
    return objects


def clip_objects(truth: ClipTruth) -> list[tuple[PlacedObject, int]]:
    """Each object of a clip once, as (object, frame index) of the frame where it shows most pixels."""
    best: dict[tuple[str, int], tuple[int, int, PlacedObject]] = {}
    for k, frame in enumerate(truth.frames):
        for placed in frame.objects:
            area = int(placed.mask.sum())
            key = (placed.label, placed.identity)
            if key not in best or area > best[key][0]:
                best[key] = (area, k, placed)
    return [(placed, k) for _, k, placed in best.values()]


def _clip_scene(truth: ClipTruth) -> Scene:
    first = truth.frames[0]
    height, width = first.pixels.shape[:2]
    seen = [seen_object(placed, truth.motion.get(placed.label)) for placed, _ in clip_objects(truth)]
    grouping = group_objects(seen, (width, height), plane=first.plane)
    return Scene(first.modality, first.plane, first.region, grouping.groups, num_frames=len(truth.frames))


def _number_of(truth: Truth, grouping: Grouping, label: str, identity: int) -> int | None:
    for group, members in zip(grouping.groups, grouping.members, strict=True):
        if group.label == label and any(truth.objects[i].identity == identity for i in members):
            return group.number
    return None


def _pair_scene(truth: PairTruth) -> SceneSet:
    before = group_truth(truth.prior)
    after = group_truth(truth.current, start=1 + len(before.groups))
    changes: list[SeenChange] = []
    told: set[tuple[int | None, int | None]] = set()
    groups = {g.number: g for g in (*before.groups, *after.groups)}
    for label, identity, change in truth.changes:
        if LABELS.get(label) != "finding":
            continue
        old = _number_of(truth.prior, before, label, identity)
        new = _number_of(truth.current, after, label, identity)
        if (old, new) in told or (old is None and new is None):
            continue
        told.add((old, new))
        shown = groups[new if new is not None else old if old is not None else 0]
        if old is None or new is None:
            changes.append(SeenChange(label, shown.side, "resolved" if new is None else "new", old, new))
        elif groups[old].count + groups[new].count > 2:
            changes.append(describe_change(groups[old], groups[new]))
        else:
            a, b = groups[old].size_mm, groups[new].size_mm
            sizes = (a, b) if a is not None and b is not None else None
            changes.append(SeenChange(label, shown.side, change, old, new, sizes_mm=sizes))
    scenes = (_picture_scene(truth.prior, before), _picture_scene(truth.current, after))
    return SceneSet(scenes, tuple(changes))


def scene_of(truth: AnyTruth) -> Scene | SceneSet:
    """The scene of a picture, pair, volume or clip, seen perfectly."""
    if isinstance(truth, Truth):
        return _picture_scene(truth, group_truth(truth))
    if isinstance(truth, PairTruth):
        return _pair_scene(truth)
    if isinstance(truth, ClipTruth):
        return _clip_scene(truth)
    seen = volume_objects(truth)
    size_x, size_y, num_slices = truth.instances.shape
    grouping = group_objects(seen, (size_x, size_y), plane="axial")
    return Scene(truth.modality, "axial", truth.region, grouping.groups, num_slices=num_slices)


def imperfect_scene(truth: Truth, rng: random.Random) -> Scene:
    """A picture's scene as a real detector might report it: sizes off by some percent, an object missed, unsure or
    only suspected, no millimetres (a plain PNG), an unknown modality. Language models learn from such scenes, too:
    their answers follow the scene, so they must not expect it perfect."""
    unsized = rng.random() < 0.2
    objects: list[SeenObject] = []
    for placed in truth.objects:
        fate = rng.random()
        if fate < 0.04:
            continue
        size_mm = None if unsized else placed.size_mm * rng.uniform(0.9, 1.1)
        confidence = SURE * rng.uniform(0.2, 0.98) if fate < 0.1 else rng.uniform(0.55, 1.0)
        objects.append(SeenObject(placed.label, placed.side, size_mm, placed.box, confidence))
    if rng.random() < 0.15:
        suspected = rng.choice(LOOKED_FOR.get((truth.modality, truth.region), ("nodule",)))
        objects.append(SeenObject(suspected, None, None, (0.0, 0.0, 1.0, 1.0), 0.3))
    height, width = truth.pixels.shape[:2]
    grouping = group_objects(objects, (width, height), plane=truth.plane)
    if rng.random() < 0.03:
        return Scene("unknown", "none", "unknown", grouping.groups, grouping.maybe)
    return Scene(truth.modality, truth.plane, truth.region, grouping.groups, grouping.maybe)


def objects_behind(truth: AnyTruth, cites: Sequence[int]) -> tuple[PlacedObject, ...]:
    """Drawn objects of a picture that cited numbers stand for; () for other kinds of truth."""
    if not isinstance(truth, Truth):
        return ()
    grouping = group_truth(truth)
    return tuple(truth.objects[i] for number in cites for i in grouping.members_of(number))

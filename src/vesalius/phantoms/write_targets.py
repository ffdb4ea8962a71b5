"""From a question's cited numbers to exact training targets: boxes, points, masks, counts, sides, sizes, changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from vesalius.dialogue.scene_text import Grouping, SceneSet, group_objects
from vesalius.dialogue.words import ABNORMALITY
from vesalius.phantoms.questions import Question
from vesalius.phantoms.questions_scenes import (
    AnyTruth,
    clip_objects,
    group_truth,
    scene_of,
    seen_object,
    volume_objects,
)
from vesalius.phantoms.truth import ClipTruth, PairTruth, PlacedObject, Truth, VolumeTruth

if TYPE_CHECKING:
    from vesalius.dialogue.samples import Targets

__all__ = ["Located", "located_objects", "targets_of"]


Side = Literal["left", "right", "midline"]


@dataclass(frozen=True)
class Located:
    """One object behind a number `[n]`: which medium, slice or frame it lies on, and where its mask is written."""

    number: int
    label: str
    box: tuple[float, float, float, float] | None
    point: tuple[float, float] | None
    side: str | None
    size_mm: float | None
    media: int = 0
    frame: int | None = None
    slice_index: int | None = None
    mask: NDArray[np.bool_] | None = field(default=None, repr=False)
    mask_path: str | None = None
    mask_value: int | None = None

    @property
    def place(self) -> dict[str, Any]:
        """The fields every target shares."""
        where: dict[str, Any] = {"label": self.label, "media": self.media, "number": self.number, "frame": self.frame}
        if self.slice_index is not None:
            where |= {"axis": "axial", "slice": self.slice_index}
        return where


def located_objects(truth: AnyTruth, name: str) -> tuple[Located, ...]:
    """Every object of a phantom under the number its scene gives it. `name`: the stem of its mask files."""
    if isinstance(truth, Truth):
        return _on_picture(truth.objects, group_truth(truth), name)
    if isinstance(truth, PairTruth):
        before = group_truth(truth.prior)
        after = group_truth(truth.current, start=1 + len(before.groups))
        return (
            *_on_picture(truth.prior.objects, before, name),
            *_on_picture(truth.current.objects, after, name, media=1),
        )
    if isinstance(truth, ClipTruth):
        shown = clip_objects(truth)
        height, width = truth.frames[0].pixels.shape[:2]
        seen = [seen_object(placed, truth.motion.get(placed.label)) for placed, _ in shown]
        grouping = group_objects(seen, (width, height), plane=truth.frames[0].plane)
        return _on_picture([placed for placed, _ in shown], grouping, name, frames=[frame for _, frame in shown])
    return _in_volume(truth, name)


def _on_picture(
    objects: Sequence[PlacedObject],
    grouping: Grouping,
    name: str,
    *,
    media: int = 0,
    frames: Sequence[int] | None = None,
) -> tuple[Located, ...]:
    located: list[Located] = []
    for group, members in zip(grouping.groups, grouping.members, strict=True):
        for k, index in enumerate(members, 1):
            placed = objects[index]
            frame = frames[index] if frames is not None else None
            # In a clip the members of a group may be shown best on different frames, hence a file per frame.
            path = f"masks/{name}/{group.number}{'' if frame is None else f'-frame{frame}'}.png"
            located.append(
                Located(
                    group.number, placed.label, placed.box, placed.point, placed.side, placed.size_mm,
                    media=media, frame=frame, mask=placed.mask, mask_path=path, mask_value=k,
                )
            )  # fmt: skip
    return tuple(located)


def _in_volume(truth: VolumeTruth, name: str) -> tuple[Located, ...]:
    """Findings on the axial slice (0-based, canonical) where most of each lies, in the displayed pixel frame."""
    size_x, size_y, _ = truth.instances.shape
    seen = volume_objects(truth)
    grouping = group_objects(seen, (size_x, size_y), plane="axial")
    num_anatomy = sum(o.slices is None for o in seen)
    present = [k for k in range(1, len(truth.instance_labels) + 1) if bool((truth.instances == k).any())]
    located: list[Located] = []
    for group, members in zip(grouping.groups, grouping.members, strict=True):
        for index in members:
            if index < num_anatomy:
                located.append(Located(group.number, group.label, None, None, None, None))
                continue
            value = present[index - num_anatomy]
            inside = truth.instances == value
            z = int(np.argmax(inside.sum(axis=(0, 1))))
            shown = inside[::-1, ::-1, z].T
            ys, xs = np.nonzero(shown)
            box = (float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1))
            nearest = int(np.argmin((xs - xs.mean()) ** 2 + (ys - ys.mean()) ** 2))
            point = (float(xs[nearest]) + 0.5, float(ys[nearest]) + 0.5)
            located.append(
                Located(
                    group.number, group.label, box, point, seen[index].side, seen[index].size_mm,
                    slice_index=z, mask_path=f"masks/{name}.nii.gz", mask_value=value,
                )
            )  # fmt: skip
    return tuple(located)


def targets_of(question: Question, objects: Sequence[Located], truth: AnyTruth) -> Targets:
    """Exact targets of one answer: boxes of all it cites, and what its task is about."""
    from vesalius.dialogue import samples as s

    cited = [o for o in objects if o.number in question.cites]
    boxed = [o for o in cited if o.box is not None]
    task = question.task
    fields: dict[str, Any] = {
        "cites": question.cites,
        "boxes": tuple(s.BoxTarget(**o.place, box=o.box) for o in boxed if o.box is not None),
        "answer": _plain_answer(question),
    }
    if task in ("point", "box", "mask"):
        fields["points"] = tuple(s.PointTarget(**o.place, point=o.point) for o in boxed if o.point is not None)
    if task in ("box", "mask", "report"):
        fields["masks"] = tuple(
            s.MaskTarget(**_mask_place(o), path=o.mask_path, value=o.mask_value)
            for o in cited
            if o.mask_path is not None
        )
    if task in ("side", "report"):
        fields["sides"] = tuple(s.SideTarget(**o.place, side=cast(Side, o.side)) for o in cited if o.side is not None)
    if task in ("size", "largest", "report"):
        fields["sizes"] = tuple(s.SizeTarget(**o.place, size_mm=float(o.size_mm)) for o in cited if o.size_mm)
    if task in ("count", "present", "premise") and (label := question.truth.get("label")) not in (None, ABNORMALITY):
        media = 1 if isinstance(truth, PairTruth) else 0
        fields["counts"] = (s.CountTarget(label=label, count=question.truth["count"], media=media),)
    if task == "change":
        fields["changes"] = _changes(question, truth)
    return s.Targets(**fields)


def _mask_place(one: Located) -> dict[str, Any]:
    # A volume's mask is three-dimensional: it lies on no single slice.
    return {key: value for key, value in one.place.items() if key not in ("axis", "slice")}


def _plain_answer(question: Question) -> str | None:
    if question.task in ("present", "premise") and "present" in question.truth:
        return "yes" if question.truth["present"] else "no"
    if question.task in ("modality", "plane", "region"):
        return question.truth.get(question.task)
    return None


def _changes(question: Question, truth: AnyTruth) -> tuple[Any, ...]:
    from vesalius.dialogue.samples import ChangeTarget

    scene = scene_of(truth)
    if not isinstance(scene, SceneSet):
        return ()
    return tuple(
        ChangeTarget(
            label=c.label,
            change=c.change,  # pyright: ignore[reportArgumentType]
            media=1 if c.after is not None else 0,
            number=c.after if c.after is not None else c.before,
        )
        for c in scene.changes
        if {c.before, c.after} & set(question.cites)
    )

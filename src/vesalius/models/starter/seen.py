"""From looks to scene text, and from the numbers an answer cites back to findings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.dialogue.scene_text import (
    Grouping,
    Scene,
    SceneSet,
    SeenGroup,
    SeenObject,
    compare_groups,
    group_objects,
)
from vesalius.errors import InputError
from vesalius.findings.findings import Box, Count, Finding, Mask, Measurement, Point, Where
from vesalius.findings.place import place, slice_mask_to_volume
from vesalius.models.starter.locate import Located, source_mask
from vesalius.models.starter.look import FoundObject, Look
from vesalius.study.items import Volume

__all__ = ["Seen", "cited_findings", "scene_of"]

_CITATION = re.compile(r"\[(\d{1,3})\]")


@dataclass(frozen=True)
class Seen:
    """The scene of a conversation's media and which objects stand behind each number. `groupings[i]` is look i's."""

    scene: Scene | SceneSet | None
    looks: tuple[Look, ...]
    groupings: tuple[Grouping, ...]


def scene_of(looks: Sequence[Look], sought: Sequence[Sequence[str]] = ()) -> Seen:
    """Number everything that was seen; several items are compared as earlier and later pictures of one patient.

    `sought`: see `group_objects`; it counts where there is one item. Of several it would be a change.
    """
    scenes: list[Scene] = []
    groupings: list[Grouping] = []
    start = 1
    for look in looks:
        grouping = group_objects(
            [_seen(o) for o in look.objects],
            look.size,
            plane=look.plane[0],
            start=start,
            kind=(look.modality[0], look.region[0]),
            sought=sought if len(looks) == 1 else (),
        )
        start += len(grouping.groups)
        groupings.append(grouping)
        scenes.append(_scene(look, grouping))
    if not scenes:
        return Seen(None, (), ())
    if len(scenes) == 1:
        return Seen(scenes[0], tuple(looks), tuple(groupings))
    changes = compare_groups(groupings[-2].groups, groupings[-1].groups)
    return Seen(SceneSet(tuple(scenes), changes), tuple(looks), tuple(groupings))


def _scene(look: Look, grouping: Grouping) -> Scene:
    frames = [g.where.frame for g in look.glances if g.where.frame is not None]
    return Scene(
        look.modality[0],
        look.plane[0],
        look.region[0],
        grouping.groups,
        grouping.maybe,
        num_slices=_num_slices(look),
        num_frames=len(frames) or None,
    )


def _num_slices(look: Look) -> int | None:
    axis = look.glances[0].where.axis
    return look.item.num_slices(axis) if isinstance(look.item, Volume) and axis is not None else None


def _seen(found: FoundObject) -> SeenObject:
    located = found.best[1]
    return SeenObject(
        found.label, found.side, found.size_mm, located.box, found.confidence, slices=found.slices, motion=found.motion
    )


def cited_findings(text: str, seen: Seen) -> list[Finding]:
    """The findings behind every `[n]` of an answer, in order of first mention; unknown numbers give nothing.

    Each object gives a Box, a Point and a Mask (3D on a volume) that share `group`, and its longest diameter when the
    spacing is known; each group of several gives a Count as well.
    """
    numbers = list(dict.fromkeys(int(n) for n in _CITATION.findall(text)))
    findings: list[Finding] = []
    for number in numbers:
        for look, grouping in zip(seen.looks, seen.groupings, strict=True):
            members = grouping.members_of(number)
            if members:
                group = next(g for g in grouping.groups if g.number == number)
                findings += _of_group(look, group, [look.objects[m] for m in members])
    return findings


def _of_group(look: Look, group: SeenGroup, objects: Sequence[FoundObject]) -> Iterator[Finding]:
    item_number = look.glances[0].where.item
    if group.count > 1:
        sure = float(np.prod([o.confidence for o in objects])) ** (1 / len(objects))
        yield Count(label=group.label, count=len(objects), where=Where(item_number), confidence=sure)
    for found in objects:
        for finding in _of_object(look, found, group.number):
            unplaced: Any = finding  # one of the kinds `place` takes, whichever
            try:
                yield place(unplaced, look.item)
            except InputError:  # rounding at the very edge of a picture: the finding stays, without millimetres
                yield finding


def _of_object(look: Look, found: FoundObject, group: int) -> Iterator[Finding]:
    where, located = found.best
    x0, y0, x1, y1 = located.box
    sure = round(found.confidence, 4)
    yield Box(label=found.label, x0=x0, y0=y0, x1=x1, y1=y1, where=where, confidence=sure, group=group)
    x, y = located.point
    yield Point(label=found.label, x=x, y=y, where=where, confidence=sure, group=group)
    if isinstance(look.item, Volume):
        mask = volume_mask(look.item, found.seen)
        yield Mask(label=found.label, mask=mask, where=Where(where.item), confidence=sure, group=group)
    else:
        mask = source_mask(located.logits, located.fit)
        yield Mask(label=found.label, mask=mask, where=where, confidence=sure, group=group)
    if found.size_mm is not None:
        yield Measurement(
            label=found.label,
            name="longest diameter",
            value=round(found.size_mm, 2),
            unit="mm",
            where=where,
            confidence=sure,
            group=group,
        )


def volume_mask(volume: Volume, seen: Sequence[tuple[Where, Located]]) -> NDArray[np.bool_]:
    """Canonical `[X, Y, Z]` mask of an object seen on several slices; logits are interpolated on slices between."""
    placed = np.zeros(volume.shape, dtype=bool)
    axis = seen[0][0].axis
    if axis is None:
        return placed
    known = [(where.slice_index or 0, located) for where, located in seen]
    for (index, located), following in zip(known, [*known[1:], None], strict=True):
        slice_mask_to_volume(source_mask(located.logits, located.fit), volume, axis, index, out=placed)
        if following is None:
            continue
        for between in range(index + 1, following[0]):
            share = (between - index) / (following[0] - index)
            mixed = np.clip(located.logits, -6, 6) * (1 - share) + np.clip(following[1].logits, -6, 6) * share
            mask = source_mask(mixed.astype(np.float32), located.fit)
            slice_mask_to_volume(mask, volume, axis, between, out=placed)
    return placed

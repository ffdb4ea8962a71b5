"""Looking at the media of a question: which pictures, slices and frames are seen, and what objects they hold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vesalius.dialogue.scene_text import ANATOMY, OBJECTS, SURE
from vesalius.errors import InputError
from vesalius.findings.findings import Where
from vesalius.findings.masks import longest_diameter
from vesalius.models.contract import Shown
from vesalius.models.starter.eyes import Eyes, Sight
from vesalius.models.starter.lesions import followed, is_flat, joined, sureness
from vesalius.models.starter.link import Chain, linked, whole_organs
from vesalius.models.starter.locate import SIDELESS, Located, locate, source_mask
from vesalius.study.items import Axis, Clip, Document, Item, Picture, SliceView, Slide, Table, Volume
from vesalius.vision.letterbox import Fit, letterbox
from vesalius.vision.views import HEADER_MODALITY, ct_windows, guess_modality, native_axis, spread

__all__ = ["FoundObject", "Glance", "Look", "look_at"]

MAX_SLICES = 48
"""Slices of a volume the eyes look at first; thinner volumes are looked at again where something was found."""

MAX_CLOSER = 48
HELD_BYTES = 64 << 20
"""Slices decoded at a time hold about so much: a compressed file is inflated anew each time."""
MAX_FRAMES = 16
FOLLOWED = 0.65
"""Only a finding this sure is followed beyond what was seen of it."""


@dataclass(frozen=True)
class Glance:
    """One picture, slice or frame as it was seen."""

    where: Where
    fit: Fit
    sight: Sight = field(repr=False)
    objects: tuple[Located, ...]
    spacing_mm: tuple[float, float] | None


@dataclass(frozen=True)
class FoundObject:
    """One object of an item: on a volume or clip it is seen on several glances (`seen`, in their order).

    `best`: the (Where, Located) shown when only one is.  `size_mm`: longest diameter on any glance.
    """

    label: str
    confidence: float
    side: str | None
    size_mm: float | None
    best: tuple[Where, Located]
    seen: tuple[tuple[Where, Located], ...] = field(repr=False)
    motion: str | None = None

    @property
    def slices(self) -> tuple[int, int] | None:
        """First and last canonical slice it was seen on."""
        indices = [where.slice_index for where, _ in self.seen if where.slice_index is not None]
        return (min(indices), max(indices)) if indices else None


@dataclass(frozen=True)
class Look:
    """Everything seen on one item. `modality`, `plane`, `region`: (name, probability); 1.0 where the file says so."""

    item: Item
    glances: tuple[Glance, ...]
    objects: tuple[FoundObject, ...]
    modality: tuple[str, float]
    plane: tuple[str, float]
    region: tuple[str, float]
    warnings: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the glances."""
        return (self.glances[0].fit.width, self.glances[0].fit.height)


def look_at(shown: Shown, number: int, eyes: Eyes) -> Look:
    """Look at one item; `number` is its place among the conversation's media. InputError for text and tables."""
    match item := shown.item:
        case Picture():
            return _picture(item, shown, number, eyes)
        case Volume():
            return _volume(item, shown, number, eyes)
        case Clip():
            return _clip(item, shown, number, eyes)
        case Slide():
            return _slide(item, number, eyes)
        case Table() | Document():
            raise InputError("a table or text holds no picture to look at.", fix="Give it as text in the question.")


def _glances(
    views: Sequence[NDArray[np.uint8]],
    places: Sequence[Where],
    spacing: tuple[float, float] | None,
    eyes: Eyes,
    modality: str | None,
) -> list[Glance]:
    """See some views, `[H, W]` or `[H, W, 3]` uint8 each."""
    boxed = [letterbox(view, eyes.config.size) for view in views]
    sights = eyes.look(np.stack([square for square, _ in boxed]))
    glances: list[Glance] = []
    for (_, fit), sight, where in zip(boxed, sights, places, strict=True):
        sided = (modality or sight.modality[0]) not in SIDELESS and sight.plane[0] not in ("sagittal", "lateral")
        glances.append(Glance(where, fit, sight, tuple(locate(sight, fit, eyes.config, sides=sided)), spacing))
    return glances


def _agreed(names: Sequence[tuple[str, float]], told: str | None) -> tuple[str, float]:
    """The name with the largest summed probability, or what the file says."""
    if told is not None:
        return (told, 1.0)
    sums: dict[str, float] = {}
    for name, chance in names:
        sums[name] = sums.get(name, 0.0) + chance
    best = max(sums, key=lambda name: sums[name])
    return (best, sums[best] / len(names))


def _size_mm(located: Located, spacing: tuple[float, float] | None) -> float | None:
    if spacing is None:
        return None
    x0, y0, x1, y1 = (int(v) for v in located.box)
    mask = source_mask(located.logits, located.fit)[max(y0 - 1, 0) : y1 + 2, max(x0 - 1, 0) : x1 + 2]
    longest = longest_diameter(mask, spacing)
    return None if longest is None else longest[0]


def _longest_mm(chain: Sequence[tuple[Glance, Located]]) -> float | None:
    """The greatest size on any glance; where even the box is smaller than what was measured, nothing is."""
    reach: list[tuple[float, float, Located, tuple[float, float]]] = []
    for number, (glance, located) in enumerate(chain):
        if glance.spacing_mm is not None:
            x0, y0, x1, y1 = located.box
            x_mm, y_mm = glance.spacing_mm
            reach.append((math.hypot((x1 - x0 + 4) * x_mm, (y1 - y0 + 4) * y_mm), number, located, glance.spacing_mm))
    longest: float | None = None
    for limit, _, located, spacing in sorted(reach, reverse=True, key=lambda one: one[:2]):
        if longest is not None and limit <= longest:
            break
        size = _size_mm(located, spacing)
        longest = size if longest is None or (size is not None and size > longest) else longest
    return longest


def _single(glance: Glance, located: Located) -> FoundObject:
    seen = (glance.where, located)
    return FoundObject(
        located.label, located.confidence, located.side, _size_mm(located, glance.spacing_mm), seen, (seen,)
    )


def _picture(item: Picture, shown: Shown, number: int, eyes: Eyes) -> Look:
    told = HEADER_MODALITY.get(item.origin.modality or "")
    glance = _glances([item.view(shown.window)], [Where(number)], item.spacing_mm, eyes, told)[0]
    return Look(
        item,
        (glance,),
        tuple(_single(glance, located) for located in glance.objects),
        _agreed([glance.sight.modality], told),
        glance.sight.plane,
        glance.sight.region,
    )


def _slide(item: Slide, number: int, eyes: Eyes) -> Look:
    view = item.thumbnail(1024)
    scale = item.width / view.shape[1]
    spacing = None if item.mpp is None else (item.mpp[0] * scale / 1000, item.mpp[1] * scale / 1000)
    glance = _glances([view], [Where(number)], spacing, eyes, "microscopy")[0]
    return Look(
        item, (glance,), (), ("microscopy", 1.0), ("none", 1.0), ("tissue", 1.0), ("Only an overview was seen.",)
    )


def _volume(item: Volume, shown: Shown, number: int, eyes: Eyes) -> Look:
    axis = shown.axis or native_axis(item)
    told = HEADER_MODALITY.get(item.origin.modality or "") or guess_modality(item)
    first = spread(item.num_slices(axis), shown.num_slices or MAX_SLICES)
    glances = _slices(item, shown, number, eyes, axis, first, told)
    if shown.num_slices is None and 1 < len(first) < item.num_slices(axis):
        closer = _closer(glances, first, item.num_slices(axis))
        glances = sorted(
            glances + _slices(item, shown, number, eyes, axis, closer, told), key=lambda g: g.where.slice_index or 0
        )
    chains = whole_organs(linked([(n, g.objects) for n, g in enumerate(glances)]))
    across, down, along = {"sagittal": (1, 2, 0), "coronal": (0, 2, 1), "axial": (0, 1, 2)}[axis]
    spacing_mm = (item.spacing_mm[across], item.spacing_mm[down], item.spacing_mm[along])
    lasting = [chain for chain in chains if len(chain) > 1 or spacing_mm[2] >= 2.5]
    other = ANATOMY | OBJECTS
    objects = [_chained([(glances[n], o) for n, o in chain]) for chain in lasting if chain[0][1].label in other]
    findings = [chain for chain in lasting if chain[0][1].label not in other]
    objects += _findings(findings, glances, spacing_mm, eyes.config.labels)
    modality = _agreed([g.sight.modality for g in glances], told)
    region = _agreed([g.sight.region for g in glances], None)
    warnings = () if item.origin.modality or told is None else (f"The file names no modality; {told} was inferred.",)
    return Look(item, tuple(glances), tuple(objects), modality, (axis, 1.0), region, warnings)


def _findings(
    chains: Sequence[Chain], glances: Sequence[Glance], spacing_mm: tuple[float, float, float], labels: Sequence[str]
) -> Iterator[FoundObject]:
    """The lesions of a volume; a sure one has the slices that it goes on to, too. What is not told stays in pieces."""
    indices = [glance.where.slice_index or 0 for glance in glances]
    bodies = joined([chain for chain in chains if sureness(chain) >= SURE])
    bodies = [body for body in bodies if not is_flat(body, indices, spacing_mm)]
    for body in bodies:
        sure, chain = sureness(body.chain), body.chain
        if sure >= FOLLOWED:
            chain = followed(body, glances, labels, [other for other in bodies if other is not body])
        yield replace(_chained([(glances[n], o) for n, o in chain]), confidence=sure)
    for chain in chains:
        if sureness(chain) < SURE:
            yield _chained([(glances[n], o) for n, o in chain])


def _slices(
    item: Volume, shown: Shown, number: int, eyes: Eyes, axis: Axis, indices: Sequence[int], modality: str | None
) -> list[Glance]:
    glances: list[Glance] = []
    group = max(HELD_BYTES * item.num_slices(axis) // (4 * math.prod(item.shape)), 1)
    for start in range(0, len(indices), group):
        views = item.slices(indices[start : start + group], axis, shown.window)
        pictures = [_windowed(view, shown, modality) for view in views]
        places = [Where(number, axis, view.index) for view in views]
        glances += _glances(pictures, places, views[0].spacing_mm, eyes, modality)
    return glances


def _windowed(view: SliceView, shown: Shown, modality: str | None) -> NDArray[np.uint8]:
    if shown.window is not None or modality != "ct":
        return view.view()
    return view.view(ct_windows(view.values)[0])


def _closer(glances: Sequence[Glance], first: Sequence[int], count: int) -> list[int]:
    """Slices between those seen that lie beside a finding, the surest findings first."""
    step = max(b - a for a, b in pairwise(first))
    wanted: dict[int, float] = {}
    for glance in glances:
        sure = max((o.confidence for o in glance.objects if o.label not in ANATOMY), default=0.0)
        if sure >= 0.4 and glance.where.slice_index is not None:
            at = glance.where.slice_index
            for index in range(max(0, at - step + 1), min(count, at + step)):
                wanted[index] = max(wanted.get(index, 0.0), sure)
    ranked = sorted(set(wanted) - set(first), key=lambda i: -wanted[i])
    return sorted(ranked[:MAX_CLOSER])


def _chained(chain: Sequence[tuple[Glance, Located]]) -> FoundObject:
    """One object seen on several slices or frames: as sure as its three surest views on average."""
    sides = [o.side for _, o in chain if o.side is not None]
    area = {n: (o.box[2] - o.box[0]) * (o.box[3] - o.box[1]) * o.confidence for n, (_, o) in enumerate(chain)}
    best = chain[max(area, key=lambda n: area[n])]
    return FoundObject(
        chain[0][1].label,
        sureness([(n, o) for n, (_, o) in enumerate(chain)]),
        max(set(sides), key=sides.count) if sides else None,
        _longest_mm(chain),
        (best[0].where, best[1]),
        tuple((glance.where, o) for glance, o in chain),
    )


def _clip(item: Clip, shown: Shown, number: int, eyes: Eyes) -> Look:
    told = HEADER_MODALITY.get(item.origin.modality or "")
    indices = _frames(item, shown)
    places = [Where(number, frame=i, time_s=float(item.times_s[i])) for i in indices]
    glances = _glances(item.frames(indices), places, item.spacing_mm, eyes, told)
    chains = linked([(n, g.objects) for n, g in enumerate(glances)], max_gap=2)
    lasting = [chain for chain in chains if len(chain) >= min(2, len(glances))]
    objects = [_moving([(glances[n], o) for n, o in chain]) for chain in lasting]
    return Look(
        item,
        tuple(glances),
        tuple(objects),
        _agreed([g.sight.modality for g in glances], told),
        _agreed([g.sight.plane for g in glances], None),
        _agreed([g.sight.region for g in glances], None),
    )


def _frames(item: Clip, shown: Shown) -> list[int]:
    times = shown.timestamps
    if times is None and shown.fps is not None:
        times = tuple(np.arange(0.0, item.duration_s + 1e-9, 1 / shown.fps).tolist())
    if times is None:
        return spread(item.num_frames, MAX_FRAMES)
    nearest = sorted({int(np.abs(item.times_s - t).argmin()) for t in times})
    return [nearest[n] for n in spread(len(nearest), 4 * MAX_FRAMES)]


def _moving(chain: Sequence[tuple[Glance, Located]]) -> FoundObject:
    found = _chained(chain)
    points = np.array([o.point for _, o in chain])
    width, height = chain[0][0].fit.width, chain[0][0].fit.height
    travelled = float(np.hypot(*np.ptp(points, axis=0)))
    motion = "moving" if travelled > 0.04 * max(width, height) else "still"
    return FoundObject(found.label, found.confidence, found.side, found.size_mm, found.best, found.seen, motion=motion)

"""The findings of a volume as bodies: pieces of one lesion joined, flat ones left out, and each followed on its slices.

The eyes see one slice at a time. They may call a lesion a nodule where it begins and a mass where it is wide, miss it
on a slice in the middle, and draw it too small where they are unsure. Its neighbours on other slices tell better.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vesalius.models.starter.eyes import Sight
from vesalius.models.starter.link import Chain
from vesalius.models.starter.locate import Located, reshaped

__all__ = ["Body", "Seeing", "followed", "is_flat", "joined", "sureness"]

_SHARED = 0.5
"""Share of the smaller mask that two pieces of one body have in common, on one slice or on neighbouring ones."""

_FLAT = 0.25
"""A lesion is no disc: one that reaches less than this share of its width along the volume is an organ's end."""

_GROUND = -5.0
"""Mask logit of cells far from any object. An outline runs half-way between it and the level of its object."""

_LOWEST = -3.0
"""No outline runs lower."""

_REACH = 2
"""Cells by which an outline may grow on a slice where the object was seen."""

_NONE = -20.0

Cells = NDArray[np.bool_]


class Seeing(Protocol):
    """One slice as it was seen."""

    @property
    def sight(self) -> Sight: ...


@dataclass(frozen=True)
class Body:
    """One lesion. `chain`: (position among the glances, object), ascending, one to a slice, all called the same.
    `labels`: what its pieces were called, the body's own name first."""

    labels: tuple[str, ...]
    chain: Chain = field(repr=False)


def sureness(chain: Chain) -> float:
    """As sure as the three surest views on average."""
    return float(np.mean(sorted((o.confidence for _, o in chain), reverse=True)[:3]))


def joined(chains: Sequence[Chain]) -> list[Body]:
    """Chains of findings → bodies: those that cover each other on the same or the next slice are one.

    It is called what it is called where it is widest: of its labels that with the greatest sum of confidence × area².
    """
    here: defaultdict[int, list[tuple[int, Cells]]] = defaultdict(list)
    for number, chain in enumerate(chains):
        for position, located in chain:
            here[position].append((number, located.logits > 0))
    parent = list(range(len(chains)))

    def root(number: int) -> int:
        while parent[number] != number:
            number = parent[number]
        return number

    for position, pieces in list(here.items()):
        for number, mask in pieces:
            for other, its in (*pieces, *here.get(position + 1, ())):
                if root(number) != root(other) and _cover(mask, its):
                    parent[root(number)] = root(other)
    groups: defaultdict[int, list[Chain]] = defaultdict(list)
    for number, chain in enumerate(chains):
        groups[root(number)].append(chain)
    return [_body(pieces) for pieces in groups.values()]


def _cover(mask: Cells, other: Cells) -> bool:
    return int((mask & other).sum()) >= max(1, _SHARED * min(int(mask.sum()), int(other.sum())))


def _body(chains: Sequence[Chain]) -> Body:
    worth: defaultdict[str, float] = defaultdict(float)
    at: defaultdict[int, list[Located]] = defaultdict(list)
    for chain in chains:
        for position, located in chain:
            worth[located.label] += located.confidence * float((located.logits > 0).sum()) ** 2
            at[position].append(located)
    labels = tuple(sorted(worth, key=lambda label: -worth[label]))
    return Body(labels, _without_strays([(position, _merged(at[position], labels[0])) for position in sorted(at)]))


def _merged(pieces: Sequence[Located], label: str) -> Located:
    """Pieces of one body on one slice; the surest tells the confidence and the side."""
    surest = max(pieces, key=lambda one: one.confidence)
    if len(pieces) == 1:
        return replace(surest, label=label)
    surest = replace(surest, label=label)
    return reshaped(surest, np.max([one.logits for one in pieces], axis=0)) or surest


def _without_strays(chain: Chain) -> Chain:
    """The chain without pieces of masks that nothing on the slices beside continues, where something else does: cells
    elsewhere in the picture that the eyes gave to the nearest centre on one slice."""
    masks = {position: located.logits > 0 for position, located in chain}
    kept: Chain = []
    for position, located in chain:
        mask = masks[position]
        beside = [mask & masks[other] for other in (position - 1, position + 1) if other in masks]
        held = np.logical_or.reduce(beside) if beside else mask
        while held.any() and (wider := _grown(held, 1) & mask).sum() > held.sum():
            held = wider
        logits = np.where(mask & ~held, _NONE, located.logits).astype(np.float32) if held.any() else located.logits
        kept.append((position, reshaped(located, logits) or located))
    return kept


def is_flat(body: Body, indices: Sequence[int], spacing_mm: tuple[float, float, float]) -> bool:
    """Whether a body reaches too little along the volume for its width; one cut off by the volume's end is not.

    `indices`: slice index of each glance, ascending.  `spacing_mm`: (x, y) of a slice and from slice to slice.
    """
    first, last = body.chain[0][0], body.chain[-1][0]
    if first == 0 or last == len(indices) - 1:
        return False
    depth_mm = (indices[last + 1] + indices[last] - indices[first] - indices[first - 1]) / 2 * spacing_mm[2]
    fit = body.chain[0][1].fit
    cell_mm2 = 4 / (fit.scale_x * fit.scale_y) * spacing_mm[0] * spacing_mm[1]
    widest_mm2 = max(int((located.logits > 0).sum()) for _, located in body.chain) * cell_mm2
    return depth_mm < _FLAT * 2 * math.sqrt(widest_mm2 / math.pi)


def followed(body: Body, glances: Sequence[Seeing], labels: Sequence[str], others: Iterable[Body] = ()) -> Chain:
    """The body's chain with better outlines, and with the slices between and beside where its mask goes on.

    The outline runs half-way between the logits of the body and those of its surroundings, at chance one half where
    the eyes are sure and below where they are not. `labels`: of the maps' rows.  `others`: bodies whose cells are
    theirs.  A slice that was added has confidence 0 and no side.
    """
    level = np.concatenate([located.logits[located.logits > 0] for _, located in body.chain])
    if level.size == 0:
        return body.chain
    cut = min(max((float(np.median(level)) + _GROUND) / 2, _LOWEST), 0.0)
    rows = [labels.index(label) for label in body.labels]
    theirs: dict[int, Cells] = {}
    for other in others:
        for position, located in other.chain:
            taken = located.logits > 0
            theirs[position] = theirs[position] | taken if position in theirs else taken

    def outlined(like: Located, position: int, near: Cells) -> Located | None:
        logits = glances[position].sight.maps.masks[rows].max(0) - cut
        return reshaped(like, np.where(near, logits, _NONE).astype(np.float32))

    def free(position: int, near: Cells) -> Cells:
        return near & ~theirs[position] if position in theirs else near

    kept: dict[int, Located] = {}
    for position, located in body.chain:
        own = located.logits > 0
        kept[position] = outlined(located, position, own | free(position, _grown(own, _REACH))) or located
    for start, _ in body.chain:
        for step in (1, -1):
            position, last = start + step, kept[start]
            while 0 <= position < len(glances) and position not in kept:
                before = last.logits > 0
                near = free(position, _grown(before, 1))
                found = outlined(replace(last, confidence=0.0, side=None), position, near)
                if found is None or not (before & (found.logits > 0)).any():
                    break
                kept[position] = last = found
                position += step
    return sorted(kept.items(), key=lambda link: link[0])


def _grown(mask: Cells, cells: int) -> Cells:
    """The mask and all cells at most `cells` away from it, corners included."""
    for axis in (0, 1):
        for _ in range(cells):
            padded = np.pad(mask, [(1, 1) if a == axis else (0, 0) for a in (0, 1)])
            ahead, behind = (padded[s] if axis == 0 else padded[:, s] for s in (slice(2, None), slice(None, -2)))
            mask = mask | ahead | behind
    return mask

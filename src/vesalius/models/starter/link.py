"""Which objects on neighbouring slices or frames are one and the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vesalius.dialogue.scene_text import ANATOMY
from vesalius.models.starter.locate import Located

__all__ = ["Chain", "linked", "whole_organs"]

_PAIRED = frozenset({"lung", "kidney"})

Chain = list[tuple[int, Located]]


def linked(seen: Sequence[tuple[int, Sequence[Located]]], *, max_gap: int | None = None) -> list[Chain]:
    """Chains of (index, object), each one object through a volume or clip.

    `seen`: (slice or frame index, objects) in ascending order. An object continues the chain of its label whose last
    member overlaps it most; a chain ends when it was not continued on `max_gap` glances running (None: one, so a
    lesion that vanishes between two slices and comes back is two).
    """
    patience = 1 if max_gap is None else max_gap
    open_chains: list[tuple[Chain, int]] = []
    closed: list[Chain] = []
    for position, (index, objects) in enumerate(seen):
        free = list(objects)
        still: list[tuple[Chain, int]] = []
        pairs = sorted(
            (
                (_overlap(chain[-1][1], o), n, m)
                for n, (chain, _) in enumerate(open_chains)
                for m, o in enumerate(free)
                if chain[-1][1].label == o.label
            ),
            reverse=True,
        )
        taken_chain: set[int] = set()
        taken_object: set[int] = set()
        for overlap, n, m in pairs:
            if overlap <= 0 or n in taken_chain or m in taken_object:
                continue
            taken_chain.add(n)
            taken_object.add(m)
            open_chains[n][0].append((index, free[m]))
            still.append((open_chains[n][0], position))
        for n, (chain, last) in enumerate(open_chains):
            if n not in taken_chain:
                if position - last >= patience:
                    closed.append(chain)
                else:
                    still.append((chain, last))
        still += [([(index, o)], position) for m, o in enumerate(free) if m not in taken_object]
        open_chains = still
    return closed + [chain for chain, _ in open_chains]


def whole_organs(chains: Sequence[Chain]) -> list[Chain]:
    """The same chains with the pieces of one organ joined: a body has one liver, and one lung on each side.

    An organ may leave the slices and come back (a spine that curves, a heart cut twice), which ends a chain.
    """
    joined: dict[tuple[str, str | None], Chain] = {}
    others: list[Chain] = []
    for chain in chains:
        label = chain[0][1].label
        if label not in ANATOMY:
            others.append(chain)
            continue
        sides = [o.side for _, o in chain if o.side is not None]
        side = max(sorted(set(sides)), key=sides.count) if sides and label in _PAIRED else None
        joined.setdefault((label, side), []).extend(chain)
    return [sorted(chain, key=lambda link: link[0]) for chain in joined.values()] + others


def _overlap(a: Located, b: Located) -> float:
    """Shared share of the smaller mask on the square grid, plus nearness, so touching neighbours still link."""
    mine, other = a.logits > 0, b.logits > 0
    smaller = min(int(mine.sum()), int(other.sum()))
    if smaller == 0:
        return 0.0
    shared = float((mine & other).sum()) / smaller
    if shared > 0:
        return 1.0 + shared
    reach = 0.75 * max(a.box[2] - a.box[0], a.box[3] - a.box[1], b.box[2] - b.box[0], b.box[3] - b.box[1])
    distance = float(np.hypot(a.point[0] - b.point[0], a.point[1] - b.point[1]))
    return max(0.0, 1.0 - distance / max(reach, 1e-6)) * 0.5

"""Whose pictures an item is shown instead of its own: another item's, of the same modality, never its own."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from vesalius.evaluation.contract import Medium, Sample

__all__ = ["Derangement", "derangement"]

Media = tuple[Medium, ...]
T = TypeVar("T")


class Derangement:
    """Media key → the media shown instead. `left_out`: ids of items for which there are no others of their kind."""

    def __init__(self, donors: dict[str, Media], left_out: Sequence[str], hashes: dict[Path, str]) -> None:
        self._donors, self._hashes = donors, hashes
        self.left_out = tuple(left_out)

    def media_for(self, sample: Sample) -> Media:
        """What a sample that is not left out is shown."""
        return self._donors[_key(sample.media, self._hashes)]


def derangement(samples: Iterator[Sample], seed: int, spool: Path) -> Derangement:
    """Exchange the media of all samples that have some: a seeded cycle through the different media of each modality.

    Questions about one picture all get the same other picture. A modality with one picture takes part in a cycle of
    such modalities; an item with the only media of its kinds (two pictures, one volume …) is left out.
    `spool`: an empty folder where embedded media are kept meanwhile.
    """
    known: dict[str, tuple[tuple[str, ...], str, Media]] = {}
    askers: defaultdict[str, list[str]] = defaultdict(list)
    hashes: dict[Path, str] = {}
    for sample in samples:
        if not sample.media:
            continue
        key = _key(sample.media, hashes)
        if key not in known:
            kinds = tuple(medium.kind for medium in sample.media)
            media = tuple(_kept(medium, spool) for medium in sample.media)
            known[key] = (kinds, sample.tags.get("modality", ""), media)
        askers[key].append(sample.id)
    groups: defaultdict[tuple[tuple[str, ...], str], list[str]] = defaultdict(list)
    for key, (kinds, modality, _) in known.items():
        groups[kinds, modality].append(key)
    alone: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for kinds, modality in [group for group, keys in groups.items() if len(keys) == 1]:
        alone[kinds] += groups.pop((kinds, modality))
    donors: dict[str, Media] = {}
    left_out: list[str] = []
    cycles = {f"{kinds}/{modality}": keys for (kinds, modality), keys in groups.items()}
    for kinds, keys in alone.items():
        if len(keys) > 1:
            cycles[f"{kinds}"] = keys
            continue
        others = next((there for (same, _), there in groups.items() if same == kinds), None)
        if others is None:
            left_out += askers[keys[0]]
        else:
            donors[keys[0]] = known[random.Random(f"{seed}/{kinds}").choice(others)][2]
    for name, keys in cycles.items():
        for key, other in zip(keys, _cycled(keys, random.Random(f"{seed}/{name}")), strict=True):
            donors[key] = known[other][2]
    return Derangement(donors, left_out, hashes)


def _cycled(items: Sequence[T], rng: random.Random) -> list[T]:
    """A permutation that is one cycle (Sattolo), so nothing stays in its place."""
    order = list(items)
    for k in range(len(order) - 1, 0, -1):
        other = rng.randrange(k)
        order[k], order[other] = order[other], order[k]
    return order


def _key(media: Media, hashes: dict[Path, str]) -> str:
    """Equal for equal content; a file that cannot be read stands for itself. Files are hashed once."""
    found: list[str] = []
    for medium in media:
        source = medium.source
        if isinstance(source, bytes):
            found.append(medium.sha256())
            continue
        if source not in hashes:
            try:
                hashes[source] = medium.sha256()
            except OSError:
                hashes[source] = str(source)
        found.append(hashes[source])
    return "/".join(found)


def _kept(medium: Medium, spool: Path) -> Medium:
    """The medium as a file: embedded ones of a whole benchmark do not fit into memory."""
    if not isinstance(medium.source, bytes):
        return medium
    path = spool / medium.sha256()
    if not path.exists():
        path.write_bytes(medium.source)
    return replace(medium, source=path)

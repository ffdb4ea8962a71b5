"""Several data sets as one endless stream of samples, in an order that a seed fixes and any process count shares.

A source's chance is proportional to weight x rows^(1/temperature): temperature 1 mixes by size, infinity by weight alone.
Modalities are balanced the same way over all sources: rows^(1/modality_temperature), where a modality is never drawn more
than `max_oversampling` times as often as its share would have it. Within a source and modality every sample comes once
before any comes twice.
"""

from __future__ import annotations

import math
import os
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from vesalius.dialogue.samples import Sample
from vesalius.errors import InputError, OptionError
from vesalius.training.data.sample_index import SampleIndex
from vesalius.training.data.shuffled import shuffled, uniform

__all__ = ["Group", "Mixture", "Pick"]


@dataclass(frozen=True)
class Group:
    """Samples that are drawn alike. `rows`: (source, position) pairs are those of `sources` from `size` rows in all.
    `share`: the chance of a draw to come from here."""

    source: int | None
    modality: str | None
    size: int
    share: float


@dataclass(frozen=True, slots=True)
class Pick:
    """The `number`-th sample of the stream (from 0): a row position of a source."""

    number: int
    source: int
    row: int


class Mixture:
    """An endless iterable of samples (or of `num_samples`); see the module for how they are drawn.

    `sources`: files, folders of shards or patterns, JSON Lines or Parquet. `weights`: one a source, above 0 (all 1).
    `rank` of `world_size` processes takes every `world_size`-th sample of one global order. With equal weights and both
    temperatures 1 the sources are one shuffled whole: each sample once an epoch.

    `state_dict` after as many samples on every rank, `load_state_dict` in any number of processes: the stream goes on
    exactly where it was. Raises InputError for sources without two rows, OptionError for numbers out of range.
    """

    def __init__(
        self,
        sources: Sequence[str | os.PathLike[str]],
        weights: Sequence[float] | None = None,
        temperature: float = 1.0,
        seed: int = 0,
        *,
        modality_temperature: float = 1.0,
        max_oversampling: float = 10.0,
        num_samples: int | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.weights = [1.0] * len(sources) if weights is None else [float(weight) for weight in weights]
        self.temperature, self.modality_temperature = float(temperature), float(modality_temperature)
        self.max_oversampling, self.seed, self.num_samples = float(max_oversampling), seed, num_samples
        self.rank, self.world_size = rank, world_size
        self._check(len(sources))
        self.sources = [SampleIndex(source) for source in sources]
        for index in self.sources:
            if len(index) == 0:
                raise InputError("holds no rows.", file=index.source, fix="Take it out of the mixture, or fill it.")
        if sum(map(len, self.sources)) < 2:
            raise InputError("the data are one row; nothing can be learnt from it alone.", file=self.sources[0].source,
                             fix="Give at least two rows.")  # fmt: skip
        self.groups = self._make_groups()
        self._bounds = list(accumulate(group.share for group in self.groups))
        self._firsts = list(accumulate((len(index) for index in self.sources), initial=0))
        self._position = 0
        self._drawn = [0] * len(self.groups)

    def _check(self, count: int) -> None:
        if not count:
            raise OptionError("the mixture has no sources.", fix="Name at least one file.")
        if len(self.weights) != count:
            raise OptionError(f"{len(self.weights)} weights for {count} sources.", fix="Give one a source.")
        for name, values, low in (
            ("weights", self.weights, 0.0), ("temperature", [self.temperature], 0.0),
            ("modality_temperature", [self.modality_temperature], 0.0),
        ):  # fmt: skip
            if any(math.isnan(value) or value <= low for value in values):
                raise OptionError(f"{name} must be above 0.", fix="Leave a source out instead of weighing it 0.")
        if any(math.isinf(weight) for weight in self.weights):
            raise OptionError("a weight is infinite.")
        if not self.max_oversampling >= 1:
            raise OptionError(f"max_oversampling is {self.max_oversampling}; it must be 1 or more.")
        if self.num_samples is not None and self.num_samples < 1:
            raise OptionError(f"num_samples is {self.num_samples}; it must be 1 or more.")
        if not 0 <= self.rank < self.world_size:
            raise OptionError(f"rank {self.rank} of {self.world_size} processes.", fix="Ranks count from 0.")

    def _make_groups(self) -> list[Group]:
        sizes = [len(index) for index in self.sources]
        if self.temperature == self.modality_temperature == 1 and len(set(self.weights)) == 1:
            return [Group(None, None, sum(sizes), 1.0)]
        by_source = _shares([w * n ** (1 / self.temperature) for w, n in zip(self.weights, sizes, strict=True)])
        if self.modality_temperature == 1:
            return [Group(k, None, n, share) for k, (n, share) in enumerate(zip(sizes, by_source, strict=True))]
        parts = [
            (k, modality, len(rows), by_source[k] * len(rows) / sizes[k])
            for k, index in enumerate(self.sources) for modality, rows in sorted(index.modalities.items())
        ]  # fmt: skip
        natural: dict[str, float] = {}
        for _, modality, _, share in parts:
            natural[modality] = natural.get(modality, 0.0) + share
        wanted = _balanced(natural, self.modality_temperature, self.max_oversampling)
        return [Group(k, m, n, share * wanted[m] / natural[m]) for k, m, n, share in parts]

    def __len__(self) -> int:
        """Samples on this rank: `num_samples`, or all rows once, over the processes."""
        whole = self.num_rows if self.num_samples is None else self.num_samples
        return max(0, -(-(whole - self.rank) // self.world_size))

    @property
    def num_rows(self) -> int:
        """Rows of all sources."""
        return self._firsts[-1]

    @property
    def modality_shares(self) -> dict[str, float]:
        """Modality → its share of the stream."""
        shares: dict[str, float] = {}
        for group in self.groups:
            for k, index in enumerate(self.sources):
                if group.source in (None, k):
                    for modality, rows in index.modalities.items():
                        if group.modality in (None, modality):
                            shares[modality] = shares.get(modality, 0.0) + group.share * len(rows) / group.size
        return shares

    def picks(self) -> Iterator[Pick]:
        """The global order from here on, every process's samples in it; nothing is read. Ends at `num_samples`. What was
        taken counts as drawn: `state_dict` speaks of it."""
        while self.num_samples is None or self._position < self.num_samples:
            yield self._draw()

    def _draw(self) -> Pick:
        number = self._position
        at = 0
        if len(self.groups) > 1:
            at = min(bisect_right(self._bounds, uniform(self.seed, 0, number) * self._bounds[-1]), len(self.groups) - 1)
        group = self.groups[at]
        epoch, place = divmod(self._drawn[at], group.size)
        self._position += 1
        self._drawn[at] += 1
        row = shuffled(place, group.size, self.seed, 1, at, epoch)
        if group.source is None:
            source = bisect_right(self._firsts, row) - 1
            return Pick(number, source, row - self._firsts[source])
        if group.modality is not None:
            row = self.sources[group.source].modalities[group.modality][row]
        return Pick(number, group.source, row)

    def read(self, pick: Pick) -> tuple[Sample, Path]:
        """(a pick's sample, the folder its media are relative to). InputError naming file and row when it is bad."""
        return self.sources[pick.source].read(pick.row)

    def place_of(self, pick: Pick) -> str:
        """ "FILE row N", for messages."""
        index = self.sources[pick.source]
        which, number = index.file_of(pick.row)
        return f"{index.files[which]} row {number}"

    def with_folders(self) -> Iterator[tuple[Sample, Path]]:
        """This rank's samples from here on, each with the folder its media are relative to."""
        while self.num_samples is None or self._position + self.rank < self.num_samples:
            # A rank's turn is a round of all ranks: then every rank's state is the same after equally many samples.
            mine: Pick | None = None
            for turn in range(self.world_size):
                pick = self._draw()
                if turn == self.rank:
                    mine = pick
            assert mine is not None
            yield self.read(mine)

    def __iter__(self) -> Iterator[Sample]:
        for sample, _ in self.with_folders():
            yield sample

    def state_dict(self) -> dict[str, Any]:
        """Where the stream is: plain numbers and text, the same on every rank after equally many samples."""
        return {"position": self._position, "drawn": list(self._drawn), "mixture": self._identity()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`. OptionError when it is of other data, weights or another seed."""
        if state.get("mixture") != self._identity():
            now, then = self._identity(), state.get("mixture")
            changed = [key for key in now if not isinstance(then, Mapping) or then.get(key) != now[key]]
            raise OptionError(
                f"the saved place in the data is of another mixture ({', '.join(changed) or 'other keys'} changed).",
                fix="Resume with the same data and settings, or start anew.",
            )
        position, drawn = state["position"], list(state["drawn"])
        if len(drawn) != len(self.groups) or sum(drawn) != position:
            raise OptionError("the saved place in the data is damaged.", fix="Resume from an earlier checkpoint.")
        self._position, self._drawn = int(position), [int(count) for count in drawn]

    def _identity(self) -> dict[str, Any]:
        return {
            "seed": self.seed, "weights": list(self.weights), "temperature": str(self.temperature),
            "modality_temperature": str(self.modality_temperature), "max_oversampling": self.max_oversampling,
            "data": [index.digest for index in self.sources],
        }  # fmt: skip


def _shares(masses: Sequence[float]) -> list[float]:
    total = sum(masses)
    return [mass / total for mass in masses]


def _balanced(natural: Mapping[str, float], temperature: float, most: float) -> dict[str, float]:
    """Shares ∝ natural^(1/temperature), none above `most` times its natural share; what is cut off goes to the others in
    proportion."""
    raw = {name: share ** (1 / temperature) for name, share in natural.items()}
    capped: dict[str, float] = {}
    while True:
        free = {name: mass for name, mass in raw.items() if name not in capped}
        left = 1.0 - sum(capped.values())
        scale = left / sum(free.values()) if free else 0.0
        over = [name for name, mass in free.items() if mass * scale > most * natural[name] * (1 + 1e-12)]
        if not over:
            return capped | {name: mass * scale for name, mass in free.items()}
        capped |= {name: most * natural[name] for name in over}

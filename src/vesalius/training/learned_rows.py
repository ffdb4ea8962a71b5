"""What the trainer sees of the data: prepared samples, packed into rows, each counted before anything is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from torch.utils.data import IterableDataset

__all__ = ["Counts", "Learned", "Row", "RowStream", "counts_of", "learned_masks", "learned_tokens", "packed_row"]


@dataclass(frozen=True)
class Learned:
    """A prepared sample: `length` positions, `tokens` and `masks` that are learnt, and what it is about."""

    batch: Any = field(repr=False)
    id: str
    task: str
    length: int
    tokens: int
    masks: int
    shows: bool
    """Whether it holds pixels."""


@dataclass(frozen=True)
class Row:
    """One packed row, with the face of a batch for Trainer (`len`, `in`, `to`); the family moves the tensors itself."""

    batch: Any = field(repr=False)
    samples: tuple[Learned, ...]

    @property
    def length(self) -> int:
        return sum(one.length for one in self.samples)

    @property
    def tokens(self) -> int:
        return sum(one.tokens for one in self.samples)

    @property
    def masks(self) -> int:
        return sum(one.masks for one in self.samples)

    def __len__(self) -> int:
        return len(self.samples)

    def __contains__(self, name: object) -> bool:
        """Trainer looks for tensors by name, to estimate what a step costs; it finds none."""
        return False

    def to(self, *_: Any, **__: Any) -> Row:
        """Itself: rows stay in main memory until the family reads them."""
        return self


@dataclass(frozen=True)
class Counts:
    """What all rows of one optimiser step learn, over all processes: what their sums of losses are divided by."""

    tokens: int
    masks: int


def counts_of(rows: Sequence[Row]) -> Counts:
    """Of these rows."""
    return Counts(sum(row.tokens for row in rows), sum(row.masks for row in rows))


def learned_tokens(batch: Mapping[str, Tensor]) -> int:
    """Tokens a prepared sample learns; its first is never predicted."""
    labels = batch["spliced_labels"] if "spliced_labels" in batch else batch.get("labels")
    return 0 if labels is None else int((labels[..., 1:] != -100).sum())


def learned_masks(batch: Mapping[str, Tensor]) -> int:
    """Masks a prepared sample learns."""
    return len(batch["gt_masks"]) if "gt_masks" in batch else 0


def packed_row(family: Any, samples: Sequence[Learned]) -> Row:
    """Prepared samples as one row."""
    return Row(family.pack([one.batch for one in samples]), tuple(samples))


class RowStream(IterableDataset[Row]):
    """Rows one by one. `make` gives them from the start, the same each time it is asked."""

    def __init__(self, make: Callable[[], Iterator[Row]]) -> None:
        self.make = make

    def __iter__(self) -> Iterator[Row]:
        return self.make()

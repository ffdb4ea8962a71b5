"""Samples into rows of at most `max_length` positions as they stream by: best fit from a bounded buffer, none cut.

Every row starts with the sample that has waited longest, so nothing waits forever, and is filled with the longest that
still fits. The place in the stream can be saved after any row and is exact: what waits in the buffer is drawn again.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from vesalius.errors import InputError, LimitError, OptionError

__all__ = ["PackedRow", "RowPacker", "SampleStream", "Skipped", "rows_of_lengths"]

SampleT = TypeVar("SampleT", covariant=True)
S = TypeVar("S")
PreparedT = TypeVar("PreparedT")


_HOPELESS = 256
"""Samples in a row that no row takes before the packer gives up, or goes on with those that wait."""


class SampleStream(Protocol[SampleT]):
    """Samples in an order of their own, with a place that can be saved: `Mixture` is one."""

    def __iter__(self) -> Iterator[SampleT]:
        """Samples from the present place on."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """The place after the samples drawn so far."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from that place."""
        ...


@dataclass(frozen=True)
class Skipped:
    """A sample that no row takes. `length`, `limit`: in positions, where it is too long (None: it cannot be prepared);
    `reason`: one sentence."""

    id: str
    reason: str
    length: int | None = None
    limit: int | None = None


@dataclass(frozen=True)
class PackedRow(Generic[PreparedT]):
    """Samples of one row, the one that waited longest first. `length`: their positions together."""

    samples: tuple[PreparedT, ...] = field(repr=False)
    ids: tuple[str, ...]
    lengths: tuple[int, ...]

    @property
    def length(self) -> int:
        return sum(self.lengths)


class RowPacker(Generic[S, PreparedT]):
    """An iterable of rows over a stream of samples.

    `prepare`, `length`: a family's, of one sample. `name`: its id, for reports. `look_ahead`: how many prepared samples
    wait at most; more waste less of a row and hold more memory. `skipped` is told each sample that is left out (too
    long, or refused by `prepare` with an InputError) and may raise to stop; `num_skipped` counts them.

    `state_dict` after a row and `load_state_dict` into a new packer over the same stream: the same rows follow. Raises
    LimitError from the first row on when no sample fits into `max_length`, OptionError for sizes below 1.
    """

    def __init__(
        self,
        stream: SampleStream[S],
        *,
        max_length: int,
        prepare: Callable[[S], PreparedT],
        length: Callable[[PreparedT], int],
        name: Callable[[S], str],
        look_ahead: int = 128,
        skipped: Callable[[Skipped], None] | None = None,
    ) -> None:
        for what, value in (("max_length", max_length), ("look_ahead", look_ahead)):
            if value < 1:
                raise OptionError(f"{what} is {value}; it must be 1 or more.")
        self.stream, self.max_length, self.look_ahead = stream, max_length, look_ahead
        self.prepare, self.length, self.name, self.skipped = prepare, length, name, skipped
        self.num_rows = self.num_skipped = 0
        self._drawing: Iterator[S] | None = None
        self._drawn = 0
        self._waiting: dict[int, tuple[str, int, PreparedT]] = {}
        self._places: list[tuple[int, dict[str, Any]]] = []

    def __iter__(self) -> Iterator[PackedRow[PreparedT]]:
        while True:
            self._refill()
            if not self._waiting:
                return
            yield self._take()

    def check(self) -> None:
        """Draw the first samples, so that a `max_length` nothing fits into is an error before any work: LimitError."""
        self._refill()

    def _refill(self) -> None:
        if self._drawing is None:
            self._drawing = iter(self.stream)
        self._places.append((self._drawn, self.stream.state_dict()))
        refused: list[Skipped] = []
        while len(self._waiting) < self.look_ahead:
            sample = next(self._drawing, None)
            if sample is None:
                break
            left_out = self._admit(sample)
            refused += [left_out] if left_out else []
            if len(refused) >= _HOPELESS:
                break
        if refused and not self._waiting and (not self.num_rows or len(refused) >= _HOPELESS):
            self._none_fits(refused)

    def _none_fits(self, refused: Sequence[Skipped]) -> None:
        lengths = [one.length for one in refused if one.length is not None]
        if not lengths:
            raise InputError(f"none of {len(refused)} samples can be used; the last: {refused[-1].reason}")
        raise LimitError(
            f"max_length is {self.max_length}, and none of {len(refused)} samples fits; the shortest takes "
            f"{min(lengths)} positions.",
            fix="Raise max_length, or show fewer or smaller pictures.",
        )

    def _admit(self, sample: S) -> Skipped | None:
        """Let a sample wait for its row; told and counted where it cannot."""
        number, self._drawn = self._drawn, self._drawn + 1
        name = self.name(sample)
        try:
            made = self.prepare(sample)
        except InputError as exc:
            return self._leave_out(Skipped(name, str(exc)))
        length = self.length(made)
        if length > self.max_length:
            reason = f"it takes {length} positions, max_length is {self.max_length}."
            return self._leave_out(Skipped(name, reason, length, self.max_length))
        self._waiting[number] = (name, length, made)
        return None

    def _leave_out(self, sample: Skipped) -> Skipped:
        self.num_skipped += 1
        if self.skipped is not None:
            self.skipped(sample)
        return sample

    def _take(self) -> PackedRow[PreparedT]:
        lengths = {number: length for number, (_, length, _) in self._waiting.items()}
        chosen = [self._waiting.pop(number) for number in _fullest(lengths, self.max_length)]
        self.num_rows += 1
        oldest = next(iter(self._waiting), self._drawn)
        # The last place at or before the oldest sample that waits is all that is needed to find it again.
        while len(self._places) > 1 and self._places[1][0] <= oldest:
            del self._places[0]
        names, sizes, made = zip(*chosen, strict=True)
        return PackedRow(made, names, sizes)

    def state_dict(self) -> dict[str, Any]:
        """The place after the last row: plain values. A stream of no row yet is at its own place."""
        if not self._places:
            self._places.append((self._drawn, self.stream.state_dict()))
        first, place = self._places[0]
        waits = [number in self._waiting for number in range(first, self._drawn)]
        return {
            "stream": place,
            "waits": waits,
            "max_length": self.max_length,
            "look_ahead": self.look_ahead,
            "num_rows": self.num_rows,
            "num_skipped": self.num_skipped,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`; samples that wait are drawn and prepared again. OptionError when it was saved with other
        sizes, or the stream holds other samples now."""
        for what in ("max_length", "look_ahead"):
            if state[what] != getattr(self, what):
                raise OptionError(
                    f"{what} is {getattr(self, what)}, the saved place in the rows was made with {state[what]}.",
                    fix=f"Resume with {what} {state[what]}, or start anew.",
                )
        self.stream.load_state_dict(state["stream"])
        self._drawing, self._drawn = iter(self.stream), 0
        self._waiting, self._places = {}, [(0, self.stream.state_dict())]
        for waits in state["waits"]:
            sample = next(self._drawing, None)
            if sample is None:
                raise OptionError("the data hold fewer samples than when the place in them was saved.")
            if not waits:
                self._drawn += 1
            elif self._admit(sample) is not None:
                raise OptionError(
                    f"sample {self.name(sample)} does not fit now, and did when the place in the data was saved.",
                    fix="Resume with the same data and settings, or start anew.",
                )
        self.num_rows, self.num_skipped = int(state["num_rows"]), int(state["num_skipped"])


def _fullest(lengths: Mapping[int, int], room: int) -> list[int]:
    """The first of `lengths` (the oldest), then again and again the longest that fits; of equals the older."""
    numbers = list(lengths)
    row, room = [numbers[0]], room - lengths[numbers[0]]
    shelf: list[tuple[int, int]] = []
    for number in numbers[1:]:
        insort(shelf, (lengths[number], -number))
    while (at := bisect_right(shelf, (room, 1))) > 0:
        length, number = shelf.pop(at - 1)
        row.append(-number)
        room -= length
    return row


def rows_of_lengths(lengths: Sequence[int], max_length: int, look_ahead: int = 128) -> list[list[int]]:
    """Which samples of these lengths, all at most `max_length`, make which row: places in `lengths`."""
    rows: list[list[int]] = []
    waiting: dict[int, int] = {}
    drawn = 0
    while waiting or drawn < len(lengths):
        while len(waiting) < look_ahead and drawn < len(lengths):
            waiting[drawn] = lengths[drawn]
            drawn += 1
        rows.append(_fullest(waiting, max_length))
        for place in rows[-1]:
            del waiting[place]
    return rows

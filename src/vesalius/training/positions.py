"""A stream of rows that knows where it is: a resumed run goes on behind the last row that was learnt, without making
the earlier ones again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any, Protocol

from torch.utils.data import IterableDataset

__all__ = ["PositionedRows", "RowSource", "Skipped"]

_REMEMBERED = 16
"""Reads of all processes; Trainer is at most one ahead when it saves."""


class RowSource(Protocol):
    """Rows with a position that JSON can hold. A source that loads what another gave goes on with the very rows the
    other would have given next."""

    def __iter__(self) -> Iterator[Any]: ...

    def state_dict(self) -> dict[str, Any]:
        """The position behind the row that was given last."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        ...


class Skipped:
    """Stands for a row that an earlier sitting learnt; Trainer counts and drops it."""

    def to(self, *_: Any, **__: Any) -> Skipped:
        return self


class PositionedRows(IterableDataset[Any]):
    """The rows of `source` for Trainer. Of `processes` that train together, number `process` gets every row whose
    number is `process` modulo `processes`; all count together, so that order and position do not depend on how many
    they are. Rows that no longer suffice for all are left out.

    Trainer reads ahead of what it learns, so the position belongs to a number of rows, not to the moment.
    """

    def __init__(self, source: RowSource, *, process: int = 0, processes: int = 1) -> None:
        self.source, self.process, self.processes = source, process, processes
        self._behind: deque[tuple[int, dict[str, Any]]] = deque(maxlen=_REMEMBERED)
        self._start, self._blank = 0, 0

    def state_after(self, rows: int) -> dict[str, Any]:
        """The position after `rows` rows of all processes together, one of the last that were read."""
        for number, state in reversed(self._behind):
            if number == rows:
                return {"rows": rows, "source": state}
        raise LookupError(f"position after row {rows} is not remembered")

    def resume(self, state: dict[str, Any]) -> None:
        """Go on behind `state`. Trainer skips what it thinks was read; it is given blanks for these."""
        self._start = self._blank = int(state["rows"])
        self.source.load_state_dict(state["source"])

    def __iter__(self) -> Iterator[Any]:
        number = self._start
        for _ in range(self._blank // self.processes):
            yield Skipped()
        rows = iter(self.source)
        self._behind.append((number, self.source.state_dict()))
        while len(group := list(islice(rows, self.processes))) == self.processes:
            number += self.processes
            self._behind.append((number, self.source.state_dict()))
            yield group[self.process]

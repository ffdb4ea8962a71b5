"""What every model family offers to `inference`, and how media reach it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from vesalius.findings.findings import Finding
from vesalius.models.parts.token_stream import Sampling
from vesalius.study.items import Axis, Item
from vesalius.study.windows import Window

__all__ = ["Batch", "Family", "Shown", "Turn"]

Turn = tuple[str, str | None]
"""(question, answer); the last answer of a conversation is None."""

Batch = Mapping[str, Tensor]
"""What `prepare` returns: named tensors; a family may carry more beside them."""


@dataclass(frozen=True)
class Shown:
    """One item of a conversation and how the caller wants it shown (None: the model's own choice).

    `axis`, `num_slices`, `window`: volumes.  `fps`, `timestamps`: clips, seconds.
    """

    item: Item
    axis: Axis | None = None
    num_slices: int | None = None
    window: Window | None = None
    fps: float | None = None
    timestamps: tuple[float, ...] | None = None


class Family(Protocol):
    """A loaded model. `name` as `vesalius models` lists it; `notice`: a sentence every surface shows once, or ""."""

    name: str
    notice: str

    def prepare(self, turns: Sequence[Turn], media: Sequence[Shown], **options: Any) -> Batch:
        """The one processor: conversation → named tensors."""
        ...

    def logits(self, batch: Batch) -> Tensor:
        """`[1, L, vocab]` float32 at every position."""
        ...

    def trace(self, batch: Batch) -> dict[str, Tensor]:
        """Named intermediates."""
        ...

    def say(self, batch: Batch, *, max_new_tokens: int, sampling: Sampling) -> Iterator[tuple[str, str | None]]:
        """(new text, finish reason or None) as it is made."""
        ...

    def say_batch(
        self, batches: Sequence[Batch], *, max_new_tokens: int, sampling: Sampling
    ) -> list[tuple[str, str, int]]:
        """(text, finish reason, new tokens) of each, equal to `say` one by one."""
        ...

    def findings(self, batch: Any, text: str) -> list[Finding]:
        """What the answer located, in original pixels."""
        ...

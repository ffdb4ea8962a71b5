"""Random choices that come out the same on every machine.

All randomness of a phantom is drawn from a counter-based generator (Philox) as plain uniforms and shaped with
+ − × ÷ only, so no choice depends on the mathematics library of the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

__all__ = ["Dice"]

T = TypeVar("T")


class Dice:
    """A stream of uniforms handed out one by one; when they run out the same ones come again."""

    def __init__(self, uniforms: Sequence[float], drift: float = 0.0) -> None:
        """`drift`: shifts every `place`, so that two frames share all choices but not their noise."""
        self._uniforms = uniforms
        self._drift = drift
        self._next = 0

    @classmethod
    def rows(cls, seed: int, stream: int, count: int, length: int) -> list[Dice]:
        """`count` independent streams of `length` uniforms for (seed, stream); seed is any int ≥ 0."""
        bits = np.random.Philox(key=[seed & 0xFFFFFFFFFFFFFFFF, stream + ((seed >> 64) << 16)])
        return [cls(row) for row in np.random.Generator(bits).random((count, length)).tolist()]

    def unit(self) -> float:
        """Uniform in [0, 1)."""
        value = self._uniforms[self._next % len(self._uniforms)]
        self._next += 1
        return value

    def place(self) -> float:
        """Uniform in [0, 1): where to cut a texture."""
        return (self.unit() + self._drift) % 1.0

    def drifted(self, drift: float) -> Dice:
        """The same stream from its beginning, with another drift."""
        return Dice(self._uniforms, drift)

    def between(self, low: float, high: float) -> float:
        """Uniform in [low, high)."""
        return low + (high - low) * self.unit()

    def around(self, middle: float, spread: float) -> float:
        """Bell-shaped in (middle − spread, middle + spread): the mean of three uniforms."""
        return middle + spread * ((self.unit() + self.unit() + self.unit()) * (2.0 / 3.0) - 1.0)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.unit() < probability

    def whole(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return low + int((high - low + 1) * self.unit())

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices, all equally likely."""
        return choices[int(len(choices) * self.unit())]

    def count(self, none: float, most: int) -> int:
        """0 with probability `none`, else 1…most with smaller numbers somewhat likelier."""
        if self.unit() < none:
            return 0
        return 1 + int(most * min(self.unit(), max(self.unit(), self.unit())))

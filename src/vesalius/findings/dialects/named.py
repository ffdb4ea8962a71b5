"""What a text names: a box or a point with its label, in whatever frame the model speaks."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Named"]


@dataclass(frozen=True)
class Named:
    """`numbers`: (x0, y0, x1, y1) of a box, in order, or (x, y) of a point. `label`: as written, trimmed, or ""."""

    label: str
    numbers: tuple[float, ...]

    @property
    def is_box(self) -> bool:
        """Four numbers are a box, two a point."""
        return len(self.numbers) == 4

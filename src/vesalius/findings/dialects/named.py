"""What a text names: a box or a point with its label, in whatever frame the model speaks."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["REPAIRS", "Named", "Reading"]

REPAIRS = (
    "chars", "fence", "json_syntax", "missing_bracket", "truncated", "key_alias", "nesting", "close_tag", "mixed_form",
    "prose", "swapped_corners", "clipped",
)  # fmt: skip
"""Every repair code, in the order the repairs are tried and reported."""


@dataclass(frozen=True)
class Named:
    """`numbers`: (x0, y0, x1, y1) of a box, (x, y) of a point, (x0, y0, z0, x1, y1, z1) of a box in a volume, as
    written. `label`: as written, trimmed, or "". `start`, `end`: where it stands in the text that was read."""

    label: str
    numbers: tuple[float, ...]
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)

    @property
    def is_box(self) -> bool:
        """Two numbers are a point, more a box."""
        return len(self.numbers) != 2


@dataclass
class Reading:
    """What a dialect took from a text, before coordinates are converted.

    `text`: the text that was read. `is_form`: some of the dialect's grammar was there. `is_empty_form`: it was, and
    said "nothing" (`[]`). `is_cut`: the text ends inside a value. `is_closed`: the form says that it is complete.
    `errors`: one line for everything that was dropped.
    """

    text: str
    named: list[Named] = field(default_factory=list[Named])
    count: int | None = None
    repairs: set[str] = field(default_factory=set[str])
    errors: list[str] = field(default_factory=list[str])
    is_form: bool = False
    is_empty_form: bool = False
    is_cut: bool = False
    is_closed: bool = False

    def add(self, label: str, numbers: tuple[float, ...], start: int, end: int) -> None:
        """Note one place."""
        self.named.append(Named(label, numbers, start, end))
        self.is_form = True

    def drop(self, why: str) -> None:
        """Note something that looked like a place and is none."""
        self.errors.append(why)
        self.is_form = True

    @property
    def has_found(self) -> bool:
        """Whether a place, a count, an empty form or a broken place was seen at all."""
        return self.is_form or self.is_empty_form or self.count is not None

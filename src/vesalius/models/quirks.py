"""Switches of published behaviour that is a bug or a trap: each with its sentence, all of them, none, or one by one."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self

from vesalius.errors import OptionError

__all__ = ["QuirkSwitches", "Quirks", "quirk"]

Quirks = Literal["published", "off"] | Mapping[str, bool]
"""All as published, none, or those named switched (the others as published)."""


def quirk(does: str) -> Any:
    """A switch, on by default. `does`: the published behaviour in a sentence, and what is done when it is off."""
    return field(default=True, metadata={"does": " ".join(does.split())})


@dataclass(frozen=True)
class QuirkSwitches:
    """A family's switches are the fields of its subclass, each made by `quirk`. True: as published."""

    @classmethod
    def chosen(cls, quirks: Quirks) -> Self:
        """The switches as asked for. OptionError for a name the family does not have."""
        names = [one.name for one in fields(cls)]
        if isinstance(quirks, str):
            return cls(**dict.fromkeys(names, quirks == "published"))
        for name, value in quirks.items():
            if name not in names:
                near = difflib.get_close_matches(str(name), names, 1)
                fix = f"Did you mean {near[0]}?" if near else f"It has {', '.join(names) or 'none'}."
                raise OptionError(f"this family has no quirk {name!r}.", fix=fix)
            if not isinstance(value, bool):
                raise OptionError(f"quirk {name} is {value!r}.", fix="Use true or false.")
        return cls(**quirks)

    @classmethod
    def explained(cls) -> dict[str, str]:
        """Every switch and its sentence."""
        return {one.name: one.metadata["does"] for one in fields(cls)}

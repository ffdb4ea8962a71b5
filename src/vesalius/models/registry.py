"""Every model family by name, written out in one place."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vesalius.errors import OptionError
from vesalius.models.contract import Family

__all__ = ["FAMILIES", "FamilyCard", "load_family"]


@dataclass(frozen=True)
class FamilyCard:
    """One line of `vesalius models`."""

    name: str
    size: str
    reads: str
    finds: str
    memory: str
    licence: str
    weights: str
    load: Callable[[Path | None], Family]


def _starter(folder: Path | None) -> Family:
    from vesalius.models.starter.starter import WEIGHTS, Starter

    return Starter.load(folder or WEIGHTS)


FAMILIES: dict[str, FamilyCard] = {
    "starter": FamilyCard(
        "starter",
        "22 M + 135 M + 8 M",
        "pictures, volumes, clips, pairs; en, zh, ar",
        "boxes, points, counts, masks, sizes in mm",
        "not measured yet",
        "Apache-2.0 (adapter); MIT and Apache-2.0 (base)",
        "in the package; base by `vesalius starter install`",
        _starter,
    ),
}


def load_family(name: str, *, device: str = "auto", dtype: str = "auto", quirks: str = "published") -> Family:
    """Load by name or by a folder whose config.json names a known family. OptionError names what is known."""
    if device not in ("auto", "cpu"):
        raise OptionError(f"device {device!r} is not available for this model.", fix="Use auto or cpu.")
    if dtype not in ("auto", "float32"):
        raise OptionError(f"dtype {dtype!r} is not available for this model.", fix="Use auto or float32.")
    if quirks not in ("published", "off"):
        raise OptionError(f"quirks is {quirks!r}.", fix='Use "published" or "off".')
    card = FAMILIES.get(name)
    if card is not None:
        return card.load(None)
    folder = Path(name)
    if (folder / "config.json").is_file():
        return FAMILIES["starter"].load(folder)
    near = difflib.get_close_matches(name, FAMILIES, 1)
    hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(FAMILIES)}, or a checkpoint folder."
    raise OptionError(f"no model is called {name!r}.", fix=hint)

"""What is known of a model family before anything is loaded: what it can do, where its weights are, what they need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vesalius.models.contract import Family, Loading
from vesalius.models.published_layout import Laying, Relay, one_network
from vesalius.models.quirks import QuirkSwitches

__all__ = ["CAPABILITIES", "MEMORY_RULE", "Capability", "FamilyCard", "Precision", "PublishedWeights"]

Capability = Literal["text", "2D", "3D", "video", "boxes", "points", "counts", "masks", "think"]
CAPABILITIES: dict[Capability, str] = {
    "text": "answers without a picture",
    "2D": "reads pictures",
    "3D": "reads volumes",
    "video": "reads clips",
    "boxes": "locates with boxes",
    "points": "locates with points",
    "counts": "counts what it sees",
    "masks": "outlines with masks",
    "think": "says what it thought apart from the answer",
}
"""In the order they are listed."""

Precision = Literal["float32", "bfloat16", "4-bit"]
MEMORY_RULE = (
    "Memory is that of the weights: parameters x 4 bytes in float32, x 2 in bfloat16; in 4-bit half a byte for every "
    "weight of the language model's layers and 2 bytes for the rest. Pictures and answers come on top. 1 GB = 10^9."
)


@dataclass(frozen=True)
class PublishedWeights:
    """One published checkpoint. `parameters`: in all; `in_layers`: those of the language model's linear layers, which
    4-bit loading packs (0: it cannot be packed). `source`: hub id, or where else it is from. `precisions`: what it
    runs in. `can`: what it can do where that is less than its family can."""

    name: str
    source: str
    parameters: int
    in_layers: int
    licence: str
    can: tuple[Capability, ...] | None = None
    precisions: tuple[Precision, ...] = ("float32", "bfloat16", "4-bit")

    def memory_bytes(self, precision: Precision) -> int | None:
        """Bytes of the weights by `MEMORY_RULE`, None where it does not run in that precision."""
        if precision not in self.precisions:
            return None
        if precision == "4-bit":
            return self.in_layers // 2 + 2 * (self.parameters - self.in_layers)
        return self.parameters * (4 if precision == "float32" else 2)


@dataclass(frozen=True)
class FamilyCard:
    """A family's line in the registry. `can`: what its models can do; every surface reads it here.

    `recognises`: whether a checkpoint's config.json is of this family; `load`: how it is loaded; `layout`: its tensor
    names and settings for conversion (None: there is one layout only); `relay`: the way between its published layouts;
    `quirks`: its switches. All import what they need themselves.
    """

    name: str
    about: str
    can: tuple[Capability, ...]
    weights: tuple[PublishedWeights, ...]
    recognises: Callable[[Mapping[str, Any]], bool]
    load: Callable[[Loading], Family]
    layout: Laying | None = one_network
    relay: Relay | None = None
    quirks: Callable[[], type[QuirkSwitches]] = lambda: QuirkSwitches

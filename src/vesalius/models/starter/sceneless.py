"""The starter without its scene: nothing is listed for the language model, which answers from visual tokens alone.

So asked, it is an ordinary vision-language model: what it says of a place it writes itself, as numbers, and training on
words can move it. The weights in the package were not taught to; see docs/preference-and-reinforcement.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from vesalius.errors import InputError, OptionError
from vesalius.findings.findings import Box, Finding, Point, Where
from vesalius.findings.parse import parse_grounding
from vesalius.findings.place import place
from vesalius.models.contract import Shown
from vesalius.models.starter.config import StarterConfig
from vesalius.models.starter.eyes import Eyes
from vesalius.study.items import Picture
from vesalius.vision.letterbox import letterbox

__all__ = ["PictureTokens", "count_of", "written_findings"]

HELD_BYTES = 256 << 20
"""Visual tokens that are kept: training meets the same pictures again, and the encoder is most of preparing one."""


def count_of(options: Mapping[str, Any], config: StarterConfig, patch_px: int) -> int | None:
    """Visual tokens a picture, of `prepare`'s options; None where the scene is written as ever.

    `scene`: False withholds it.  `visual_tokens`: a square number, at most one a patch (of side
    `patch_px`). OptionError for anything else.
    """
    given = dict(options)
    scene = given.pop("scene", True)
    count = given.pop("visual_tokens", None)
    if given:
        raise OptionError(
            f"the starter's prepare has no option {sorted(given)[0]!r}.", fix="It has scene and visual_tokens."
        )
    if not isinstance(scene, bool):
        raise OptionError(f"scene is {scene!r}.", fix="Use True or False.")
    if scene:
        if count is not None:
            raise OptionError("visual_tokens is given, and the scene is written.", fix="Add scene=False.")
        return None
    count = config.visual_tokens if count is None else count
    squares = [side * side for side in range(1, config.size // patch_px + 1)]
    if type(count) is not int or count not in squares:
        raise OptionError(
            f"visual_tokens is {count!r}; it must be a square number from 1 to {squares[-1]}.",
            fix=f"Use {', '.join(str(n) for n in squares if n in (16, 64, 256))}.",
        )
    return count


@dataclass
class PictureTokens:
    """Visual tokens of pictures, each encoded once while there is room."""

    eyes: Eyes
    _held: dict[tuple[bytes, int], Tensor] = field(default_factory=dict[tuple[bytes, int], Tensor], repr=False)

    def of(self, media: Sequence[Shown], count: int) -> Tensor:
        """`[count × pictures, F]` float32, picture after picture, each row by row from its top left. InputError for
        volumes, clips and slides: which part of them is meant only a scene says."""
        for shown in media:
            if not isinstance(shown.item, Picture):
                raise InputError(
                    f"without its scene the starter sees pictures, not a {type(shown.item).__name__.lower()}.",
                    fix="Leave scene=False out, or give one slice or frame as a picture.",
                )
        made = [self._one(shown, count) for shown in media]
        return torch.cat(made) if made else torch.zeros(0, self.eyes.config.features)

    def _one(self, shown: Shown, count: int) -> Tensor:
        picture: Any = shown.item
        square, _ = letterbox(picture.view(shown.window), self.eyes.config.size)
        key = (hashlib.sha256(square.tobytes()).digest(), count)
        if key not in self._held:
            tokens = self.eyes.tokens(square[None], count)[0]
            while self._held and (len(self._held) + 1) * tokens.nbytes > HELD_BYTES:
                del self._held[next(iter(self._held))]  # the oldest
            self._held[key] = tokens
        return self._held[key]


def written_findings(text: str, media: Sequence[Shown]) -> list[Finding]:
    """Boxes and points that `text` writes, in any dialect that counts thousandths of the picture; pixels of the
    original. Of several pictures, the one an answer names."""
    found: list[Finding] = []
    for number, shown in enumerate(media):
        picture: Any = shown.item
        read = parse_grounding(text, "auto", (picture.width, picture.height), coord="norm1000")
        for one in read.items:
            on = one.image if len(media) > 1 else 0
            # Numbers that merely stand in brackets are no places.
            if on != number or (one.label is None and "prose" in read.repaired):
                continue
            where, label, group = Where(number), one.label or "", len(found) + 1
            if one.kind == "box":
                x0, y0, x1, y1 = one.coords
                box = Box(label=label, x0=x0, y0=y0, x1=x1, y1=y1, where=where, group=group)
                found.append(place(box, picture))
            elif one.kind == "point":
                x, y = one.coords
                found.append(place(Point(label=label, x=x, y=y, where=where, group=group), picture))
    return found

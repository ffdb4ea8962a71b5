"""Token reduction: which blocks of a clip's or volume's frames are worth a visual token.

A strategy looks at pixels alone, after resizing and before any network: `blocks` holds what each visual token would
stand for. Shape letters: T frames, N blocks of a frame (row by row), M patches of a block (m x m), C = 3 colours,
P pixels of a patch's side. Values are normalised to -1…1 (one grey level of 255 is 2/255).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import OptionError
from vesalius.vision.novelty import Novelty, grey_frames, novelty_of

__all__ = [
    "RULES",
    "HuluMedReduction",
    "KeepAll",
    "Reduction",
    "VesaliusReduction",
    "VideoLlama3Reduction",
    "reduction",
]

Blocks = NDArray[np.float32]
Kept = NDArray[np.bool_]


class Reduction(Protocol):
    """Chooses the blocks that stay."""

    @property
    def name(self) -> str:
        """As `reduction` knows it."""
        ...

    def keep(self, blocks_TNMCPP: Blocks, columns: int) -> Kept:
        """`[T, N]`, True where the block stays. `columns`: blocks in a row of a frame."""
        ...


@dataclass(frozen=True)
class KeepAll:
    """Nothing is dropped."""

    name: str = "none"

    def keep(self, blocks_TNMCPP: Blocks, columns: int) -> Kept:
        """See `Reduction.keep`."""
        del columns
        return np.ones(blocks_TNMCPP.shape[:2], np.bool_)


def _changed(blocks_TNMCPP: Blocks, threshold: float, first_whole: bool) -> Kept:
    """Blocks whose mean change from the frame before exceeds `threshold`; no frame is left without its block 0."""
    frames, count = blocks_TNMCPP.shape[:2]
    flat = blocks_TNMCPP.reshape(frames, count, -1)
    kept = np.zeros((frames, count), np.bool_)
    kept[0] = first_whole
    for frame in range(1, frames):
        kept[frame] = np.abs(flat[frame] - flat[frame - 1]).mean(-1, dtype=np.float32) > np.float32(threshold)
    kept[~kept.any(1), 0] = True
    return kept


@dataclass(frozen=True)
class HuluMedReduction:
    """Mean change above 12.75 of 255 grey levels. As published, a first frame keeps its block 0 only (the fill value
    meant to keep it is compared after a division by 255); `first_whole` corrects that."""

    first_whole: bool = False
    threshold: float = 0.1
    name: str = "hulumed"

    def keep(self, blocks_TNMCPP: Blocks, columns: int) -> Kept:
        """See `Reduction.keep`."""
        del columns
        return _changed(blocks_TNMCPP, self.threshold, self.first_whole)


@dataclass(frozen=True)
class VideoLlama3Reduction:
    """Only near-exact repeats of the frame before are dropped; the first frame stays whole."""

    threshold: float = 0.1 / 255
    name: str = "videollama3"

    def keep(self, blocks_TNMCPP: Blocks, columns: int) -> Kept:
        """See `Reduction.keep`."""
        del columns
        return _changed(blocks_TNMCPP, self.threshold, first_whole=True)


@dataclass(frozen=True)
class VesaliusReduction:
    """Ours. A block stays when some small part of it differs from the same block as it was *last kept*.

    The first frame stays whole. Air outside the body goes. A compact spot that stands out by `spot_levels` grey levels
    from all around it and was not there before always stays, as do one whose appearing changes the picture by
    `appearing_levels`, every block again after `refresh` frames, and the most changed block of every frame.
    `threshold`: change in grey levels of a cell of a few pixels; None finds, per item, the one that keeps about
    `share` of all tokens, unless such spots alone are more. What room the share leaves goes to the largest changes and
    to the fainter spots that stand out most, each measured by what is usual in the item.
    """

    threshold: float | None = None
    share: float = 0.33
    spot_levels: float = 60.0
    appearing_levels: float = 80.0
    refresh: int = 5
    name: str = "vesalius"

    def keep(self, blocks_TNMCPP: Blocks, columns: int) -> Kept:
        """See `Reduction.keep`."""
        frames, count = blocks_TNMCPP.shape[:2]
        if frames == 1:
            return np.ones((1, count), np.bool_)
        novelty = novelty_of(
            grey_frames(blocks_TNMCPP, columns), count // columns, columns, int(blocks_TNMCPP.shape[-1])
        )
        if self.threshold is not None:
            return self._walk(novelty, columns, (self.threshold / novelty.usual[0], self.threshold / novelty.usual[1]))
        # Short items spend much of their share on the first frame; something must be left for the others.
        later = min(max((self.share * frames - 1) / (frames - 1), 0.2), self.share)
        low, high = 0.0, 16.0
        for _ in range(9):
            middle = (low + high) / 2
            if self._walk(novelty, columns, (middle, middle), middle)[1:].mean() > later:
                low = middle
            else:
                high = middle
        return self._walk(novelty, columns, (high, high), high)

    def _walk(self, novelty: Novelty, columns: int, limits: tuple[float, float], spot_limit: float = math.inf) -> Kept:
        """Frame after frame; a kept block becomes the reference of those that follow. `limits`: of the two scales of
        change, in usual changes; `spot_limit`: of spots, in `Novelty.crowded`."""
        frames, count = novelty.outside.shape
        kept = np.zeros((frames, count), np.bool_)
        kept[0] = True
        references = [values[0].copy() for values in (*novelty.cells, novelty.spots)]
        # Neighbours come up for renewal in different frames, so that faint things across blocks are met sooner.
        age = (np.arange(count) // columns * 2 + np.arange(count) % columns) % self.refresh
        spot_levels, appearing_levels = (
            min(max(level, crowd), spot_limit * max(crowd, 1.0))
            for level, crowd in zip((self.spot_levels, self.appearing_levels), novelty.crowded, strict=True)
        )
        for frame in range(1, frames):
            now = [values[frame] for values in (*novelty.cells, novelty.spots)]
            changes = [np.abs(a - b).max(-1) for a, b in zip(now[:2], references[:2], strict=True)]
            scores = np.maximum(changes[0] / max(limits[0], 1e-6), changes[1] / max(limits[1], 1e-6))
            appeared = (now[2] - references[2]).max(-1) > spot_levels
            appeared |= novelty.appearing[frame] > appearing_levels
            age += 1
            stays = ((scores > 1) | appeared | (age >= self.refresh)) & ~novelty.outside[frame]
            stays[int(np.argmax(np.where(novelty.outside[frame], -1, scores)))] = True
            kept[frame], age[stays] = stays, 0
            for reference, values in zip(references, now, strict=True):
                reference[stays] = values[stays]
        return kept


RULES: dict[str, type[Any]] = {
    "none": KeepAll,
    "hulumed": HuluMedReduction,
    "videollama3": VideoLlama3Reduction,
    "vesalius": VesaliusReduction,
}
"""Every strategy by name."""


def reduction(name: str, **settings: Any) -> Reduction:
    """The strategy of that name. OptionError for another name or a setting it does not have."""
    kind = RULES.get(name)
    if kind is None:
        raise OptionError(f"no token reduction is called {name!r}.", fix=f"Use {', '.join(RULES)}.")
    try:
        return kind(**settings)
    except TypeError:
        raise OptionError(f"the token reduction {name!r} has no setting {', '.join(sorted(settings))}.") from None

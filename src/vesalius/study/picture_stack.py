"""Pictures that follow one another, as a clip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError, LimitError
from vesalius.limits import current
from vesalius.study.items import Clip, Origin, Picture

__all__ = ["clip_of_pictures"]


def clip_of_pictures(pictures: Sequence[Picture], *, format: str = "frames") -> Clip:
    """A clip whose frames are these pictures as they are looked at, 1 s apart for want of anything better.

    `format`: "frames" for pictures somebody listed, "folder" for those of a folder. Each is decoded when it is asked
    for. Raises InputError for no picture or for sizes that differ, LimitError for more than `limits.max_frames`.
    """
    if not pictures:
        raise InputError("a video of no pictures was given.")
    if len(pictures) > current().max_frames:
        raise LimitError(f"a video of {len(pictures)} pictures; the limit is {current().max_frames}.")
    sizes = sorted({(picture.width, picture.height) for picture in pictures})
    if len(sizes) > 1:
        (w0, h0), (w1, h1) = sizes[0], sizes[-1]
        raise InputError(
            f"the pictures of a video differ in size ({w0} x {h0} and {w1} x {h1}).",
            fix="Scale them alike, or give them as images.",
        )
    first = pictures[0]

    def load(indices: Sequence[int]) -> list[NDArray[np.uint8]]:
        return [_rgb(pictures[index].view()) for index in indices]

    files = tuple(name for picture in pictures for name in picture.origin.files)
    origin = Origin(format, files, first.origin.modality)
    times = np.arange(len(pictures), dtype=np.float64)
    return Clip(first.width, first.height, times, load, origin, first.spacing_mm)


def _rgb(view: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return view if view.ndim == 3 else np.repeat(view[:, :, None], 3, axis=2)

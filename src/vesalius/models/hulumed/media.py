"""From the media of a conversation to frames of bytes with the size each goes by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError
from vesalius.findings.findings import Where
from vesalius.models.contract import Shown
from vesalius.models.hulumed.options import PrepareOptions
from vesalius.models.hulumed.quirks import HuluMedQuirks
from vesalius.models.hulumed.videos import chosen_frames
from vesalius.models.hulumed.volumes import cut_slices
from vesalius.study.items import Clip, Document, Picture, Slide, Table, Volume
from vesalius.vision.pillow_rgb import rgb_by_pillow

__all__ = ["Modal", "Visual", "visual_of"]

Modal = Literal["image", "video"]

_SLIDE_SIDE = 1792
"""Pixels of a whole slide's longer side: what the token budget of one picture holds."""


@dataclass(frozen=True)
class Visual:
    """One item as the model takes it. `frames`: `[H, W]` or `[H, W, 3]` uint8. `height`, `width`: what the size rule
    goes by (exchanged for Pillow pictures of published checkpoints). `times`: seconds the prompt names per frame."""

    modal: Modal
    frames: list[NDArray[np.uint8]] = field(repr=False)
    height: float
    width: float
    places: tuple[Where, ...] = field(repr=False)
    times: tuple[float, ...] | None = None


def visual_of(shown: Shown, number: int, options: PrepareOptions, quirks: HuluMedQuirks) -> Visual:
    """Decode one item; `number` is its place among the conversation's media. InputError for texts and empty media."""
    match item := shown.item:
        case Picture():
            opened = rgb_by_pillow(shown.source, item) if quirks.opened_by_pillow else None
            pixels = item.view(shown.window) if opened is None else opened
            return _picture(pixels, shown, number, options, quirks)
        case Slide():
            return _picture(item.thumbnail(_SLIDE_SIDE), shown, number, options, quirks)
        case Volume():
            cut = cut_slices(shown, options.volume_loader, quirks)
            places = tuple(Where(number, axis=cut.axis, slice_index=index) for index in cut.indices)
            high, wide = cut.frames[0].shape[:2]
            # Rows further apart than columns make the picture taller than it has pixels.
            height = high * max(cut.row_per_column, 1.0)
            width = wide * max(1 / cut.row_per_column, 1.0)
            exchange = options.volume_loader == "original" and quirks.stored_axes and quirks.pil_size_exchange
            return _visual("video", cut.frames, (height, width), places, exchange=exchange)
        case Clip():
            if item.num_frames == 0:
                raise InputError("a video without frames was given.")
            indices, times = chosen_frames(shown, options.layout, options.max_frames, options.timestamps)
            places = tuple(Where(number, frame=i, time_s=float(item.times_s[i])) for i in indices)
            frames = item.frames(indices)
            # The original package opens the pictures of a folder with Pillow, everything else as arrays.
            by_pillow = options.layout == "original" and item.origin.format == "folder"
            exchange = by_pillow and quirks.pil_size_exchange
            return _visual("video", frames, frames[0].shape, places, exchange=exchange, times=times)
        case Table() | Document():
            raise InputError("a table or text holds no picture to look at.", fix="Give it as text in the question.")


def _picture(
    pixels: NDArray[np.uint8], shown: Shown, number: int, options: PrepareOptions, quirks: HuluMedQuirks
) -> Visual:
    by_pillow = options.image_from == "pil" or (options.image_from is None and not isinstance(shown.source, np.ndarray))
    exchange = by_pillow and quirks.pil_size_exchange
    return _visual("image", [pixels], pixels.shape, (Where(number),), exchange=exchange)


def _visual(
    modal: Modal, frames: list[NDArray[np.uint8]], shape: tuple[float, ...], places: tuple[Where, ...],
    *, exchange: bool = False, times: tuple[float, ...] | None = None,
) -> Visual:  # fmt: skip
    height, width = (shape[1], shape[0]) if exchange else (shape[0], shape[1])
    return Visual(modal, frames, height, width, places, times)

"""Published behaviour of Hulu-Med that is a bug or a trap, each with a switch."""

from __future__ import annotations

from dataclasses import dataclass

from vesalius.models.quirks import QuirkSwitches, quirk

__all__ = ["HuluMedQuirks"]


@dataclass(frozen=True)
class HuluMedQuirks(QuirkSwitches):
    """True: as the published code does (the weights were made with it). False: corrected."""

    pil_size_exchange: bool = quirk(
        "Width and height of pictures opened with Pillow are exchanged when the target size is found."
    )
    reduction_first_frame: bool = quirk(
        "Token reduction keeps one block of a clip's first frame instead of the whole frame."
    )
    merge2_for_all: bool = quirk(
        "Pictures are pooled 2 x 2 as soon as the conversation holds a video or volume (HF calls)."
    )
    mixed_no_minimum: bool = quirk(
        "Sizes of a call with different poolings have no minimum and can reach 0 (original calls)."
    )
    slice_repeat: bool = quirk("Slices of a volume are repeated when more are asked for than it has (original reader).")
    constant_slice_wrap: bool = quirk(
        "A slice of one value is cast to a byte modulo 256 instead of black (original reader)."
    )
    stored_axes: bool = quirk(
        "Slices are cut from the stored array, [X, Y] as rows and columns, each scaled by its own range."
    )

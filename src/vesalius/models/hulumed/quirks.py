"""Published behaviour of Hulu-Med that is a bug or a trap, each with a switch."""

from __future__ import annotations

from dataclasses import dataclass

from vesalius.models.quirks import QuirkSwitches, quirk

__all__ = ["NEVER_COPIED", "HuluMedQuirks"]


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
    opened_by_pillow: bool = quirk(
        "Picture files become RGB by Pillow alone: no alpha, no EXIF rotation, 16 bits cut off."
    )
    endless_repetition: bool = quirk("An answer that says one phrase over and over goes on to the token limit.")


NEVER_COPIED: dict[str, str] = {
    "leaking_mask": "the eager attention class lets pictures see each other: attention ends with the frame",
    "swallowed_errors": "reader errors become an empty list of frames: every error is raised",
    "replaced_samples": "a bad training sample is replaced by a random one: it is reported",
    "literal_special_tokens": "special tokens typed by users are taken as tokens: text is always text",
    "encoder_weights": "the encoder repository's weights can win over the checkpoint's: only its configs are read",
    "one_item_per_sample": "packed rows pair samples with media items: media are mapped by sample",
    "cut_thinking": "a thought cut off before its end stays in the answer: it is thinking",
}
"""Published defects no weights depend on, and what is done instead; there is no switch for them."""

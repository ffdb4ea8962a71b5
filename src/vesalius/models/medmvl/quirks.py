"""What the published MedM-VL code does that one would not do again: copied by default, each with its name."""

from __future__ import annotations

from dataclasses import dataclass

from vesalius.models.quirks import QuirkSwitches, quirk

__all__ = ["NEVER_COPIED", "MedmvlQuirks"]


@dataclass(frozen=True)
class MedmvlQuirks(QuirkSwitches):
    """Every published behaviour that is a bug or a trap, True where it is copied."""

    opened_by_pillow: bool = quirk(
        "Pictures become RGB by Pillow alone: alpha is dropped (hidden colours show), EXIF rotation is "
        "ignored, greys above 8 bits saturate. Off: laid over black, turned upright, windowed."
    )
    grey_levels_truncated: bool = quirk(
        "Slices are cut to whole grey levels by dropping the fraction, half a level too dark. Off: rounded."
    )
    foreground_above_mean: bool = quirk(
        "MedM-CLIP's crop keeps what is brighter than the training mean (about -560 HU), which can cut off "
        "lung at the edge. Off: what is brighter than the window's lower end, as for the other encoders."
    )
    padded_labels_hold_pad_id: bool = quirk(
        "Labels at padding are the pad id (masked later by the attention mask). Off: -100."
    )
    endless_repetition: bool = quirk(
        "An answer that says one phrase over and over goes on to the token limit. Off: it is stopped."
    )


NEVER_COPIED = {
    "masked_sample": "a label length mismatch masks the whole sample: labels are spans of the ids actually fed",
    "detached_encoder": "MedM-CLIP features are detached: gradients flow",
    "overwritten_image": "in a mixed batch a volume's features overwrite a picture's: each placeholder gets its own",
    "echoed_prompt": "text-only generation returns the prompt in front: new tokens only, always",
    "cut_prompt": "truncation from the right may remove `ASSISTANT:`: too long is an error with the count",
    "random_head": "tied models reload with a random head: an absent head is tied or refused",
    "discarded_tokenizer": "the checkpoint's tokenizer is ignored for one from the network: the checkpoint's is used",
    "forgotten_queries": "a pretrained attention connector restores the MLP only: everything present is restored",
    "one_volume_size": "3D pixels are always 32x256x256: the encoder's own size is used",
}
"""Published defects no weights depend on, and what is done instead; there is no switch for them."""

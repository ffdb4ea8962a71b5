"""From what Citrus-V says to findings: masks of [SEG], boxes of its three dialects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vesalius import limits
from vesalius.findings.dialects import Named
from vesalius.findings.dialects.seg_tokens import names_of_tokens
from vesalius.findings.findings import Finding, Mask
from vesalius.findings.place import place
from vesalius.models.citrusv.masks import full_size
from vesalius.models.citrusv.module import Decoded
from vesalius.models.parts.which_picture import Asked
from vesalius.models.qwen_vl.located import located, named_in
from vesalius.models.qwen_vl.sights import Sight
from vesalius.study.items import Item

__all__ = ["mask_findings", "place_findings"]


def place_findings(
    text: str, sights: Sequence[Sight], media: Sequence[Item], asked: Asked, number: int
) -> tuple[list[Finding], bool]:
    """(boxes the text names, in pixels of the picture as it was fitted; whether any picture was a guess). They lie on
    the pictures the text names, else on picture `number` where it is not the first."""
    pictures = [sight for sight in sights if not sight.is_clip]
    if number and number < len(pictures):
        asked = Asked(f"Image {number + 1}", pictures[number].where.item)
    return located(text, pictures, media, asked, thousandths=False, read=_named)


def _named(text: str) -> list[Named]:
    return [replace(one, label=one.label.replace("_", " ")) for one in named_in(text, "citrus-inline")]


def mask_findings(
    text: str, sights: Sequence[Sight], media: Sequence[Item], drawn: Sequence[Decoded], *, nearest: bool
) -> list[Finding]:
    """One mask per state and picture at original size, with the predicted IoU as confidence. Pictures above
    `limits.max_pixels` (whole slides) have no mask at full size."""
    made: list[Finding] = []
    for sight, decoded in zip(sights, drawn, strict=True):
        width, height = sight.size
        if width * height > limits.current().max_pixels:
            continue
        labels = names_of_tokens(text, len(decoded.masks))
        best = decoded.ious.max(-1).values.clamp(0, 1).tolist()
        for number, (logits, label, sure) in enumerate(zip(decoded.masks, labels, best, strict=True), 1):
            pixels = full_size(logits, width, height, nearest=nearest)
            mask = Mask(label=label, mask=pixels, where=sight.where, confidence=float(sure), group=number)
            made.append(place(mask, media[sight.where.item]))
    return made

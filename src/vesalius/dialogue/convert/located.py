"""Samples of data that have places but no words: a question per label, and an answer of targets alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vesalius.dialogue.convert.contract import Places, RawRow
from vesalius.dialogue.convert.turns import checked_sample, tags_of
from vesalius.dialogue.prompts import task_question
from vesalius.dialogue.samples import BoxTarget, MaskTarget, Media, Sample, Targets, Turn

__all__ = ["asked", "located_samples"]


def asked(places: Places, task: str, label: str) -> str:
    """The caller's question or our standard one."""
    if places.options.question is not None:
        return places.options.question.replace("{label}", label)
    return task_question(task, label, places.options.lang)


def located_samples(
    row: RawRow,
    places: Places,
    media: Sequence[Media],
    name: str,
    boxes: Mapping[str, Sequence[BoxTarget]],
    masks: Mapping[str, Sequence[MaskTarget]],
    patient: Any = None,
) -> list[Sample]:
    """One sample per label: boxes, and masks where there are any. Boxes and masks of one label are said together only
    by targets: the answer's text is left to the model's own form (masks: a mark for each)."""
    made: list[Sample] = []
    for label in dict.fromkeys((*boxes, *masks)):
        own_boxes, own_masks = tuple(boxes.get(label, ())), tuple(masks.get(label, ()))
        task = "mask" if own_masks else "box"
        text = "<ref-object>" + "<mask>" * len(own_masks) if own_masks else ""
        turns = [
            Turn(role="user", text=asked(places, task, label)),
            Turn(role="assistant", text=text, targets=Targets(boxes=own_boxes, masks=own_masks)),
        ]
        stem = f"{name}-{label}"[:200]
        made.append(checked_sample(row, places, media, turns, tags_of(places, task), id=stem, patient=patient))
    return made

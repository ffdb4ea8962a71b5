"""Masks: overlap of everything an answer marks with the true mask, distances of their surfaces, and instances.

Both empty is 1, one of them empty 0. A distance exists only where both are not empty: `hd95_missing` counts the answers
that have none. Distances are millimetres where the spacing is known (`hd95_mm`, `nsd@1mm`), else pixels (`hd95_px`,
`nsd@1px`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError
from vesalius.evaluation.contract import Sample
from vesalius.evaluation.metrics.instances import aggregated_jaccard, panoptic_quality
from vesalius.evaluation.metrics.segmentation import dice, mask_iou, surface_scores
from vesalius.evaluation.prediction import Prediction
from vesalius.evaluation.scoring.true_masks import Mask, TrueMask, instance_map, true_mask
from vesalius.findings.dialects.statements import answer_part, without_thoughts
from vesalius.findings.masks import decode_rle
from vesalius.findings.parse import parse_grounding
from vesalius.findings.place import slice_mask_to_volume

__all__ = ["MaskScore", "mask_scores", "masks_of", "score_mask"]

TOLERANCE = 1.0
"""Of NSD, in millimetres or pixels."""


@dataclass(frozen=True)
class MaskScore:
    """`marked`: what the answer marks, what is true and the size of the whole, in pixels or voxels."""

    status: str
    rule: str
    scores: dict[str, float] = field(default_factory=dict[str, float])
    ratios: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    marked: dict[str, int] = field(default_factory=dict[str, int])


def score_mask(sample: Sample, prediction: Prediction) -> MaskScore:
    """The union of an answer's masks against the truth; its single masks as instances where the truth has some. A mask
    of another shape makes the answer malformed."""
    truth = true_mask(sample)
    nothing = [np.zeros_like(truth.inside)]
    told = {"true": int(truth.inside.sum()), "whole": truth.inside.size}
    masks, status, rule = masks_of(prediction, truth)
    scores, ratios = mask_scores(masks or nothing, truth)
    if masks is None and status != "none":
        scores = dict.fromkeys(scores, 0.0) | {"hd95_missing": float(truth.inside.any())}
    told["marked"] = int(np.logical_or.reduce(masks).sum()) if masks else 0
    return MaskScore(status, rule, scores, ratios, told)


def masks_of(prediction: Prediction, truth: TrueMask) -> tuple[list[Mask] | None, str, str]:
    """(masks in the truth's frame, status, rule); None where the answer holds none."""
    if prediction.finish_reason == "error":
        return None, "error", "the model failed"
    try:
        masks = [_laid(one, truth) for one in prediction.findings if _runs(one)]
        masks = masks or [decode_rle(one) for one in _written(prediction.raw)]
    except InputError:
        return None, "malformed", "run lengths that fill no mask"
    if not masks:
        read = parse_grounding(prediction.raw, "auto", (1, 1), finish_reason=prediction.finish_reason)
        if read.status == "none":
            return None, "none", "states that there is none"
        kept = ("empty", "refused", "truncated")
        return None, read.status if read.status in kept else "malformed", "no mask in the answer"
    if any(mask.shape != truth.inside.shape for mask in masks):
        return None, "malformed", f"a mask's shape is not the truth's {truth.inside.shape}"
    return masks, "ok", "masks"


def mask_scores(masks: list[Mask], truth: TrueMask) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """(scores, ratios) of masks of the truth's shape. HD95 is a ratio over 1, so that it is averaged over the items
    that have one."""
    said: NDArray[np.bool_] = np.logical_or.reduce(masks)
    unit = "px" if truth.spacing_mm is None else "mm"
    spacing = truth.spacing_mm or (1.0,) * said.ndim
    surface = surface_scores(said, truth.inside, spacing, tolerance_mm=TOLERANCE)
    scores = {"dice": dice(said, truth.inside), "mask_iou": mask_iou(said, truth.inside)}
    scores |= {f"nsd@1{unit}": surface.nsd, "hd95_missing": float(said.any() != truth.inside.any())}
    ratios = {} if surface.hd95_mm is None else {f"hd95_{unit}": (surface.hd95_mm, 1.0)}
    if truth.instances is not None:
        found = instance_map(masks)
        quality = panoptic_quality(found, truth.instances)
        scores |= {"pq": quality.pq, "sq": quality.segmentation, "rq": quality.recognition}
        scores["aji"] = aggregated_jaccard(found, truth.instances)
    return scores, ratios


def _runs(finding: Mapping[str, Any]) -> Any:
    return (finding.get("pixels") or finding.get("voxels") or {}).get("rle")


def _laid(finding: Mapping[str, Any], truth: TrueMask) -> Mask:
    """A stored mask in the truth's frame: one drawn on a slice is put into the volume."""
    mask = decode_rle(_runs(finding))
    where: Mapping[str, Any] = finding.get("where") or {}
    if mask.ndim == 2 and truth.volume is not None and where.get("axis") is not None:
        return slice_mask_to_volume(mask, truth.volume, where["axis"], int(where.get("slice_index") or 0))
    return mask


def _written(raw: str) -> list[Mapping[str, Any]]:
    """COCO run lengths that an answer writes out as JSON, alone or in objects and lists."""
    text = answer_part(without_thoughts(raw)[0])
    if '"counts"' not in text or '"size"' not in text:
        return []
    fenced = re.search(r"```(?:json)?\s*(.*?)\s*```", text, re.DOTALL | re.IGNORECASE)
    try:
        return list(_run_lengths(json.loads(fenced[1] if fenced else text)))
    except (ValueError, RecursionError):
        return []


def _run_lengths(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        held = cast("Mapping[str, Any]", value)
        if "size" in held and isinstance(held.get("counts"), str | list):
            yield held
        else:
            for inner in held.values():
                yield from _run_lengths(inner)
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            yield from _run_lengths(inner)

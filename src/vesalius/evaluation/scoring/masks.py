"""Masks: Dice and IoU of everything an answer marks against the true mask. Both empty is 1, one of them empty 0."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from vesalius.errors import InputError
from vesalius.evaluation.contract import Sample
from vesalius.evaluation.metrics.segmentation import dice, mask_iou
from vesalius.evaluation.packages import package
from vesalius.evaluation.prediction import Prediction
from vesalius.findings.masks import decode_rle
from vesalius.findings.parse import parse_grounding

__all__ = ["score_mask", "true_mask"]

Mask = NDArray[np.bool_]


def true_mask(sample: Sample) -> Mask:
    """The mask of an item: run lengths, or a file (picture `[H, W]`, NIfTI `[X, Y, Z]`, .npy), non-zero = inside."""
    gold: Any = sample.gold
    if isinstance(gold, Mapping):
        return decode_rle(cast("Mapping[str, Any]", gold))
    path = Path(str(gold))
    name = path.name.lower()
    try:
        if name.endswith((".nii", ".nii.gz")):
            volume: Any = package("nibabel", "masks of volumes").load(path)
            return np.asarray(volume.dataobj) != 0
        if name.endswith(".npy"):
            return np.load(path, allow_pickle=False) != 0
        pixels = np.asarray(package("PIL.Image", "masks of pictures").open(path))
    except (OSError, ValueError) as exc:
        raise InputError(f"the true mask of item {sample.id!r} cannot be read.", file=path) from exc
    return (pixels[..., :3].any(axis=2) if pixels.ndim == 3 else pixels != 0).astype(bool)


def score_mask(sample: Sample, prediction: Prediction) -> tuple[str, str, dict[str, float]]:
    """(status, rule, scores) of the union of an answer's masks. A mask of another shape scores 0."""
    truth = true_mask(sample)
    zero = {"dice": 0.0, "mask_iou": 0.0}
    if prediction.finish_reason == "error":
        return "error", "the model failed", zero
    given = [(one.get("pixels") or one.get("voxels") or {}).get("rle") for one in prediction.findings]
    masks = [decode_rle(rle) for rle in given if rle]
    if not masks:
        read = parse_grounding(prediction.raw, "auto", (1, 1), finish_reason=prediction.finish_reason)
        if read.status != "none":
            kept = ("empty", "refused", "truncated")
            return read.status if read.status in kept else "malformed", "no mask in the answer", zero
        none = float(not truth.any())
        return "none", "states that there is none", {"dice": none, "mask_iou": none}
    if any(mask.shape != truth.shape for mask in masks):
        return "malformed", f"a mask's shape is not the truth's {truth.shape}", zero
    union = np.logical_or.reduce(masks)
    return "ok", "masks", {"dice": dice(union, truth), "mask_iou": mask_iou(union, truth)}

"""Scores of boxes and points over many images: one-to-one precision, recall, F1, single-box accuracy, COCO mAP, FROC.

All boxes are absolute pixels (or millimetres) of one frame per image, continuous coordinates, nothing added per edge.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import InputError
from vesalius.evaluation.metrics.aligned import aligned
from vesalius.evaluation.packages import package
from vesalius.findings.box_overlap import as_boxes, box_sizes, iou_matrix, iou_pairs
from vesalius.findings.matching import Matching, match_boxes, match_points

__all__ = [
    "DetectionCounts",
    "FoundBoxes",
    "FrameCheck",
    "box_detection",
    "check_frame",
    "coco_map",
    "first_box_ious",
    "point_detection",
    "sensitivity_at_false_positives",
    "share_at_iou",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DetectionCounts:
    """Per image [n]: matched, predicted and true findings. Sums are added up before dividing (micro average)."""

    matched: NDArray[np.int64]
    predicted: NDArray[np.int64]
    true: NDArray[np.int64]
    values: Floats
    """IoU or distance of every accepted pair, images in order."""

    @classmethod
    def of(cls, matchings: Sequence[Matching]) -> DetectionCounts:
        """The counts of matched images."""
        rows = np.array([(m.num_matched, m.num_predicted, m.num_true) for m in matchings], dtype=np.int64)
        return cls(rows[:, 0], rows[:, 1], rows[:, 2], np.concatenate([m.values for m in matchings]))

    @property
    def precision(self) -> float:
        """Matched / predicted; 1 when there is nothing on either side."""
        return _ratio(self.matched.sum(), self.predicted.sum(), self.true.sum())

    @property
    def recall(self) -> float:
        """Matched / true; 1 when there is nothing on either side."""
        return _ratio(self.matched.sum(), self.true.sum(), self.predicted.sum())

    @property
    def f1(self) -> float:
        """2 matched / (predicted + true); 1 when there is nothing on either side."""
        return _ratio(2 * self.matched.sum(), self.predicted.sum() + self.true.sum(), 0)

    @property
    def image_f1(self) -> Floats:
        """F1 of every image [n], for intervals over images."""
        both = self.predicted + self.true
        return np.divide(2 * self.matched, both, out=np.ones(len(both)), where=both > 0)


def _ratio(part: Any, whole: Any, other: Any) -> float:
    return float(part / whole) if whole else float(other == 0)


def box_detection(predicted: Sequence[ArrayLike], true: Sequence[ArrayLike], min_iou: float = 0.5) -> DetectionCounts:
    """Boxes of each image, matched one to one (`findings.matching.match_boxes`): a copy of a right box is wrong."""
    said, truth = aligned(predicted, true)
    return DetectionCounts.of([match_boxes(a, b, min_iou) for a, b in zip(said, truth, strict=True)])


def point_detection(predicted: Sequence[ArrayLike], true: Sequence[ArrayLike], radius: float = 10.0) -> DetectionCounts:
    """Points of each image, matched one to one; a pair counts when its distance is below `radius`."""
    said, truth = aligned(predicted, true)
    return DetectionCounts.of([match_points(a, b, radius) for a, b in zip(said, truth, strict=True)])


def first_box_ious(predicted: Sequence[ArrayLike | None], true: ArrayLike) -> Floats:
    """IoU of the first box predicted for each item with its true box [n, 4|6] → [n]. No box scores 0."""
    truth = as_boxes(true)
    said, _ = aligned(predicted, truth.tolist())
    firsts = np.zeros_like(truth)
    for k, boxes in enumerate(said):
        found = as_boxes([] if boxes is None else boxes)
        if len(found):
            if found.shape[1] != truth.shape[1]:
                raise InputError(f"item {k} has boxes of {found.shape[1]} numbers, its truth {truth.shape[1]}.")
            firsts[k] = found[0]
    return iou_pairs(firsts, truth)


def share_at_iou(ious: ArrayLike, threshold: float) -> float:
    """Acc@threshold: share of items whose IoU [n] is at least `threshold`."""
    values = np.asarray(ious, dtype=np.float64)
    if not values.size:
        raise InputError("there is no item to score.")
    return float((values >= threshold).mean())


@dataclass(frozen=True)
class FoundBoxes:
    """Boxes of one image. `boxes` [N, 4], `classes` [N] ints, `scores` [N] (all 1 where the model gives none)."""

    boxes: ArrayLike
    classes: Sequence[int]
    scores: Sequence[float] = ()


def coco_map(
    predicted: Sequence[FoundBoxes], true: Sequence[FoundBoxes], thresholds: Sequence[float] | None = None
) -> dict[str, float]:
    """COCO mean average precision (pycocotools): `map`, and `map@t` per threshold; default .50 to .95 by .05.

    Classes without a true box do not enter, as COCO has it. Raises InputError when boxes, classes and scores of an
    image differ in number or there is no true box at all.
    """
    aligned(predicted, true)
    truth = [_annotation(k, row, None) for k, image in enumerate(true) for row in _rows(k, image)]
    said = [_annotation(k, row, row[2]) for k, image in enumerate(predicted) for row in _rows(k, image)]
    if not truth:
        raise InputError("there is no true box; mean average precision is not defined.")
    steps = np.linspace(0.5, 0.95, 10) if thresholds is None else np.asarray(thresholds, dtype=np.float64)
    tools = package("pycocotools.coco", "COCO mAP")
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        dataset = tools.COCO()
        dataset.dataset = {
            "images": [{"id": k + 1} for k in range(len(true))],
            "categories": [{"id": c} for c in sorted({a["category_id"] for a in (*truth, *said)})],
            "annotations": [{**a, "id": k + 1} for k, a in enumerate(truth)],
            "info": {},
        }
        dataset.createIndex()
        if not said:
            return {"map": 0.0, **{f"map@{t:g}": 0.0 for t in steps}}
        evaluation = package("pycocotools.cocoeval", "COCO mAP").COCOeval(dataset, dataset.loadRes(said), "bbox")
        evaluation.params.iouThrs = steps
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, -1]  # [thresholds, recalls, classes], all areas, most boxes
    # pycocotools adds an epsilon to its divisors; rounding lets equal boxes score exactly 1.
    each = [round(float(p[p > -1].mean()), 12) for p in precision]
    return {"map": round(float(np.mean(each)), 12), **{f"map@{t:g}": v for t, v in zip(steps, each, strict=True)}}


def _rows(image: int, found: FoundBoxes) -> list[tuple[list[float], int, float]]:
    boxes = as_boxes(found.boxes)
    scores = list(found.scores) or [1.0] * len(boxes)
    if not len(boxes) == len(found.classes) == len(scores):
        raise InputError(f"image {image}: {len(boxes)} boxes, {len(found.classes)} classes, {len(scores)} scores.")
    return list(zip(boxes.tolist(), map(int, found.classes), map(float, scores), strict=True))


def _annotation(image: int, row: tuple[list[float], int, float], score: float | None) -> dict[str, Any]:
    x0, y0, x1, y1 = row[0]
    width, height = max(0.0, x1 - x0), max(0.0, y1 - y0)
    found = {"image_id": image + 1, "category_id": row[1], "bbox": [x0, y0, width, height], "area": width * height}
    return found | ({"iscrowd": 0} if score is None else {"score": score})


def sensitivity_at_false_positives(
    predicted: Sequence[FoundBoxes],
    true: Sequence[ArrayLike],
    false_positives: Sequence[float] = (0.125, 0.25, 0.5, 1, 2, 4, 8),
    min_iou: float = 0.5,
) -> dict[float, float]:
    """FROC: the greatest share of true boxes found with at most so many false boxes per image, classes aside.

    Predictions are taken by falling score, best first, each true box once. Equal scores enter together.
    """
    aligned(predicted, true)
    rows: list[tuple[float, bool]] = []
    total = 0
    for k, (found, boxes) in enumerate(zip(predicted, true, strict=True)):
        truth = as_boxes(boxes)
        total += len(truth)
        rows += _hits(_rows(k, found), truth, min_iou)
    if not total:
        raise InputError("there is no true box; sensitivity is not defined.")
    scores = np.array([-score for score, _ in rows])
    _, code = np.unique(scores, return_inverse=True)
    hit = np.array([h for _, h in rows], dtype=bool)
    found_at = np.concatenate([[0.0], np.cumsum(np.bincount(code, weights=hit))]) / total
    false_at = np.concatenate([[0.0], np.cumsum(np.bincount(code, weights=~hit))]) / len(true)
    return {float(rate): float(found_at[false_at <= rate].max()) for rate in false_positives}


def _hits(rows: list[tuple[list[float], int, float]], truth: Floats, min_iou: float) -> list[tuple[float, bool]]:
    rows = sorted(rows, key=lambda row: (-row[2], row[0]))
    free = np.ones(len(truth), dtype=bool)
    hits: list[tuple[float, bool]] = []
    ious = iou_matrix([row[0] for row in rows], truth)
    for row, overlap in zip(rows, ious, strict=True):
        overlap = np.where(free, overlap, -1.0)
        best = int(overlap.argmax()) if len(truth) else -1
        hit = best >= 0 and overlap[best] >= max(min_iou, 1e-12)
        if hit:
            free[best] = False
        hits.append((row[2], bool(hit)))
    return hits


@dataclass(frozen=True)
class FrameCheck:
    """Whether predicted boxes seem to be in another frame than the truth."""

    outside: float
    """Share of predicted boxes that leave their image."""
    area_ratio: float | None
    """Median predicted area over median true area; None without boxes."""
    warning: str | None


def check_frame(
    predicted: Sequence[ArrayLike], true: Sequence[ArrayLike], image_sizes: Sequence[tuple[float, float]]
) -> FrameCheck:
    """A warning when more than half of a run's boxes lie outside their image (width, height), or when their median area
    is below 1e-3 of the true one: an IoU of 0 then tells of the coordinate frame, not of the model."""
    aligned(predicted, true)
    aligned(predicted, image_sizes)
    outside: list[bool] = []
    areas: tuple[list[float], list[float]] = ([], [])
    for boxes, truth, (width, height) in zip(predicted, true, image_sizes, strict=True):
        found = as_boxes(boxes)
        beyond = np.logical_or(found < 0, found > np.array([width, height, width, height]))
        outside.extend(np.asarray(beyond.any(axis=1)).tolist())
        areas[0].extend(box_sizes(found).tolist())
        areas[1].extend(box_sizes(as_boxes(truth)).tolist())
    share = float(np.mean(outside)) if outside else 0.0
    known = bool(areas[0] and areas[1] and np.median(areas[1]) > 0)
    ratio = float(np.median(areas[0]) / np.median(areas[1])) if known else None
    said = None
    if share > 0.5:
        said = f"{share:.0%} of {len(outside)} predicted boxes leave their image"
    elif ratio is not None and ratio < 1e-3:
        said = f"the median predicted box has {ratio:.1e} of the true boxes' area"
    fix = "; are the coordinates in another frame (0-1, 0-1000, resized pixels)?"
    return FrameCheck(share, ratio, said and said + fix)

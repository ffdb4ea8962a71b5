"""Boxes, points and counts: one-to-one scores of what an answer names.

Each answer is read twice, by the published grammar (strict) and mended where that is plain (tolerant); both are scored.
A benchmark's truth is one box, a list of boxes or points (rows of numbers, or objects with `bbox`, `box`, `point`,
`coords` and `label`), a number, or an object with `boxes` or `points` and `count`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from vesalius.errors import InputError
from vesalius.evaluation.contract import Sample
from vesalius.evaluation.prediction import Prediction
from vesalius.findings.box_overlap import as_boxes, iou_matrix
from vesalius.findings.matching import assign, match_boxes, match_points
from vesalius.findings.parse import Grounding, parse_grounding

__all__ = ["KINDS", "Places", "Truth", "cited", "grounded", "iou_per_true_box", "score_places", "truth_of"]

KINDS = ("box", "point", "count", "count_point", "count_box", "box3d")
THRESHOLDS = (0.3, 0.5, 0.7)
RADIUS_PX = 10.0
UNREAD = ("malformed", "empty", "refused", "truncated", "error")
"""Statuses of an answer that said nothing: it is not right about a picture where nothing is to be found."""
Rows = list[list[float]]
_PIXELS = ("qwen-json", "parens")
_ENDLESS = (1 << 31, 1 << 31)
"""Size of a picture of which nothing is known: pixels are then taken as they stand, nothing is clipped."""


@dataclass(frozen=True)
class Places:
    """What an answer names: `rows` of coordinates (boxes or points, original pixels) and its stated `count`."""

    rows: Rows
    count: float | None
    status: str


@dataclass(frozen=True)
class Truth:
    """What is right. `rows`: boxes or points; `count`: None where none is asked."""

    rows: Rows
    count: float | None


_LISTS = ("boxes", "points", "bboxes", "items", "bbox_2d", "point_2d")
_ONES = ("coords", "bbox", "box", "bbox_2d", "point", "point_2d")


def truth_of(sample: Sample) -> Truth:
    """The truth of an item. Raises InputError when it has none of the known forms."""
    gold: Any = sample.gold
    count = None
    if isinstance(gold, Mapping):
        count = gold.get("count", gold.get("counts"))
        listed = next((gold[key] for key in _LISTS if key in gold), None)
        gold = listed if listed is not None else [gold] if any(key in gold for key in _ONES) else []
    elif sample.kind == "count":
        count, gold = gold, []
    rows = _rows(gold)
    if sample.kind.startswith("count") and count is None:
        count = len(rows)
    try:
        number = None if count is None else float(count)
        kept = [[float(value) for value in row] for row in rows]
    except (TypeError, ValueError) as exc:
        raise InputError(f"item {sample.id!r}: the truth is no count, box or point.") from exc
    return Truth(kept, number)


def _rows(gold: Any) -> list[Any]:
    if gold is None or not len(gold):
        return []
    if isinstance(gold[0], int | float | np.number):
        return [list(gold)]
    return [
        list(next((one[key] for key in _ONES if key in one), ())) if isinstance(one, Mapping) else list(one)
        for one in gold
    ]


def grounded(
    sample: Sample, prediction: Prediction, dialect: str | None, coord: str | None, mode: Literal["strict", "tolerant"]
) -> Places:
    """The places an answer names.

    Places the model's own family brought to original pixels when it answered (`Prediction.findings`) are used where
    they are as many as the text names; otherwise the text is read in the benchmark's dialect.
    """
    if prediction.finish_reason == "error":
        return Places([], None, "error")
    kind = {"point": "point", "count_point": "point", "box3d": "box3d"}.get(sample.kind, "box")
    unknown = _ENDLESS if dialect in _PIXELS and coord is None else (1, 1)
    size: Sequence[float] = sample.extra.get("shape", (1, 1, 1)) if kind == "box3d" else sample.size or unknown
    named = dialect or ("m3d" if kind == "box3d" else "auto")
    expect = "count" if sample.kind == "count" else "point" if kind == "point" else "box" if kind == "box" else "any"
    # A benchmark that names no grammar for a bare count asks for a number in plain words.
    strict = mode == "strict" and not (sample.kind == "count" and dialect is None)
    read = parse_grounding(
        prediction.raw, named, size, coord=coord, strict=strict, expect=expect,
        finish_reason=prediction.finish_reason,
    )  # fmt: skip
    rows = [[float(value) for value in one["coords"]] for one in read.items if one["kind"] == kind]
    own, own_count = _own(prediction, kind)
    if own and (len(own) == len(rows) or (mode == "tolerant" and not rows)):
        rows = own
    count = read.count if read.count is not None else own_count if mode == "tolerant" else None
    return Places(rows, None if count is None else float(count), _status(read, rows, count))


def cited(sample: Sample, prediction: Prediction) -> Places:
    """As `grounded`, for answers in plain words that cite findings: places are the findings on the medium asked about
    (`extra["medium"]`) where the model returned any, else what the text names; a count is what the text states, else
    the number of objects found."""
    medium = sample.extra.get("medium")
    here = tuple(
        one for one in prediction.findings if medium is None or (one.get("where") or {}).get("item", medium) == medium
    )
    prediction = replace(prediction, findings=here)
    read = grounded(sample, prediction, None, None, "tolerant")
    if read.status == "error":
        return read
    if sample.kind == "count":
        stated = grounded(sample, replace(prediction, findings=()), None, None, "tolerant")
        objects = len(_own(prediction, "box")[0])
        if stated.count is None and stated.status == "none":
            stated = replace(stated, count=0.0)
        if stated.count is None and objects:
            return Places([], float(objects), "ok")
        return stated
    own, _ = _own(prediction, "point" if sample.kind == "point" else sample.kind)
    return Places(own, read.count, "ok") if own else read


def _status(read: Grounding, rows: Rows, count: float | None) -> str:
    nothing = not rows and count is None and read.status not in ("none", "empty", "refused", "truncated")
    return "malformed" if nothing else "ok" if read.status == "malformed" else read.status


def _own(prediction: Prediction, kind: str) -> tuple[Rows, float | None]:
    rows: Rows = []
    count = None
    for one in prediction.findings:
        pixels = one.get("pixels") or {}
        if one.get("kind") == kind and kind in pixels:
            rows.append([float(value) for value in pixels[kind]])
        elif one.get("kind") == "count":
            count = float(one["count"])
    return rows, count


def score_places(sample: Sample, said: Places, truth: Truth) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """(scores, ratios) of an item.

    Counts: `count_exact`; `count_error` (absolute; the items that gave a number, see `count_missing`). Boxes: `iou` (of
    the first box where one is true, else of the best one-to-one assignment over the larger number), `acc@t`, ratios
    `precision@0.5`, `recall@0.5`, `f1@0.5`. Points: ratios `point_precision`, `point_recall`, `point_f1` at 10 px
    or the item's `extra["radius_px"]`.
    Beside them, over the items where something is named and true, what published rules average: the share of points
    with any true one within that radius, the best IoU of each box. Copies cost nothing there.
    """
    scores: dict[str, float] = {}
    ratios: dict[str, tuple[float, float]] = {}
    if truth.count is not None and sample.kind.startswith("count"):
        given = said.count is not None
        scores["count_exact"] = float(given and said.count == truth.count)
        scores["count_missing"] = float(not given)
        if given and said.count is not None:
            ratios["count_mae"] = (abs(said.count - truth.count), 1.0)
    if sample.kind in ("box", "count_box", "box3d"):
        scores |= _box_scores(said, truth.rows)
        matched = match_boxes(said.rows, truth.rows, 0.5)
        ratios |= _ratios("@0.5", "", matched.num_matched, len(said.rows), len(truth.rows), said.status)
        if said.rows and truth.rows:
            best = iou_matrix(as_boxes(said.rows), as_boxes(truth.rows)).max(axis=1)
            ratios["best_iou (many-to-one)"] = (float(best.mean()), 1.0)
    elif sample.kind in ("point", "count_point"):
        radius = float(sample.extra.get("radius_px", RADIUS_PX))
        close = match_points(said.rows, truth.rows, radius)
        ratios |= _ratios("", "point_", close.num_matched, len(said.rows), len(truth.rows), said.status)
        if said.rows and truth.rows:
            away = np.array(said.rows)[:, None] - np.array(truth.rows)[None]
            near = np.linalg.norm(away, axis=2).min(axis=1) < radius
            ratios["point_matching (many-to-one)"] = (float(near.mean()), 1.0)
        unread = said.status in UNREAD and not said.rows
        scores["point_image_f1"] = 0.0 if unread and not truth.rows else close.f1
    return scores, ratios


def _box_scores(said: Places, true: Rows) -> dict[str, float]:
    if not true:
        found = float(not said.rows and said.status not in UNREAD)
    elif not said.rows:
        found = 0.0
    else:
        ious = iou_matrix(as_boxes(said.rows), as_boxes(true))
        found = float(ious[0, 0]) if len(true) == 1 else _iou_sum(said.rows, true) / max(len(said.rows), len(true))
    return {"iou": found} | {f"acc@{t:g}": float(found >= t) for t in THRESHOLDS}


def iou_per_true_box(said: Places, truth: Truth) -> dict[str, tuple[float, float]]:
    """As a ratio, the assigned IoU of every true box: 0 where it was missed, surplus boxes cost nothing."""
    if not truth.rows:
        return {}
    return {"iou (per true box)": (_iou_sum(said.rows, truth.rows), float(len(truth.rows)))}


def _iou_sum(said: Rows, true: Rows) -> float:
    """Total IoU of the best one-to-one assignment."""
    if not said or not true:
        return 0.0
    ious = iou_matrix(as_boxes(said), as_boxes(true))
    pairs = assign(1.0 - ious)
    return float(ious[pairs[:, 0], pairs[:, 1]].sum())


def _ratios(
    after: str, before: str, matched: int, predicted: int, true: int, status: str
) -> dict[str, tuple[float, float]]:
    """Numerators and denominators. An answer that could not be read where nothing is true is one false finding: else a
    model that says nothing readable would be right about every healthy picture."""
    if not predicted and not true and status in UNREAD:
        predicted = 1
    return {
        f"{before}precision{after}": (float(matched), float(predicted)),
        f"{before}recall{after}": (float(matched), float(true)),
        f"{before}f1{after}": (2.0 * matched, float(predicted + true)),
    }

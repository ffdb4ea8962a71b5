"""What a historic profile changes in the scores of single items; `strict` and `tolerant` change nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vesalius.errors import OptionError
from vesalius.evaluation.contract import Benchmark
from vesalius.evaluation.metrics.detection import share_at_iou
from vesalius.evaluation.metrics.segmentation import soft_dice
from vesalius.evaluation.profiles import Profile
from vesalius.evaluation.published import medsg, point_detect_count, uni_med
from vesalius.evaluation.published.m3d import closed_right
from vesalius.evaluation.scoring import harnesses
from vesalius.evaluation.scoring.answers import texts_of, true_letter, written_answer
from vesalius.evaluation.scoring.item import ItemScore, Pair
from vesalius.evaluation.scoring.masks import mask_scores, masks_of
from vesalius.evaluation.scoring.places import truth_of
from vesalius.evaluation.scoring.published_figures import PDC_TASKS
from vesalius.evaluation.scoring.true_masks import true_mask
from vesalius.findings.box_overlap import iou_pairs

__all__ = ["rescored"]

Rule = Callable[[ItemScore, Pair, Benchmark], ItemScore]


def rescored(items: list[ItemScore], pairs: Sequence[Pair], benchmark: Benchmark, profile: Profile) -> list[ItemScore]:
    """The items under a profile's own rules. OptionError when it has none for any of the run's task kinds."""
    kinds = _KINDS.get(profile.name)
    if kinds is None:
        return items
    if not any(item.kind in kinds for item in items):
        raise OptionError(
            f"profile {profile.name} has no rule for {', '.join(sorted({item.kind for item in items}))} items.",
            fix="Use strict, or the profile of this benchmark's own rules (published).",
        )
    rule = _RULES.get(profile.name)
    if rule is None:
        return items
    return [rule(item, pair, benchmark) for item, pair in zip(items, pairs, strict=True)]


def _uni_med(item: ItemScore, pair: Pair, benchmark: Benchmark) -> ItemScore:
    sample, prediction = pair
    if sample.kind == "report":
        if uni_med.is_left_out(prediction.raw, texts_of(sample.gold)[0]):
            return replace(item, rule="left out: empty", scores={}, ratios={})
        return item
    if sample.kind in ("open", "closed", "yesno"):
        found = uni_med.short_answer_scores(prediction.raw, written_answer(sample))
        return replace(item, rule="uni-med", scores=found)
    if sample.kind == "box" and sample.size:
        x0, y0, x1, y1 = truth_of(sample).rows[0]
        iou = float(uni_med.refer_ious([prediction.raw], [[x0, y0, x1 - x0, y1 - y0]], [sample.size])[0])
        return replace(item, rule="uni-med", scores={"iou": iou, "acc@0.5": float(iou > 0.5)}, ratios={})
    return item


def _medsg(item: ItemScore, pair: Pair, benchmark: Benchmark) -> ItemScore:
    sample, prediction = pair
    if sample.kind != "box":
        return item
    box = medsg.first_box(prediction.raw)
    iou = float(iou_pairs([box or (0.0, 0.0, 0.0, 0.0)], [truth_of(sample).rows[0]])[0])
    shares = {f"acc@{t:g}": share_at_iou([iou], t) for t in (0.7, 0.5, 0.3)}
    answer = None if box is None else list(box)
    return replace(item, answer=answer, rule="medsg", scores={"iou": iou, **shares}, ratios={})


def _pdc(item: ItemScore, pair: Pair, benchmark: Benchmark) -> ItemScore:
    sample, prediction = pair
    task = PDC_TASKS.get(sample.kind)
    if task is None:
        return item
    truth = truth_of(sample)
    points, boxes = (truth.rows, []) if "point" in task else ([], truth.rows)
    said = point_detect_count.read_answer(prediction.raw, task)
    found = point_detect_count.score_task(task, [said], [point_detect_count.PdcAnswer(points, boxes, truth.count)])
    scores: dict[str, float] = {}
    if found.count is not None:
        scores |= {"count_exact": found.count.exact, "count_mae": found.count.mae or 0.0}
        scores["count_mse"] = found.count.mse or 0.0
    scores["unusable"] = float(found.unusable)
    if not found.unusable:
        named: dict[str, Any] = {
            "point_mae": found.point_mae, "point_rmse": found.point_rmse, "point_matching": found.matching,
            "best_iou": found.box_iou,
        }  # fmt: skip
        scores |= {key: float(value) for key, value in named.items() if value is not None}
    answer = {"places": said.points or said.boxes, "count": said.count}
    kept = {key: value for key, value in item.ratios.items() if key.endswith(("precision", "recall", "f1", "@0.5"))}
    return replace(item, answer=answer, rule="pdc", scores=scores, ratios=kept)


def _m3d(item: ItemScore, pair: Pair, benchmark: Benchmark) -> ItemScore:
    sample, prediction = pair
    if sample.kind == "mcq":
        right = float(closed_right([prediction.raw], [true_letter(sample)])[0])
        return replace(item, rule="m3d", scores={"accuracy": right})
    if sample.kind == "mask":
        truth = true_mask(sample)
        masks = masks_of(prediction, truth)[0] or [np.zeros_like(truth.inside)]
        soft = soft_dice(np.logical_or.reduce(masks).astype(np.float64), truth.inside)
        return replace(item, rule="m3d", scores={**item.scores, "soft_dice": soft})
    if sample.kind == "box3d" and not (item.answer or {}).get("places"):
        return replace(item, rule="m3d", scores={**item.scores, "iou": -1.0})
    return item


def _mecovqa(item: ItemScore, pair: Pair, benchmark: Benchmark) -> ItemScore:
    sample, prediction = pair
    if sample.kind != "mask":
        return item
    truth = true_mask(sample)
    masks = masks_of(prediction, truth)[0] or []
    if len(masks) < 2:
        return item
    scores, ratios = mask_scores(masks[:1], truth)
    return replace(item, rule="mecovqa: the first mask", scores=scores, ratios=ratios)


def _medrega(item: ItemScore, pair: Pair, benchmark: Benchmark) -> ItemScore:
    """The divisors of precision and recall change places."""
    swapped = {"precision": "recall", "recall": "precision"}
    ratios = {
        swapped.get(name := key.split("@")[0], name) + key[len(name) :]: value for key, value in item.ratios.items()
    }
    return replace(item, rule="medrega", ratios=ratios)


_RULES: dict[str, Rule] = {
    "medevalkit": harnesses.medevalkit_item,
    "medunieval": harnesses.medunieval_item,
    "lmms-eval": harnesses.lmms_eval_item,
    "uni-med": _uni_med,
    "medsg": _medsg,
    "pdc": _pdc,
    "m3d": _m3d,
    "mecovqa": _mecovqa,
    "medrega": _medrega,
}
_KINDS: dict[str, tuple[str, ...]] = {
    "medevalkit": ("mcq", "yesno", "closed", "open", "report"),
    "lmms-eval": ("mcq", "yesno", "closed", "open", "report"),
    "medunieval": ("mcq", "yesno", "closed", "open", "report"),
    "uni-med": ("mcq", "yesno", "closed", "open", "report", "box"),
    "medsg": ("box",),
    "pdc": tuple(PDC_TASKS),
    "m3d": ("mcq", "open", "report", "box3d", "mask"),
    "mecovqa": ("mask",),
    "medrega": ("box",),
    "rad-restruct": ("tree",),
}

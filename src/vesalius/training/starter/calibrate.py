"""Stage "calibrate": thresholds, confidences and the midline, fitted on phantoms of the calibration seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vesalius.models.parts.see_head import SeeHead
from vesalius.models.parts.see_objects import SeenMaps, SeenObject, find_objects
from vesalius.training.starter.see_cache import LABEL_NAMES, Shard
from vesalius.training.starter.see_targets import collate_pictures

__all__ = ["Candidate", "calibrate", "candidates", "fit_line", "fit_midline", "see_shard"]

_LOWEST = 0.08
"""Centre height below which nothing is even a candidate."""

_MATCH_IOU = 0.4


@dataclass(frozen=True)
class Candidate:
    """One detection and whether it is right: `height` of its centre, `score` and `side_logits` as in `SeenObject`.

    `side`: the true object's, as an index of `SIDES`; -1 where it has none or the detection is wrong.
    """

    picture: int
    label: str
    height: float
    score: float
    right: bool
    side_logits: tuple[float, float, float] = (0.0, 0.0, 0.0)
    side: int = -1


@torch.inference_mode()
def see_shard(head: SeeHead, shard: Shard, *, batch: int = 16, bf16: bool = False) -> Iterator[SeenMaps]:
    """The head's maps for every picture of a shard, in order."""
    head.eval()
    for first in range(0, len(shard), batch):
        made = collate_pictures([(shard, i) for i in range(first, min(first + batch, len(shard)))])
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            seen = head(made["pixels"].contiguous(memory_format=torch.channels_last), made["features"])
        maps = [t.float().numpy() for t in (seen.masks, seen.centres, seen.offsets, seen.sides, seen.present)]
        for b in range(len(made["pixels"])):
            yield SeenMaps(*(m[b] for m in maps))


def candidates(head: SeeHead, shard: Shard, *, bf16: bool = False) -> tuple[list[Candidate], NDArray[np.int64]]:
    """(all candidates of all pictures, true count `[pictures, labels]`). A candidate is right when its mask meets a
    true object of its label with IoU ≥ 0.4; each true object makes one candidate right, the best scored first."""
    found: list[Candidate] = []
    counts = np.zeros((len(shard), len(LABEL_NAMES)), np.int64)
    for picture, maps in enumerate(see_shard(head, shard, bf16=bf16)):
        rows, masks = shard.objects_of(picture)
        halves = masks.reshape(len(masks), masks.shape[1] // 2, 2, masks.shape[2] // 2, 2).mean((2, 4)) >= 0.5
        for index, label in enumerate(LABEL_NAMES):
            mine = np.nonzero(rows["label"] == index)[0]
            counts[picture, index] = len(mine)
            seen = find_objects(maps, LABEL_NAMES, {}, only=frozenset({label}), default_threshold=_LOWEST)
            found += _match(picture, label, seen, [(halves[m], int(rows["side"][m])) for m in mine])
    return found, counts


def _match(
    picture: int, label: str, seen: list[SeenObject], truth: list[tuple[NDArray[np.bool_], int]]
) -> Iterator[Candidate]:
    free = list(range(len(truth)))
    for one in sorted(seen, key=lambda s: -s.score):
        mask = one.logits > 0
        overlaps = [(float((mask & truth[n][0]).sum() / max((mask | truth[n][0]).sum(), 1)), n) for n in free]
        best = max(overlaps, default=(0.0, -1))
        right = best[0] >= _MATCH_IOU
        if right:
            free.remove(best[1])
        side = truth[best[1]][1] if right else -1
        yield Candidate(picture, label, one.height, one.score, right, one.side_logits, side)


def calibrate(
    found: Sequence[Candidate], counts: NDArray[np.int64]
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """(threshold per label, (slope, intercept) per label and "" for all labels together).

    The threshold is the centre height of the greatest worth (see `_worth`), ties to the middle.
    """
    thresholds: dict[str, float] = {}
    lines: dict[str, tuple[float, float]] = {"": fit_line([c.score for c in found], [c.right for c in found])}
    grid = np.arange(0.1, 0.81, 0.02)
    for index, label in enumerate(LABEL_NAMES):
        mine = [c for c in found if c.label == label]
        if counts[:, index].sum() < 20 or not mine:
            continue
        pictures = np.array([c.picture for c in mine])
        heights = np.array([c.height for c in mine])
        said = [np.bincount(pictures[heights >= t], minlength=len(counts)) for t in grid]
        worth = np.array([_worth(numbers, counts[:, index]) for numbers in said])
        best = np.nonzero(worth >= worth.max() - 1e-9)[0]
        thresholds[label] = round(float(grid[best[len(best) // 2]]), 3)
        kept = [c for c in mine if c.height >= thresholds[label]]
        if len(kept) >= 50 and 3 <= sum(c.right for c in kept) <= len(kept) - 3:
            lines[label] = fit_line([c.score for c in kept], [c.right for c in kept])
    return thresholds, lines


def fit_midline(found: Sequence[Candidate], thresholds: Mapping[str, float]) -> float:
    """What to add to the midline's logit so that most sides are told right; ties to the middle, 0 without any.

    The head learns sides cell by cell; averaged over an object the midline wins too often.
    """
    told = [c for c in found if c.side >= 0 and c.height >= thresholds.get(c.label, 1.0)]
    if not told:
        return 0.0
    logits, true = np.array([c.side_logits for c in told]), np.array([c.side for c in told])
    grid = np.arange(-3.0, 3.01, 0.25)
    middle = np.array([0.0, 1.0, 0.0])
    right = np.array([(logits + shift * middle).argmax(1) == true for shift in grid]).sum(1)
    best = grid[right == right.max()]
    return float(best[np.abs(best - np.median(best)).argmin()])


def _worth(said: NDArray[np.int64], true: NDArray[np.int64]) -> float:
    """What a threshold is worth: exact counts and sight where the label is, and silence where it is not.

    Each is a share of its own pictures: those without a label outnumber those with it twenty to one, and would have
    the rest overheard. Silence weighs most, as most questions are about what is not there.
    """
    there = true > 0
    silent = float((said[~there] == 0).mean()) if not there.all() else 1.0
    return float((said == true)[there].mean()) + float((said > 0)[there].mean()) + 6 * silent


def fit_line(scores: Sequence[float], right: Sequence[bool]) -> tuple[float, float]:
    """Logistic regression of `right` on logit(score) by Newton's method, slope kept positive (Platt scaling)."""
    if len(scores) == 0:
        return (1.0, 0.0)
    x = np.clip(np.asarray(scores, np.float64), 1e-4, 1 - 1e-4)
    x = np.log(x / (1 - x))
    # Platt's targets keep the fit finite when all are right.
    positives, negatives = float(np.sum(right)), float(len(right) - np.sum(right))
    y = np.where(right, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    slope, intercept = 1.0, 0.0
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(slope * x + intercept, -30, 30)))
        w = p * (1 - p) + 1e-6
        gradient = np.array([((p - y) * x).sum() + 1e-2 * (slope - 1), (p - y).sum()])
        curve = np.array([[(w * x * x).sum() + 1e-2, (w * x).sum()], [(w * x).sum(), w.sum()]])
        step = np.linalg.solve(curve, gradient)
        slope, intercept = slope - float(step[0]), intercept - float(step[1])
        if np.abs(step).max() < 1e-8:
            break
    return (max(slope, 0.05), intercept)

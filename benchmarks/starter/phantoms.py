"""The starter on held-out phantoms: every question through `Model.ask_batch`, beside blank and shuffled pictures."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.starter import scores
from vesalius.findings.findings import Box, Count, Mask, Measurement, Point
from vesalius.inference.answer import Answer
from vesalius.inference.model import Model
from vesalius.phantoms.pictures import draw_picture
from vesalius.phantoms.questions import Question, make_questions
from vesalius.phantoms.splits import HELD_OUT
from vesalius.phantoms.truth import Truth
from vesalius.study.items import Origin, Picture

TASKS = ("modality", "plane", "region", "present", "side", "count", "box", "point", "mask", "size", "report")
BATCH = 16


@dataclass(frozen=True)
class Item:
    """One question about one held-out phantom."""

    truth: Truth
    question: Question


def picture_of(truth: Truth, pixels: Any = None) -> Picture:
    """The phantom as a picture that names no modality, with its pixel spacing."""
    shown = truth.pixels if pixels is None else pixels
    height, width = shown.shape[:2]
    spacing = (truth.spacing_mm, truth.spacing_mm)
    return Picture(width, height, lambda: shown, Origin("array"), spacing)


def held_out_items(per_task: int, lang: str, first: int = 0, tasks: Sequence[str] = TASKS) -> dict[str, list[Item]]:
    """At least `per_task` questions of each task, one to three per picture; yes/no evenly split."""
    items: defaultdict[str, list[Item]] = defaultdict(list)
    for seed in HELD_OUT[first:]:
        truth = draw_picture(seed, size=(256, 256))
        rng = random.Random(seed)
        wanted = [task for task in tasks if len(items[task]) < per_task]
        if not wanted:
            return dict(items)
        for task in rng.sample(wanted, min(3, len(wanted))):
            for question in make_questions(truth, rng, lang, [task]):
                if _usable(question) and len(items[task]) < per_task:
                    items[task].append(Item(truth, question))
    return dict(items)


def _usable(question: Question) -> bool:
    """Where questions need something to be there, only those whose object is."""
    facts = question.truth
    if question.task == "side":
        return facts.get("sides") in (["left"], ["right"])
    if question.task == "size" and all(size is None for size in facts.get("sizes_mm", [])):
        return False
    if question.task in ("box", "point", "mask", "size"):
        return bool(question.cites) and facts.get("count", 0) <= 10 and "boxes" in facts
    return question.task != "count" or facts["count"] <= 10


def ask_all(model: Model, items: Sequence[Item], condition: str) -> Iterator[tuple[Item, Answer]]:
    """Ask each question of its own picture ("seen"), a grey one ("blank") or another's ("shuffled").

    Questions about one picture that stand together share one look at it.
    """
    for start in range(0, len(items), BATCH):
        group = items[start : start + BATCH]
        shown: dict[tuple[int, int], Picture] = {}
        requests: list[tuple[Any, str | None]] = []
        for item in group:
            other = _another(item.truth, items) if condition == "shuffled" else item.truth
            key = (item.truth.seed, other.seed)
            if key not in shown:
                pixels = np.full_like(item.truth.pixels, 128) if condition == "blank" else other.pixels
                shown[key] = picture_of(item.truth, pixels)
            requests.append((shown[key], item.question.prompt))
        yield from zip(group, model.ask_batch(requests, batch_size=BATCH, max_new_tokens=200), strict=True)


def _another(truth: Truth, items: Sequence[Item]) -> Truth:
    """A phantom of another item, always the same one for the same phantom."""
    others = [item.truth for item in items if item.truth.seed != truth.seed]
    return random.Random(truth.seed).choice(others)


def ask_tasks(
    model: Model, items: Mapping[str, Sequence[Item]], condition: str
) -> dict[str, list[tuple[Item, Answer]]]:
    """As `ask_all`, by task. Reports go by themselves: their long answers would hold the short ones up."""
    answered: defaultdict[str, list[tuple[Item, Answer]]] = defaultdict(list)
    reports = list(items.get("report", ()))
    others = [item for task, group in items.items() if task != "report" for item in group]
    for pool in (others, reports):
        # Alike numbers of objects make prompts of alike length, and little padding in a batch.
        ordered = sorted(pool, key=lambda item: (len(item.truth.objects), item.truth.seed))
        for item, answer in ask_all(model, ordered, condition):
            answered[item.question.task].append((item, answer))
    return dict(answered)


def score(item: Item, answer: Answer) -> list[float]:
    """The item's scores; several for questions about several objects."""
    question, facts = item.question, item.question.truth
    match question.task:
        case "modality" | "plane" | "region":
            return [float(scores.named(answer.text, question.task, question.lang) == facts[question.task])]
        case "present":
            return [float(scores.yes_no(answer.text, question.lang) == facts["present"])]
        case "side":
            return [float(scores.named(answer.text, "side", question.lang) == facts["sides"][0])]
        case "count":
            return [float(_count(answer) == facts["count"])]
        case "box":
            found = [(f.x0, f.y0, f.x1, f.y1) for f in answer.findings if isinstance(f, Box)]
            return scores.matched_ious(facts["boxes"], found)
        case "point":
            found = [(f.x, f.y) for f in answer.findings if isinstance(f, Point)]
            return scores.points_hit(facts["points"], found, 0.05 * item.truth.pixels.shape[1])
        case "mask":
            return [_mask_dice(item, answer)]
        case "size":
            sizes = [f.value for f in answer.findings if isinstance(f, Measurement)]
            true = max(v for v in facts["sizes_mm"] if v is not None)
            return [float(bool(sizes) and abs(max(sizes) - true) <= 0.15 * true)]
        case _:
            return [scores.report_f1(answer.text, question.answer, question.lang)]


def _count(answer: Answer) -> int | None:
    counted = [f.count for f in answer.findings if isinstance(f, Count)]
    return counted[0] if len(counted) == 1 else scores.whole_number(answer.text)


def count_error(item: Item, answer: Answer) -> float:
    """Absolute error of a count; an answer without a number counts as none seen."""
    return abs((_count(answer) or 0) - item.question.truth["count"])


def _mask_dice(item: Item, answer: Answer) -> float:
    true = np.zeros(item.truth.pixels.shape[:2], bool)
    boxes = {tuple(box) for box in item.question.truth["boxes"]}
    for placed in item.truth.objects:
        if tuple(placed.box) in boxes:
            true |= placed.mask
    said = np.zeros_like(true)
    for found in answer.findings:
        if isinstance(found, Mask) and found.mask.shape == said.shape:
            said |= found.mask
    return scores.dice(true, said)


def confidences(item: Item, answer: Answer) -> list[tuple[float, bool]]:
    """(confidence, right) of every box: right when it meets a true object of its label with IoU ≥ 0.4."""
    pairs: list[tuple[float, bool]] = []
    for found in answer.findings:
        if isinstance(found, Box) and found.confidence is not None:
            true = [o.box for o in item.truth.of(found.label)]
            best = max((scores.iou(t, (found.x0, found.y0, found.x1, found.y1)) for t in true), default=0.0)
            pairs.append((found.confidence, best >= 0.4))
    return pairs


def measure(model: Model, per_task: int, baseline_per_task: int, tasks: Sequence[str] = TASKS) -> dict[str, Any]:
    """The table: per task n, mean and interval, and the blank and shuffled means on the first items of each task."""
    items = held_out_items(per_task, "en", tasks=tasks)
    seen = ask_tasks(model, items, "seen")
    few = {task: group[:baseline_per_task] for task, group in items.items()}
    guessed = {condition: ask_tasks(model, few, condition) for condition in ("blank", "shuffled")}
    table: dict[str, Any] = {}
    sure: list[tuple[float, bool]] = []
    for task, answered in seen.items():
        values = [v for item, answer in answered for v in score(item, answer)]
        row = {"n": len(values), "questions": len(answered)} | scores.summary(values)
        for condition, by_task in guessed.items():
            row[condition] = scores.mean([v for item, answer in by_task[task] for v in score(item, answer)])
        if task == "count":
            row["mae"] = scores.mean([count_error(item, answer) for item, answer in answered])
        row["unanswered"] = scores.mean([float(not answer.text) for _, answer in answered])
        sure += [pair for item, answer in answered for pair in confidences(item, answer)]
        table[task] = row
        print(task, row, flush=True)
    if "box" not in tasks:
        return table
    table["calibration"] = {
        "n": len(sure),
        "ece": scores.calibration_error([c for c, _ in sure], [r for _, r in sure]),
        "accuracy": scores.mean([float(r) for _, r in sure]),
    }
    return table

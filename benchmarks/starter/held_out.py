"""Held-out phantoms and the questions about them, as a folder of samples that `vesalius evaluate samples` reads."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vesalius.dialogue.samples import CountTarget, Media, Sample, Tags, Targets, Turn, write_samples
from vesalius.phantoms.pictures import draw_picture
from vesalius.phantoms.questions import Question, make_questions
from vesalius.phantoms.splits import HELD_OUT
from vesalius.phantoms.truth import PairTruth, Truth
from vesalius.phantoms.write_media import write_label_picture, write_picture
from vesalius.phantoms.write_targets import located_objects, targets_of
from vesalius.study.items import Origin, Picture

__all__ = [
    "TASKS", "Item", "held_out_items", "picture_media", "picture_of", "rows_with", "sample_of", "write_items",
]  # fmt: skip

TASKS = ("modality", "plane", "region", "present", "side", "count", "box", "point", "mask", "size", "report")


@dataclass(frozen=True)
class Item:
    """One question about one held-out phantom."""

    truth: Truth
    question: Question


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


def picture_of(truth: Truth) -> Picture:
    """The phantom as a picture that names no modality, with its pixel spacing."""
    height, width = truth.pixels.shape[:2]
    return Picture(width, height, lambda: truth.pixels, Origin("array"), (truth.spacing_mm, truth.spacing_mm))


def write_items(folder: Path, items: Mapping[str, Sequence[Item]], baseline: int) -> int:
    """Write `samples.jsonl` with its pictures and masks; returns how many rows the first `baseline` of each task make.

    These come first, for the passes without the right picture ask a number of first rows. Reports go by themselves:
    their long answers would hold the short ones of a batch up.
    """
    few = {task: group[:baseline] for task, group in items.items()}
    rest = {task: group[baseline:] for task, group in items.items()}
    ordered = [item for part in (few, rest) for item in _ordered(part)]
    rows_with(folder, _rows(folder, ordered))
    return sum(map(len, few.values()))


def _ordered(items: Mapping[str, Sequence[Item]]) -> Iterator[Item]:
    """Alike numbers of objects make prompts of alike length, and little padding in a batch; questions about one picture
    stand together and share one look at it."""
    reports = list(items.get("report", ()))
    others = [item for task, group in items.items() if task != "report" for item in group]
    for pool in (others, reports):
        yield from sorted(pool, key=lambda item: (len(item.truth.objects), item.truth.seed))


def _rows(folder: Path, items: Iterable[Item]) -> Iterator[Sample]:
    asked: defaultdict[int, int] = defaultdict(int)
    for item in items:
        seed = item.truth.seed
        yield sample_of(
            f"{seed}-{asked[seed]}", item.question, (picture_media(folder, item.truth),), item.truth, folder
        )
        asked[seed] += 1


def picture_media(folder: Path, truth: Truth, name: str | None = None) -> Media:
    """A phantom's picture, written once, with its pixel spacing; it names no modality."""
    path = f"images/{name or truth.seed}.png"
    if not (folder / path).exists():
        write_picture(folder / path, truth.pixels)
    return Media(kind="image", path=path, meta={"spacing_mm": truth.spacing_mm})


def sample_of(
    name: str, question: Question, media: tuple[Media, ...], truth: Truth | PairTruth | None, folder: Path
) -> Sample:
    """A question with its exact targets and their masks. Its tags name no modality: pictures are exchanged with any
    others."""
    shown = truth.current if isinstance(truth, PairTruth) else truth
    targets = Targets() if truth is None else _targets(question, truth, f"{name}", folder)
    return Sample(
        id=name,
        lang=question.lang,
        media=media,
        turns=(
            Turn(role="user", text=question.prompt),
            Turn(role="assistant", text=question.answer, targets=targets),
        ),
        tags=Tags(area=shown.region if shown else "unknown", task=question.task),
    )


def _targets(question: Question, truth: Truth | PairTruth, name: str, folder: Path) -> Targets:
    objects = located_objects(truth, name)
    targets = targets_of(question, objects, truth)
    if question.task == "count" and not targets.counts:  # of any finding
        count = CountTarget(label=question.truth.get("label") or "finding", count=question.truth["count"])
        targets = targets.model_copy(update={"counts": (count,)})
    files: dict[str, NDArray[np.uint8]] = {}
    for one in objects if targets.masks else ():
        if one.mask is not None and one.mask_path is not None and one.mask_value is not None:
            labels = files.setdefault(one.mask_path, np.zeros(one.mask.shape, np.uint8))
            labels[one.mask] = one.mask_value
    for path in {mask.path for mask in targets.masks} & files.keys():
        write_label_picture(folder / str(path), files[str(path)])
    return targets


def rows_with(folder: Path, rows: Iterable[Sample]) -> Path:
    """Any samples as the folder's file."""
    folder.mkdir(parents=True, exist_ok=True)
    write_samples(folder / "samples.jsonl", rows)
    return folder

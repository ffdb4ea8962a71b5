"""Chinese and Arabic: the same scores on fewer questions; questions no picture answers in all three; and findings that
a question takes for granted though they are not there."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.starter.harness import METRICS, Bench, row_of
from benchmarks.starter.held_out import held_out_items, picture_media, rows_with, sample_of, write_items
from vesalius.dialogue.samples import Sample
from vesalius.dialogue.scene_text import LOOKED_FOR
from vesalius.phantoms.pictures import draw_picture
from vesalius.phantoms.questions import make_questions
from vesalius.phantoms.splits import HELD_OUT

__all__ = ["TASKS", "measure"]

TASKS = ("present", "side", "count", "report")


def measure(bench: Bench, per_task: int) -> dict[str, Any]:
    """Per language and task: n, mean, interval; the share of unanswerable questions that are declined, and
    of absent findings that are called so."""
    table: dict[str, Any] = {}
    for lang in ("zh", "ar"):
        items = held_out_items(per_task, lang, first=50_000, tasks=TASKS)
        summary = bench.scored(lang, write_items(bench.data(lang), items, per_task // 2))
        for task in TASKS:
            table[f"{lang} {task}"] = row_of(summary, task, METRICS.get(task, "accuracy"))
            print(lang, task, table[f"{lang} {task}"], flush=True)
    for name, rows in (
        ("unanswerable", partial(unanswerable, count=per_task, with_picture=True)),
        ("no picture", partial(unanswerable, count=per_task, with_picture=False)),
        ("taken for granted, not there", partial(not_there, count=2 * per_task)),
    ):
        rows_with(folder := bench.data(name), rows(folder))
        table[name] = row_of(bench.scored(name, max_new_tokens=60), None, "accuracy")
        print(name, table[name], flush=True)
    return table


def not_there(folder: Path, count: int) -> Iterator[Sample]:
    """English questions that take a finding for granted which could be in such a picture and is not; right is what says
    that it is not."""
    made = 0
    for seed in HELD_OUT[65_000:]:
        truth = draw_picture(seed, size=(256, 256))
        rng = random.Random(seed)
        possible = LOOKED_FOR.get((truth.modality, truth.region), ())
        for question in make_questions(truth, rng, "en", ["side", "mask"]):
            if question.truth.get("label") in possible and not question.truth["present"]:
                yield sample_of(f"{seed}-{question.task}", question, (picture_media(folder, truth),), truth, folder)
                made += 1
        if made >= count:
            return


def unanswerable(folder: Path, count: int, with_picture: bool) -> Iterator[Sample]:
    """Questions that no picture answers, or asked without one; right is what says so."""
    for seed in HELD_OUT[60_000 : 60_000 + count]:
        truth = draw_picture(seed, size=(256, 256))
        rng = random.Random(seed)
        lang = rng.choice(("en", "zh", "ar"))
        questions = make_questions(truth, rng, lang, ["unknown"]) if with_picture else make_questions(None, rng, lang)
        question = rng.choice(questions)
        yield sample_of(str(seed), question, (picture_media(folder, truth),) if with_picture else (), None, folder)

"""Chinese and Arabic: the same scores on fewer questions, and questions no picture answers in all three."""

from __future__ import annotations

import random
import re
from typing import Any

import numpy as np

from benchmarks.starter import scores
from benchmarks.starter.phantoms import BATCH, ask_tasks, held_out_items, picture_of, score
from vesalius.inference.model import Model
from vesalius.phantoms.pictures import draw_picture
from vesalius.phantoms.questions import make_questions
from vesalius.phantoms.splits import HELD_OUT

TASKS = ("present", "side", "count", "report")
UNKNOWN = re.compile(r"cannot|can't|not possible|无法|不能|لا يمكن")


def measure(model: Model, per_task: int) -> dict[str, Any]:
    """Per language and task: n, mean, interval; and the share of unanswerable questions that are declined."""
    table: dict[str, Any] = {}
    for lang in ("zh", "ar"):
        items = held_out_items(per_task, lang, first=50_000, tasks=TASKS)
        few = {task: group[: per_task // 2] for task, group in items.items()}
        answered = {
            "seen": ask_tasks(model, items, "seen"),
            "blank": ask_tasks(model, few, "blank"),
            "shuffled": ask_tasks(model, few, "shuffled"),
        }
        for task in TASKS:
            values = {c: [v for one in by_task[task] for v in score(*one)] for c, by_task in answered.items()}
            guessed = {condition: scores.mean(values[condition]) for condition in ("blank", "shuffled")}
            table[f"{lang} {task}"] = scores.summary(values["seen"]) | guessed
            print(lang, task, table[f"{lang} {task}"], flush=True)
    for name, with_picture in (("unanswerable", True), ("no picture", False)):
        table[name] = scores.summary(_declined(model, per_task, with_picture))
        print(name, table[name], flush=True)
    return table


def _declined(model: Model, count: int, with_picture: bool) -> list[float]:
    requests: list[tuple[Any, str | None]] = []
    wanted: list[str] = []
    for seed in HELD_OUT[60_000 : 60_000 + count]:
        truth = draw_picture(seed, size=(256, 256))
        rng = random.Random(seed)
        lang = rng.choice(("en", "zh", "ar"))
        questions = make_questions(truth, rng, lang, ["unknown"]) if with_picture else make_questions(None, rng, lang)
        question = rng.choice(questions)
        requests.append((picture_of(truth) if with_picture else None, question.prompt))
        wanted.append(question.answer)
    answers = model.ask_batch(requests, batch_size=BATCH, max_new_tokens=60)
    if with_picture:
        return [float(bool(UNKNOWN.search(answer.text))) for answer in answers]
    return [float(np.all(answer.text == right)) for answer, right in zip(answers, wanted, strict=True)]

"""Held-out pairs (what has changed?) and clips (does it move?), beside blank and shuffled pictures."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.starter import scores
from benchmarks.starter.phantoms import BATCH, picture_of
from vesalius.dialogue.understand import understand
from vesalius.inference.model import Model
from vesalius.phantoms.clips import draw_clip
from vesalius.phantoms.pairs import draw_pair
from vesalius.phantoms.questions import Question, make_questions
from vesalius.phantoms.splits import HELD_OUT
from vesalius.phantoms.truth import ClipTruth, PairTruth
from vesalius.study.items import Clip, Origin

CONDITIONS = ("seen", "blank", "shuffled")
CHANGED = {
    "new": r"\bnew\b",
    "resolved": r"\bgone\b",
    "grown": r"\bgrown\b",
    "shrunk": r"\bshrunk\b",
    "unchanged": r"\bunchanged\b",
    "more": r"\bmore\b",
    "fewer": r"\bfewer\b",
}
FRAMES = 8


def measure(model: Model, pairs: int, clips: int, baseline: int) -> dict[str, Any]:
    """Change over `pairs` pairs, motion over `clips` clips; the baselines on the first `baseline` of each."""
    return {
        "change between two pictures, F1": _table(model, _pairs(pairs), _pair_media, change_f1, baseline),
        "moving or still (clip)": _table(model, _clips(clips), _clip_media, motion_told, baseline),
    }


Asked = tuple[Any, Question]


def _table(
    model: Model,
    asked: Sequence[Asked],
    media: Callable[[Any, Any, bool], Any],
    score: Callable[[str, str], float],
    baseline: int,
) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for condition in CONDITIONS:
        own = asked if condition == "seen" else asked[:baseline]
        values: list[float] = []
        for start in range(0, len(own), BATCH):
            group = own[start : start + BATCH]
            requests: list[tuple[Any, str | None]] = []
            for n, (truth, question) in enumerate(group):
                other = own[(start + n + len(own) // 2) % len(own)][0] if condition == "shuffled" else truth
                requests.append((media(truth, other, condition == "blank"), question.prompt))
            said = model.ask_batch(requests, batch_size=BATCH, max_new_tokens=160)
            values += [score(answer.text, question.answer) for answer, (_, question) in zip(said, group, strict=True)]
        row |= scores.summary(values) if condition == "seen" else {condition: scores.mean(values)}
    print(row, flush=True)
    return row


def _pairs(count: int) -> list[Asked]:
    asked: list[Asked] = []
    for seed in HELD_OUT[80_000 : 80_000 + count]:
        truth = draw_pair(seed, size=(256, 256))
        asked.append((truth, make_questions(truth, random.Random(seed), "en", ["change"])[0]))
    return asked


def _clips(count: int) -> list[Asked]:
    asked: list[Asked] = []
    for seed in HELD_OUT[90_000:]:
        truth = draw_clip(seed, FRAMES)
        question = make_questions(truth, random.Random(seed), "en", ["motion"])[0]
        if motion_of(question.answer) is not None:
            asked.append((truth, question))
        if len(asked) == count:
            break
    return asked


def _pair_media(truth: PairTruth, other: PairTruth, blank: bool) -> Any:
    return [
        picture_of(own, np.full_like(own.pixels, 128) if blank else shown.pixels)
        for own, shown in ((truth.prior, other.prior), (truth.current, other.current))
    ]


def _clip_media(_: ClipTruth, other: ClipTruth, blank: bool) -> Any:
    frames = [np.full_like(f.pixels, 128) if blank else f.pixels for f in other.frames]
    rgb = [f if f.ndim == 3 else np.repeat(f[..., None], 3, 2) for f in frames]
    height, width = rgb[0].shape[:2]
    spacing = (other.frames[0].spacing_mm, other.frames[0].spacing_mm)
    return Clip(width, height, np.asarray(other.times_s), lambda k: [rgb[i] for i in k], Origin("array"), spacing)


def changes_of(text: str) -> set[tuple[str, str]]:
    """(label, change) of every sentence that tells one."""
    told: set[tuple[str, str]] = set()
    for sentence in re.split(r"(?<=[.!?])\s+", text):
        change = next((name for name, pattern in CHANGED.items() if re.search(pattern, sentence.lower())), None)
        label = understand(sentence).label
        if change is not None and label is not None:
            told.add((label, change))
    return told


def change_f1(text: str, right: str) -> float:
    """F1 of the changes told; where there is nothing to tell, 1 for an answer that tells none."""
    said, meant = changes_of(text), changes_of(right)
    if not said and not meant:
        return 1.0
    return 2 * len(said & meant) / (len(said) + len(meant))


def motion_of(text: str) -> str | None:
    """Whether an answer says moving or still; None for neither or both."""
    said = [word for word in ("moving", "still") if re.search(rf"\b{word}\b", text.lower())]
    return said[0] if len(said) == 1 else None


def motion_told(text: str, right: str) -> float:
    """1 for the right word."""
    return float(motion_of(text) == motion_of(right))

"""Held-out pairs (what has changed?) and clips (does it move?), beside blank and exchanged pictures."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.starter.harness import METRICS, Bench, row_of
from benchmarks.starter.held_out import picture_media, rows_with, sample_of
from vesalius.dialogue.samples import Media, Sample
from vesalius.evaluation.scoring.named import parse_named
from vesalius.phantoms.clips import draw_clip
from vesalius.phantoms.pairs import draw_pair
from vesalius.phantoms.questions import make_questions
from vesalius.phantoms.splits import HELD_OUT
from vesalius.phantoms.write_media import write_picture

__all__ = ["measure"]

FRAMES = 8


def measure(bench: Bench, pairs: int, clips: int, baseline: int) -> dict[str, Any]:
    """Change over `pairs` pairs, motion over `clips` clips; the baselines on the first `baseline` of each."""
    rows_with(folder := bench.data("pairs"), pair_rows(folder, pairs))
    change = row_of(bench.scored("pairs", min(baseline, pairs)), "change", METRICS["change"])
    rows_with(folder := bench.data("clips"), clip_rows(folder, clips))
    motion = row_of(bench.scored("clips", min(baseline, clips)), "motion", "accuracy")
    print(change, motion, sep="\n", flush=True)
    return {"change between two pictures, F1": change, "moving or still (clip)": motion}


def pair_rows(folder: Path, count: int) -> Iterator[Sample]:
    """One question about what has changed for each pair."""
    for seed in HELD_OUT[80_000 : 80_000 + count]:
        truth = draw_pair(seed, size=(256, 256))
        question = make_questions(truth, random.Random(seed), "en", ["change"])[0]
        media = tuple(
            picture_media(folder, one, f"{seed}-{when}")
            for when, one in (("prior", truth.prior), ("current", truth.current))
        )
        yield sample_of(str(seed), question, media, truth, folder)


def clip_rows(folder: Path, count: int) -> Iterator[Sample]:
    """One question for each clip in which what it asks about moves or is still; frames as pictures, without loss."""
    made = 0
    for seed in HELD_OUT[90_000:]:
        if made == count:
            return
        truth = draw_clip(seed, FRAMES)
        question = make_questions(truth, random.Random(seed), "en", ["motion"])[0]
        if parse_named(question.answer, "motion", "en").answer is None:
            continue
        for number, frame in enumerate(truth.frames):
            write_picture(folder / f"clips/{seed}/{number:03}.png", frame.pixels)
        yield sample_of(str(seed), question, (Media(kind="video", path=f"clips/{seed}"),), None, folder)
        made += 1

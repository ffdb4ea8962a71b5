"""What costs no model: the most frequent answer, a random and the longest option, "no", constant boxes and counts.

Every score is printed beside these; a model below them has learned nothing a table could show.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vesalius.errors import VesaliusError
from vesalius.evaluation.contract import Benchmark, Sample
from vesalius.evaluation.prediction import Prediction
from vesalius.evaluation.scoring import answers, measures, places, reports, trees
from vesalius.evaluation.scoring.item import ItemScore
from vesalius.evaluation.summary import Figure, figure_of
from vesalius.findings.normal_text import normalise

__all__ = ["Guess", "baseline_figures", "item_guesses", "training_samples"]

_TYPES = ("question_type", "answer_type", "content_type", "task")
Guess = Callable[[Sample], Mapping[str, float] | None]


def training_samples(benchmark: Benchmark, read: Callable[[str], Sequence[Sample]]) -> Sequence[Sample]:
    """The train split, nothing where the benchmark has none or it is not in the folder."""
    if "train" not in benchmark.splits:
        return ()
    try:
        return read("train")
    except (VesaliusError, OSError):
        return ()


def baseline_figures(
    samples: Sequence[Sample], items: Sequence[ItemScore], train: Sequence[Sample], resamples: int, seed: int
) -> tuple[dict[str, Figure], list[str]]:
    """(name → figure, notes). `items`: the scored items of `samples`, whose clusters the intervals use."""
    known = train or samples
    notes = [] if train else ["Most frequent answers and median counts are of the scored split itself: no train split."]
    guesses = item_guesses(known) | {"constant report": ("rouge_l", _constant_report(samples, known))}
    found: dict[str, Figure] = {}
    ordered = sorted(zip(samples, items, strict=True), key=lambda pair: pair[0].id)
    for name, (metric, guess) in guesses.items():
        guessed: list[ItemScore] = []
        for sample, item in ordered:
            scores = guess(sample)
            if scores is not None and metric in scores:
                guessed.append(
                    ItemScore(item.id, item.kind, None, "ok", scores=scores, cluster=item.cluster, images=item.images)
                )
        if guessed:
            found[name] = figure_of(metric, guessed, resamples, seed)
            if metric == "iou":
                found[f"{name}, acc@0.5"] = figure_of("acc@0.5", guessed, resamples, seed)
    return found | _mask_baselines(items, resamples, seed), notes


def _mask_baselines(items: Sequence[ItemScore], resamples: int, seed: int) -> dict[str, Figure]:
    """Dice of marking everything, and nothing."""
    masks = sorted((item for item in items if item.kind == "mask"), key=lambda item: item.id)
    found: dict[str, Figure] = {}
    for name in ("everything marked", "nothing marked") if masks else ():
        rows: list[ItemScore] = []
        for item in masks:
            true, whole = item.answer["true"], item.answer["whole"]
            dice = 2.0 * true / (true + whole) if name.startswith("every") else float(not true)
            rows.append(replace(item, scores={"dice": dice}, ratios={}))
        found[name] = figure_of("dice", rows, resamples, seed)
    return found


def item_guesses(known: Sequence[Sample]) -> dict[str, tuple[str, Guess]]:
    """Name → (metric, guess) of the baselines that answer one item at a time. `known`: items whose truth they know."""
    return {
        "most frequent answer": ("accuracy", _most_frequent(known)),
        "random option (expected)": ("accuracy", _random),
        "longest option": ("accuracy", _longest),
        "always no": ("accuracy", _always_no),
        "whole image": ("iou", _constant_box(0.0, 1.0)),
        "centre half": ("iou", _constant_box(0.25, 0.75)),
        "median count": ("count_exact", _median_count(known)),
        "median measurement": ("within_10", _median_measure(known)),
    }


def _type(sample: Sample) -> tuple[str, ...]:
    tag = next((sample.tags[key] for key in _TYPES if key in sample.tags), "")
    return sample.kind, sample.lang, tag


def _most_frequent(known: Sequence[Sample]) -> Guess:
    """By kind, language and question type; by kind and language where the train split lacks the type."""
    counts: dict[tuple[str, ...], Counter[str]] = {}
    for sample in known:
        if sample.kind in answers.KINDS or sample.kind == "tree":
            for key in (_type(sample), _type(sample)[:2]):
                counts.setdefault(key, Counter()).update([_plain(sample)])
    # The first in order of text among equally frequent ones: no figure depends on the order of rows.
    most = {key: min(found, key=lambda text: (-found[text], text)) for key, found in counts.items()}

    def guess(sample: Sample) -> Mapping[str, float] | None:
        if sample.kind not in answers.KINDS and sample.kind != "tree":
            return None
        text = most.get(_type(sample), most.get(_type(sample)[:2]))
        if sample.kind == "tree":
            return {"accuracy": float(text is not None and text == _plain(sample))}
        return answers.score_answer(sample, text)

    return guess


def _plain(sample: Sample) -> str:
    if sample.kind == "tree":
        return "; ".join(sorted(map(str, sample.gold)))
    if sample.kind == "mcq":
        return answers.true_letter(sample)
    return normalise(answers.texts_of(sample.gold)[0])


def _random(sample: Sample) -> Mapping[str, float] | None:
    classes: Any = sample.extra.get("classes") or ()
    num = len(sample.options or ()) if sample.kind == "mcq" else 2 if sample.kind == "yesno" else 0
    num = num or (len(classes) if sample.kind == "closed" else 0)
    return {"accuracy": 1.0 / num} if num else None


def _longest(sample: Sample) -> Mapping[str, float] | None:
    if sample.kind != "mcq" or not sample.options:
        return None
    options = sample.options
    return answers.score_answer(sample, max(options, key=lambda letter: len(options[letter])))


def _always_no(sample: Sample) -> Mapping[str, float] | None:
    if sample.kind == "yesno":
        return answers.score_answer(sample, "no")
    # Below a "no" nothing is asked: every other question of a tree stays without an answer.
    return trees.score_node(sample, None if sample.options else ("no",))[0] if sample.kind == "tree" else None


def _constant_report(samples: Sequence[Sample], known: Sequence[Sample]) -> Guess:
    wanted = [sample for sample in samples if sample.kind == "report"]
    scores: dict[str, Mapping[str, float]] = {}
    for lang in sorted({sample.lang for sample in wanted}):
        texts = Counter(
            answers.texts_of(sample.gold)[0] for sample in known if sample.kind == "report" and sample.lang == lang
        )
        if not texts:
            continue
        text = min(texts, key=lambda one: (-texts[one], one))
        asked = [sample for sample in wanted if sample.lang == lang]
        found = reports.score_reports([(sample, Prediction(sample.id, raw=text)) for sample in asked])
        scores |= {sample.id: row[2] for sample, row in zip(asked, found, strict=True)}
    return lambda sample: scores.get(sample.id)


def _constant_box(low: float, high: float) -> Guess:
    def guess(sample: Sample) -> Mapping[str, float] | None:
        if sample.kind == "box3d":
            size: Sequence[float] = sample.extra.get("shape", (1.0, 1.0, 1.0))
        elif sample.kind in ("box", "count_box") and sample.size:
            size = sample.size
        else:
            return None
        box = [*(low * side for side in size), *(high * side for side in size)]
        return places.score_places(sample, places.Places([box], None, "ok"), places.truth_of(sample))[0]

    return guess


def _median_count(known: Sequence[Sample]) -> Guess:
    counts = [places.truth_of(sample).count for sample in known if sample.kind.startswith("count")]
    numbers = [count for count in counts if count is not None]
    median = statistics.median_low(numbers) if numbers else None

    def guess(sample: Sample) -> Mapping[str, float] | None:
        if median is None or not sample.kind.startswith("count"):
            return None
        return places.score_places(sample, places.Places([], median, "ok"), places.truth_of(sample))[0]

    return guess


def _median_measure(known: Sequence[Sample]) -> Guess:
    """Of each number, by what is measured."""
    held: dict[str, list[list[float]]] = {}
    for sample in known:
        if sample.kind == "measure":
            held.setdefault(str(sample.extra.get("label", "")), []).append(measures.true_measure(sample))

    def guess(sample: Sample) -> Mapping[str, float] | None:
        if sample.kind != "measure":
            return None
        rows = held.get(str(sample.extra.get("label", "")), [])
        like = [row for row in rows if len(row) == len(measures.true_measure(sample))]
        medians = [statistics.median(values) for values in zip(*like, strict=True)] if like else None
        return measures.score_measure(sample, medians)[0]

    return guess

"""Scoring speed: ROUGE-L beside the rouge-score package, structured reports, 100,000 answers, the bootstrap.

All data is generated (seeded); every row runs in this one process, one thread, in processor time. Both sides get the
same pairs and have to give equal values.   Run: python benchmarks/metrics.py --pairs 5000
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

REPEATS = 5
"""Times our ROUGE is run: it is too short to be measured once. The mean is told, stems made anew each time."""


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def reports(num: int, rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """Pairs of report-long texts over 3,000 words of Zipf frequency; the prediction keeps about 70 % of the words."""
    letters = np.array(list("abcdefghilmnoprstuv"))
    known = ["".join(rng.choice(letters, rng.integers(2, 12))) for _ in range(3000)]
    true, said = [], []
    for _ in range(num):
        words = [known[min(int(k), 2999)] for k in rng.zipf(1.3, rng.integers(40, 100))]
        true.append(" ".join(words))
        said.append(" ".join(word for word in words if rng.random() > 0.3) + " " + words[0])
    return said, true


def rouge_rows(num: int, rng: np.random.Generator) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    from vesalius.evaluation.metrics import rouge as module
    from vesalius.evaluation.metrics.rouge import rouge

    def ours_repeated(stemmer: bool) -> Any:
        found: Any = None
        for _ in range(REPEATS):
            module._STEMS.clear()
            found = rouge(said, true, ["rougeL"], stemmer=stemmer)["rougeL"].f1
        return found

    said, true = reports(num, rng)
    for stemmer in (True, False):
        scorer = RougeScorer(["rougeL"], use_stemmer=stemmer)
        rouge(["warm"], ["up"], ["rougeL"], stemmer=stemmer)
        ours, found = timed(lambda stemmer=stemmer: ours_repeated(stemmer))
        ours /= REPEATS
        theirs, listed = timed(
            lambda scorer=scorer: [scorer.score(b, a)["rougeL"].fmeasure for a, b in zip(said, true, strict=True)]
        )
        apart = float(np.abs(found - listed).max())
        name = "with stems" if stemmer else "plain"
        times = f"{ours:.3f} s, rouge-score {theirs:.2f} s: {theirs / ours:.0f}x"
        print(f"ROUGE-L {name}, {num} pairs: {times}, apart {apart:g}", flush=True)


def answer_rows(num: int, rng: np.random.Generator) -> None:
    from vesalius.evaluation.metrics.classification import class_scores, correct
    from vesalius.evaluation.metrics.normal_text import exact_matches
    from vesalius.evaluation.metrics.rouge import rouge
    from vesalius.evaluation.metrics.token_overlap import token_overlap
    from vesalius.evaluation.statistics import bootstrap_mean, cluster_items

    true = [str(letter) for letter in rng.choice(list("ABCD"), num)]
    said = [letter if rng.random() < 0.7 else None for letter in true]
    patients = rng.integers(0, num // 5, num).tolist()

    def closed() -> Any:
        class_scores(said, true)
        return bootstrap_mean(correct(said, true), cluster_items(num, patients))

    print(f"{num} closed answers with their clustered interval: {timed(closed)[0]:.2f} s")
    parts = "left right upper lower lobe nodule effusion pleural small large opacity none".split()
    openly = [" ".join(rng.choice(parts, 6)) for _ in range(num)]
    other = openly[1:] + openly[:1]

    def opened() -> Any:
        exact_matches(other, openly)
        token_overlap(other, openly)
        return bootstrap_mean(rouge(other, openly)["rougeL"].f1, cluster_items(num, patients))

    print(f"{num} open answers (exact, tokens, ROUGE-1/2/L, clustered interval): {timed(opened)[0]:.2f} s")
    boxes = rng.random((num, 2, 2)) * 500
    boxes = np.sort(boxes, axis=1).reshape(num, 4)

    def placed() -> Any:
        from vesalius.evaluation.metrics.detection import box_detection

        return box_detection(list(boxes[:, None]), list(boxes[::-1, None]))

    print(f"{num} images with a box each, one-to-one: {timed(placed)[0]:.2f} s")
    scores = rng.random(10_000)
    for resamples in (2000, 10_000):
        spent = timed(lambda resamples=resamples: bootstrap_mean(scores, resamples=resamples))[0]
        print(f"interval of 10,000 different scores, {resamples} resamples: {spent:.2f} s")


def tree_rows(rng: np.random.Generator) -> None:
    from vesalius.evaluation.metrics.rad_restruct import AnswerTree, complete_reports, score_report_trees

    paths: list[str] = []
    ids: list[int] = []
    kinds: dict[str, str] = {}
    while len(kinds) < 718:
        topic = f"area {len(kinds)}_signs"
        asked = [(["yes", "no"], topic, "", "single_choice")]
        for e in range(9):
            asked.append((["yes", "no"], f"{topic}_element {e}", "_0", "single_choice"))
            for kind in ("body_region", "attributes"):
                asked.append(
                    ([f"o{k}" for k in range(4)] + ["unspecified"], f"{topic}_element {e}_{kind}", "_0", "multi_choice")
                )
        for options, stem, suffix, kind in asked:
            ids += [len(kinds)] * len(options)
            kinds[str(len(kinds))] = kind
            paths += [f"{stem}_{option}{suffix}" for option in options]
    tree = AnswerTree.from_paths(paths, ids, kinds)
    flags = tree.all_no(360)
    for question in tree.questions:
        if question.yes_no:
            flags[:, question.columns[0]] = rng.random(360) < 0.3
            flags[:, question.columns[1]] = 1 - flags[:, question.columns[0]]
    true = complete_reports(tree, flags)
    spent = timed(lambda: score_report_trees(tree, tree.all_no(360), true))[0]
    print(f"360 structured reports, {len(tree.questions)} questions, {len(tree.paths)} paths: {spent:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5000)
    parser.add_argument("--answers", type=int, default=100_000)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    rouge_rows(options.pairs, rng)
    tree_rows(rng)
    answer_rows(options.answers, rng)


if __name__ == "__main__":
    main()

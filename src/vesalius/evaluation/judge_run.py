"""A stored run put to a judge: open and closed answers against their references, conversations against their rubrics.

Writes `judgements.<judge>.jsonl` (a line per case) and `judgements.<judge>.json` beside the predictions. What the rule
scorer found stands untouched in `summary.json`: a judge's figures are further figures, and say whose they are.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from vesalius.errors import InputError
from vesalius.evaluation.contract import Benchmark, Sample
from vesalius.evaluation.human_labels import read_labels
from vesalius.evaluation.judges import Case, Judge, Verdict, prompt_id
from vesalius.evaluation.prediction import Prediction
from vesalius.evaluation.run_folder import RunFolder
from vesalius.evaluation.scoring.answers import texts_of
from vesalius.evaluation.statistics import KappaInterval, bootstrap_kappa, bootstrap_mean, cluster_items
from vesalius.evaluation.summary import Figure
from vesalius.evaluation.summary_text import number
from vesalius.evaluation.survey import read_split
from vesalius.findings.answer_text import prepare
from vesalius.findings.parse_answer import parse_answer
from vesalius.findings.writing import replacing

__all__ = ["Judged", "cases_of", "judge_run"]


@dataclass(frozen=True)
class Judged:
    """What a judge made of a run.

    `figure`: mean verdict (`judged_accuracy`), or mean share of rubric points (`rubric`), over the items all of whose
    verdicts are there.  `failed`: items without one; `low_bound`, `high_bound`: the figure if all of those were wrong,
    or right.  `sources`: how many verdicts came from where.  `served`: models a server said it used.  `agreement`: with
    a file of human labels, over the cases both have; `unlabelled`: cases it does not name.
    """

    judge: str
    prompts: Mapping[str, str]
    figure: Figure
    items: int
    failed: int
    low_bound: float
    high_bound: float
    sources: Mapping[str, int]
    served: tuple[str, ...]
    agreement: KappaInterval | None = None
    unlabelled: int = 0
    failures: Mapping[str, int] = field(default_factory=dict[str, int])

    def to_json(self) -> dict[str, Any]:
        """As `judgements.<judge>.json` holds it."""
        return {"vesalius_judged": 1, **asdict(self)}

    def lines(self) -> list[str]:
        """What a person is told."""
        one = self.figure
        interval = "–" if one.low is None else f"{number(one.low)} to {number(one.high)}"
        told = [
            f"{one.metric}: {number(one.value)} ({interval}), n = {one.n} of {self.items}, {one.clusters} {one.unit}"
        ]
        if self.failed:
            bounds = f"between {number(self.low_bound)} and {number(self.high_bound)} had they been judged"
            reasons = "; ".join(f"{count} × {reason}" for reason, count in list(self.failures.items())[:3])
            told.append(f"without a verdict: {self.failed} items, left out; {bounds} ({reasons})")
        told.append("verdicts: " + ", ".join(f"{count} {name}" for name, count in self.sources.items()))
        if self.served:
            told.append(f"model named by the server: {', '.join(self.served)}")
        if len(self.served) > 1:
            told.append("the server used several models: these verdicts are not of one judge")
        if self.agreement is not None:
            a = self.agreement
            kappa = f"kappa {a.kappa:.4f} ({a.low:.4f} to {a.high:.4f})"
            told.append(f"against the labels: {kappa}, equal {100 * a.share:.1f} %, n = {a.n}")
        if self.unlabelled:
            told.append(f"without a label: {self.unlabelled} cases")
        return told

    def __str__(self) -> str:
        return "\n".join([f"judged by {self.judge}", *(f"  {line}" for line in self.lines())])


def judge_run(
    path: str | PathLike[str],
    judge: Judge,
    *,
    data: str | PathLike[str] | None = None,
    benchmark: Benchmark | None = None,
    labels: str | PathLike[str] | None = None,
    resamples: int = 2000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Judged | None:
    """Put the open, closed and conversation items of a run to a judge and write what it says; None where it has none.

    `labels`: a file of human labels (or another judge's `judgements.*.jsonl`) to agree with. Raises InputError when the
    run or the labels cannot be used, ModelError when the judge cannot be reached: its verdicts so far are kept.
    """
    run = RunFolder(path, benchmark)
    manifest = run.manifest
    folder = run.data if data is None else Path(data)
    rows = {row.id: row for row in run.predictions()}
    told = {} if labels is None else read_labels(Path(labels))
    cases: list[Case] = []
    owners: dict[str, tuple[Sample, Prediction]] = {}
    for sample in read_split(run.benchmark, folder, manifest["split"], manifest["limit"]):
        if sample.id not in rows:
            continue
        for case in cases_of(sample, rows[sample.id]):
            cases.append(case)
            owners[case.id] = sample, rows[sample.id]
    if not cases:
        return None
    strangers = told.keys() - owners.keys()
    if strangers:
        raise InputError(f"{len(strangers)} labels are of no case of this run (first {min(strangers)!r}).", file=labels)
    with run.locked():
        verdicts = judge.judge(cases, progress)
        found = _judged(judge, cases, verdicts, owners, told, resamples, seed)
        _write(run.path, judge.id, verdicts, found)
    return found


def cases_of(sample: Sample, prediction: Prediction) -> list[Case]:
    """What a judge is asked of an item: one case for an open or closed answer, one for each criterion of a rubric,
    named by the item's id and the criterion's number; nothing for other kinds."""
    failed = prediction.finish_reason == "error"
    if sample.kind in ("open", "closed"):
        said = parse_answer(prediction.raw, "open", None, sample.lang, prediction.finish_reason)
        answer = None if failed else said.answer
        return [Case(sample.id, sample.question, tuple(texts_of(sample.gold)), answer)]
    if sample.kind != "chat" or not isinstance(sample.gold, list | tuple):
        return []
    said_text = prepare(prediction.raw)
    reply = None if failed or said_text.is_empty or said_text.is_open else said_text.shown
    turns = [f"{turn['role']}: {turn['content']}" for turn in sample.earlier]
    asked = "\n".join([*turns, f"user: {sample.question}"])
    return [
        Case(f"{sample.id}#{number}", asked, (str(one["criterion"]),), reply, "criterion")
        for number, one in enumerate(sample.gold, 1)
    ]


def _judged(
    judge: Judge,
    cases: Sequence[Case],
    verdicts: Sequence[Verdict],
    owners: Mapping[str, tuple[Sample, Prediction]],
    labels: Mapping[str, int],
    resamples: int,
    seed: int,
) -> Judged:
    by_item: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_item.setdefault(owners[verdict.id][0].id, []).append(verdict)
    scores: dict[str, float | None] = {}
    bounds: list[tuple[float, float]] = []
    pairs: dict[str, tuple[Sample, Prediction]] = {sample.id: (sample, row) for sample, row in owners.values()}
    for key, found in by_item.items():
        low, high = (_item_score(pairs[key][0], found, missing) for missing in (False, True))
        bounds.append((low, high))
        scores[key] = None if any(one.correct is None for one in found) else low
    kept = [key for key, score in scores.items() if score is not None]
    metric = "rubric" if any(case.kind == "criterion" for case in cases) else "judged_accuracy"
    figure = Figure(metric, None, None, None, 0, 0, "item")
    if kept:
        patients = [pairs[key][0].cluster for key in kept]
        clusters = cluster_items(len(kept), patients, [pairs[key][1].images or None for key in kept])
        values = [score for key in kept if (score := scores[key]) is not None]
        mean = bootstrap_mean(values, clusters, resamples=resamples, seed=seed)
        low, high = round(mean.low, 12), round(mean.high, 12)
        figure = Figure(metric, round(mean.value, 12), low, high, mean.n, mean.clusters, mean.unit)
    both = [verdict for verdict in verdicts if verdict.correct is not None and verdict.id in labels]
    kappa = None
    if both:
        clusters = cluster_items(
            len(both), [owners[one.id][0].cluster for one in both], [owners[one.id][1].images or None for one in both]
        )
        ratings = [one.correct for one in both], [labels[one.id] for one in both]
        kappa = bootstrap_kappa(*ratings, clusters, resamples=resamples, seed=seed)
    sources = Counter(verdict.source for verdict in verdicts)
    failures = Counter(verdict.reason for verdict in verdicts if verdict.correct is None)
    return Judged(
        judge=judge.id,
        prompts={case.kind: prompt_id(case.kind) for case in sorted(cases, key=lambda case: case.kind)},
        figure=figure,
        items=len(by_item),
        failed=len(by_item) - len(kept),
        low_bound=sum(low for low, _ in bounds) / len(bounds),
        high_bound=sum(high for _, high in bounds) / len(bounds),
        sources={name: sources[name] for name in ("exact", "rule", "cache", "judge", "failed") if sources[name]},
        served=tuple(sorted({verdict.served for verdict in verdicts if verdict.served})),
        agreement=kappa,
        unlabelled=len(cases) - sum(case.id in labels for case in cases) if labels else 0,
        failures=dict(failures.most_common()),
    )


def _item_score(sample: Sample, verdicts: Sequence[Verdict], missing: bool) -> float:
    """0 to 1; verdicts that are missing count for the item where `missing`, else against it. Rubrics: points of the
    criteria met over all points above 0, clipped to [0, 1]."""
    if sample.kind != "chat":
        (one,) = verdicts
        return float(missing if one.correct is None else one.correct)
    points = [float(one["points"]) for one in sample.gold]
    best = sum(value for value in points if value > 0)
    met = [
        (value > 0) == missing if one.correct is None else bool(one.correct)
        for value, one in zip(points, verdicts, strict=True)
    ]
    return min(1.0, max(0.0, sum(value for value, is_met in zip(points, met, strict=True) if is_met) / best))


def _write(folder: Path, judge: str, verdicts: Sequence[Verdict], found: Judged) -> None:
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in judge)[:80]
    with replacing(folder / f"judgements.{name}.jsonl") as temporary, temporary.open("w", encoding="utf-8") as file:
        for verdict in verdicts:
            file.write(json.dumps(asdict(verdict), ensure_ascii=True) + "\n")
    with replacing(folder / f"judgements.{name}.json") as temporary:
        text = json.dumps(found.to_json(), ensure_ascii=True, indent=1)
        temporary.write_text(text + "\n", encoding="utf-8")

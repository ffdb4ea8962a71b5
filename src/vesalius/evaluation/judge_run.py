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
from vesalius.evaluation.scoring.reports import read_report
from vesalius.evaluation.statistics import KappaInterval, bootstrap_kappa, bootstrap_mean, cluster_items
from vesalius.evaluation.summary import Figure
from vesalius.evaluation.summary_text import number
from vesalius.evaluation.survey import read_split
from vesalius.findings.answer_text import prepare
from vesalius.findings.parse_answer import parse_answer
from vesalius.findings.writing import replacing

__all__ = ["Judged", "cases_of", "judge_run"]


REPORT_METRIC = "crimson"


@dataclass(frozen=True)
class JudgedReports:
    """`figure`: mean CRIMSON (-1 to 1), a report without a verdict counting 0. `failed`: how many those are.
    `findings`: over all reports, how many were matched, missing and invented."""

    figure: Figure
    failed: int
    findings: Mapping[str, int]


@dataclass(frozen=True)
class Judged:
    """What a judge made of a run.

    `figure`: mean verdict (`judged_accuracy`) or mean share of rubric points (`rubric`) over all items, one without a
    verdict counting as wrong; of a run of reports alone their CRIMSON.  `failed`: items without a verdict; `of_judged`:
    the mean over the others; `low_bound`, `high_bound`: the figure if those were as bad, or as good, as can be.
    `reports`: of the reports among the items.  `sources`: how many verdicts came from where.  `served`: models a server
    said it used.  `agreement`: with a file of human labels, over the cases both have; `unlabelled`: cases it does not
    name.
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
    of_judged: float | None = None
    reports: JudgedReports | None = None

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
            rest = "" if self.of_judged is None else f"; {number(self.of_judged)} over the others"
            told.append(f"without a verdict: {self.failed} items, counted wrong{rest}; {bounds} ({reasons})")
        if self.reports is not None:
            found, counts = self.reports.figure, self.reports.findings
            if found.metric != one.metric:
                told.append(f"{found.metric} of {found.n} reports: {number(found.value)}, {self.reports.failed} failed")
            told.append("findings: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
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
    """What a judge is asked of an item: one case for an open or closed answer or a report, one for each criterion of
    a rubric, named by the item's id and the criterion's number; nothing for other kinds."""
    failed = prediction.finish_reason == "error"
    if sample.kind in ("open", "closed"):
        said = parse_answer(prediction.raw, "open", None, sample.lang, prediction.finish_reason)
        answer = None if failed else said.answer
        return [Case(sample.id, sample.question, tuple(texts_of(sample.gold)), answer)]
    if sample.kind == "report":
        text, status = read_report((sample, prediction))
        said_report = None if failed or status in ("empty", "refused", "error") else text
        return [Case(sample.id, sample.question, (texts_of(sample.gold)[0],), said_report, "report")]
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
    pairs: dict[str, tuple[Sample, Prediction]] = {sample.id: (sample, row) for sample, row in owners.values()}
    reports = [key for key in by_item if pairs[key][0].kind == "report"]
    others = [key for key in by_item if pairs[key][0].kind != "report"]
    chat = any(case.kind == "criterion" for case in cases)
    metric = "rubric" if chat else "judged_accuracy" if others else REPORT_METRIC
    shown = others or reports
    bounds = {
        key: tuple(_item_score(pairs[key][0], found, missing) for missing in (False, True))
        for key, found in by_item.items()
    }
    kept = [key for key in shown if all(one.correct is not None for one in by_item[key])]
    counted = {key: _counted(pairs[key][0], by_item[key]) for key in by_item}
    figure = _figure(metric, shown, counted, pairs, resamples, seed)
    of_reports = None
    if reports:
        told = [one.findings or {} for key in reports for one in by_item[key]]
        of_reports = JudgedReports(
            _figure(REPORT_METRIC, reports, counted, pairs, resamples, seed),
            sum(any(one.correct is None for one in by_item[key]) for key in reports),
            {name: sum(one.get(name, 0) for one in told) for name in ("matched", "missing", "invented")},
        )
    both = [
        verdict for verdict in verdicts
        if verdict.correct is not None and verdict.id in labels and owners[verdict.id][0].kind != "report"
    ]  # fmt: skip
    kappa = None
    if both:
        clusters = cluster_items(
            len(both), [owners[one.id][0].cluster for one in both], [owners[one.id][1].images or None for one in both]
        )
        ratings = [int(one.correct or 0) for one in both], [labels[one.id] for one in both]
        kappa = bootstrap_kappa(*ratings, clusters, resamples=resamples, seed=seed)
    sources = Counter(verdict.source for verdict in verdicts)
    failures = Counter(verdict.reason for verdict in verdicts if verdict.correct is None)
    return Judged(
        judge=judge.id,
        prompts={case.kind: prompt_id(case.kind) for case in sorted(cases, key=lambda case: case.kind)},
        figure=figure,
        items=len(shown),
        failed=len(shown) - len(kept),
        of_judged=sum(counted[key] for key in kept) / len(kept) if kept else None,
        low_bound=sum(bounds[key][0] for key in shown) / len(shown),
        high_bound=sum(bounds[key][1] for key in shown) / len(shown),
        sources={name: sources[name] for name in ("exact", "rule", "cache", "judge", "failed") if sources[name]},
        served=tuple(sorted({verdict.served for verdict in verdicts if verdict.served})),
        agreement=kappa,
        unlabelled=len(cases) - sum(case.id in labels for case in cases) if labels else 0,
        failures=dict(failures.most_common()),
        reports=of_reports,
    )


def _figure(
    metric: str,
    keys: Sequence[str],
    values: Mapping[str, float],
    pairs: Mapping[str, tuple[Sample, Prediction]],
    resamples: int,
    seed: int,
) -> Figure:
    patients = [pairs[key][0].cluster for key in keys]
    clusters = cluster_items(len(keys), patients, [pairs[key][1].images or None for key in keys])
    mean = bootstrap_mean([values[key] for key in keys], clusters, resamples=resamples, seed=seed)
    low, high = round(mean.low, 12), round(mean.high, 12)
    return Figure(metric, round(mean.value, 12), low, high, mean.n, mean.clusters, mean.unit)


def _counted(sample: Sample, verdicts: Sequence[Verdict]) -> float:
    """An item's part of the figure: without a verdict an answer is wrong and a report says nothing."""
    if sample.kind == "report":
        (one,) = verdicts
        return float(one.correct or 0.0)
    return _item_score(sample, verdicts, False)


def _item_score(sample: Sample, verdicts: Sequence[Verdict], missing: bool) -> float:
    """0 to 1, of reports -1 to 1; verdicts that are missing count for the item where `missing`, else against it.
    Rubrics: points of the criteria met over all points above 0, clipped to [0, 1]."""
    if sample.kind == "report":
        (one,) = verdicts
        return (1.0 if missing else -1.0) if one.correct is None else float(one.correct)
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

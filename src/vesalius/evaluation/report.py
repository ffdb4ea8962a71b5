"""What a scored run leaves for people: `report.html`, `table.tex`, `summary.csv`, `scores.csv` beside its summary.

Pure, as scoring is: the same predictions, data and profile give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vesalius.errors import InputError, OptionError
from vesalius.evaluation.baselines import item_guesses
from vesalius.evaluation.contract import Benchmark, Sample
from vesalius.evaluation.passes import MAIN
from vesalius.evaluation.prediction import Prediction
from vesalius.evaluation.profiles import profile_named
from vesalius.evaluation.reporting.errors import ErrorCase, informative, leading_score, weighed
from vesalius.evaluation.reporting.page import Page, report_page
from vesalius.evaluation.reporting.tables import latex_table, scores_csv, summary_csv
from vesalius.evaluation.run_folder import RunFolder
from vesalius.evaluation.scoring.item import ItemScore
from vesalius.evaluation.scoring.items import groups_of, score_items
from vesalius.evaluation.summary import Summary
from vesalius.evaluation.survey import read_split
from vesalius.findings.writing import replacing

if TYPE_CHECKING:
    from vesalius.evaluation.judge_run import Judged

__all__ = ["FILES", "MOST_ERRORS", "write_report"]

FILES = ("report.html", "table.tex", "summary.csv", "scores.csv")
MOST_ERRORS = 50


def write_report(
    path: str | PathLike[str],
    summary: Summary,
    *,
    data: str | PathLike[str] | None = None,
    benchmark: Benchmark | None = None,
    errors: int = MOST_ERRORS,
    judged: Sequence[Judged] = (),
) -> tuple[Path, ...]:
    """Write the four files into the run folder that `summary` was scored from, and say where they are.

    `errors`: how many the page shows with their pictures; 0 leaves questions, answers and pictures out, so that the
    page holds figures alone. `data`, `benchmark`: as `score_run` took them. `judged`: what judges said, for the page.
    Raises InputError when the run was not scored, OptionError for a number of errors below 0 or above 1000.
    """
    if not 0 <= errors <= 1000:
        raise OptionError(f"errors is {errors}; it must be 0 to 1000.")
    run = RunFolder(path, benchmark)
    items = _stored_scores(run.path / "scores.jsonl")
    cases, total = _cases(run, summary, items, data, errors)
    leading = [value for item in items.values() if (value := leading_score(item, summary.primary)) is not None]
    page = report_page(Page(summary, tuple(items.values()), tuple(leading), tuple(cases), total, tuple(judged)))
    texts = {
        "report.html": page,
        "table.tex": latex_table(summary),
        "summary.csv": summary_csv(summary),
        "scores.csv": scores_csv(list(items.values())),
    }
    for name in FILES:
        with replacing(run.path / name) as temporary:
            temporary.write_bytes(texts[name].encode("utf-8", "replace"))
    return tuple(run.path / name for name in FILES)


def _stored_scores(path: Path) -> dict[str, ItemScore]:
    """Id → score, in stored order."""
    found: dict[str, ItemScore] = {}
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                row: dict[str, Any] = json.loads(line)
                ratios = {key: (pair[0], pair[1]) for key, pair in row.get("ratios", {}).items()}
                found[row["id"]] = ItemScore(
                    row["id"], row["kind"], row["answer"], row["status"], row["rule"], row["scores"], ratios
                )
    except (OSError, ValueError, KeyError) as exc:
        raise InputError("holds no scores.", file=path, fix="Run vesalius score first.") from exc
    return found


def _cases(
    run: RunFolder,
    summary: Summary,
    items: Mapping[str, ItemScore],
    data: str | PathLike[str] | None,
    count: int,
) -> tuple[list[ErrorCase], int]:
    """(the most telling errors, with their media; how many errors there are)."""
    manifest = run.manifest
    folder = run.data if data is None else Path(data)

    def read() -> Any:
        return read_split(run.benchmark, folder, manifest["split"], manifest["limit"])

    # Embedded pictures would fill the memory: the chosen items are read again with theirs.
    samples = {one.id: _without_media(one) for one in read() if one.id in items}
    guesses = item_guesses(list(samples.values()))
    predictions = {row.id: row for row in run.predictions() if row.id in items}
    wrong = {
        key
        for key, item in items.items()
        if (value := leading_score(item, summary.primary)) is not None and value < 0.5 and key in predictions
    }
    elsewhere = _other_passes(run, summary, samples, wrong)
    cases: list[ErrorCase] = []
    for key in wrong:
        item = replace(items[key], groups=groups_of(samples[key]))
        others = {name: found[key] for name, found in elsewhere.items() if key in found}
        case = weighed(samples[key], predictions[key], item, summary.primary, guesses, others)
        cases += [case] if case is not None else []
    chosen = informative(cases, count, {table.group for table in summary.tables})
    wanted = {case.item.id: None for case in chosen}
    whole: dict[str, Sample] = {}
    for one in read() if wanted else ():
        if one.id in wanted:
            whole[one.id] = one
            if len(whole) == len(wanted):
                break
    return [replace(case, sample=whole[case.item.id]) for case in chosen], len(cases)


def _without_media(sample: Sample) -> Sample:
    return replace(sample, media=tuple(replace(medium, source=b"") for medium in sample.media))


def _other_passes(
    run: RunFolder, summary: Summary, samples: Mapping[str, Sample], wrong: set[str]
) -> dict[str, dict[str, ItemScore]]:
    """Pass → id → score, of the items that are wrong in the main pass."""
    rules = profile_named(summary.profile, run.benchmark.name)
    found: dict[str, dict[str, ItemScore]] = {}
    for one in run.passes():
        if one.name == MAIN or not (run.path / one.file).exists():
            continue
        pairs: list[tuple[Sample, Prediction]] = [
            (samples[row.id], row) for row in run.predictions(one.name) if row.id in wrong
        ]
        found[one.name] = {item.id: item for item in score_items(pairs, run.benchmark, rules)} if pairs else {}
    return found

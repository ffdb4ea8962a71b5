"""Scoring a stored run: pure, so that the same predictions, data and profile give the same bytes.

Writes `scores.jsonl` (a line per item) and `summary.json` beside the predictions. No model is run, nothing is guessed:
an answer that is unparsed, refused, cut off or missing because the model failed is wrong, and the divisor is the
number of items.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from vesalius.errors import InputError
from vesalius.evaluation.ablations import ablated, over_orders, over_repeats
from vesalius.evaluation.baselines import baseline_figures, training_samples
from vesalius.evaluation.contract import Benchmark, Sample
from vesalius.evaluation.frame_warning import frame_warnings
from vesalius.evaluation.passes import MAIN
from vesalius.evaluation.prediction import Prediction
from vesalius.evaluation.profiles import profile_named
from vesalius.evaluation.robustness import corruption_rows, shift_rows
from vesalius.evaluation.run_folder import RunFolder
from vesalius.evaluation.scoring.average_precision import average_precision
from vesalius.evaluation.scoring.item import ItemScore
from vesalius.evaluation.scoring.items import score_items
from vesalius.evaluation.scoring.learned import with_learned
from vesalius.evaluation.scoring.published_figures import published_figures
from vesalius.evaluation.scoring.trees import macro_f1
from vesalius.evaluation.summary import LEADING, Summary, table_of
from vesalius.evaluation.survey import asked_of, read_split, survey
from vesalius.findings.writing import replacing

__all__ = ["score_run", "scored_items"]

MOST_VALUES = 40
"""A tag with more values than this makes no sub-tables."""


def score_run(
    path: str | PathLike[str],
    profile: str = "strict",
    *,
    partial: bool = False,
    data: str | PathLike[str] | None = None,
    benchmark: Benchmark | None = None,
    resamples: int = 2000,
    seed: int = 0,
    metrics: Sequence[str] = (),
) -> Summary:
    """Score the run in folder `path` (one benchmark's) and write `scores.jsonl` and `summary.json` there.

    `profile`: a name of `profiles.PROFILES`, or "published". `partial`: score what is there and say so. `data`: where
    the benchmark's files lie now, if they were moved. `benchmark`: for one the registry does not name. `resamples`,
    `seed`: of the intervals. `metrics`: names of `metrics.learned.LEARNED` to add to texts, each with "=DIR" behind it
    where its weights lie in a folder.

    Raises InputError when predictions are missing, come twice or belong to no item, or the data are not those asked;
    OptionError for an unknown profile or metric, or one without a rule for the task; WeightsMissingError for a metric
    whose weights are not here.
    """
    run = RunFolder(path, benchmark)
    manifest = run.manifest
    chosen = run.benchmark
    rules = profile_named(profile, chosen.name)
    folder = run.data if data is None else Path(data)
    samples = _samples(chosen, folder, manifest, run.path)
    asked = {sample.id: sample for sample in samples}
    rows = _rows(run, MAIN, asked, manifest, partial)
    pairs = [(asked[key], rows[key]) for key in asked if key in rows]
    if not pairs:
        raise InputError("there is no prediction to score.", file=run.path, fix="Run vesalius evaluate first.")
    items = with_learned(score_items(pairs, chosen, rules), pairs, metrics)
    by_id = {item.id: item for item in items}
    scored = [sample for sample, _ in pairs]

    def read_train(split: str) -> list[Sample]:
        return [replace(sample, media=()) for sample in read_split(chosen, folder, split, None)]

    train = training_samples(chosen, read_train) if manifest["split"] != "train" else ()
    baselines, notes = baseline_figures(scored, items, train, resamples, seed)
    groups, left_out = _groups(items)
    notes += [f"No sub-tables by {name}: more than {MOST_VALUES} values." for name in left_out]
    notes += frame_warnings(pairs, items)
    extra: dict[str, Any] = {}
    primary = _primary(chosen.primary, items)
    others: dict[str, list[ItemScore]] = {}
    for one in run.passes():
        if one.name == MAIN or not (run.path / one.file).exists():
            continue
        more = _rows(run, one.name, asked, manifest, partial)
        others[one.name] = score_items([(asked[key], more[key]) for key in asked if key in more], chosen, rules)
    if nodes := [(sample, by_id[sample.id].answer) for sample in scored if sample.kind == "tree"]:
        extra["f1_macro"] = macro_f1([sample for sample, _ in nodes], [answer for _, answer in nodes])
    extra |= average_precision(pairs, items)
    extra |= published_figures(rules, chosen, pairs, items, folder)
    extra |= over_orders(run.passes(), others, by_id, primary) | over_repeats(run.passes(), others, items, primary)
    runs = {MAIN: items, **others}
    robustness = corruption_rows(run.passes(), runs, primary, resamples, seed)
    if "shift" in chosen.derived:
        robustness += shift_rows(chosen.derived["shift"], run.passes(), runs, primary, resamples, seed)
    notes += chosen.remarks(folder, manifest["split"]) if chosen.remarks else []
    unjudged = sum(item.status == "not judged" for item in items)
    notes += [f"{unjudged} of {len(items)} items need a judge and are not judged."] if unjudged else []
    missing = len(asked) - len(pairs)
    notes += [f"Partial: {missing} of {len(asked)} items have no prediction and are left out."] if missing else []
    notes += _picture_notes(run, scored, {name: len(rows) for name, rows in others.items()})
    summary = Summary(
        benchmark=chosen.name,
        title=chosen.title,
        split=manifest["split"],
        model=str(manifest["model"]["name"]),
        profile=rules.name,
        primary=primary,
        defects=rules.defects,
        overall=table_of("all", items, resamples, seed),
        tables=tuple(table_of(name, groups[name], resamples, seed) for name in sorted(groups)),
        baselines=baselines,
        passes=tuple(ablated(run.passes(), others, by_id, primary, resamples, seed, groups)),
        extra=extra,
        notes=tuple(notes),
        missing=missing,
        dataset_sha256=manifest["dataset_sha256"],
        resamples=resamples,
        seed=seed,
        robustness=robustness,
    )
    _write(run.path, items, summary)
    return summary


def _picture_notes(run: RunFolder, samples: Sequence[Sample], counts: Mapping[str, int]) -> list[str]:
    """Which baselines of the pictures were asked of a sample, and which not at all, so that their absence is seen in
    every report. `counts`: answers of each other pass."""
    words = {"blank": "blank pictures", "shuffle": "exchanged pictures", "none": "the question alone"}
    if "imported" in run.manifest:
        return [f"Not asked: {', '.join(words.values())}; the answers were imported and no model is at hand to ask."]
    seeing = sum(bool(sample.media) for sample in samples)
    if not seeing:
        return []
    notes: list[str] = []
    asked = [one for one in run.passes() if one.ablation is not None and counts.get(one.name)]
    few = [one for one in asked if one.sample is not None and one.sample < seeing]
    if few:
        told = ", ".join(f"{words[str(one.ablation)]} ({counts[one.name]})" for one in few)
        notes.append(f"Asked of items drawn by seed {few[0].seed} from {seeing}: {told} (all: --image-ablation all).")
    if left := words.keys() - {one.ablation for one in asked}:
        named = [name for name in words if name in left]
        options = " ".join(f"--image-ablation {name}" for name in named)
        notes.append(
            f"Not asked: {', '.join(words[name] for name in named)}; what the score owes to the pictures stays open "
            f"({options})."
        )
    return notes


def scored_items(
    path: str | PathLike[str], profile: str = "strict", *, data: str | PathLike[str] | None = None
) -> tuple[str, str, dict[str, ItemScore]]:
    """(benchmark, model, id → score) of a run's main pass; nothing is written. Raises as `score_run`."""
    run = RunFolder(path)
    manifest, chosen = run.manifest, run.benchmark
    folder = run.data if data is None else Path(data)
    asked = {sample.id: sample for sample in _samples(chosen, folder, manifest, run.path)}
    rows = _rows(run, MAIN, asked, manifest, False)
    items = score_items([(asked[key], rows[key]) for key in asked], chosen, profile_named(profile, chosen.name))
    return chosen.name, str(manifest["model"]["name"]), {item.id: item for item in items}


def _samples(benchmark: Benchmark, folder: Path, manifest: Mapping[str, Any], run: Path) -> list[Sample]:
    """The items asked, without their media, once their hash is found to be that of the run."""
    kept: list[Sample] = []

    def passing() -> Iterator[Sample]:
        for sample in read_split(benchmark, folder, manifest["split"], manifest["limit"]):
            kept.append(sample)
            yield sample
            # Embedded pictures would fill the memory; whether there were any is all that is asked later.
            if sample.media:
                kept[-1] = replace(sample, media=tuple(replace(medium, source=b"") for medium in sample.media))

    found = survey(passing(), folder, benchmark.name)
    if found.sha256 != manifest["dataset_sha256"]:
        raise InputError(
            f"the data in {folder} are not those of the run ({len(found.ids)} items, {manifest['items']} asked).",
            file=run,
            fix="Name the folder that was asked with --data, or run the benchmark again.",
        )
    return kept


def _rows(
    run: RunFolder, name: str, asked: Mapping[str, Sample], manifest: Mapping[str, Any], partial: bool
) -> dict[str, Prediction]:
    """Id → row of a pass. InputError unless its ids are those asked; `partial`: some may be missing."""
    one = next(p for p in run.passes() if p.name == name)
    rows = {row.id: row for row in run.predictions(name)}
    left_out = set(manifest["passes"][name].get("left_out", ()))
    wanted = asked_of(one, asked.values()).keys() - left_out
    foreign, missing = rows.keys() - wanted, wanted - rows.keys()
    if foreign:
        raise InputError(
            f"{len(foreign)} predictions are of no item of this run (first {min(foreign)!r}).",
            file=run.path / one.file,
            fix="Keep one run's predictions in a folder.",
        )
    if missing and not partial:
        raise InputError(
            f"{len(missing)} of {len(wanted)} predictions are missing (first {min(missing)!r}).",
            file=run.path / one.file,
            fix="Run vesalius evaluate again: it asks what is missing. Or score what is there with --partial.",
        )
    return rows


def _groups(items: Sequence[ItemScore]) -> tuple[dict[str, list[ItemScore]], list[str]]:
    """(group → items, tags left out). A group that holds all items is the overall table and is not said again."""
    groups: dict[str, list[ItemScore]] = {}
    for item in items:
        for name in item.groups:
            groups.setdefault(name, []).append(item)
    keys = [name.partition("=")[0] for name in groups]
    many = sorted({key for key in keys if keys.count(key) > MOST_VALUES})
    kept = {name: rows for name, rows in groups.items() if name.partition("=")[0] not in many}
    return {name: rows for name, rows in kept.items() if len(rows) < len(items)}, many


def _primary(wanted: str, items: Sequence[ItemScore]) -> str:
    """The metric a table leads with: the benchmark's, else the first known one its items have."""
    names = {name for item in items for name in (*item.scores, *item.ratios)}
    return next((name for name in (wanted, *LEADING) if name in names), wanted)


def _write(folder: Path, items: Sequence[ItemScore], summary: Summary) -> None:
    with replacing(folder / "scores.jsonl") as temporary, temporary.open("w", encoding="utf-8") as file:
        for item in items:
            file.write(json.dumps(item.row(), ensure_ascii=False) + "\n")
    with replacing(folder / "summary.json") as temporary:
        text = json.dumps(summary.to_json(), ensure_ascii=False, indent=1)
        temporary.write_text(text + "\n", encoding="utf-8", errors="replace")

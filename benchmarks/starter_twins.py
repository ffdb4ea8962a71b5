"""A model on the generated twins of benchmarks, with blank and exchanged pictures and the baselines that cost no model.

Each twin is written as `vesalius phantom --as NAME` writes it, asked and scored as `vesalius evaluate` does. Stopped at
any moment, the same command goes on. A twin says how a model does on phantoms, nothing about the real benchmark.

Run: python benchmarks/starter_twins.py [--limit 100] [--names slake vqa-rad …] [--model starter] [--out DIR]
     [--page docs/starter-on-twins.md]
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import vesalius
from vesalius.errors import VesaliusError
from vesalius.evaluation.benchmarks import benchmark
from vesalius.evaluation.fingerprint import Sampling
from vesalius.evaluation.passes import passes_of
from vesalius.evaluation.predict import predict
from vesalius.evaluation.score import score_run
from vesalius.evaluation.summary import Figure, Summary
from vesalius.evaluation.twins import write_twin
from vesalius.findings.writing import replacing
from vesalius.inference.identity import identify

NAMES = (
    "slake", "vqa-rad", "pathvqa", "pmc-vqa", "omnimedvqa", "medxpertqa-mm", "iu-xray", "slake-boxes", "nih-chestxray8",
    "medvision-boxes", "medmultipoints", "m3d-vqa",
)  # fmt: skip
HEADER = (
    "twin", "profile", "n", "metric", "score", "95 % interval", "unread %", "refused %", "cut off %", "failed %",
    "blank pictures", "exchanged pictures", "baselines",
)  # fmt: skip
ABOUT = """\
Answers at temperature 0 to questions about held-out phantoms, in the layout of the benchmark named; nothing here tells
how a model does on the benchmark itself. A score below its baselines, or kept with blank or exchanged pictures, owes
nothing to the pictures. Places are read by the published grammar (strict) and mended where that is plain (tolerant).
"""


def twin_of(name: str, folder: Path, count: int, seed: int) -> Path:
    """The twin's folder; written whole under another name first, so that a stopped run leaves no half of one."""
    if not folder.exists():
        unfinished = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        write_twin(name, unfinished, count=count, seed=seed)
        unfinished.rename(folder)
    return folder


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def row(summary: Summary) -> list[str]:
    """The line of a scored twin."""
    lead = summary.overall.figure(summary.primary) or Figure(summary.primary, None, None, None, summary.n, 0, "item")
    interval = "–" if lead.low is None else f"{number(lead.low)} to {number(lead.high)} ({lead.clusters} {lead.unit}s)"
    rates = [f"{100 * summary.overall.rates[k]:.1f}" for k in ("parse_failure", "refusal", "truncation", "error")]
    passes = {one.name: number(one.figure.value) for one in summary.passes}
    shown = [passes.get(name, "–") for name in ("blank", "shuffle")]
    told = [f"{name} {number(one.value)}" for name, one in summary.baselines.items() if one.metric == summary.primary]
    score = [str(lead.n), lead.metric, number(lead.value), interval]
    return [summary.title, summary.profile, *score, *rates, *shown, "; ".join(told) or "–"]


def scored(folder: Path) -> list[Summary]:
    """Under the default rules; places also mended where that is plain. The folder keeps the default scores."""
    strict = score_run(folder)
    if strict.overall.figure(f"{strict.primary} (tolerant)") is None:
        return [strict]
    return [score_run(folder, "tolerant"), score_run(folder)][::-1]


def table(rows: Sequence[Sequence[str]]) -> str:
    lines = [HEADER, ["---"] * len(HEADER), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |\n" for cells in lines)


def page(model: str, limit: int, seed: int, names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    command = f"python benchmarks/starter_twins.py --limit {limit} --seed {seed} --names {' '.join(names)}"
    return f"# {model} on generated twins\n\nWritten by `{command}`.\n\n{ABOUT}\n{table(rows)}"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--limit", type=int, default=100, help="questions of each twin")
    options.add_argument("--names", nargs="+", default=list(NAMES), metavar="NAME")
    options.add_argument("--model", default="starter")
    options.add_argument("--out", type=Path, default=Path("runs/starter-twins"))
    options.add_argument("--page", type=Path, help="write the table into this page")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--batch", type=int, default=8)
    options.add_argument("--max-new-tokens", type=int, default=256)
    given = options.parse_args()
    try:
        names = [benchmark(name).name for name in given.names]  # a wrong name is told before a model is loaded
    except VesaliusError as problem:
        raise SystemExit(str(problem)) from problem
    place = given.out / f"seed{given.seed}-limit{given.limit}"
    model, identity = vesalius.load(given.model), identify(given.model, given.model)
    sampling = Sampling(max_new_tokens=given.max_new_tokens)
    rows: list[list[str]] = []
    for name in names:
        try:
            data = twin_of(name, place / "data" / name, given.limit, given.seed)
            run = predict(
                name, data, model, place / "run", identity=identity, limit=given.limit, sampling=sampling,
                passes=passes_of(("blank", "shuffle")), batch=given.batch,
            )  # fmt: skip
            summaries = scored(run.path)
        except VesaliusError as problem:
            raise SystemExit(f"{name}: {problem}") from problem
        rows += [row(summary) for summary in summaries]
        print("\n".join(" | ".join(row(summary)) for summary in summaries), flush=True)
    print(table(rows))
    if given.page is not None:
        with replacing(given.page) as temporary:
            temporary.write_text(page(given.model, given.limit, given.seed, names, rows), encoding="utf-8")


if __name__ == "__main__":
    main()

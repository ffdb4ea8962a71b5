"""The model card's figures from runs of `vesalius evaluate samples`: asked, stored, scored and read off the summary."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vesalius.errors import ModelError
from vesalius.evaluation.fingerprint import Sampling
from vesalius.evaluation.passes import Pass
from vesalius.evaluation.predict import predict
from vesalius.evaluation.run_folder import RunFolder
from vesalius.evaluation.score import score_run
from vesalius.evaluation.summary import Figure, Summary, Table
from vesalius.inference.identity import identify
from vesalius.inference.model import Model

__all__ = ["BATCH", "METRICS", "Bench", "row_of"]

BATCH = 16
METRICS = {
    "count": "count_exact",
    "box": "iou (per true box)",
    "point": "point_recall",
    "mask": "dice",
    "size": "within_15",
    "report": "finding_f1",
    "change": "change_f1",
}
"""Task → the figure the card shows; accuracy for all others."""
_PASSES = {"blank": "blank", "shuffled": "shuffle"}


@dataclass(frozen=True)
class Bench:
    """A model, how it was named, and the folder its data and runs go into. A run that is there goes on."""

    model: Model
    place: str
    out: Path

    def data(self, part: str) -> Path:
        """Where the samples of a part are written."""
        folder = self.out / "data" / part
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def scored(self, part: str, baseline: int | None = None, max_new_tokens: int = 200) -> Summary:
        """Ask the samples of a part, the first `baseline` of blank and exchanged pictures, too, and score them.

        ModelError when an answer failed: a card counts what was answered wrong, not what broke.
        """
        passes = [Pass("main")]
        if baseline:
            passes += [Pass(name, ablation=name, limit=baseline) for name in ("blank", "shuffle")]
        run = predict(
            "samples", self.data(part), self.model, self.out / "runs" / part, identity=identify(self.place),
            passes=passes, sampling=Sampling(max_new_tokens), batch=BATCH,
        )  # fmt: skip
        broken = [row for one in passes for row in run.predictions(one.name) if row.finish_reason == "error"]
        if broken:
            raise ModelError(f"{len(broken)} answers failed; the first: {broken[0].error}.", file=run.path)
        return score_run(run.path)

    def run(self, part: str) -> RunFolder:
        """The stored answers of a part."""
        return RunFolder(self.out / "runs" / part / "samples")


def row_of(summary: Summary, task: str | None, metric: str) -> dict[str, Any]:
    """n, mean, interval, and what blank and exchanged pictures gave, of a task; None: of all items."""
    group = f"task={task}"
    row = _row(_figure(summary.table(group) or summary.overall, metric))
    for name, stored in _PASSES.items():
        one = next((one for one in summary.passes if one.name == stored), None)
        table = None if one is None else one.table(group) or one.table("all")
        if table is not None:
            row[name] = _number(_figure(table, metric).value)
    return row


def _figure(table: Table, metric: str) -> Figure:
    found = table.figure(metric)
    return found if found is not None else Figure(metric, None, None, None, 0, 0, "item")


def _row(figure: Figure) -> dict[str, Any]:
    told = {"mean": figure.value, "low": figure.low, "high": figure.high}
    return {"n": figure.n, **{name: _number(value) for name, value in told.items()}}


def _number(value: float | None) -> float:
    return float("nan") if value is None else value

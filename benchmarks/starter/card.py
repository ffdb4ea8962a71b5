"""The model card's measured part, written between two marks so the text around it stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

AIMS = {
    "present": "≥ .95",
    "side": "≥ .95",
    "count": "≥ .85",
    "box": "≥ .75",
    "point": "≥ .90",
    "mask": "≥ .90",
    "report": "≥ .90",
}
NAMES = {
    "modality": "modality",
    "plane": "plane",
    "region": "body region",
    "present": "yes/no finding",
    "side": "side",
    "count": "count, exact (≤ 10 objects)",
    "box": "box, mean IoU",
    "point": "point within 5 % of the width",
    "mask": "mask, Dice (2D)",
    "size": "size within 15 %",
    "report": "report, finding F1",
}


def write_card(results: dict[str, Any], folder: Path, readme: Path) -> None:
    """Tables into `README.md` of the weights folder, raw numbers beside it, the short table into `readme`."""
    (folder / "measured.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    _between(folder / "README.md", "measured", tables(results))
    if "phantoms" in results:
        _between(readme, "starter table", _phantoms(results["phantoms"]))


def _between(path: Path, mark: str, text: str) -> None:
    begin, end = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
    before, _, rest = path.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def tables(results: dict[str, Any]) -> str:
    """The measured part as Markdown."""
    parts = [
        f"Measured on {results['date']} at commit {results['commit']} ({results['machine']}), weights of recipe "
        f"`{results['weights']}`, by `python -m benchmarks.starter --write`. Intervals: 95 % bootstrap over items.",
    ]
    if "phantoms" in results:
        parts += ["### Held-out phantoms", _phantoms(results["phantoms"])]
    if "languages" in results:
        parts += ["### Chinese, Arabic, and questions no picture answers", _plain(results["languages"])]
    if "volumes" in results:
        aim = {"organs": "≥ .85", "findings": "≥ .85"}
        parts += ["### Held-out phantom volumes (3D mask Dice)", _plain(results["volumes"], aim)]
    if "real" in results:
        parts += ["### Real held-out volumes: smoke figures, not a benchmark", _real(results["real"])]
    return "\n\n".join(parts)


def _number(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"


def _phantoms(rows: dict[str, Any]) -> str:
    lines = [
        "| task | n | figure | 95 % interval | blank picture | shuffled picture | aim |",
        "|---|---|---|---|---|---|---|",
    ]
    for task, name in NAMES.items():
        row = rows[task]
        lines.append(
            f"| {name} | {row['n']} | **{_number(row['mean'])}** | {_number(row['low'])}–{_number(row['high'])} | "
            f"{_number(row['blank'])} | {_number(row['shuffled'])} | {AIMS.get(task, '')} |"
        )
        if "mae" in row:
            lines.append(f"| count, mean absolute error | {row['n']} | **{_number(row['mae'])}** | | | | ≤ .3 |")
    sure = rows["calibration"]
    lines.append(
        f"| confidence of boxes, expected calibration error | {sure['n']} | **{_number(sure['ece'])}** | | | | |"
    )
    return "\n".join(lines)


def _plain(rows: dict[str, Any], aim: dict[str, str] | None = None) -> str:
    lines = ["| what | n | figure | 95 % interval | aim |", "|---|---|---|---|---|"]
    for name, row in rows.items():
        span = f"{_number(row['low'])}–{_number(row['high'])}"
        lines.append(f"| {name} | {row['n']} | **{_number(row['mean'])}** | {span} | {(aim or {}).get(name, '')} |")
    return "\n".join(lines)


def _real(real: dict[str, Any]) -> str:
    lines = [
        "Three subjects (lung2: chest CT, brain2: brain MRI, MNI152: an average brain), every usable slice shown as a "
        "bare picture.",
        "",
        "| what | n | figure | aim |",
        "|---|---|---|---|",
    ]
    for name, row in real["what"].items():
        lines.append(f"| {name} | {row['n']} slices | **{_number(row['mean'])}** | ≥ .95 |")
    for name, row in real["tumours"].items():
        lines.append(
            f"| {name}: tumour in the slice, AUROC | {row['slices']} slices, {row['positive']} with | "
            f"**{_number(row['auroc'])}** | ≥ .8 |"
        )
        lines.append(
            f"| {name}: best box, mean IoU | {row['positive']} slices | **{_number(row['box_iou'])}** | ≥ .4 |"
        )
    for name, row in real["volumes"].items():
        lines.append(f"| {name} asked as a volume: best mask's Dice | 1 volume | **{_number(row['best_dice'])}** | |")
    return "\n".join(lines)

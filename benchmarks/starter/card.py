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


PARTS = {
    "volumes": "phantom volumes",
    "real": "real volumes",
    "languages": "other languages",
    "over time": "pairs and clips",
}
HEAD = "| what | n | figure | 95 % interval | blank picture | shuffled picture | aim |"
RULE = "|---|---|---|---|---|---|---|"


def write_card(results: dict[str, Any], folder: Path, readme: Path) -> None:
    """Tables into `README.md` of the weights folder, raw numbers beside it, the short table into `readme`.

    Parts not measured now are kept as they were when they are of the same weights.
    """
    raw = folder / "measured.json"
    if raw.is_file():
        before: dict[str, Any] = json.loads(raw.read_text(encoding="utf-8"))
        if before["weights"] == results["weights"]:
            told = {
                part: before[part] | results[part]
                for part in ("phantoms", "commits")
                if part in before and part in results
            }
            results = before | results | told
    raw.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
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
        f"Measured on {results['date']} at commit {_commits(results)} ({results['machine']}), weights of recipe "
        f"`{results['weights']}`, by `python -m benchmarks.starter --write`. Asked and scored as `vesalius evaluate "
        "samples` does. Intervals: 95 % bootstrap over pictures. n counts questions. "
        "Blank: the same question about an even grey picture; shuffled: about another item's picture; both on "
        "the first items of a task only, so they are rough.",
    ]
    if "phantoms" in results:
        parts += ["### Held-out phantoms", _phantoms(results["phantoms"])]
    if "over time" in results:
        parts += ["### Held-out pairs and clips", _plain(results["over time"])]
    if "languages" in results:
        parts += ["### Chinese, Arabic, and what is not to be answered", _plain(results["languages"])]
    if "volumes" in results:
        aim = {"organs": "≥ .85", "findings": "≥ .85"}
        parts += ["### Held-out phantom volumes (3D mask Dice)", _plain(results["volumes"], aim)]
    if "real" in results:
        parts += ["### Real held-out volumes: smoke figures, not a benchmark", _real(results["real"])]
    return "\n\n".join(parts)


def _commits(results: dict[str, Any]) -> str:
    """The commit, or what was measured at which."""
    told: dict[str, list[str]] = {}
    measured: dict[str, str] = results.get("commits", {})
    for what, commit in measured.items():
        told.setdefault(commit, []).append(NAMES.get(what, PARTS.get(what, what)))
    if len(told) < 2:
        return str(results["commit"])
    return "; ".join(f"{commit} for {', '.join(parts)}" for commit, parts in told.items())


def _number(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"


def _phantoms(rows: dict[str, Any]) -> str:
    lines = [HEAD, RULE]
    for task, name in NAMES.items():
        if task not in rows:
            continue
        row = rows[task]
        lines.append(_line(name, row, AIMS.get(task, "")))
        if "mae" in row:
            lines.append(f"| count, mean absolute error | {row['n']} | **{_number(row['mae'])}** | | | | ≤ .3 |")
    if sure := rows.get("calibration"):
        lines.append(
            f"| confidence of boxes, expected calibration error | {sure['n']} | **{_number(sure['ece'])}** | | | | |"
        )
    return "\n".join(lines)


def _plain(rows: dict[str, Any], aim: dict[str, str] | None = None) -> str:
    lines = [HEAD, RULE]
    lines += [_line(name, row, (aim or {}).get(name, "")) for name, row in rows.items()]
    return "\n".join(lines)


def _line(name: str, row: dict[str, Any], aim: str = "", n: str | None = None) -> str:
    guessed = " | ".join(_number(row.get(condition, float("nan"))) for condition in ("blank", "shuffled"))
    span = f"{_number(row['low'])}–{_number(row['high'])}"
    return f"| {name} | {n or row['n']} | **{_number(row['mean'])}** | {span} | {guessed} | {aim} |"


def _real(real: dict[str, Any]) -> str:
    lines = [
        "Three subjects (lung2: chest CT, brain2: brain MRI, MNI152: an average brain), slices shown as "
        "bare pictures (n says how many). Slices of one subject resemble each other, so the intervals are too narrow.",
        "",
        HEAD,
        RULE,
    ]
    lines += [_line(name, row, "≥ .95", f"{row['n']} slices") for name, row in real["what"].items()]
    for name, row in real["tumours"].items():
        positive = row["auroc"]["positive"]
        slices = f"{row['auroc']['n']} slices, {positive} with"
        lines.append(_line(f"{name}: tumour in the slice, AUROC", row["auroc"], "≥ .8", slices))
        lines.append(_line(f"{name}: surest box, mean IoU", row["box_iou"], "≥ .4", f"{positive} slices"))
    for name, row in real["volumes"].items():
        lines.append(f"| {name} asked as a volume: best mask's Dice | 1 | **{_number(row['best_dice'])}** | | | | |")
    return "\n".join(lines)

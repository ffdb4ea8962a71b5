"""The card of a run: what was trained on what, how its losses went and how it was scored, as one HTML page that needs
nothing else, and its curves as a PNG beside it."""

from __future__ import annotations

import html
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vesalius.errors import InputError
from vesalius.training.checkpoint import file_sha256
from vesalius.training.curves import curves_of, panels_of, save_png, svg_of
from vesalius.training.recipe_sft import SftRecipe, sft_hash

__all__ = ["EvaluationTable", "add_evaluation", "write_card"]

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color:#1c2429}
h1{font-size:1.4rem;overflow-wrap:anywhere}h2{font-size:1.05rem;margin:1.8rem 0 .4rem}figure{margin:1rem 0}
.wide{overflow-x:auto}table{border-collapse:collapse}td,th{padding:.2rem .9rem .2rem 0;text-align:left;
border-bottom:1px solid #d8dee2;white-space:nowrap}code,pre{background:#f4f6f7}code{overflow-wrap:anywhere}
pre{padding:1rem;overflow:auto}svg text{font:11px system-ui,sans-serif;fill:#5b6870}"""
_PLACE = "<!-- evaluation -->"


@dataclass(frozen=True)
class EvaluationTable:
    """What `vesalius evaluate` said of the trained model: `title`, the table's `header` and `rows`, `remarks` below it,
    and the `report` page it wrote."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    remarks: tuple[str, ...] = ()
    report: str = ""


def write_card(
    out: Path,
    recipe: SftRecipe,
    parts: Sequence[str],
    log: Sequence[Mapping[str, Any]],
    skipped: int,
    files: Sequence[Path],
) -> Path:
    """Write `out/card.html`, `out/curves.png` and `out/log.json`; returns the card. `files`: the samples, hashed."""
    hashes = {str(path): file_sha256(path) for path in files}
    curves = curves_of(log)
    panels = panels_of(curves)
    save_png(panels, out / "curves.png")
    shown = ("loss", "eval_", "grad_norm", "reward", "preferred", "margin", "box_", "kl", "tokens_per_s", "memory_gb")
    rows = [_spread(name, [value for _, value in curves[name]]) for name in sorted(curves) if name.startswith(shown)]
    page = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>Run card</title><style>{_STYLE}</style>",
        f"<h1>{html.escape(recipe.out)}</h1>",
        _table((), _facts(out, recipe, log)),
        "<h2>Parts</h2><ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in parts) + "</ul>",
        _PLACE,
        "<h2>Curves</h2>" + ("" if panels else "<p>Fewer than two steps were logged (log_every).</p>"),
        *(svg_of(panel) for panel in panels),
        _table(("", "first", "last", "lowest", "highest"), rows),
        "<h2>Data</h2><ul>"
        + "".join(f"<li>{html.escape(path)}: sha256 <code>{digest}</code></li>" for path, digest in hashes.items())
        + f"</ul><p>{skipped} samples were skipped.</p>",
        f"<h2>Recipe</h2><p>sha256 <code>{sft_hash(recipe)}</code></p>",
        f"<pre>{html.escape(json.dumps(asdict(recipe), indent=1, default=str))}</pre></html>",
    ]
    _replace(out / "log.json", json.dumps({"log": list(log), "data_sha256": hashes}, indent=1))
    _replace(out / "card.html", "\n".join(page))
    return out / "card.html"


def _facts(out: Path, recipe: SftRecipe, log: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """What one looks for first."""
    import torch

    import vesalius

    curves = curves_of(log)
    facts = [("trained", recipe.model), ("from", recipe.from_), ("result", f"{out}/final")]
    facts.append(("steps", str(max((int(entry.get("step", 0)) for entry in log), default=0))))
    for name, called in (("loss", "loss"), ("eval_loss", "held-out loss"), ("reward", "reward")):
        if curve := curves.get(name):
            facts.append(
                (called, f"{curve[0][1]:.4g} at step {curve[0][0]}, {curve[-1][1]:.4g} at step {curve[-1][0]}")
            )
    if spent := curves.get("train_runtime"):
        facts.append(("last sitting", f"{spent[-1][1] / 60:.1f} min"))
    facts.append(("with", f"vesalius {vesalius.__version__}, torch {torch.__version__}, seed {recipe.seed}"))
    facts.append(("written", time.strftime("%Y-%m-%d %H:%M %z")))
    return [fact for fact in facts if fact[1]]


def _spread(name: str, values: Sequence[float]) -> tuple[str, ...]:
    return (name, *(f"{value:.4g}" for value in (values[0], values[-1], min(values), max(values))))


def add_evaluation(card: Path, tables: Sequence[EvaluationTable]) -> None:
    """Put the tables into a card; those of an earlier time are replaced. InputError for a page that is no card."""
    try:
        before, mark, rest = card.read_text(encoding="utf-8").partition(_PLACE)
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError("the run card cannot be read.", file=card, fix="Run the recipe to its end again.") from exc
    if not mark:
        raise InputError("the page is no run card.", file=card, fix="Run the recipe to its end again.")
    _, again, later = rest.partition(_PLACE)
    made = "".join(
        f"<h2>{html.escape(one.title)}</h2>{_table(one.header, one.rows)}"
        + "".join(f"<p>{html.escape(line)}</p>" for line in one.remarks)
        + (f'<p>In full: <a href="{html.escape(one.report)}">{html.escape(one.report)}</a></p>' if one.report else "")
        for one in tables
    )
    _replace(card, f"{before}{_PLACE}{made}{_PLACE}{later if again else rest}")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    lines = [line(header, "th")] * bool(header) + [line(row, "td") for row in rows]
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def _replace(path: Path, text: str) -> None:
    part = path.with_suffix(path.suffix + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)

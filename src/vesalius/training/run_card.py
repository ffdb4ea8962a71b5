"""The card of a run: what was trained on what, and how its losses went, as one HTML page that needs nothing else."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vesalius.training.checkpoint import file_sha256
from vesalius.training.recipe_sft import SftRecipe, sft_hash

__all__ = ["write_card"]

_WIDTH, _HEIGHT = 640, 220


def write_card(
    out: Path,
    recipe: SftRecipe,
    parts: Sequence[str],
    log: Sequence[Mapping[str, Any]],
    skipped: int,
    files: Sequence[Path],
) -> Path:
    """Write `out/card.html` and `out/log.json`; returns the card. `files`: the samples, hashed."""
    import vesalius

    hashes = {str(path): file_sha256(path) for path in files}
    curves = _curves(log)
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{values[0][1]:.4g}</td><td>{values[-1][1]:.4g}</td></tr>"
        for name, values in curves.items()
    )
    page = [
        "<!doctype html><meta charset=utf-8><title>Run card</title>",
        "<style>body{font:15px sans-serif;max-width:46em;margin:2em auto}td,th{padding:.1em .8em;text-align:left}"
        "pre{background:#f4f4f4;padding:1em;overflow:auto}figure{margin:1em 0}</style>",
        f"<h1>{html.escape(recipe.out)}</h1>",
        f"<p>vesalius {vesalius.__version__}, recipe sha256 {sft_hash(recipe)}</p>",
        "<h2>Parts</h2><ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in parts) + "</ul>",
        f"<h2>Curves</h2><table><tr><th></th><th>first</th><th>last</th></tr>{rows}</table>",
        *[_figure(name, values) for name, values in curves.items() if len(values) > 1],
        "<h2>Data</h2><ul>" + "".join(f"<li>{html.escape(p)}: sha256 {h}</li>" for p, h in hashes.items()) + "</ul>",
        f"<p>{skipped} samples were skipped.</p>",
        f"<h2>Recipe</h2><pre>{html.escape(json.dumps(asdict(recipe), indent=1, default=str))}</pre>",
    ]
    _replace(out / "log.json", json.dumps({"log": list(log), "data_sha256": hashes}, indent=1))
    _replace(out / "card.html", "\n".join(page))
    return out / "card.html"


def _curves(log: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    """Losses and gradient norms over steps."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for entry in log:
        for name, value in entry.items():
            if name.startswith(("loss", "eval_loss", "grad_norm", "tokens_per_s")) and isinstance(value, int | float):
                curves.setdefault(name, []).append((int(entry["step"]), float(value)))
    return curves


def _figure(name: str, values: Sequence[tuple[int, float]]) -> str:
    """A curve as inline SVG."""
    steps, heights = [step for step, _ in values], [value for _, value in values]
    low, high = min(heights), max(heights)
    across, up = max(1, steps[-1] - steps[0]), (high - low) or 1.0
    places = [((step - steps[0]) / across * _WIDTH, _HEIGHT - (value - low) / up * _HEIGHT) for step, value in values]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return (
        f"<figure><figcaption>{html.escape(name)}: {low:.4g} to {high:.4g}, "
        f"steps {steps[0]} to {steps[-1]}</figcaption>"
        f'<svg viewBox="-2 -4 {_WIDTH + 4} {_HEIGHT + 8}" width="100%" style="border:1px solid #ccc">'
        f'<polyline points="{points}" fill="none" stroke="#00796b" stroke-width="2"/></svg></figure>'
    )


def _replace(path: Path, text: str) -> None:
    part = path.with_suffix(path.suffix + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)

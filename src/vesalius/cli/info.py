"""`vesalius info`: what files hold, from their headers alone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vesalius.cli.printing import print_json, waiting
from vesalius.cli.reading import AllowGaps, Modality, VolumeIndex

if TYPE_CHECKING:
    from vesalius.study.items import Item, Study

__all__ = ["describe", "info"]

COLUMNS = ("kind", "size", "spacing", "modality", "frames", "window", "format")


def info(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE…", help="Files or folders.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
    modality: Modality = None,
    volume_index: VolumeIndex = None,
    allow_gaps: AllowGaps = False,
) -> None:
    """Say what files hold: kind, size, spacing, modality, frames, window, format, and what is odd about them."""
    from vesalius.study import read

    with waiting("reading headers"):
        study = read(list(sources), modality=modality, volume_index=volume_index, allow_gaps=allow_gaps)
    if json:
        print_json(describe(study))
    elif sys.stdout.isatty():
        _rich_table(study)
    else:
        for item in describe(study)["items"]:
            sys.stdout.write("  ".join(cell for cell in _cells(item) if cell) + "\n")
        for warning in study.warnings:
            sys.stdout.write(f"warning: {warning}\n")


def describe(study: Study) -> dict[str, Any]:
    """The study as plain values for JSON: `{"items": [...], "warnings": [...]}`; decodes nothing, no patient data."""
    return {"items": [_described(item) for item in study.items], "warnings": list(study.warnings)}


def _described(item: Item) -> dict[str, Any]:
    from vesalius.study.items import Clip, Document, Picture, Slide, Table, Volume

    facts: dict[str, Any] = {
        "kind": type(item).__name__.lower(),
        "format": item.origin.format,
        "modality": item.origin.modality,
        "files": len(item.origin.files),
        "file": item.origin.files[0] if item.origin.files else None,
    }
    window = getattr(item, "window", None)
    if window is not None:
        facts["window"] = [window.low, window.high]
    match item:
        case Volume():
            facts |= {"size": list(item.shape), "spacing_mm": [round(s, 6) for s in item.spacing_mm]}
        case Clip():
            facts |= {
                "size": [item.width, item.height],
                "frames": item.num_frames,
                "duration_s": round(item.duration_s, 6),
            }
        case Slide():
            facts |= {"size": [item.width, item.height], "levels": len(item.level_sizes), "mpp": item.mpp}
        case Picture():
            spacing = None if item.spacing_mm is None else [round(s, 6) for s in item.spacing_mm]
            facts |= {"size": [item.width, item.height], "spacing_mm": spacing}
        case Table():
            facts |= {"columns": len(item.columns), "rows": len(item.rows)}
        case Document():
            facts |= {"characters": len(item.text)}
    facts["details"] = dict(item.origin.details)
    return facts


def _cells(facts: dict[str, Any]) -> list[str]:
    """One row of `COLUMNS` in words, and the file."""
    size = " x ".join(map(str, facts["size"])) if "size" in facts else ""
    if "rows" in facts:
        size = f"{facts['rows']} rows x {facts['columns']} columns"
    if "characters" in facts:
        size = f"{facts['characters']} characters"
    spacing = " x ".join(f"{s:g}" for s in facts.get("spacing_mm") or ())
    mpp = facts.get("mpp")
    return [
        facts["kind"],
        size,
        f"{spacing} mm" if spacing else f"{mpp[0]:g} µm" if mpp else "",
        facts["modality"] or "",
        f"{facts['frames']} frames, {facts['duration_s']:g} s" if "frames" in facts else "",
        "window {:g}…{:g}".format(*facts["window"]) if "window" in facts else "",
        facts["format"],
        (facts["file"] or "") + (f" (+{facts['files'] - 1})" if facts["files"] > 1 else ""),
    ]


def _rich_table(study: Study) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as RichTable

    console = Console()
    table = RichTable(*COLUMNS, "file")
    for item in describe(study)["items"]:
        table.add_row(*(escape(cell) for cell in _cells(item)))
    console.print(table)
    for warning in study.warnings:
        console.print(f"[yellow]warning:[/yellow] {escape(warning)}")

"""Findings as a table, one row each, in pixels and in millimetres."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from vesalius.findings.findings import Box, Count, Finding, Mask, Measurement, Point, Report
from vesalius.findings.masks import bounding_box

__all__ = ["COLUMNS", "to_csv"]

COLUMNS = (
    *("finding", "kind", "label", "group", "confidence", "item", "axis", "slice_index", "frame", "time_s"),
    *("x0_px", "y0_px", "x1_px", "y1_px", "x_px", "y_px", "elements", "width_mm", "height_mm"),
    *("ras_x_mm", "ras_y_mm", "ras_z_mm", "area_mm2", "volume_ml", "count", "name", "value", "unit", "text"),
)


def to_csv(findings: Sequence[Finding]) -> str:
    """A table with the header `COLUMNS`, one row per finding in their order, lines ending in CR LF (RFC 4180).

    What a finding does not have is an empty cell; numbers are written so that they read back equal.  `x0_px` … `y1_px`:
    the pixel frame, of a mask its tight box.  `elements`: pixels or voxels of a mask.  `ras_*_mm`: a box's centre, a
    point.  `text`: a report's findings and impression. A text that a spreadsheet would take for a formula, and one
    that begins with an apostrophe, gets an apostrophe in front.
    """
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, COLUMNS, restval="")
    writer.writeheader()
    for number, finding in enumerate(findings):
        row = {"finding": number, "kind": finding.kind} | _row(finding)
        writer.writerow({key: _cell(value) for key, value in row.items() if value is not None})
    return table.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "'")) else value
    return str(int(value)) if isinstance(value, int | np.integer) else repr(float(value))


def _row(finding: Finding) -> dict[str, Any]:
    if isinstance(finding, Report):
        return {"text": "\n".join(t for t in (finding.findings, finding.impression) if t)}
    where = finding.where
    row: dict[str, Any] = {"label": finding.label, "confidence": finding.confidence} | vars(where)
    if not isinstance(finding, Count):
        row["group"] = finding.group
    match finding:
        case Box():
            row |= _box((finding.x0, finding.y0, finding.x1, finding.y1)) | _ras(finding.centre_ras_mm)
            row |= dict(zip(("width_mm", "height_mm"), finding.size_mm or (), strict=False))
        case Point():
            row |= {"x_px": finding.x, "y_px": finding.y} | _ras(finding.ras_mm)
        case Mask():
            row |= {"elements": int(np.count_nonzero(finding.mask))}
            row |= {"area_mm2": finding.area_mm2, "volume_ml": finding.volume_ml}
            row |= _box(bounding_box(finding.mask) if finding.mask.ndim == 2 else None)
        case Count():
            row |= {"count": finding.count}
        case Measurement():
            row |= {"name": finding.name, "value": finding.value, "unit": finding.unit}
    return row


def _box(corners: tuple[float, float, float, float] | None) -> dict[str, Any]:
    return dict(zip(("x0_px", "y0_px", "x1_px", "y1_px"), corners or (), strict=False))


def _ras(place: tuple[float, float, float] | None) -> dict[str, Any]:
    return dict(zip(("ras_x_mm", "ras_y_mm", "ras_z_mm"), place or (), strict=False))

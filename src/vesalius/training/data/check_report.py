"""A check as lines of text and as one HTML file with its plots inside; nothing is loaded from elsewhere."""

from __future__ import annotations

import html
import os
from collections import Counter
from collections.abc import Mapping, Sequence

from vesalius.findings.writing import replacing
from vesalius.training.data.check import Checked
from vesalius.training.data.statistics import Lengths

__all__ = ["summary_lines", "write_report"]

_BARS = 24
_STYLE = """body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:62rem;padding:0 1rem;color:#1c2b2b}
h1{font-size:1.4rem}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #d8e2e2;vertical-align:top}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(27rem,1fr));gap:1rem}
figure{margin:0}figcaption{font-weight:600;margin-bottom:.2rem}.bad{color:#a02020}.good{color:#11695c}
svg text{font:12px system-ui,sans-serif;fill:#1c2b2b}"""


def summary_lines(found: Checked) -> list[str]:
    """The check in a dozen lines."""
    stats = found.statistics
    speed = f" at {found.rows / found.seconds:,.0f} rows/s" if found.seconds else ""
    lines = [f"{found.file}: {found.rows} rows, {found.num_bad_rows} bad{speed}."]
    kinds = Counter(one.kind for one in found.bad)
    if kinds:
        lines.append("Faults: " + ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()) + ".")
    if not stats.samples:
        return lines
    told = "estimated, no tokenizer given" if found.token_source == "estimate" else f"by {found.token_source}"
    lengths, answers = stats.tokens.to_json(), stats.answer_tokens.to_json()
    lines.append(
        f"Text tokens ({told}; media not counted): mean {lengths['mean']}, median {lengths['median']}, "
        f"p90 {lengths['p90']}, p99 {lengths['p99']}, longest {lengths['longest']}; answers: mean {answers['mean']}."
    )
    if found.max_length is not None:
        lines.append(f"Longer than {found.max_length} tokens: {stats.tokens.over(found.max_length)}.")
    groups: tuple[tuple[str, Counter[str]], ...] = (
        ("Modalities", stats.modalities), ("Tasks", stats.tasks), ("Languages", stats.languages),
        ("Media", stats.media), ("Targets", stats.targets), ("Labels", stats.labels),
    )  # fmt: skip
    for name, counts in groups:
        if counts:
            shown = ", ".join(f"{key} {count}" for key, count in counts.most_common(8))
            more = f", … ({len(counts)} in all)" if len(counts) > 8 else ""
            lines.append(f"{name}: {shown}{more}.")
    lines.append(f"Patients: {len(stats.patients)}; samples without one: {stats.without_patient}.")
    for what, rows in found.warnings.items():
        shown = ", ".join(map(str, rows[:8])) + (", …" if found.warned[what] > 8 else "")
        lines.append(f"Look at: {what} ({found.warned[what]}): rows {shown}.")
    return lines + [f"Note: {remark}" for remark in found.remarks]


def write_report(found: Checked, path: str | os.PathLike[str]) -> None:
    """One HTML file: bad rows, statistics, plots as SVG. OptionError when it cannot be written."""
    stats = found.statistics
    plots = [
        _figure("Text tokens of a sample", _histogram(stats.tokens)),
        _figure("Text tokens of its answers", _histogram(stats.answer_tokens)),
        *(_figure(title, _bars(counts)) for title, counts in (
            ("Modalities", stats.modalities), ("Areas", stats.areas), ("Tasks", stats.tasks),
            ("Languages", stats.languages), ("Media", stats.media), ("Targets", stats.targets),
            ("Labels", stats.labels),
        ) if counts),
        *(_figure(f"Answers of {task}", _bars(counts)) for task, counts in sorted(stats.answers.items())),
    ]  # fmt: skip
    rows = "".join(
        f"<tr><td>{html.escape(one.file)}</td><td>{one.row}</td><td>{html.escape(one.kind)}</td>"
        f"<td>{html.escape(one.reason)}</td><td>{html.escape(one.fix)}</td></tr>" for one in found.bad[:5_000]
    )  # fmt: skip
    cut = f"<p>The first 5000 of {len(found.bad)}.</p>" if len(found.bad) > 5_000 else ""
    table = (
        f"<h2>Bad rows</h2>{cut}<table><tr><th>file</th><th>row</th><th>kind</th><th>reason</th><th>fix</th></tr>"
        f"{rows}</table>" if found.bad else ""
    )  # fmt: skip
    verdict = "".join(f'<p class="bad">{html.escape(fault)}</p>' for fault in found.faults)
    verdict += f'<p class="{"bad" if found.bad else "good"}">{found.num_bad_rows} of {found.rows} rows are bad.</p>'
    lines = "".join(f"<li>{html.escape(line)}</li>" for line in summary_lines(found)[1:])
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Training data</title><style>{_STYLE}</style>'
        f"<h1>{html.escape(found.file)}</h1>{verdict}<ul>{lines}</ul>"
        f'<div class="plots">{"".join(plots)}</div>{table}</html>\n'
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _figure(title: str, plot: str) -> str:
    return f"<figure><figcaption>{html.escape(title)}</figcaption>{plot}</figure>" if plot else ""


def _bars(counts: Mapping[str, int]) -> str:
    """Horizontal bars, the most frequent first."""
    shown = Counter(counts).most_common(_BARS)
    most = shown[0][1]
    rows: list[str] = []
    for number, (name, count) in enumerate(shown):
        y, width = 18 * number, 220 * count / most
        label = html.escape(name if len(name) <= 24 else f"{name[:23]}…")
        rows.append(
            f'<text x="150" y="{y + 13}" text-anchor="end">{label}</text>'
            f'<rect x="156" y="{y + 2}" width="{width:.1f}" height="14" fill="#11806f"/>'
            f'<text x="{160 + width:.1f}" y="{y + 13}">{count}</text>'
        )
    more = f'<text x="156" y="{18 * len(shown) + 13}">… {len(counts) - _BARS} more</text>' * (len(counts) > _BARS)
    return _svg(440, 18 * len(shown) + 20, "".join(rows) + more)


def _histogram(lengths: Lengths) -> str:
    """Upright bars over equal steps up to the 99.5 % quantile; what is longer stands in the last."""
    if not lengths.counts:
        return ""
    top = max(lengths.quantile(0.995), 1)
    step = -(-(top + 1) // _BARS)
    bins = [0] * _BARS
    for length, count in lengths.counts.items():
        bins[min(length // step, _BARS - 1)] += count
    most = max(bins)
    parts: list[str] = []
    for number, count in enumerate(bins):
        height = 120 * count / most
        parts.append(f'<rect x="{8 + 17 * number}" y="{126 - height:.1f}" width="15" height="{height:.1f}" '
                     f'fill="#11806f"><title>{number * step}–{(number + 1) * step - 1}: {count}</title></rect>')  # fmt: skip
    ticks: Sequence[int] = (0, _BARS // 2, _BARS)
    parts += [f'<text x="{8 + 17 * tick}" y="142" text-anchor="middle">{tick * step}</text>' for tick in ticks]
    return _svg(440, 148, "".join(parts))


def _svg(width: int, height: int, inside: str) -> str:
    return f'<svg viewBox="0 0 {width} {height}" width="100%" role="img">{inside}</svg>'

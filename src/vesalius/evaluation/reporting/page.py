"""The report of a run as one HTML file: no script, no network, pictures and charts inside, light and dark.

Items are named by their line in `scores.jsonl`, not by their id, and patients not at all: ids may hold theirs.
All text of data and answers is escaped; the page's policy forbids anything it does not hold itself.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from vesalius.evaluation.reporting.charts import histogram, interval_bar, shares_bar, span_of
from vesalius.evaluation.reporting.errors import RIGHT, ErrorCase, leading_score
from vesalius.evaluation.reporting.overlays import ANSWER_COLOUR, TRUTH_COLOUR, thumbnails
from vesalius.evaluation.reporting.style import STYLE
from vesalius.evaluation.scoring.item import FAILURES, ItemScore, outcome_of
from vesalius.evaluation.scoring.places import KINDS
from vesalius.evaluation.summary import Figure, Summary, Table
from vesalius.evaluation.summary_text import kept_share, number, remarks

if TYPE_CHECKING:
    from vesalius.evaluation.judge_run import Judged

__all__ = ["Page", "report_page"]

_CSP = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_LONGEST = 600
_RATES = ("unread %", "refused %", "cut off %", "failed %")
_ERROR_RULE = (
    "An error is an item whose leading score is below one half. It has points for what it lost, for the confidence it "
    "was said with, for an answer that could not be read, and for a baseline or a pass without the pictures that did "
    "better. Sub-groups are shown in turn, the errors with most points first."
)


@dataclass(frozen=True)
class Page:
    """What the page shows. `leading`: the items' own leading scores.  `num_errors`: of which `cases` are shown."""

    summary: Summary
    items: tuple[ItemScore, ...]
    leading: tuple[float, ...]
    cases: tuple[ErrorCase, ...]
    num_errors: int
    judged: tuple[Judged, ...] = ()


def report_page(page: Page) -> str:
    """The whole file."""
    summary = page.summary
    title = f"{summary.title}: {summary.model}"
    parts = [_head(summary), _outcomes(page), _overall(summary), _beside(summary)]
    parts += [_groups(key, tables, summary) for key, tables in _by_key(summary).items()]
    parts += [_spread(page), _judges(page.judged), _remarks(summary), _errors(page), _foot(summary)]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_CSP}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>\n{STYLE}\n</style></head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main>\n</body></html>\n"
    )


def escape(text: str) -> str:
    """Text as the page shows it; control characters are dropped."""
    return html.escape("".join(c for c in text if c in "\n\t" or ord(c) >= 32), quote=True)


def _head(summary: Summary) -> str:
    lead = summary.overall.figure(summary.primary)
    value = "not judged" if lead is None or lead.value is None else f"{lead.value:.4f}"
    interval = ""
    if lead is not None and lead.low is not None:
        interval = f"95 % interval {number(lead.low)} to {number(lead.high)}"
    clusters = "" if lead is None else f", {lead.clusters} {lead.unit} clusters"
    rates = summary.overall.rates
    tiles = [
        (summary.primary, value, interval),
        ("items", str(summary.n), f"n = {summary.n}{clusters}"),
        ("could not be read", f"{100 * rates['parse_failure']:.1f} %", "parse failures, counted as wrong"),
    ]
    best = _best_baseline(summary)
    if best is not None:
        tiles.append(("best baseline", number(best[1].value), f"{best[0]}, n = {best[1].n}"))
    told = "".join(
        f'<div class="tile"><dt>{escape(name)}</dt><dd>{escape(shown)}</dd><p>{escape(note)}</p></div>'
        for name, shown, note in tiles
    )
    return (
        f"<header><h1>{escape(summary.title)}</h1><p class=faint>{escape(summary.model)} · split "
        f"{escape(summary.split)} · profile {escape(summary.profile)}</p></header>\n<dl class=tiles>{told}</dl>"
    )


def _best_baseline(summary: Summary) -> tuple[str, Figure] | None:
    found = [
        (name, one)
        for name, one in summary.baselines.items()
        if one.metric == summary.primary and one.value is not None
    ]
    return max(found, key=lambda pair: pair[1].value or 0.0) if found else None


def _outcomes(page: Page) -> str:
    names = ("right", "wrong", "could not be read", "refused", "cut off", "failed", "not judged")
    counts = dict.fromkeys(names, 0)
    plain = dict(zip((*FAILURES, "not_judged"), names[2:], strict=True))
    for item in page.items:
        outcome = outcome_of(item.status)
        score = leading_score(item, page.summary.primary)
        name = plain.get(outcome) or ("right" if score is not None and score >= RIGHT else "wrong")
        counts[name] += 1
    total = max(1, len(page.items))
    bar = shares_bar({name: count / total for name, count in counts.items()})
    note = "Right: the leading score is at least one half."
    return f"<section><h2>What became of the answers</h2>{bar}<p class=faint>{note}</p></section>"


def _overall(summary: Summary) -> str:
    rows = [_row(one.metric, one, summary.overall.rates, None) for one in summary.overall.figures]
    return _section("All items", ("metric", *_COLUMNS, *_RATES), rows)


_COLUMNS = ("score", "", "95 % interval", "n", "clusters")


def _beside(summary: Summary) -> str:
    """Baselines and other passes against the leading figure."""
    lead = summary.overall.figure(summary.primary)
    rows: list[str] = []
    if lead is not None:
        rows.append(_row(f"{summary.model}: {lead.metric}", lead, None, None, strong=True))
    rows += [_row(f"{name}: {one.metric}", one, None, None) for name, one in summary.baselines.items()]
    for one in summary.passes:
        rows.append(_row(f"pictures: {one.name}{kept_share(one)}", one.figure, None, None))
    if len(rows) < 2:
        return ""
    return _section("Baselines and passes without the pictures", ("", *_COLUMNS), rows)


def _by_key(summary: Summary) -> dict[str, list[Table]]:
    found: dict[str, list[Table]] = {}
    for table in summary.tables:
        found.setdefault(table.group.partition("=")[0], []).append(table)
    return found


def _groups(key: str, tables: Sequence[Table], summary: Summary) -> str:
    figures = [(table, one) for table in tables if (one := table.figure(summary.primary)) is not None]
    if not figures:
        return ""
    span = span_of([one for _, one in figures])
    lead = summary.overall.figure(summary.primary)
    whole = None if lead is None else lead.value
    rows = [
        _row(table.group.partition("=")[2] or "(none)", one, table.rates, span, whole)
        for table, one in sorted(figures, key=lambda pair: (-pair[1].n, pair[0].group))
    ]
    note = "<p class=faint>The dashed line is the score of all items.</p>"
    return _section(f"{summary.primary} by {key}", (key, *_COLUMNS, *_RATES), rows, note)


def _row(
    name: str,
    one: Figure,
    rates: Mapping[str, float] | None,
    span: tuple[float, float] | None,
    reference: float | None = None,
    *,
    strong: bool = False,
) -> str:
    interval = "–" if one.low is None else f"{number(one.low)} to {number(one.high)}"
    bar = interval_bar(one, span or span_of([one]), reference)
    cells = [
        f'<td class="num">{number(one.value)}</td><td class="chart">{bar}</td><td class="num">{interval}</td>',
        f'<td class="num">{one.n}</td><td class="num">{one.clusters} {escape(one.unit)}</td>',
    ]
    if rates is not None:
        cells += [f'<td class="num">{100 * rates[failure]:.1f}</td>' for failure in FAILURES]
    mark = ' class="strong"' if strong else ""
    return f'<tr{mark}><th scope="row" dir="auto">{escape(name)}</th>{"".join(cells)}</tr>'


def _section(title: str, columns: Sequence[str], rows: Sequence[str], note: str = "") -> str:
    heads = "".join(
        f'<th scope="col"{"" if k == 0 or not name else " class=num"}>{escape(name)}</th>'
        for k, name in enumerate(columns)
    )
    return (
        f"<section><h2>{escape(title)}</h2><div class=wide tabindex=0><table><thead><tr>{heads}</tr></thead><tbody>\n"
        + "\n".join(rows)
        + f"\n</tbody></table></div>{note}</section>"
    )


def _spread(page: Page) -> str:
    """Only where scores are more than right and wrong."""
    if len({round(value, 6) for value in page.leading}) <= 2:
        return ""
    title = f"How {page.summary.primary} spreads over items"
    return f"<section><h2>{escape(title)}</h2>{histogram(page.leading)}</section>"


def _judges(judged: Sequence[Judged]) -> str:
    parts: list[str] = []
    for one in judged:
        lines = "".join(f"<li>{escape(line)}</li>" for line in one.lines())
        parts.append(f"<section><h2>Judged by {escape(one.judge)}</h2><ul class=plain>{lines}</ul></section>")
    return "\n".join(parts)


def _remarks(summary: Summary) -> str:
    lines = remarks(summary)
    if not lines:
        return ""
    told = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<section><h2>Remarks</h2><ul class=plain>{told}</ul></section>"


def _errors(page: Page) -> str:
    if not page.cases:
        return ""
    places = {item.id: line for line, item in enumerate(page.items, 1)}
    cards = [_card(case, places[case.item.id]) for case in page.cases]
    colours = "".join(
        f'<span class="key" style="background: rgb{colour}"></span>{name} '
        for name, colour in (("truth", TRUTH_COLOUR), ("answer", ANSWER_COLOUR))
    )
    count = f"{len(cards)} of {page.num_errors} errors"
    return (
        f"<section><h2>Errors worth looking at</h2><p class=faint>{count}. {_ERROR_RULE} "
        f"Numbers are lines of scores.jsonl.</p><p>{colours}</p>"
        f"<div class=cards>{''.join(cards)}</div></section>"
    )


def _card(case: ErrorCase, line: int) -> str:
    sample = case.sample
    shown = thumbnails(sample, case.prediction, case.item)
    figures = "".join(
        f'<figure><img src="{one.data_uri()}" width="{one.image.width}" height="{one.image.height}" decoding="async" '
        f'alt="{escape(one.caption or "picture of the item")}">'
        + (f"<figcaption>{escape(one.caption)}</figcaption>" if one.caption else "")
        + "</figure>"
        for one in shown
    )
    rows = [
        ("question", sample.question or sample.prompt),
        ("truth", _truth(sample.gold, sample.options)),
        ("answer", _said(case)),
    ]
    lang = escape(sample.lang)
    told = "".join(
        f'<dt>{name}</dt><dd dir="auto" lang="{lang}">{escape(_short(text)) or "<i>nothing</i>"}</dd>'
        for name, text in rows
    )
    if len(shown) > 1 and sample.kind in KINDS and not isinstance(sample.extra.get("image"), int):
        figures += "<p class=faint>Which picture the places are on is not stored; they are drawn on each.</p>"
    groups = " · ".join(name for name in case.item.groups if not name.startswith("form="))
    reasons = "".join(f"<span class=tag>{escape(reason)}</span>" for reason in case.reasons)
    return (
        f"<article><div class=pictures>{figures}</div><p class=faint>{line} · score {case.score:.2f} · "
        f"{escape(groups)}</p><dl>{told}</dl><p class=tags>{reasons}</p></article>"
    )


def _truth(gold: Any, options: Mapping[str, str] | None) -> str:
    if options and isinstance(gold, str) and gold.strip().upper() in options:
        letter = gold.strip().upper()
        return f"{letter}: {options[letter]}"
    if isinstance(gold, str):
        return gold
    if isinstance(gold, Mapping) and "rle" not in gold and "counts" in gold and "size" in gold:
        return "a mask"
    if isinstance(gold, list | tuple):
        listed = cast("Sequence[Any]", gold)
        nested = any(isinstance(one, list | tuple | Mapping) for one in listed)
        return ("; " if nested else ", ").join(_truth(one, None) for one in listed)
    if isinstance(gold, Mapping):
        return "; ".join(f"{key}: {_truth(value, None)}" for key, value in cast("Mapping[str, Any]", gold).items())
    return "a mask" if isinstance(gold, Path) else f"{gold:g}" if isinstance(gold, float) else str(gold)


def _said(case: ErrorCase) -> str:
    prediction = case.prediction
    if prediction.finish_reason == "error":
        return "(the model failed)"
    return prediction.raw.rpartition("</think>")[2].strip()


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST].rstrip()} …"


def _foot(summary: Summary) -> str:
    from vesalius import __version__

    told = (
        f"Intervals: percentile bootstrap over clusters, {summary.resamples} resamples, seed {summary.seed}. "
        f"Data {summary.dataset_sha256[:12]}. Written by vesalius {__version__}. For research; not for clinical use."
    )
    return f"<footer class=faint>{escape(told)}</footer>"

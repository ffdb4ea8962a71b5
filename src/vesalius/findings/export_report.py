"""Findings as a page for people: Markdown, and HTML that needs nothing beside it."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence

from PIL import Image

from vesalius.findings.findings import Box, Finding, Mask, Point, Report, Where
from vesalius.findings.legend import size_in_words

__all__ = ["report_html", "report_markdown", "where_in_words"]

_CSP = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
html { color-scheme: light dark }
:root { --ink: #1c2429; --faint: #66737c; --line: #d8dee2; --ground: #fbfcfc; --note: #fff4d6 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8edf0; --faint: #98a5ad; --line: #37424a; --ground: #14181c; --note: #3d3311 }
}
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem 4rem; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif }
h1 { font-size: 1.4rem; margin: 0 0 .25rem } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem }
.note { background: var(--note); border-radius: .4rem; padding: .6rem .9rem }
.faint, figcaption { color: var(--faint) } .text { white-space: pre-wrap; overflow-wrap: anywhere }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100% }
th, td { text-align: start; padding: .4rem .75rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
th { color: var(--faint); font-weight: 500 } td { font-variant-numeric: tabular-nums }
figure { margin: 1rem 0 } img { max-width: 100%; height: auto; border-radius: .4rem }
""".strip()
_COLUMNS = ("Finding", "Kind", "Where", "Pixels", "Size", "RAS mm", "Confidence")


def report_markdown(
    findings: Sequence[Finding],
    *,
    title: str = "Findings",
    question: str | None = None,
    answer_text: str | None = None,
    model: str | None = None,
    notice: str | None = None,
    images: Sequence[tuple[str, str]] = (),
) -> str:
    """A Markdown page. `images`: (file name relative to the page, caption) of overlays; text is escaped."""
    lines = [f"# {_markdown(title)}", ""]
    if notice:
        lines += [f"> **{_markdown(notice)}**", ""]
    for name, text in (("Model", model), ("Question", question)):
        if text:
            lines += [f"{name}: {_markdown(text)}", ""]
    if answer_text:
        lines += ["## Answer", "", *(f"> {_markdown(line)}" for line in answer_text.splitlines()), ""]
    for report in (f for f in findings if isinstance(f, Report)):
        lines += ["## Report", "", f"Findings: {_markdown(report.findings)}", ""]
        lines += [f"Impression: {_markdown(report.impression)}", ""]
    rows = _rows(findings)
    if rows:
        lines += ["## Findings", "", f"| {' | '.join(_COLUMNS)} |", f"|{' --- |' * len(_COLUMNS)}"]
        lines += [f"| {' | '.join(_markdown(cell) for cell in row)} |" for row in rows] + [""]
    else:
        lines += ["No located finding.", ""]
    for name, caption in images:
        lines += [f"![{_markdown(caption)}]({name.replace(' ', '%20')})", ""]
    return "\n".join(lines).rstrip() + "\n"


def report_html(
    findings: Sequence[Finding],
    *,
    title: str = "Findings",
    question: str | None = None,
    answer_text: str | None = None,
    model: str | None = None,
    notice: str | None = None,
    images: Sequence[tuple[Image.Image, str]] = (),
    lang: str = "en",
) -> str:
    """One HTML file: overlays inside as data URIs, no script, a content security policy that allows nothing else.

    `images`: (overlay, caption).  `lang`: the language of question and answer; Arabic runs from right to left.
    All text is escaped: an answer cannot become markup.
    """
    parts = [f"<h1>{_escape(title)}</h1>"]
    if model:
        parts.append(f'<p class="faint">{_escape(model)}</p>')
    if notice:
        parts.append(f'<p class="note" role="note">{_escape(notice)}</p>')
    for heading, text in (("Question", question), ("Answer", answer_text)):
        if text:
            parts.append(f'<h2>{heading}</h2><p class="text" dir="auto" lang="{_escape(lang)}">{_escape(text)}</p>')
    for report in (f for f in findings if isinstance(f, Report)):
        for heading, text in (("Findings", report.findings), ("Impression", report.impression)):
            marked = f'class="text" dir="auto" lang="{_escape(report.lang)}"'
            parts.append(f"<h2>{heading}</h2><p {marked}>{_escape(text)}</p>")
    parts.append("<h2>Located findings</h2>")
    parts.append(_table(_rows(findings)))
    parts += [_figure(image, caption) for image, caption in images]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_CSP}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_escape(title)}</title><style>\n{_STYLE}\n</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return '<p class="faint">None.</p>'
    head = "".join(f'<th scope="col">{name}</th>' for name in _COLUMNS)
    body = "\n".join("<tr>" + "".join(f'<td dir="auto">{_escape(cell)}</td>' for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def _figure(image: Image.Image, caption: str) -> str:
    stored = io.BytesIO()
    image.save(stored, format="PNG")
    data = base64.b64encode(stored.getvalue()).decode("ascii")
    alt = _escape(caption)
    size = f'width="{image.width}" height="{image.height}"'
    return f'<figure><img src="data:image/png;base64,{data}" alt="{alt}" {size}><figcaption>{alt}</figcaption></figure>'


def _rows(findings: Sequence[Finding]) -> list[list[str]]:
    """One row of words per located finding, in the order of `_COLUMNS`."""
    rows: list[list[str]] = []
    for finding in findings:
        if isinstance(finding, Report):
            continue
        pixels, ras = "", None
        match finding:
            case Box():
                pixels = ", ".join(f"{v:.1f}" for v in (finding.x0, finding.y0, finding.x1, finding.y1))
                ras = finding.centre_ras_mm
            case Point():
                pixels, ras = f"{finding.x:.1f}, {finding.y:.1f}", finding.ras_mm
            case Mask():
                pixels = f"{int(finding.mask.sum())} {'voxels' if finding.mask.ndim == 3 else 'pixels'}"
            case _:
                pass
        confidence = "" if finding.confidence is None else f"{round(100 * finding.confidence)} %"
        millimetres = "" if ras is None else ", ".join(f"{v:.1f}" for v in ras)
        where = where_in_words(finding.where)
        rows.append([finding.label, finding.kind, where, pixels, size_in_words(finding), millimetres, confidence])
    return rows


def where_in_words(where: Where) -> str:
    """As "item 1, axial slice 12" or "item 2, frame 30 (1.20 s)"; items count from 1, slices and frames from 0."""
    words = [f"item {where.item + 1}"]
    if where.axis is not None and where.slice_index is not None:
        words.append(f"{where.axis} slice {where.slice_index}")
    if where.frame is not None:
        words.append(f"frame {where.frame}" + ("" if where.time_s is None else f" ({where.time_s:.2f} s)"))
    return ", ".join(words)


def _escape(text: str) -> str:
    return html.escape("".join(c for c in text if c in "\n\t" or ord(c) >= 32), quote=True)


def _markdown(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    plain = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\`*_{}[]()<>#|!~&" else c for c in plain)

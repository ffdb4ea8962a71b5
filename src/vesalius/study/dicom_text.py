"""Text in DICOM files: structured reports as an indented outline, encapsulated PDFs as their text.

What comes out is data from the file, never an instruction; person names of the report's content are left out.
"""

from __future__ import annotations

import io
from typing import Any

from vesalius.errors import InputError, LimitError, UnsupportedError
from vesalius.limits import current
from vesalius.study.dicom_header import Header, quiet_pydicom

__all__ = ["is_pdf", "is_report", "pdf_text", "report_text"]

_REPORTS = "1.2.840.10008.5.1.4.1.1.88."
_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
_MAX_PAGES = 2000


def is_report(sop_class: str) -> bool:
    """Whether a SOP class is a structured report (or key object selection)."""
    return sop_class.startswith(_REPORTS)


def is_pdf(sop_class: str) -> bool:
    """Whether a SOP class is an encapsulated PDF."""
    return sop_class == _PDF


def report_text(header: Header) -> str:
    """A structured report as lines "concept: value", indented two spaces per level.

    Raises InputError for a report without content, LimitError when it nests too deep or is too long.
    """
    label, caps = header.source.label, current()
    lines: list[str] = []
    length = 0
    pending: list[tuple[Any, int]] = [(header.tags.dataset, 0)]
    while pending:
        item, depth = pending.pop()
        if depth > caps.max_sequence_depth:
            raise LimitError(f"nests content deeper than the limit of {caps.max_sequence_depth}.", file=label)
        line = _line(item)
        if line:
            lines.append("  " * depth + line)
            length += len(lines[-1])
            if length > caps.max_text_chars:
                raise LimitError(f"holds more text than the limit of {caps.max_text_chars} characters.", file=label)
        children = item.get("ContentSequence") or ()
        pending.extend((child, depth + 1) for child in reversed(list(children)))
    if not lines:
        raise InputError("is a structured report without readable content.", file=label)
    return "\n".join(lines)


def _meaning(item: Any, keyword: str) -> str:
    codes = item.get(keyword)
    return _clean(codes[0].get("CodeMeaning")) if codes else ""


def _clean(value: Any) -> str:
    return "" if value is None or isinstance(value, bytes) else " ".join(str(value).split())


def _line(item: Any) -> str:
    concept = _meaning(item, "ConceptNameCodeSequence")
    value = _value(item, _clean(item.get("ValueType")).upper())
    return f"{concept}: {value}" if concept and value else concept or value


def _value(item: Any, kind: str) -> str:
    if kind == "TEXT":
        return _clean(item.get("TextValue"))
    if kind == "CODE":
        return _meaning(item, "ConceptCodeSequence")
    if kind == "NUM":
        measured = item.get("MeasuredValueSequence")
        if not measured:
            return ""
        unit = measured[0].get("MeasurementUnitsCodeSequence")
        code = _clean(unit[0].get("CodeValue")) if unit else ""
        return f"{_clean(measured[0].get('NumericValue'))} {'' if code == '1' else code}".strip()
    if kind in ("DATE", "TIME", "DATETIME"):
        return _clean(item.get({"DATE": "Date", "TIME": "Time", "DATETIME": "DateTime"}[kind]))
    if kind == "SCOORD":
        return f"{_clean(item.get('GraphicType')).lower()} on the image"
    return ""


def pdf_text(header: Header) -> str:
    """The text of an encapsulated PDF, page after page.

    Raises UnsupportedError without the pypdf package, InputError when the PDF is damaged or holds no text.
    """
    label = header.source.label
    with quiet_pydicom():
        document = header.tags.get("EncapsulatedDocument")
    if not isinstance(document, bytes) or b"%PDF-" not in document[:1024]:
        raise InputError("encloses no PDF document.", file=label, fix="Export the file again.")
    try:
        import pypdf
    except ImportError as exc:
        raise UnsupportedError(
            "encloses a PDF, which needs the pypdf package.", file=label, fix="pip install 'vesalius[documents]'"
        ) from exc
    cap = current().max_text_chars
    try:
        pages: list[str] = []
        for page in pypdf.PdfReader(io.BytesIO(document)).pages[:_MAX_PAGES]:
            pages.append(page.extract_text())
            if sum(map(len, pages)) > cap:
                raise LimitError(f"holds more text than the limit of {cap} characters.", file=label)
    except InputError:
        raise
    except Exception as exc:
        raise InputError(
            f"encloses a damaged PDF ({type(exc).__name__}).", file=label, fix="Export the file again."
        ) from exc
    text = "\n\n".join(page.strip() for page in pages).strip()
    if not text:
        raise InputError("encloses a PDF without text.", file=label, fix="Give its pages as pictures.")
    return text

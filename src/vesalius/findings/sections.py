"""Reports with sections: `FINDINGS: … IMPRESSION: …` in English, Chinese and Arabic, read and written."""

from __future__ import annotations

import re

from vesalius.findings.dialects.statements import answer_part, without_thoughts
from vesalius.findings.findings import Report

__all__ = ["encode_report", "parse_report"]

_FINDINGS = r"findings?|影像(?:学)?所见|影像(?:学)?表现|检查所见|所见|النتائج|الموجودات"
_IMPRESSION = r"impressions?|conclusions?|影像(?:学)?诊断|诊断(?:意见|印象)|印象|结论|الانطباع|الخلاصة|الاستنتاج"
_HEADING = re.compile(
    rf"(?:^|(?<=[\s.。*#]))[*#]{{0,4}}\s{{0,3}}(?:(?P<findings>{_FINDINGS})|(?P<impression>{_IMPRESSION}))[*]{{0,2}}\s{{0,3}}[:：]"
    r"[*]{0,2}\s{0,3}",
    re.IGNORECASE,
)
_NAMES = {"en": ("Findings", "Impression"), "zh": ("影像所见", "印象"), "ar": ("النتائج", "الانطباع")}


def parse_report(text: str) -> Report | None:
    """The sections of a report, thoughts and answer tags taken off; a section that stands twice is joined. None when
    the text has neither section."""
    said = answer_part(without_thoughts(text)[0])
    marks = list(_HEADING.finditer(said))
    if not marks:
        return None
    parts: dict[str, list[str]] = {"findings": [], "impression": []}
    for number, mark in enumerate(marks):
        end = marks[number + 1].start() if number + 1 < len(marks) else len(said)
        parts[str(mark.lastgroup)].append(said[mark.end() : end].strip())
    lang = "zh" if re.search("[\u3400-\u9fff]", said) else "ar" if re.search("[\u0621-\u064a]", said) else "en"
    return Report(findings="\n".join(parts["findings"]), impression="\n".join(parts["impression"]), lang=lang)


def encode_report(report: Report) -> str:
    """`Findings: … Impression: …` in the report's language; a section that is empty is left out."""
    names = _NAMES.get(report.lang, _NAMES["en"])
    sections = zip(names, (report.findings, report.impression), strict=True)
    return " ".join(f"{name}: {part}" for name, part in sections if part)

"""Reports with sections, read and written."""

from __future__ import annotations

import pytest

from vesalius.findings.findings import Report
from vesalius.findings.sections import encode_report, parse_report


def test_sections_inside_answer_tags_and_after_thoughts() -> None:
    said = "<think>Findings: none yet</think><answer>\n**FINDINGS:** Heart enlarged.\n\nIMPRESSION: Failure.</answer>"
    assert parse_report(said) == Report(findings="Heart enlarged.", impression="Failure.")


def test_a_text_without_sections_is_no_report() -> None:
    assert parse_report("The findings are normal.") is None


@pytest.mark.parametrize(
    "report",
    [
        Report(findings="Heart enlarged.", impression="Failure."),
        Report(findings="心影增大。", impression="心衰。", lang="zh"),
        Report(findings="تضخم القلب.", impression="قصور القلب.", lang="ar"),
        Report(findings="", impression="Normal."),
    ],
)
def test_what_is_written_is_read_back(report: Report) -> None:
    assert parse_report(encode_report(report)) == report

"""Reports: text stays text, pictures come along."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
from PIL import Image

from vesalius.findings import Box, Mask, Report, Where
from vesalius.findings.export_report import report_html, report_markdown

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)> | [x](javascript:x) `a` & ورم'


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    return tags


def test_hostile_text_stays_text_in_html() -> None:
    findings = [Box(label=HOSTILE, x0=1, y0=2, x1=3, y1=4), Report(findings=HOSTILE, impression=HOSTILE, lang='"x')]
    page = report_html(
        findings,
        title=HOSTILE,
        question=HOSTILE,
        answer_text=HOSTILE,
        model=HOSTILE,
        notice=HOSTILE,
        images=[(Image.new("RGB", (4, 3)), HOSTILE)],
        lang='en" onload="x',
    )
    tags = parsed(page)
    assert not any(tag == "script" for tag, _ in tags.tags)
    assert not any(name.startswith("on") for _, attributes in tags.tags for name in attributes)
    (source,) = (attributes["src"] for tag, attributes in tags.tags if tag == "img")
    assert str(source).startswith("data:image/png;base64,")
    assert tags.text.count(HOSTILE) >= 6


def test_a_page_needs_nothing_from_elsewhere() -> None:
    tags = parsed(report_html([]))
    policies = [
        a["content"] for tag, a in tags.tags if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies
    assert "default-src 'none'" in str(policies[0])
    assert not any(tag in ("link", "iframe", "object") for tag, _ in tags.tags)


def test_the_notice_stands_above_everything_else() -> None:
    page = report_html([], notice="Demonstration, not for clinical use.", answer_text="Here.")
    assert 0 < page.index("not for clinical use") < page.index("Here.")
    text = report_markdown([], notice="Demonstration, not for clinical use.", answer_text="Here.")
    assert 0 < text.index("not for clinical use") < text.index("Here.")


def test_a_row_tells_pixels_millimetres_and_place() -> None:
    box = Box(
        label="nodule",
        x0=1,
        y0=2,
        x1=3,
        y1=4,
        size_mm=(5, 6),
        centre_ras_mm=(7, 8, -9),
        confidence=0.5,
        where=Where(axis="axial", slice_index=12),
    )
    text = report_markdown([box, Mask(label="liver", mask=np.ones((2, 3), dtype=bool), area_mm2=6.0)])
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert (
        rows[2]
        == "| nodule | box | item 1, axial slice 12 | 1.0, 2.0, 3.0, 4.0 | 5.0 x 6.0 mm | 7.0, 8.0, -9.0 | 50 % |"
    )
    assert "6 pixels | 6.0 mm²" in rows[3]


def test_hostile_text_stays_text_in_markdown() -> None:
    text = report_markdown([Box(label=HOSTILE, x0=1, y0=2, x1=3, y1=4)], answer_text="# big\n\n" + HOSTILE)
    assert "<script>" not in text
    assert "\\# big" in text
    row = next(line for line in text.splitlines() if "alert" in line and line.startswith("|"))
    assert row.replace("\\|", "").count("|") == 8, "a bar in a label does not open a cell"

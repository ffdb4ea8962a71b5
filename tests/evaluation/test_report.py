"""The page, the LaTeX table and the CSV files of a scored run."""

from __future__ import annotations

import base64
import csv
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.scored import AB, benchmark_of, item, stored_run
from vesalius.errors import InputError, OptionError
from vesalius.evaluation.contract import Medium
from vesalius.evaluation.passes import Pass
from vesalius.evaluation.prediction import Prediction
from vesalius.evaluation.report import FILES, write_report
from vesalius.evaluation.reporting.charts import histogram, interval_bar, shares_bar
from vesalius.evaluation.reporting.errors import ErrorCase, informative, weighed
from vesalius.evaluation.reporting.overlays import ANSWER_COLOUR, SIDE, TRUTH_COLOUR, thumbnails
from vesalius.evaluation.reporting.tables import tex
from vesalius.evaluation.score import score_run
from vesalius.evaluation.scoring.item import ItemScore
from vesalius.evaluation.summary import Figure


class Balanced(HTMLParser):
    """Every element that is opened is closed in order, and nothing asks for anything outside the file."""

    VOID = ("meta", "img", "br", "rect", "line")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            assert name not in ("href", "onclick", "onload"), name
            assert name != "src" or (value or "").startswith("data:image/jpeg;base64,")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def read(page: str) -> Balanced:
    parser = Balanced()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def picture(folder: Path, name: str, size: tuple[int, int] = (100, 80)) -> Medium:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    Image.fromarray(np.full((size[1], size[0]), 60, np.uint8)).save(path)
    return Medium("image", path)


@pytest.fixture
def boxes(tmp_path):
    """Six box items of two modalities; the first answer hits, the others miss or cannot be read."""
    samples = [
        item(
            f"patient-Mueller-{k}",
            "box",
            [[10, 10, 40, 40]],
            size=(100, 80),
            cluster=f"Mueller{k}",
            tags={"modality": ("CT", "MR")[k % 2]},
            media=(picture(tmp_path / "data", f"{k}.png"),),
        )
        for k in range(6)
    ]
    benchmark = benchmark_of(samples, primary="iou", dialect="qwen-json")
    hit = '```json\n[{"bbox_2d":[10,10,40,40],"label":"a"}]\n```'
    miss = '```json\n[{"bbox_2d":[60,10,90,40],"label":"a"}]\n```'
    run = stored_run(tmp_path / "run", benchmark, [hit, miss, miss, "<img src=x onerror=alert(1)>", "", miss])
    return run, benchmark


def test_the_page_needs_nothing_but_itself(boxes) -> None:
    run, benchmark = boxes
    summary = score_run(run, benchmark=benchmark, resamples=50)
    assert [path.name for path in write_report(run, summary, benchmark=benchmark)] == list(FILES)
    page = (run / "report.html").read_text()
    parser = read(page)
    assert "script" not in parser.tags
    assert "default-src 'none'" in page
    assert not re.findall(r"https?://", page)
    assert parser.tags.count("article") == 5
    assert parser.tags.count("img") == 5
    assert "&lt;img src=x onerror" in page


def test_the_page_holds_figures_with_n_and_interval_by_group(boxes) -> None:
    run, benchmark = boxes
    summary = score_run(run, benchmark=benchmark, resamples=50)
    write_report(run, summary, benchmark=benchmark)
    page = (run / "report.html").read_text()
    assert "iou by modality" in page
    lead = summary.overall.figure("iou")
    assert lead is not None
    assert lead.low is not None
    assert lead.high is not None
    assert f"95 % interval {lead.low:.4f} to {lead.high:.4f}" in page
    assert "n = 6, 6 patient clusters" in page
    assert "33.3 %" in page  # two of six could not be read
    assert "whole image" in page


def test_the_page_names_no_patient(boxes) -> None:
    run, benchmark = boxes
    write_report(run, score_run(run, benchmark=benchmark, resamples=50), benchmark=benchmark)
    page = (run / "report.html").read_text()
    # The scripted question quotes the id, as no real one does.
    assert "Mueller" not in re.sub(r"Question patient-Mueller-\d\?", "", page)


def test_the_same_run_gives_the_same_bytes(boxes) -> None:
    run, benchmark = boxes
    stored = []
    for _ in range(2):
        write_report(run, score_run(run, benchmark=benchmark, resamples=50), benchmark=benchmark)
        stored.append([(run / name).read_bytes() for name in FILES])
    assert stored[0] == stored[1]


def test_without_errors_the_page_holds_figures_alone(boxes) -> None:
    run, benchmark = boxes
    write_report(run, score_run(run, benchmark=benchmark, resamples=50), benchmark=benchmark, errors=0)
    parser = read((run / "report.html").read_text())
    assert "img" not in parser.tags
    assert "article" not in parser.tags
    with pytest.raises(OptionError):
        write_report(run, score_run(run, benchmark=benchmark, resamples=50), benchmark=benchmark, errors=-1)


def test_a_run_that_was_not_scored_is_told(boxes) -> None:
    run, benchmark = boxes
    summary = score_run(run, benchmark=benchmark, resamples=50)
    (run / "scores.jsonl").unlink()
    with pytest.raises(InputError, match="holds no scores"):
        write_report(run, summary, benchmark=benchmark)


def test_truth_and_answer_are_drawn_where_they_are(tmp_path) -> None:
    sample = item("a", "box", [[10, 10, 40, 40]], size=(100, 80), media=(picture(tmp_path, "a.png"),))
    scored = ItemScore("a", "box", {"places": [[60, 40, 90, 70]], "count": None}, "ok")
    (shown,) = thumbnails(sample, Prediction("a"), scored)
    assert max(shown.image.size) <= SIDE
    factor = shown.image.width / 100
    for colour, (x0, y0, _, y1) in ((TRUTH_COLOUR, (10, 10, 40, 40)), (ANSWER_COLOUR, (60, 40, 90, 70))):
        # The box's own left edge, below its middle, where no label stands.
        column = np.asarray(shown.image)[round((y0 + 0.75 * (y1 - y0)) * factor), round(x0 * factor) - 2 :][:5]
        assert (np.abs(column.astype(int) - colour).sum(axis=1) == 0).any(), colour
    data = base64.b64decode(shown.data_uri().partition(",")[2])
    assert Image.open(io.BytesIO(data)).size == shown.image.size


def test_a_picture_that_cannot_be_read_is_left_out(tmp_path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    sample = item("a", "yesno", "yes", media=(Medium("image", tmp_path / "broken.png"), picture(tmp_path, "b.png")))
    assert len(thumbnails(sample, Prediction("a"), ItemScore("a", "yesno", "no", "ok"))) == 1


def scored(key: str, value: float, groups: tuple[str, ...] = (), **more) -> ItemScore:
    return ItemScore(
        key, "yesno", more.get("answer", "no"), more.get("status", "ok"), "", {"accuracy": value}, {}, groups
    )


def case(key: str, points: float, group: str) -> ErrorCase:
    return ErrorCase(item(key, "yesno", "yes"), Prediction(key), scored(key, 0.0, (group,)), 0.0, None, points, ())


def test_errors_are_weighed_by_the_rule() -> None:
    sample = item("a", "yesno", "yes")
    assert weighed(sample, Prediction("a"), scored("a", 1.0), "accuracy", {}, {}) is None
    plain = weighed(sample, Prediction("a"), scored("a", 0.0), "accuracy", {}, {})
    assert plain is not None
    assert (plain.points, plain.reasons) == (1.0, ())
    sure = weighed(
        sample, Prediction("a", findings=({"confidence": 0.9},)), scored("a", 0.0), "accuracy", {}, {}
    )  # fmt: skip
    assert sure is not None
    assert sure.points == pytest.approx(1.9)
    unread = weighed(sample, Prediction("a"), scored("a", 0.0, status="empty", answer=None), "accuracy", {}, {})
    assert unread is not None
    assert (unread.points, unread.reasons) == (2.0, ("could not be read",))
    guess = {"most frequent answer": ("accuracy", lambda sample: {"accuracy": 1.0})}
    beaten = weighed(sample, Prediction("a"), scored("a", 0.0), "accuracy", guess, {})
    assert beaten is not None
    assert beaten.points == 2.0
    blind = weighed(sample, Prediction("a"), scored("a", 0.0), "accuracy", {}, {"blank": scored("a", 1.0)})
    assert blind is not None
    assert blind.reasons == ("pictures: blank does better",)
    again = {"repeat2": scored("a", 0.0), "repeat3": scored("a", 1.0, answer="yes")}
    repeated = weighed(sample, Prediction("a"), scored("a", 0.0), "accuracy", {}, again)
    assert repeated is not None
    assert repeated.confidence == 0.5


def test_sub_groups_take_turns() -> None:
    cases = [case(f"ct{k}", 3.0 - k / 10, "modality=CT") for k in range(5)] + [case("mr", 1.0, "modality=MR")]
    chosen = informative(cases, 3, {"modality=CT", "modality=MR"})
    assert [one.item.id for one in chosen] == ["ct0", "mr", "ct1"]
    assert [one.item.id for one in informative(cases, 3, set())] == ["ct0", "ct1", "ct2"]
    assert informative([], 50, set()) == []


def test_latex_and_csv_are_escaped(tmp_path) -> None:
    samples = [
        item(f"=q{k}", "mcq", "A", options=AB, tags={"set_name": ("50 % & {more}", "b_c")[k % 2]}) for k in range(4)
    ]
    benchmark = replace(benchmark_of(samples), title="A_B & 100 % #1")
    blank = {Pass("blank", 0, "blank"): {}}
    run = stored_run(tmp_path / "run", benchmark, ["A", "B", "A", "=1+1"], blank)
    write_report(run, score_run(run, benchmark=benchmark, resamples=50), benchmark=benchmark)
    table = (run / "table.tex").read_text()
    assert r"A\_B \& 100 \% \#1" in table
    assert r"set\_name=50 \% \& \{more\}" in table
    body = [line for line in table.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body} == {6}
    rows = list(csv.DictReader(io.StringIO((run / "scores.csv").read_text())))
    assert [row["id"] for row in rows] == ["'=q0", "'=q1", "'=q2", "'=q3"]
    assert [float(row["accuracy"]) for row in rows] == [1.0, 0.0, 1.0, 0.0]
    told = list(csv.DictReader(io.StringIO((run / "summary.csv").read_text())))
    overall = next(row for row in told if row["part"] == "overall")
    assert (overall["value"], overall["n"], overall["parse_failure"]) == ("0.5", "4", "0.25")
    assert {row["part"] for row in told} == {"overall", "group", "baseline"}


def test_text_in_latex_is_one_line_of_it() -> None:
    assert tex("a\nb\\c~d^e") == r"a b\textbackslash{}c\textasciitilde{}d\textasciicircum{}e"


def test_charts_stay_inside_their_frame() -> None:
    bar = interval_bar(Figure("cider", 3.2, 2.0, 4.0, 5, 5, "item"), (0.0, 4.0), 1.0)
    assert 'x="50.00"' in bar
    assert 'x1="80.00"' in bar
    assert interval_bar(Figure("x", None, None, None, 0, 0, "item"), (0.0, 1.0)) == ""
    assert shares_bar({"right": 0.25, "wrong": 0.75, "refused": 0.0}).count("<rect") == 2
    assert histogram([]) == ""
    assert histogram([0.0, 0.5, 1.0]).count("<rect") == 20

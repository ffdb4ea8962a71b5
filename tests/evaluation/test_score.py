"""Scoring stored runs: purity, the divisor, every task kind at 1.0 for perfect answers, and the known defects."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.evaluation.scored import AB, benchmark_of, item, stored_run
from vesalius.errors import InputError, OptionError
from vesalius.evaluation.passes import Pass
from vesalius.evaluation.prediction import Prediction
from vesalius.evaluation.score import score_run

REPORT = "Findings: The lungs are clear on both sides. Impression: A normal chest film."
FENCE = "```json\n{}\n```"
PERFECT = [
    (item("mcq", "mcq", "B", options=AB), "B", "accuracy"),
    (item("boxed", "mcq", "B", options=AB), "\\boxed{\\text{B}}", "accuracy"),
    (item("yes", "yesno", "yes"), "Yes, there is a nodule in the right lung.", "accuracy"),
    (item("no", "yesno", "no"), "No evidence of a nodule.", "accuracy"),
    (item("zh", "yesno", "yes", lang="zh"), "是的", "accuracy"),
    (item("ar", "mcq", "C", options=AB, lang="ar"), "الجواب هو (ج)", "accuracy"),
    (item("closed", "closed", "MRI"), "mri.", "accuracy"),
    (item("open", "open", "left lung"), "The left lung.", "token_f1"),
    (item("several", "open", ["left lung", "lung, left side"]), "lung, left side", "accuracy"),
    (item("report", "report", REPORT), REPORT, "rouge_l"),
    (item("box", "box", [10, 20, 110, 220], size=(640, 480)),
     FENCE.format('[{"bbox_2d":[10,20,110,220],"label":"a"}]'), "iou"),
    (item("boxes", "box", [[1, 2, 30, 40], [50, 60, 70, 90]], size=(100, 100)),
     FENCE.format('[{"bbox_2d":[50,60,70,90],"label":"a"},{"bbox_2d":[1,2,30,40],"label":"a"}]'), "f1@0.5"),
    (item("healthy", "box", [], size=(100, 100)), FENCE.format("[]"), "iou"),
    (item("point", "point", [[5, 6]], size=(100, 100)), FENCE.format('[{"point_2d":[5,6],"label":"a"}]'), "point_f1"),
    (item("count", "count", 3, size=(100, 100)), "There are 3.", "count_exact"),
    (item("count_point", "count_point", {"count": 2, "points": [[5, 6], [70, 80]]}, size=(100, 100)),
     FENCE.format('{"counts":2,"point_2d":[[70,80],[5,6]],"label":"a"}'), "point_f1"),
    (item("count_box", "count_box", {"count": 1, "boxes": [[1, 2, 30, 40]]}, size=(100, 100)),
     FENCE.format('{"counts":1,"bbox_2d":[[1,2,30,40]],"label":"a"}'), "iou"),
    (item("node", "tree", ["yes"], extra={"report": "1", "path": "lung"}), "yes", "report_accuracy"),
    (item("nodes", "tree", ["left", "right"], options={"A": "left", "B": "right"},
          extra={"report": "2", "path": "side", "answer_type": "multi_choice"}), "A, B", "micro_f1"),
]  # fmt: skip


def scored(folder: Path, samples, answers, profile="strict", **more) -> Any:
    benchmark = benchmark_of(samples, **more)
    return score_run(stored_run(folder / "run", benchmark, answers), profile, benchmark=benchmark, resamples=50)


def value(summary, metric="accuracy", group="all"):
    table = next(t for t in (summary.overall, *summary.tables) if t.group == group)
    found = table.figure(metric)
    assert found is not None
    return found.value


@pytest.mark.parametrize(("sample", "answer", "metric"), PERFECT, ids=[one[0].id for one in PERFECT])
def test_a_perfect_answer_scores_exactly_one(tmp_path, sample, answer, metric) -> None:
    summary = scored(tmp_path, [sample], [answer])
    assert value(summary, metric) == 1.0
    assert set(summary.overall.rates.values()) == {0.0}


@pytest.mark.parametrize(
    ("raw", "status", "finish"),
    [
        ("", "empty", "stop"),
        ("...", "empty", "stop"),
        ("I cannot determine this from the image.", "refused", "stop"),
        ("<think>It may be A", "truncated", "length"),
        ("B", "error", "error"),
    ],
)
@pytest.mark.parametrize("sample", [one[0] for one in PERFECT], ids=[one[0].id for one in PERFECT])
def test_what_is_no_answer_is_wrong_and_counted(tmp_path, sample, raw, status, finish) -> None:
    right = next(answer for one, answer, _ in PERFECT if one is sample)
    metric = next(metric for one, _, metric in PERFECT if one is sample)
    twin = item("z", sample.kind, sample.gold, options=sample.options, lang=sample.lang, size=sample.size,
                extra={**sample.extra, "report": "other"})  # fmt: skip
    bad = Prediction(sample.id, raw=raw, finish_reason=finish)
    summary = scored(tmp_path, [sample, twin], {sample.id: bad, "z": right})
    row = json.loads((tmp_path / "run/scores.jsonl").read_text().splitlines()[0])
    assert row["status"] == status
    assert sum(summary.overall.rates.values()) == 0.5
    assert summary.overall.figure(metric).n == 2
    assert value(summary, metric) < 1.0


def test_scoring_twice_gives_the_same_bytes_and_any_order_the_same_figures(tmp_path) -> None:
    samples = [item(f"q{k:02}", "mcq", "ABCD"[k % 4], options=AB, cluster=f"p{k // 3}") for k in range(30)]
    answers = {sample.id: "ABDD"[k % 4] for k, sample in enumerate(samples)}
    first = scored(tmp_path / "a", samples, answers)
    scored(tmp_path / "b", samples, answers)
    for name in ("scores.jsonl", "summary.json"):
        assert (tmp_path / "a/run" / name).read_bytes() == (tmp_path / "b/run" / name).read_bytes()
    random.Random(1).shuffle(samples)
    other = scored(tmp_path / "c", samples, answers)
    assert other.overall == first.overall
    assert other.baselines == first.baselines
    assert first.overall.figure("accuracy").clusters == 10


def test_ids_must_be_those_of_the_data(tmp_path) -> None:
    samples = [item(f"q{k}", "yesno", "yes") for k in range(4)]
    benchmark = benchmark_of(samples)
    run = stored_run(tmp_path / "run", benchmark, ["yes", "no", "yes", "yes"])
    lines = (run / "predictions.jsonl").read_text().splitlines(keepends=True)
    (run / "predictions.jsonl").write_text("".join(lines[:3]))
    with pytest.raises(InputError, match=r"1 of 4 predictions are missing \(first 'q3'\)"):
        score_run(run, benchmark=benchmark)
    summary = score_run(run, benchmark=benchmark, partial=True)
    assert (summary.n, summary.missing, value(summary)) == (3, 1, pytest.approx(2 / 3))
    assert "Partial: 1 of 4" in str(summary)
    (run / "predictions.jsonl").write_text("".join([*lines, lines[0]]))
    with pytest.raises(InputError, match="line 5 has the id of line 1"):
        score_run(run, benchmark=benchmark)
    (run / "predictions.jsonl").write_text("".join(lines) + '{"id": "other", "raw": "yes"}\n')
    with pytest.raises(InputError, match="1 predictions are of no item"):
        score_run(run, benchmark=benchmark, partial=True)
    changed = benchmark_of([*samples[:3], item("q3", "yesno", "no")])
    with pytest.raises(InputError, match="not those of the run"):
        score_run(run, benchmark=changed)


THREE = [
    item("1", "yesno", "yes"),
    item("2", "yesno", "no"),
    item("3", "open", "left lung"),
]


@pytest.mark.parametrize(
    ("name", "total", "closed"), [("slake", 5 / 3, 2.0), ("pathvqa", 1 / 3, 0.0)], ids=["D1", "D2"]
)
def test_counting_twice_or_not_at_all_happens_only_under_the_old_profile(tmp_path, name, total, closed) -> None:
    answers = ["yes", "no", "left lung"]
    ours = scored(tmp_path / "a", THREE, answers, name=name)
    assert (value(ours), value(ours, group="form=closed"), value(ours, group="form=open")) == (1.0, 1.0, 1.0)
    old = scored(tmp_path / "b", THREE, answers, "medevalkit", name=name)
    assert value(old) == pytest.approx(total)
    assert value(old, group="form=closed") == closed
    assert any(defect.startswith("D1") for defect in old.defects)
    assert "D1" in str(old)
    assert "D1" not in str(ours)


@pytest.mark.parametrize(
    ("sample", "raw", "ours", "theirs"),
    [
        (item("D5", "mcq", "A", options=AB), "", 0, 1),
        (item("D7", "mcq", "B", options=AB), "\\boxed{\\text{B}}", 1, 0),
        (item("D7b", "mcq", "B", options=AB | {"C": "correct position"}), "The correct option: B", 1, 0),
        (item("D8", "yesno", "yes"), "Yes, there is a nodule in the right lung.", 1, 0),
        (item("D8b", "yesno", "yes"), "Yes, the heart is abnormal.", 1, 0),
        (item("D9", "yesno", "no"), "Normal chest.", 0, 1),
        (item("D9b", "yesno", "no"), "nodule present", 0, 1),
    ],
    ids=lambda one: getattr(one, "id", None),
)
def test_known_defects_are_ours_under_the_old_profile_alone(tmp_path, sample, raw, ours, theirs) -> None:
    assert value(scored(tmp_path / "a", [sample], [raw])) == ours
    assert value(scored(tmp_path / "b", [sample], [raw], "medevalkit")) == theirs


def test_a_refusal_is_some_option_under_the_old_profile(tmp_path) -> None:
    raw = "I cannot determine this from the image."
    values = [
        value(scored(tmp_path / letter, [item("D6", "mcq", letter, options=AB)], [raw], "medevalkit")) for letter in AB
    ]
    assert sorted(one or 0.0 for one in values) == [0.0, 0.0, 0.0, 1.0]


def test_an_unread_choice_is_worth_its_chance_where_it_would_be_drawn(tmp_path) -> None:
    samples = [item("D12", "mcq", "A", options=AB)]
    assert value(scored(tmp_path / "a", samples, ["I see something."])) == 0.0
    assert value(scored(tmp_path / "b", samples, ["I see something."], "lmms-eval")) == 0.25


def test_token_columns_are_permuted_only_there(tmp_path) -> None:
    samples = [item("D3", "open", "left lung")]
    ours = scored(tmp_path / "a", samples, ["left lung base"])
    assert [value(ours, f"token_{one}") for one in ("precision", "recall", "f1")] == pytest.approx([2 / 3, 1.0, 0.8])
    old = scored(tmp_path / "b", samples, ["left lung base"], "medevalkit")
    assert [value(old, f"token_{one}") for one in ("precision", "recall", "f1")] == pytest.approx([0.8, 2 / 3, 1.0])


def test_empty_reports_stay_in_the_divisor(tmp_path) -> None:
    samples = [item(f"D13-{k}", "report", REPORT) for k in range(10)]
    summary = scored(tmp_path, samples, ["", *[REPORT] * 9])
    assert value(summary, "rouge_l") == pytest.approx(0.9)
    assert value(summary, "temporal_f1") == pytest.approx(0.9)  # no word of change on either side of the empty one
    assert summary.overall.rates["parse_failure"] == 0.1
    fewer = scored(tmp_path / "b", samples, ["", *[REPORT] * 9], "uni-med")
    assert value(fewer, "rouge_l") == 1.0


def test_bleu_4_of_one_word_is_not_defined_and_bleu_1_is_one(tmp_path) -> None:
    summary = scored(tmp_path, [item("D11", "report", "clear")], ["clear"])
    assert value(summary, "bleu_1") == 1.0
    assert summary.overall.figure("bleu_4") is None


def test_copies_of_a_right_point_are_wrong_and_the_published_rule_stands_beside(tmp_path) -> None:
    points = [[5, 6], [20, 20], [40, 40], [60, 60], [80, 80]]
    samples = [item("D20", "point", points, size=(100, 100))]
    raw = FENCE.format(json.dumps([{"point_2d": [5, 6], "label": "a"}] * 10))
    ours = scored(tmp_path / "a", samples, [raw])
    found = [value(ours, f"point_{one}") for one in ("precision", "recall", "f1")]
    assert found == pytest.approx([0.1, 0.2, 2 / 15])
    assert value(scored(tmp_path / "b", samples, [raw], "pdc"), "point_matching") == 1.0


def test_boxes_in_another_frame_are_warned_of(tmp_path) -> None:
    samples = [item(f"D26-{k}", "box", [[100, 100, 300, 300]], size=(400, 400)) for k in range(3)]
    far = FENCE.format('[{"bbox_2d":[600,700,900,950],"label":"a"}]')
    near = FENCE.format('[{"bbox_2d":[90,100,310,300],"label":"a"}]')
    assert "another frame" in str(scored(tmp_path / "a", samples, [far, far, near]))
    assert "another frame" not in str(scored(tmp_path / "b", samples, [near] * 3))


def test_both_codecs_are_printed_and_the_profile_says_which_leads(tmp_path) -> None:
    samples = [item("1", "box", [[12, 14, 50, 60]], size=(100, 100))]
    strict = scored(tmp_path / "a", samples, ["The lesion lies at [12, 14, 50, 60]."], dialect="qwen-json")
    assert (value(strict, "iou"), value(strict, "iou (tolerant)")) == (0.0, 1.0)
    assert strict.overall.rates["parse_failure"] == 1.0
    tolerant = scored(
        tmp_path / "b", samples, ["The lesion lies at [12, 14, 50, 60]."], "tolerant", dialect="qwen-json"
    )
    assert (value(tolerant, "iou"), value(tolerant, "iou (strict)")) == (1.0, 0.0)


def test_languages_and_tags_have_their_own_tables(tmp_path) -> None:
    samples = [item(f"D18-{k}", "yesno", "yes", lang=("en", "zh")[k % 2], tags={"modality": "CT"}) for k in range(4)]
    summary = scored(tmp_path, samples, ["yes", "否", "yes", "是"])
    assert (value(summary), value(summary, group="lang=en"), value(summary, group="lang=zh")) == (0.75, 1.0, 0.5)


def test_options_in_another_order_count_by_their_text(tmp_path) -> None:
    samples = [item("1", "mcq", "B", options=AB), item("2", "mcq", "A", options=AB)]
    turned = {"1": Prediction("1", raw="A", option_order="BADC"), "2": Prediction("2", raw="A", option_order="BADC")}
    benchmark = benchmark_of(samples)
    run = stored_run(tmp_path / "run", benchmark, ["B", "A"], {Pass("options1", permutation=1): turned})
    summary = score_run(run, benchmark=benchmark, resamples=50)
    told = summary.extra["option_orders"]
    assert (told["mean"], told["same"], told["n"]) == (0.75, 0.5, 2)


def test_passes_without_pictures_and_seeds_stand_beside_the_main_one(tmp_path) -> None:
    from vesalius.evaluation.contract import Medium

    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.png").write_bytes(b"png")
    samples = [item(str(k), "yesno", "yes", media=(Medium("image", tmp_path / "data/a.png"),)) for k in range(4)]
    benchmark = benchmark_of(samples)
    right, half = {str(k): "yes" for k in range(4)}, {str(k): ("yes", "no")[k % 2] for k in range(4)}
    run = stored_run(
        tmp_path / "run", benchmark, right, {Pass("blank", ablation="blank"): half, Pass("repeat2", 1): half}
    )
    summary = score_run(run, benchmark=benchmark, resamples=50)
    assert [(one.name, one.figure.value, one.kept) for one in summary.passes] == [("blank", 0.5, 0.5)]
    assert summary.extra["seeds"]["mean"] == 0.75
    assert summary.extra["seeds"]["n"] == 2
    assert "keeps 50.0 % of 1.0000" in str(summary)


def test_baselines_are_always_there(tmp_path) -> None:
    options = {"A": "x", "B": "the longest of all", "C": "y", "D": "z"}
    samples = [item(f"m{k}", "mcq", "BBBA"[k], options=options) for k in range(4)]
    train = [item(f"t{k}", "mcq", "A", options=options) for k in range(3)]
    found = scored(tmp_path / "a", samples, ["C"] * 4, train=train).baselines
    assert found["most frequent answer"].value == 0.25
    assert found["random option (expected)"].value == 0.25
    assert found["longest option"].value == 0.75
    own = scored(tmp_path / "b", samples, ["C"] * 4)
    assert own.baselines["most frequent answer"].value == 0.75
    assert any("no train split" in note for note in own.notes)
    boxes = [item(f"b{k}", "box", [[25, 25, 75, 75]], size=(100, 100)) for k in range(2)]
    placed = scored(tmp_path / "c", boxes, ["none", "none"]).baselines
    assert (placed["whole image"].value, placed["centre half"].value) == (0.25, 1.0)
    counts = [item(f"c{k}", "count", k, size=(9, 9)) for k in (1, 2, 2)[:2]] + [item("c9", "count", 2, size=(9, 9))]
    assert scored(tmp_path / "d", counts, ["1", "1", "1"]).baselines["median count"].value == pytest.approx(2 / 3)


def test_items_that_need_a_judge_are_said_to(tmp_path) -> None:
    summary = scored(tmp_path, [item("1", "chat", "x")], ["Hello."])
    assert summary.overall.figures == ()
    assert "1 of 1 items need a judge" in str(summary)


def test_an_unknown_profile_and_one_without_a_rule_are_refused(tmp_path) -> None:
    with pytest.raises(OptionError, match="profile is 'best'"):
        scored(tmp_path / "a", THREE, ["yes", "no", "x"], "best")
    with pytest.raises(OptionError, match="medsg has no rule for open, yesno"):
        scored(tmp_path / "b", THREE, ["yes", "no", "x"], "medsg")

"""Historic profiles end to end: the same stored answers under the rules of each harness."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.evaluation.scored import AB, benchmark_of, item, stored_run
from vesalius.errors import OptionError
from vesalius.evaluation.prediction import Prediction
from vesalius.evaluation.profiles import PROFILES, profile_named
from vesalius.evaluation.score import score_run

REPORT = "Findings: The lungs are clear on both sides. Impression: A normal chest film."


def scored(folder: Path, samples: Any, answers: Any, profile: str, name: str = "tiny") -> Any:
    benchmark = benchmark_of(samples, name)
    return score_run(
        stored_run(folder / profile / name, benchmark, answers), profile, benchmark=benchmark, resamples=20
    )


def figures(summary: Any) -> dict[str, float]:
    return {one.metric: one.value for one in summary.overall.figures}


def test_slake_compares_its_capital_yes_as_a_text_and_counts_closed_items_twice(tmp_path) -> None:
    samples = [
        item("1", "yesno", "yes", extra={"answer": "Yes"}),
        item("2", "closed", "MRI"),
        item("3", "open", "liver"),
    ]
    right = ["Yes.", "mri", "Liver"]
    assert figures(scored(tmp_path, samples, right, "medevalkit", "slake"))["accuracy"] == pytest.approx(5 / 3)
    worded = scored(tmp_path / "w", samples, ["Yes, it does", "mri", "Liver"], "medevalkit", "slake")
    assert figures(worded)["accuracy"] == pytest.approx(4 / 3)  # once, by the judge
    assert figures(scored(tmp_path, samples, right, "medunieval", "slake"))["accuracy"] == 1
    assert figures(scored(tmp_path, samples, right, "lmms-eval", "slake"))["accuracy"] == 1


def test_vqa_rad_counts_closed_by_rule_and_open_by_judge(tmp_path) -> None:
    samples = [item("1", "yesno", "yes"), item("2", "yesno", "no"), item("3", "open", "left lung")]
    told = scored(tmp_path, samples, ["Yes, a nodule", "normal", "The left lung."], "medevalkit", "vqa-rad")
    found = figures(told)
    assert found["accuracy"] == pytest.approx(2 / 3)  # D8 wrong, D9 right, the open one judged right
    assert found["exact_match"] == 0
    bare = figures(scored(tmp_path, samples, ["yes", "no", "Left Lung"], "medunieval", "vqa-rad"))
    assert (bare["accuracy"], bare["exact_match"]) == (1, 1)
    assert bare["bleu_2"] == pytest.approx(1)


def test_chinese_items_are_mixed_in_or_left_out(tmp_path) -> None:
    samples = [item("1", "open", "liver"), item("2", "open", "肝", lang="zh")]
    both = scored(tmp_path, samples, ["liver", "肺"], "medevalkit", "slake")
    assert figures(both)["accuracy"] == 0.5
    english = scored(tmp_path, samples, ["liver", "肺"], "medunieval", "slake").overall.figure("accuracy")
    assert (english.value, english.n) == (1, 1)
    assert figures(scored(tmp_path, samples, ["liver", "肺"], "strict", "slake"))["accuracy"] == 0.5


def test_an_answer_is_likened_to_options_with_their_letters_where_the_prompt_has_them(tmp_path) -> None:
    listed = "\n".join(f"{letter}. {text}" for letter, text in AB.items())
    shown = item("1", "mcq", "B", options=AB)
    shown = replace(shown, prompt=f"Which?\n{listed}")
    # "a cyst" is an option's text, but no option reads "b. a cyst": the likest still is B.
    assert figures(scored(tmp_path, [shown], ["A cyst"], "medevalkit"))["accuracy"] == 1
    turned = Prediction("1", raw="A", option_order="BADC")
    assert figures(scored(tmp_path / "t", [shown], {"1": turned}, "medevalkit"))["accuracy"] == 1


def test_an_unread_mmmu_answer_is_a_draw_by_each_harness(tmp_path) -> None:
    samples = [item("1", "mcq", "A", options=AB), item("2", "closed", "3.14")]
    for profile in ("medevalkit", "medunieval", "lmms-eval"):
        values = figures(scored(tmp_path, samples, ["I see it", "so it is 3.14159"], profile, "mmmu-med"))
        assert values["accuracy"] == pytest.approx((0.25 + 1) / 2)
    assert figures(scored(tmp_path, samples, ["I see it", "so it is 3.14159"], "strict", "mmmu-med"))["accuracy"] == 0


def test_empty_reports_keep_their_place_in_bleu_and_lose_it_in_cider(tmp_path) -> None:
    samples = [item(f"{k}", "report", REPORT if k else "Findings: A mass. Impression: A mass.") for k in range(10)]
    answers = ["", *[REPORT] * 9]
    found = scored(tmp_path, samples, answers, "medevalkit")
    assert found.overall.figure("rouge_l").value == pytest.approx(0.9, abs=1e-6)
    assert found.overall.figure("bleu_4").value == pytest.approx(0.9)
    assert (found.overall.figure("rouge_l").n, found.overall.figure("cider_d").n) == (10, 9)
    other = scored(tmp_path, samples, answers, "medunieval")
    assert other.overall.figure("cider_d") is None
    strict = scored(tmp_path, samples, answers, "strict")
    assert (strict.overall.figure("rouge_l").value, strict.overall.figure("cider_d").n) == (pytest.approx(0.9), 10)


def test_a_3d_choice_is_read_off_the_first_letter_of_any_word(tmp_path) -> None:
    samples = [item("1", "mcq", "C", options=AB), item("2", "open", "left lung")]
    found = figures(scored(tmp_path, samples, ["cannot tell", "left lung"], "medunieval", "m3d-vqa"))
    assert (found["accuracy"], found["bleu_1"]) == (1, 1)
    assert figures(scored(tmp_path, samples, ["cannot tell", "left lung"], "strict", "m3d-vqa"))["accuracy"] == 0.5


def test_a_missing_3d_box_scores_nothing_or_minus_one_as_published(tmp_path) -> None:
    box = [0.1, 0.1, 0.1, 0.5, 0.5, 0.5]
    samples = [item("1", "box3d", [box]), item("2", "box3d", [box])]
    answers = [str(box), "There is one."]
    assert figures(scored(tmp_path, samples, answers, "strict"))["iou"] == 0.5
    assert figures(scored(tmp_path, samples, answers, "m3d"))["iou"] == 0


def test_swapped_divisors_stand_under_their_own_profile(tmp_path) -> None:
    boxes = [[1, 2, 30, 40], [50, 60, 90, 95]]
    samples = [item("1", "box", boxes, size=(100, 100))]
    answer = '```json\n[{"bbox_2d": [1, 2, 30, 40], "label": "cyst"}]\n```'
    ours = figures(scored(tmp_path, samples, [answer], "strict"))
    theirs = figures(scored(tmp_path, samples, [answer], "medrega"))
    assert (ours["precision@0.5"], ours["recall@0.5"]) == (1, 0.5)
    assert (theirs["precision@0.5"], theirs["recall@0.5"]) == (0.5, 1)
    assert theirs["f1@0.5"] == ours["f1@0.5"]


def test_open_3d_items_match_by_words_under_medunieval(tmp_path) -> None:
    samples = [item("1", "open", "left lung"), item("2", "open", "liver")]
    found = figures(scored(tmp_path, samples, ["lung", "the spleen"], "medunieval", "m3d-vqa"))
    assert (found["exact_match"], found["token_recall"]) == (0.5, 0.25)


def test_uni_med_normalises_short_answers_and_leaves_out_empty_captions_alone(tmp_path) -> None:
    samples = [item("1", "open", "two nodules"), item("2", "closed", "T2-weighted"), item("3", "yesno", "no")]
    found = figures(scored(tmp_path, samples, ["The 2 nodules.", "t2 weighted", ""], "uni-med", "slake"))
    assert (found["accuracy"], found["bleu_1"]) == pytest.approx((2 / 3, 2 / 3))
    reports = [item("1", "report", REPORT), item("2", "report", REPORT)]
    summary = scored(tmp_path / "r", reports, [REPORT, ""], "uni-med")
    row = summary.extra["Uni-Med captions"]
    assert (row["BLEU-1 (corpus)"], row["items"], row["left out"]) == (1, 1, 1)
    assert figures(summary)["rouge_l"] == 1


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_every_profile_says_what_it_does_otherwise(profile) -> None:
    assert bool(PROFILES[profile].defects) == (profile not in ("strict", "tolerant"))


@pytest.mark.parametrize(
    ("benchmark", "profile"),
    [
        ("medsg-bench", "medsg"),
        ("medmultipoints", "pdc"),
        ("m3d-vqa", "m3d"),
        ("mecovqa-g", "mecovqa"),
        ("rad-restruct", "rad-restruct"),
        ("slake", "strict"),
    ],
)
def test_published_is_the_rule_of_the_benchmark(benchmark, profile) -> None:
    assert profile_named("published", benchmark).name == profile


def test_an_unknown_profile_is_refused_with_those_there_are() -> None:
    with pytest.raises(OptionError, match="uni-med"):
        profile_named("medeval")

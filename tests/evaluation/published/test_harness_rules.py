"""MedEvalKit, MedUniEval and lmms-eval: what their own functions return for these answers, defects included."""

from __future__ import annotations

import pytest

from vesalius.evaluation.published import lmms_eval, medevalkit, meduni_eval, mmmu
from vesalius.evaluation.published.rouge_sets import NoSentenceError, rouge_set_f1

OPTIONS = ("a. left lung", "b. right lung", "c. correct position", "d. heart")


@pytest.mark.parametrize(
    ("answer", "index"),
    [
        ("B", 1),
        ("b.", 1),
        ("B. right lung", 1),
        ("B: heart", 3),  # behind the last colon stands " heart", which is no letter: the likest option
        ("d\n\nbecause of a, b and c", 3),
        ("thoughts\n\nC. so", 2),
        ("\\boxed{B}", 1),
        ("\\boxed{\\text{B}}", 3),  # D7: \\text{b} is no letter
        ("<answer>B</answer>", 1),
        ("\\boxed{A} <answer>B</answer>", 0),
        ("**Answer**: B", 1),  # the space goes before colons are looked at
        ("**Answer**:B", 1),
        ("the answer is: no, answer:D", 3),
        ("The correct option: B", 2),  # D7
        ("", 0),  # D5
        ("I cannot determine this from the image.", 2),  # D6
        ("boxed", 2),  # a box that is none reads "None"
    ],
)
def test_medevalkit_takes_every_answer_for_an_option(answer, index) -> None:
    assert medevalkit.choice(answer, OPTIONS) == index


@pytest.mark.parametrize(
    ("answer", "true", "right"),
    [
        ("Yes.", "yes", True),
        ("Yes, there is a nodule in the right lung.", "yes", False),  # D8
        ("Yes, the heart is abnormal.", "yes", False),
        ("Normal chest.", "no", True),  # D9
        ("nodule present", "no", True),
        ("yes or no", "no", False),
        ("\\boxed{yes} I am not sure", "yes", True),
        ("the answer is yes", "yes", True),
        ("boxed", "no", False),  # "None" with a capital holds no lower-case no
        ("", "no", False),
    ],
)
def test_medevalkit_looks_for_the_letters_of_yes_and_no(answer, true, right) -> None:
    assert medevalkit.yes_no_right(answer, true) is right


def test_medevalkit_compares_closed_answers_without_points_and_line_ends() -> None:
    assert medevalkit.closed_right("MRI.\n", "mri")
    assert medevalkit.closed_right("answer: x\nfinal answer<answer>MRI</answer>", "MRI")
    assert not medevalkit.closed_right("It is MRI", "mri")
    assert medevalkit.exact_matches(["MRI.", "MRI", "MRI"], ["mri", "mri", "MRI"]) == [False, True, True]  # D10


def test_medevalkit_prints_open_scores_unsmoothed_and_permuted() -> None:
    word = medevalkit.open_scores("pneumonia", "pneumonia")
    assert (word["exact_match"], word["bleu_1"]) == (1, 1)
    assert word["bleu_4"] == pytest.approx(1.8e-231, rel=0.05)  # D11
    base = medevalkit.open_scores("left lung base", "left lung")
    columns = [base[f"token_{name}"] for name in ("precision", "recall", "f1")]
    assert columns == pytest.approx([0.8, 2 / 3, 1.0])  # D3
    assert set(medevalkit.open_scores("", "left lung").values()) == {0.0}  # D4
    assert set(medevalkit.open_scores("...", "left lung").values()) == {0.0}


def test_rouge_of_sets_counts_a_word_once_and_unites_sentences() -> None:
    assert rouge_set_f1("clear lungs", "clear lungs") == pytest.approx((1, 1, 1), abs=1e-8)
    assert rouge_set_f1("clear lungs", "clear lungs")[0] < 1
    # the, lungs, are, clear against the, lungs: 2 shared of 4 and of 2
    one, two, longest = rouge_set_f1("the the lungs are clear", "the lungs")
    assert one == pytest.approx(2 / 3, abs=1e-7)
    assert two == pytest.approx(2 / 5, abs=1e-7)
    assert longest == pytest.approx(2 / 3, abs=1e-7)
    # Sentences meet each other in any order: all four words are found although their order is turned.
    assert rouge_set_f1("c d. a b", "a b. c d")[2] == pytest.approx(1, abs=1e-7)
    assert rouge_set_f1("c d a b", "a b c d")[2] == pytest.approx(0.5, abs=1e-7)
    with pytest.raises(NoSentenceError):
        rouge_set_f1("...", "a")


def test_an_empty_report_scores_nothing_and_long_ones_are_cut_for_rouge() -> None:
    assert set(medevalkit.report_scores("", "Findings: clear").values()) == {0.0}
    same = medevalkit.report_scores("the lungs are clear", "The lungs are clear")
    assert same["bleu_4"] == pytest.approx(1)
    assert meduni_eval.report_text_scores("Findings: the lungs are clear", "the lungs are clear")["bleu_4"] == 1
    far = "x " * 1024 + "clear"
    assert meduni_eval.report_text_scores(far, "clear")["rouge_1"] == 0
    assert medevalkit.report_scores(far, "clear")["rouge_1"] > 0


MMMU_OPTIONS = {"A": "cyst", "B": "stone", "C": "mass", "D": "scar"}


@pytest.mark.parametrize(
    ("answer", "lmms", "exam", "kit"),
    [
        ("(B)", "B", "B", "B"),
        ("B", "B", "B", "B"),
        ("B.", "B", "B", "B"),
        ("Option B.text", "B", "B", None),
        ("(A) or (C)", "C", "A", "C"),
        ("A or C", "C", "C", "C"),
        ("The CXR is in PA view", "A", None, None),
        ("I would say that it shows a stone", "B", None, "B"),
        ("first a stone and then perhaps a cyst", "A", None, "A"),
        ("a stone", None, None, None),
        ("\\boxed{B}", None, None, "B"),
        ("<answer>D</answer>", None, None, "D"),
        ("", None, None, None),
    ],
)
def test_mmmu_choices_by_harness(answer, lmms, exam, kit) -> None:
    rules = (mmmu.LMMS_EVAL, mmmu.LMMS_EVAL_MEDQA, mmmu.MEDEVALKIT)
    assert [mmmu.choice(answer, MMMU_OPTIONS, rule) for rule in rules] == [lmms, exam, kit]


@pytest.mark.parametrize(
    ("answer", "true", "right"),
    [
        ("The answer is a renal cyst", ["cyst"], True),
        ("no cyst at all", ["cyst"], True),
        ("so it is 3.14159", ["3.14"], True),
        ("x = 1,200", ["1200"], True),
        ("it could be b", ["b"], True),
        ("abc", ["b"], False),  # a single letter wants a space beside it
        ("a mass", ["cyst"], False),
    ],
)
def test_mmmu_open_answers(answer, true, right) -> None:
    assert mmmu.open_right(answer, true) is right


def test_lmms_eval_compares_slake_answers_without_brackets_and_marks() -> None:
    assert lmms_eval.slake_right("X-Ray (frontal).", "x ray")
    assert lmms_eval.slake_right("True", "Yes")
    assert lmms_eval.slake_right("正常。", "是")
    assert lmms_eval.slake_right("异常", "没有")
    assert not lmms_eval.slake_right("Yes, there is", "Yes")
    assert lmms_eval.loose_match("MRI.", ["CT", "mri"])


def test_meduni_eval_reads_a_letter_off_any_word() -> None:
    assert meduni_eval.same_letter("B. liver", "b")
    assert meduni_eval.same_letter("cannot tell", "C")
    assert not meduni_eval.same_letter("The answer is C", "C")
    found = meduni_eval.open_3d_scores("left lung", "left lung")
    assert (found["bleu_1"], found["bleu_2"]) == (1, 1)
    assert 0 < found["bleu_4"] < 1
    assert set(meduni_eval.open_3d_scores("", "left lung").values()) == {0.0}

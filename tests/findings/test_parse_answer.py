"""What a model answered: rules, statuses, three languages, and the known faults of other harnesses."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vesalius
from vesalius.errors import InputError, OptionError

TEXTS = {"A": "Pneumonia", "B": "Pleural effusion", "C": "Effusion", "D": "Normal"}

CHOICES = [
    ("The best choice here would be (C).", 4, None, "C", "ok"),
    ("A. the mass presses on vertebra C", 4, None, "A", "ok"),  # behind a mark, "A" is no article
    ("(A) the left lung, see D", 4, None, "A", "ok"),
    ("A mass presses on vertebra C", 4, None, "C", "ok"),
    ("A. mass\nB. cyst", 4, None, None, "ambiguous"),
    ("A\u2010B", 4, None, None, "ambiguous"),  # a typographic hyphen
    ("Seen at 8 A.M. on ward round", 4, None, None, "unparsed"),
    ("\\boxed{ }", 4, None, None, "empty"),
    ("<answer></answer>", 4, None, None, "empty"),
    ("\\boxed{\\text{D}}", 4, None, "D", "ok"),
    ("Option A is tempting. Final answer: B", 4, None, "B", "ok"),
    ("A pleural line is visible at the apex.", 4, None, None, "unparsed"),
    ("I am unable to assess this picture.", 4, None, None, "refused"),
    ("E", 4, None, None, "unparsed"),
    ("答案：Ｃ", 4, "zh", "C", "ok"),
    ("الجواب هو (ج)", 4, "ar", "C", "ok"),
    ("<think>It may be A", 4, None, None, "truncated"),
    ("", 4, None, None, "empty"),
    ("...", 4, None, None, "empty"),
    ("I cannot determine this from the image.", 4, None, None, "refused"),
    ("\\boxed{\\text{B}}", 4, None, "B", "ok"),
    ("The correct option: B", 4, None, "B", "ok"),
    ("A. or B.", 4, None, None, "ambiguous"),
    ("A and C", 4, None, None, "ambiguous"),
    ("A or B", 4, None, None, "ambiguous"),
    ("answer: A ... answer: C", 4, None, "C", "ok"),
    ("B", 4, None, "B", "ok"),
    ("b", 4, None, "B", "ok"),
    ("(b)", 4, None, "B", "ok"),
    ("B.x", 4, None, "B", "ok"),
    ("C: text", 4, None, "C", "ok"),
    ("B、肺炎", 4, "zh", "B", "ok"),
    ("pleural effusion.", TEXTS, None, "B", "ok"),
    ("I see a large pleural effusion on the left.", TEXTS, None, "B", "ok"),
    ("There is no pneumonia, only effusion.", TEXTS, None, "C", "ok"),
    ("A. Pleural effusion", TEXTS, None, "A", "ok"),
    ("The answer is not B.", 4, None, None, "unparsed"),
    ("Reasoning...\nB", 4, None, "B", "ok"),
    ("选择 B", 4, "zh", "B", "ok"),
    ("选B", 4, "zh", "B", "ok"),
    ("الإجابة الصحيحة هي: ب", 4, "ar", "B", "ok"),
    ("الخيار د", 4, "ar", "D", "ok"),
    ("ب", 4, "ar", "B", "ok"),
    ("ب", 4, None, None, "unparsed"),
    ("<answer>B</answer>", 4, None, "B", "ok"),
    ("<answer></answer> C", 4, None, "C", "ok"),
    ("\\boxed{E}", 4, None, None, "unparsed"),
    ("\\boxed{} The answer is C", 4, None, "C", "ok"),
    ("<think>A</think> The answer is **B**.", 4, None, "B", "ok"),
    ("**C**", 4, None, "C", "ok"),
    ("A is correct", 4, None, "A", "ok"),
    ("I'm sorry but the answer is B", 4, None, "B", "ok"),
    ("Option C is correct.", 4, None, "C", "ok"),
    ("I choose D", 4, None, "D", "ok"),
    ("$\\boxed{\\mathbf{(B)}}$", 4, None, "B", "ok"),
    ("\\boxed{Pneumonia}", TEXTS, None, "A", "ok"),
    ("\\boxed{B. Pleural effusion}", TEXTS, None, "B", "ok"),
    ("无法判断", 4, "zh", None, "refused"),
    ("لا أستطيع تحديد ذلك", 4, "ar", None, "refused"),
    ("正确答案是 D", 4, "zh", "D", "ok"),
    ("The answer is a mass", 4, None, None, "unparsed"),
    ("<answer>A and C</answer>", 4, None, None, "ambiguous"),
    ("A to C", 4, None, None, "ambiguous"),
    ("the range is A to C", 4, None, None, "ambiguous"),
    ("A-C", 4, None, None, "ambiguous"),
    ("B - A pleural effusion", 4, None, "B", "ok"),
    ("A、C", 4, "zh", None, "ambiguous"),
    ("A、B超检查", 4, "zh", "A", "ok"),
    ("应该选A还是B？", 4, "zh", None, "ambiguous"),
    ("不选A", 4, "zh", None, "unparsed"),
    ("答案不是A，而是B", 4, "zh", "B", "ok"),
    ("ليس ب", 4, "ar", None, "unparsed"),
    ("أ و ج", 4, "ar", None, "ambiguous"),
    ("الإِجابة: ب", 4, "ar", "B", "ok"),
    ("【Ｂ】", 4, "zh", "B", "ok"),
    ("𝐁", 4, None, "B", "ok"),
    ("<THINK>A</THINK> B", 4, None, "B", "ok"),
    ("<thinking>A</thinking>B", 4, None, "B", "ok"),
    ("<think>A</think><think>B", 4, None, None, "truncated"),
    ("\\boxed{\\text{Option B}}", 4, None, "B", "ok"),
    ("Neither A nor B.", 4, None, None, "unparsed"),
    ("Neither A nor B is right, so C.", 4, None, "C", "ok"),
    ("It is not B but C.", 4, None, "C", "ok"),
    ('{"answer": "B"}', 4, None, "B", "ok"),
    ("الإجابة: ٢", 4, "ar", None, "unparsed"),
    ("B<|im_end|>", 4, None, "B", "ok"),
]
POLARITIES = [
    ("Yes, the heart is abnormal.", None, "yes", "ok"),
    ("Without doubt a normal study.", None, None, "unparsed"),
    ("no evidence of consolidation", None, "no", "ok"),
    ("不是", "zh", "no", "ok"),
    ("نعم، توجد كتلة", "ar", "yes", "ok"),
    ("Yes, there is a nodule in the right lung.", None, "yes", "ok"),
    ("Normal chest.", None, None, "unparsed"),
    ("nodule present", None, None, "unparsed"),
    ("not yes", None, None, "ambiguous"),
    ("It's not a yes", None, None, "ambiguous"),
    ("Please output 'yes' or 'no': yes", None, "yes", "ok"),
    ("yes or no", None, None, "unparsed"),
    ("是否有结节？没有", "zh", "no", "ok"),
    ("图像中没有结节。", "zh", "no", "ok"),
    ("有", "zh", "yes", "ok"),
    ("是的，有结节", "zh", "yes", "ok"),
    ("无", "zh", "no", "ok"),
    ("无法判断", "zh", None, "refused"),
    ("لا", "ar", "no", "ok"),
    ("لا أستطيع", "ar", None, "refused"),
    ("لا توجد كتلة", "ar", "no", "ok"),
    ("The lesion is known to be abnormal; note yesterday", None, None, "unparsed"),
    ("Some say yes, others no", None, None, "ambiguous"),
    ("\\boxed{\\text{Yes}}", None, "yes", "ok"),
    ("The answer is no, yes really", None, "no", "ok"),
    ("not seen", None, None, "unparsed"),
    ("答案是否", "zh", "no", "ok"),
    ("答案：是", "zh", "yes", "ok"),
    ("الإجابة: نعم", "ar", "yes", "ok"),
    ("\u200fنعم", "ar", "yes", "ok"),
    ("否。", "zh", "no", "ok"),
    ("**Yes**", None, "yes", "ok"),
    ("不", "zh", "no", "ok"),
    ("对", "zh", "yes", "ok"),
    ("是否有积液：无", "zh", "no", "ok"),
    ("请回答是否：是", "zh", "yes", "ok"),
    ("无法确定是否有结节", "zh", None, "refused"),
    ("不是没有结节", "zh", None, "ambiguous"),
    ("并非没有", "zh", None, "ambiguous"),
    ("نعم ولا", "ar", None, "ambiguous"),
    ("لَا", "ar", "no", "ok"),
    ("نَعَم", "ar", "yes", "ok"),
    ("نعم أو لا", "ar", None, "unparsed"),
    ("كلاهما", "ar", None, "unparsed"),
    ("Yes and no", None, None, "ambiguous"),
    ("I'm sorry, but no", None, "no", "ok"),
    ("Ｙｅｓ", None, "yes", "ok"),
]


@pytest.mark.parametrize(("text", "options", "lang", "answer", "status"), CHOICES)
def test_the_chosen_letter(text: str, options: Any, lang: str | None, answer: str | None, status: str) -> None:
    said = vesalius.parse_answer(text, "mcq", options, lang)
    assert (said.answer, said.status) == (answer, status), said.rule
    assert said["answer"] == dict(said)["answer"] == answer


@pytest.mark.parametrize(("text", "lang", "answer", "status"), POLARITIES)
def test_yes_or_no(text: str, lang: str | None, answer: str | None, status: str) -> None:
    said = vesalius.parse_answer(text, "yesno", lang=lang)
    assert (said.answer, said.status) == (answer, status), said.rule


def test_the_letter_wins_over_a_text_that_names_another_option_and_says_so() -> None:
    said = vesalius.parse_answer("A. Pleural effusion", "mcq", TEXTS)
    assert said.answer == "A"
    assert "names B" in said.rule


def test_answers_that_were_cut_off() -> None:
    assert vesalius.parse_answer("It might be B, because", "mcq", 4, finish_reason="length").status == "truncated"
    assert vesalius.parse_answer("Answer: B, because the", "mcq", 4, finish_reason="length").answer == "B"
    assert vesalius.parse_answer("The heart seems", "yesno", finish_reason="length").status == "truncated"


def test_options_in_every_form_callers_have() -> None:
    for options in ({"A": "x", "B": "y"}, ["x", "y"], ["A. x", "B. y"], "AB", ["A", "B"], 2):
        assert vesalius.parse_answer("B", "mcq", options).answer == "B"
        assert vesalius.parse_answer("C", "mcq", options).status == "unparsed"
    for options in ({"A": "x-ray", "B": "CT"}, ["A. x-ray", "B. CT"], ["A.x-ray", "B.CT"], ["x-ray", "CT"]):
        assert vesalius.parse_answer("ct.", "mcq", options).answer == "B"


def test_open_answers_lose_their_wrapper_only() -> None:
    assert vesalius.parse_answer("<answer>Left lung.</answer>", "open").answer == "Left lung"
    assert vesalius.parse_answer("  The left lung.", "open").answer == "The left lung."
    assert vesalius.parse_answer("...", "open").status == "empty"
    assert vesalius.parse_answer("I'm sorry, I cannot tell.", "open").status == "refused"


def test_wrong_options_are_errors() -> None:
    with pytest.raises(OptionError, match="kind"):
        vesalius.parse_answer("A", "choice")
    with pytest.raises(OptionError, match="letters"):
        vesalius.parse_answer("A", "mcq", {"1": "x"})
    with pytest.raises(InputError, match="int"):
        vesalius.parse_answer(3, "mcq")  # pyright: ignore[reportArgumentType]


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=200), kind=st.sampled_from(["mcq", "yesno", "open"]))
def test_any_text_has_a_result_and_an_answer_only_when_ok(text: str, kind: str) -> None:
    said = vesalius.parse_answer(text, kind, TEXTS if kind == "mcq" else None)
    assert (said.answer is not None) == (said.status == "ok")


@pytest.mark.parametrize(
    "piece", ["a", "A ", "\\boxed{", "<answer>", "answer is ", "no ", "是", "{", "\n", "A, B and ", "*", " "]
)
def test_a_megabyte_of_anything_is_read_in_no_time(piece: str) -> None:
    for kind in ("mcq", "yesno", "open"):
        started = time.process_time()
        vesalius.parse_answer(piece * (1_000_000 // len(piece)), kind, TEXTS if kind == "mcq" else None)
        assert time.process_time() - started < 1.0  # half a second, and room for a busy machine


def test_the_prompts_own_words_are_no_polarity() -> None:
    asked = "Please output 'yes' or 'no'(no extra output). yes"
    assert vesalius.parse_answer(asked, "yesno").answer == "yes"
    assert vesalius.parse_answer("请输出'是'或'否'(不要有任何其它输出)。否", "yesno", lang="zh").answer == "no"

"""The wording of every prompt, to the letter, and ids that tell templates apart."""

from __future__ import annotations

import pytest

from vesalius.errors import OptionError
from vesalius.evaluation.benchmarks import benchmark
from vesalius.evaluation.benchmarks.prompts import (
    REPORT,
    ask_choice,
    ask_closed,
    ask_mmmu,
    ask_open,
    ask_yes_no,
    option_lines,
)

OPTIONS = {"A": "liver", "B": "spleen"}
HULU = "Please reason step by step, and put your final answer within \\boxed{}."


def test_multiple_choice() -> None:
    start = "\nQuestion: Which organ?\nOptions: \nA. liver\nB. spleen\n"
    assert ask_choice("Which organ?", OPTIONS) == (
        start + "Answer with the option's letter from the given choices directly."
    )
    assert ask_choice("Which organ?", OPTIONS, style="reasoning") == (
        start + 'Answer with the option\'s letter from the given choices and put the letter in one "\\boxed{}".'
    )
    assert ask_choice("Which organ?", OPTIONS, style="hulu-reasoning") == start + HULU


def test_multiple_choice_in_chinese() -> None:
    assert ask_choice("哪个器官？", {"A": "肝", "B": "脾"}, prefix="A.x", lang="zh") == (
        "\n问题： 哪个器官？\n选项： \nA.肝\nB.脾\n请直接使用给定选项中的选项字母来回答该问题。"
    )


def test_options_are_led_in_as_the_prefix_says() -> None:
    assert option_lines(OPTIONS, "A. x") == "A. liver\nB. spleen"
    assert option_lines(OPTIONS, "A.x") == "A.liver\nB.spleen"
    assert option_lines({"A": "A:liver", "B": "B:spleen"}, "x") == "A:liver\nB:spleen"


def test_yes_no_closed_and_open() -> None:
    assert ask_yes_no("Is it?") == "Is it?\nPlease output 'yes' or 'no'(no extra output)."
    assert ask_yes_no("Is it?", "reasoning") == (
        'Is it?\nPlease output "yes" or "no" and put the answer in one "\\boxed{}".'
    )
    assert ask_closed("Which?") == "Which?\nAnswer the question using a single word or phrase."
    assert ask_closed("Which?", "reasoning") == (
        'Which?\nAnswer the question using a single word or phrase and put the answer in one "\\boxed{}".'
    )
    assert ask_open("Why?") == "Why?\nPlease answer the question concisely."
    assert ask_open("Why?", "reasoning") == (
        'Why?\nPlease answer the question concisely and put the answer in one "\\boxed{}".'
    )
    assert ask_open("Why?", "hulu-reasoning") == f"Why?\n{HULU}"


def test_hulu_asks_judgement_items_for_a_word_or_phrase() -> None:
    assert ask_yes_no("Is it?", "hulu-reasoning") == ask_closed("Is it?", "hulu-reasoning")
    assert ask_yes_no("Is it?", "hulu-reasoning").startswith("Is it?\nAnswer the question using a single word")


def test_mmmu() -> None:
    assert ask_mmmu("<image 1> Which organ?", OPTIONS) == (
        "\n<image 1> Which organ?\n\n(A) liver\n(B) spleen\n\n        "
        "Answer with the option's letter from the given choices directly."
    )
    assert ask_mmmu("Name it.", {}) == "\nName it.\n\n        Answer the question using a single word or phrase."


def test_report() -> None:
    assert REPORT == (
        "You are a helpful assistant. Please generate a report for the given images, including both findings and "
        "impressions. Return the report in the following format: Findings: {} Impression: {}."
    )


def test_a_variant_has_its_own_template_id_and_prompt() -> None:
    found = benchmark("medqa-usmle")
    assert found.template == "mcq[A. x]"
    assert found.variant(None) is found
    assert found.variant("direct") is found
    assert found.variant("reasoning").template == "mcq[A. x]+reasoning"
    assert found.variant("hulu-reasoning").template == "mcq[A. x]+hulu-reasoning"


def test_an_unknown_variant_names_those_there_are() -> None:
    with pytest.raises(OptionError, match="Known: direct, reasoning, hulu-reasoning"):
        benchmark("medqa-usmle").variant("riddles")


def test_the_prefix_is_part_of_the_template_id() -> None:
    assert benchmark("medbullets-op4").template == "mcq[A.x]"
    assert benchmark("pmc-vqa").template == "mcq[x]"
    assert benchmark("cmb").template == "mcq-zh[A.x]"
    assert benchmark("pubmedqa").template == "pubmed[A.x]"

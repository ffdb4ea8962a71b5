"""The exact prompts benchmarks are asked with, and the ids that name them.

An id tells everything that changes the text: the kind of question, how an option is led in ("mcq[A. x]",
"mcq[A.x]"), the language, the style ("mcq[A. x]+reasoning").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

from vesalius.evaluation.contract import Benchmark

__all__ = [
    "REPORT",
    "STYLES",
    "Prefix",
    "Style",
    "ask_choice",
    "ask_closed",
    "ask_mmmu",
    "ask_open",
    "ask_yes_no",
    "in_styles",
    "option_lines",
    "template_id",
]

Style = Literal["direct", "reasoning", "hulu-reasoning"]
"""`direct`: the answer alone. `reasoning`: as MedEvalKit asks for a boxed answer. `hulu-reasoning`: as Hulu-Med's
harness does."""

STYLES: tuple[Style, ...] = ("direct", "reasoning", "hulu-reasoning")

Prefix = Literal["A. x", "A.x", "x"]
"""How an option is written; "x": its text already holds the letter."""

_HULU = "Please reason step by step, and put your final answer within \\boxed{}."

_CHOICE: dict[Style, str] = {
    "direct": "Answer with the option's letter from the given choices directly.",
    "reasoning": 'Answer with the option\'s letter from the given choices and put the letter in one "\\boxed{}".',
    "hulu-reasoning": _HULU,
}
_CHOICE_ZH: dict[Style, str] = {
    "direct": "请直接使用给定选项中的选项字母来回答该问题。",
    "reasoning": '请直接使用给定选项中的选项字母来回答该问题,并将答案包裹在"\\boxed{}"里',
    "hulu-reasoning": _HULU,
}
_YES_NO: dict[Style, str] = {
    "direct": "Please output 'yes' or 'no'(no extra output).",
    "reasoning": 'Please output "yes" or "no" and put the answer in one "\\boxed{}".',
}
_CLOSED: dict[Style, str] = {
    "direct": "Answer the question using a single word or phrase.",
    "reasoning": 'Answer the question using a single word or phrase and put the answer in one "\\boxed{}".',
    # Judgement items keep the short-answer wording in Hulu-Med's harness.
    "hulu-reasoning": f"Answer the question using a single word or phrase. {_HULU}",
}
_OPEN: dict[Style, str] = {
    "direct": "Please answer the question concisely.",
    "reasoning": 'Please answer the question concisely and put the answer in one "\\boxed{}".',
    "hulu-reasoning": _HULU,
}

REPORT = (
    "You are a helpful assistant. Please generate a report for the given images, including both findings and "
    "impressions. Return the report in the following format: Findings: {} Impression: {}."
)


def option_lines(options: Mapping[str, str], prefix: Prefix) -> str:
    """The options one under the other."""
    lead = prefix.removesuffix("x").removeprefix("A")
    return "\n".join(text if prefix == "x" else f"{letter}{lead}{text}" for letter, text in options.items())


def ask_choice(
    question: str, options: Mapping[str, str], *, prefix: Prefix = "A. x", style: Style = "direct", lang: str = "en"
) -> str:
    """A multiple-choice question, in English or Chinese."""
    lines = option_lines(options, prefix)
    if lang == "zh":
        return f"\n问题： {question}\n选项： \n{lines}\n{_CHOICE_ZH[style]}"
    return f"\nQuestion: {question}\nOptions: \n{lines}\n{_CHOICE[style]}"


def ask_mmmu(question: str, options: Mapping[str, str], style: Style = "direct") -> str:
    """A question of MMMU; without options it is a short open one."""
    if not options:
        return f"\n{question}\n\n        {_CLOSED[style]}"
    lines = "\n".join(f"({letter}) {text}" for letter, text in options.items())
    return f"\n{question}\n\n{lines}\n\n        {_CHOICE[style]}"


def ask_yes_no(question: str, style: Style = "direct") -> str:
    """A question whose answer is yes or no."""
    return f"{question}\n{_CLOSED[style] if style == 'hulu-reasoning' else _YES_NO[style]}"


def ask_closed(question: str, style: Style = "direct") -> str:
    """A question whose answer is one word or phrase."""
    return f"{question}\n{_CLOSED[style]}"


def ask_open(question: str, style: Style = "direct") -> str:
    """An open question."""
    return f"{question}\n{_OPEN[style]}"


def template_id(name: str, style: Style = "direct", *, prefix: Prefix | None = None) -> str:
    """The id of a template: `mcq[A. x]+reasoning`."""
    lead = "" if prefix is None else f"[{prefix}]"
    return f"{name}{lead}" if style == "direct" else f"{name}{lead}+{style}"


def in_styles(make: Callable[[Style], Benchmark]) -> Benchmark:
    """The benchmark asked directly, with its other styles as variants."""
    return replace(make("direct"), variants={style: make(style) for style in STYLES[1:]})

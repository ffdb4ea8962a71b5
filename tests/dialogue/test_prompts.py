"""The starter's prompt."""

from __future__ import annotations

import pytest

from vesalius.dialogue.prompts import TASK_QUESTIONS, starter_prompt, task_question
from vesalius.dialogue.scene_text import Scene
from vesalius.dialogue.understand import understand
from vesalius.errors import OptionError


def test_the_scene_stands_before_the_first_question_only() -> None:
    prompt = starter_prompt(
        Scene("skin", "none", "skin"),
        [("user", "What is it?"), ("assistant", "A mole."), ("user", "Sure?")],
        visual="<v>",
        system="S",
    )
    assert prompt == (
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\n<v>skin | none: mole\nWhat is it?<|im_end|>\n"
        "<|im_start|>assistant\nA mole.<|im_end|>\n<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize("turns", [[], [("assistant", "Hi")], [("system", "x"), ("user", "y")]])
def test_a_prompt_without_a_question_is_refused(turns: list[tuple[str, str]]) -> None:
    with pytest.raises(OptionError):
        starter_prompt(None, turns)


@pytest.mark.parametrize("lang", TASK_QUESTIONS)
def test_standard_questions_are_understood_as_their_task(lang: str) -> None:
    label = {"en": "the nodule", "zh": "结节", "ar": "العقدة"}[lang]
    for task in TASK_QUESTIONS[lang]:
        assert understand(task_question(task, label, lang)).task == task


def test_an_unknown_task_or_language_is_refused() -> None:
    with pytest.raises(OptionError, match="no standard question"):
        task_question("sing")
    with pytest.raises(OptionError, match="language 'fr'"):
        task_question("box", lang="fr")

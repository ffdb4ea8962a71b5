"""Ready wordings per task."""

from __future__ import annotations

import pytest

from vesalius.dialogue.prompts import TASK_QUESTIONS, task_question
from vesalius.dialogue.understand import understand
from vesalius.errors import OptionError


def test_a_task_has_a_wording_in_each_language():
    assert task_question("mask", "the cyst") == "Outline the cyst."
    assert {tuple(wordings) for wordings in TASK_QUESTIONS.values()} == {tuple(TASK_QUESTIONS["en"])}


@pytest.mark.parametrize(("task", "lang", "named"), [("dance", "en", "dance"), ("mask", "fr", "fr")])
def test_an_unknown_task_or_language_is_named(task: str, lang: str, named: str):
    with pytest.raises(OptionError, match=named):
        task_question(task, lang=lang)


@pytest.mark.parametrize("lang", TASK_QUESTIONS)
def test_standard_questions_are_understood_as_their_task(lang: str):
    label = {"en": "the nodule", "zh": "结节", "ar": "العقدة"}[lang]
    for task in TASK_QUESTIONS[lang]:
        assert understand(task_question(task, label, lang)).task == task

"""What a model answered to a multiple-choice, yes/no or open question: the answer, or why there is none.

An answer that is not there is never guessed, drawn at random or matched by similarity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vesalius.errors import InputError, OptionError
from vesalius.findings.answer_text import Prepared, prepare
from vesalius.findings.choices import Choices, find_choice
from vesalius.findings.polarity import find_polarity

__all__ = ["AnswerStatus", "ParsedAnswer", "parse_answer"]

AnswerStatus = Literal["ok", "ambiguous", "refused", "empty", "truncated", "unparsed"]
_KINDS = {"mcq": "mcq", "yesno": "yesno", "yes/no": "yesno", "yes_no": "yesno", "yes-no": "yesno", "open": "open"}


@dataclass(frozen=True)
class ParsedAnswer:
    """`answer`: an upper-case letter ("mcq"), "yes" or "no" ("yesno"), the text ("open"); None unless `status` is "ok".
    `rule`: which rule found it, or why none did. Also readable as `result["answer"]`."""

    answer: str | None
    status: AnswerStatus
    rule: str = ""

    def keys(self) -> list[str]:
        """Field names, so that `dict(result)` works."""
        return ["answer", "status", "rule"]

    def __getitem__(self, name: str) -> Any:
        if name not in self.keys():
            raise KeyError(name)
        return getattr(self, name)


def parse_answer(
    text: str,
    kind: str,
    options: Mapping[str, str] | Sequence[str] | int | None = None,
    lang: str | None = None,
    finish_reason: str | None = None,
) -> ParsedAnswer:
    """The answer a model's text gives.

    `kind`: "mcq", "yesno" (or "yes/no"), "open". `options`: of "mcq": letter → text, the texts in order (with or
    without "A. " before them), letters alone ("ABCD" or ["A", "B"]), or how many (None: A to D). `lang`: "en", "zh",
    "ar" (letters أ ب ج د ه are options with "ar"). `finish_reason`: "length" if the model was stopped.

    Raises OptionError for another kind or options that cannot be read; no text raises.
    """
    if not isinstance(text, str):
        raise InputError(f"the text is a {type(text).__name__}.", fix="Give the model's answer as a string.")
    if kind not in _KINDS:
        raise OptionError(f"kind is {kind!r}.", fix="Use mcq, yesno or open.")
    said = prepare(text)
    if said.is_open:
        return ParsedAnswer(None, "truncated", "a thought is not closed")
    if said.is_empty:
        return ParsedAnswer(None, "empty", "no text")
    match _KINDS[kind]:
        case "mcq":
            answer, status, rule = find_choice(said, Choices.read(options, lang), finish_reason)
        case "yesno":
            answer, status, rule = find_polarity(said, finish_reason)
        case _:
            answer, status, rule = _open(said, finish_reason)
    return ParsedAnswer(answer, status, rule)


def _open(said: Prepared, finish_reason: str | None) -> tuple[str | None, AnswerStatus, str]:
    from vesalius.findings.dialects.statements import is_refusal

    if said.explicit is not None:
        return said.explicit.shown, "ok", said.explicit.place
    if finish_reason == "length":
        return None, "truncated", "the text was cut off before an explicit answer"
    if is_refusal(said.text) and len(said.text) < 400:
        return None, "refused", "refusal"
    return said.shown, "ok", "whole answer"

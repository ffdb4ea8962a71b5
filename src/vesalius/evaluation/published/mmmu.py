"""MMMU's rules as three harnesses have them: lmms-eval (MMMU, MedQA) and MedEvalKit.

A choice: bracketed letters, else letters with a space, else letters with a point, else options' texts in an answer of
more than five words; of several the one that stands last. Where none is found the harness draws one at random, which is
its expected value here. An open answer is right when the reference occurs in a piece of it, or equals one of its
numbers to two decimals.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vesalius.evaluation.published.medevalkit import boxed_text, tagged

__all__ = ["LMMS_EVAL", "LMMS_EVAL_MEDQA", "MEDEVALKIT", "ChoiceRule", "choice", "open_right"]

_EDGES = (",", ".", "!", "?", ";", ":", "'")
_NUMBERS = (
    r"-?\b\d{1,3}(?:,\d{3})+\b",
    r"-?\d+(?:\.\d+)?[eE][+-]?\d+",
    r"-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])",
)
"""With thousands' commas; scientific; plain."""
_INDICATORS = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")


@dataclass(frozen=True)
class ChoiceRule:
    """What a harness looks for behind the brackets. `spaced`: a letter alone, "{} " (the end of a word will do) or
    " {} ". `pointed`: "A.". `texts`: options' texts. `unwraps`: answer tags and boxes are opened first."""

    spaced: str
    pointed: bool
    texts: bool
    unwraps: bool = False


LMMS_EVAL = ChoiceRule("{} ", pointed=True, texts=True)
LMMS_EVAL_MEDQA = ChoiceRule(" {} ", pointed=True, texts=False)
MEDEVALKIT = ChoiceRule(" {} ", pointed=False, texts=True, unwraps=True)


def choice(answer: str, options: Mapping[str, str], rule: ChoiceRule) -> str | None:
    """The letter taken; None where the harness draws one."""
    text = answer
    if rule.unwraps:
        text = _opened(text).strip()
    for mark in _EDGES:
        text = text.strip(mark)
    text = f" {text} "
    found = [letter for letter in options if f"({letter})" in text]
    # One rule looks for the last letter with spaces whatever it found: of several bracketed ones the first then wins.
    last = "({})" if found and rule.texts else " {} "
    if not found:
        found = [letter for letter in options if rule.spaced.format(letter) in text]
    if not found and rule.pointed:
        found = [letter for letter in options if f"{letter}." in text]
    if not found and rule.texts and len(text.split()) > 5:
        lowered = text.lower()
        found = [letter for letter, option in options.items() if option.lower() in lowered]
        return max(found, key=lambda letter: lowered.rfind(options[letter].lower())) if found else None
    return max(found, key=lambda letter: text.rfind(last.format(letter))) if found else None


def open_right(answer: str, true: Sequence[str]) -> bool:
    """Whether an open answer is right for any of the true ones."""
    references = [one for text in true for one in _comparable(text)]
    pieces = _pieces(answer)
    said = [one for piece in pieces for one in _comparable(piece)]
    said += [one for piece in pieces for pattern in _NUMBERS for found in re.findall(pattern, piece)
             for one in _comparable(found)]  # fmt: skip
    for one in said:
        if isinstance(one, str):
            if any(isinstance(text, str) and text in one for text in references):
                return True
        elif one in references:
            return True
    return False


def _opened(text: str) -> str:
    if "<answer>" in text:
        return tagged(text)
    if "\\boxed" not in text:
        return text
    boxed = boxed_text(text)
    return "None" if boxed is None else boxed


def _pieces(answer: str) -> list[str]:
    """Of each line what stands behind an indicating word, the shortest of several; the whole where there is none."""
    text = answer.strip().strip(".").lower()
    lines = text.split("\n")
    pieces: list[str] = []
    for number, line in enumerate(lines):
        words = (*_INDICATORS, "=") if number == len(lines) - 1 else _INDICATORS
        shortest = ""
        for word in words:
            tail = line.rsplit(word, 1)[-1].strip()
            if word in line and (not shortest or len(tail) < len(shortest)):
                shortest = tail
        if shortest and shortest not in _EDGES:
            pieces.append(shortest)
    return pieces or [text]


def _comparable(text: str) -> list[str | float]:
    text = text.strip()
    try:
        return [round(float(text.replace(",", "")), 2)]
    except ValueError:
        text = text.lower()
        return [f" {text}", f"{text} "] if len(text) == 1 else [text]

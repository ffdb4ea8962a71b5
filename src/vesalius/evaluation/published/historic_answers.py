"""How other harnesses read answers: rebuilt from what they were seen to do, for explaining their published figures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher

__all__ = ["loose_match", "medevalkit_choice", "medevalkit_yes_no_right"]


def medevalkit_choice(answer: str, options: Mapping[str, str]) -> str:
    """The letter MedEvalKit takes an answer for: the piece before the first point and behind the last colon where that
    is a letter, else the option most like the answer; the first one where none is alike. Never none."""
    text = answer.strip().lower()
    boxed = re.search(r"\\boxed\{(.*?)\}", text)
    text = boxed[1] if boxed else text
    letters = [letter.lower() for letter in options]
    piece = text.split(".")[0].split(":")[-1]
    if piece in letters:
        return list(options)[letters.index(piece)]
    alike = [SequenceMatcher(None, text, option.lower()).ratio() for option in options.values()]
    return list(options)[alike.index(max(alike))]


def medevalkit_yes_no_right(answer: str, true: str) -> bool:
    """Whether MedEvalKit takes a yes/no answer for right: the letters of one word occur and those of the other do not,
    so that a nodule is a no."""
    text = answer.lower()
    yes, no = "yes" in text, "no" in text
    return yes and not no if true == "yes" else no and not yes


def loose_match(answer: str, true: Sequence[str]) -> bool:
    """Lower case, white space at the ends and one final point aside, the texts are equal."""

    def plain(text: str) -> str:
        return text.strip().lower().removesuffix(".")

    return plain(answer) in {plain(text) for text in true}

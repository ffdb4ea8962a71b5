"""Answers that cite findings by number: the words without the numbers."""

from __future__ import annotations

import re
from dataclasses import replace

from vesalius.evaluation.prediction import Prediction

__all__ = ["uncited", "without_citations"]

_CITATION = re.compile(r"[ \t]?\[\d{1,3}\]")


def without_citations(prediction: Prediction) -> Prediction:
    """The answer without its `[3]`: the number of a finding is no count and no size. An answer that is nothing else, or
    written as JSON, stays."""
    plain = uncited(prediction.raw)
    return prediction if plain == prediction.raw else replace(prediction, raw=plain)


def uncited(text: str) -> str:
    """As `without_citations`, of a text."""
    if "[" not in text or text.lstrip().startswith(("{", "[", "`")):
        return text
    plain = _CITATION.sub("", text)
    return plain if any(sign.isalnum() for sign in plain) else text

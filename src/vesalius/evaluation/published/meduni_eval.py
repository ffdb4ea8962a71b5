"""What MedUniEval, Hulu-Med's evaluation code, does otherwise than MedEvalKit, from which it grew."""

from __future__ import annotations

import re

from vesalius.evaluation.published.medevalkit import nltk_bleu, report_scores
from vesalius.evaluation.published.rouge_sets import NoSentenceError, rouge_set_f1
from vesalius.evaluation.published.vqa_words import word_exact_match, word_f1

__all__ = ["open_3d_scores", "report_text_scores", "same_letter"]

_LETTER = re.compile(r"([a-d])[.):]?\s*")
_ROUGE_CHARS = 2048
_WEIGHTS = ((1, 0, 0, 0), (0.5, 0.5, 0, 0), (0.33, 0.33, 0.33, 0), (0.25, 0.25, 0.25, 0.25))


def same_letter(answer: str, true: str) -> bool:
    """Closed 3D items: the first letters are equal where they are a to d, of words, too: "cannot tell" is C."""
    return _letter(answer) == _letter(true)


def open_3d_scores(answer: str, true: str) -> dict[str, float]:
    """An open 3D answer; empty scores 0. BLEU (smoothed: an order without a hit has 0.1 hits), ROUGE of sets, and
    "exact match" and token scores as LLaVA-Med has them: the published code calls functions of these names from a
    module it does not hold."""
    said, truth = answer.strip().lower(), true.strip().lower()
    bleus = [nltk_bleu(said.split(), truth.split(), weights, "method1") for weights in _WEIGHTS]
    try:
        rouges = rouge_set_f1(said, truth)
    except NoSentenceError:
        rouges = (0.0, 0.0, 0.0)
    f1, precision, recall = word_f1(said, truth)
    found = {f"bleu_{n}": value for n, value in enumerate(bleus, 1)}
    found |= {"exact_match": word_exact_match(said, truth)}
    found |= {"token_precision": precision, "token_recall": recall, "token_f1": f1}
    return found | dict(zip(("rouge_1", "rouge_2", "rouge_l"), rouges, strict=True))


def report_text_scores(answer: str, true: str) -> dict[str, float]:
    """As MedEvalKit's, without the words "Findings:" and "Impression:" of the answer; ROUGE reads 2,048 characters."""
    said = answer.replace("Findings:", "").replace("Impression:", "") if answer else ""
    return report_scores(said, true, _ROUGE_CHARS)


def _letter(text: str) -> str:
    text = text.strip().lower()
    found = _LETTER.match(text)
    return found[1] if found else text

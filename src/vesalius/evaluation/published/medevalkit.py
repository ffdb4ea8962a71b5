"""How MedEvalKit (state 9b12e3b) reads and scores answers, its defects included.

An answer is lowered, then cut to what stands in the last box, else in the answer tags, else behind the last of some
phrases. A choice is the piece of it before the first point and behind the last colon where that is a letter, untouched
otherwise; anything else is the option most like it by `difflib`. Yes and no are looked for as letters, so that a nodule
says no. The columns of token scores are printed permuted: under precision stands F1, under recall precision, under F1
recall; tokens are parted by white space and a repeated one counts once.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from vesalius.evaluation.metrics.aligned import aligned_texts
from vesalius.evaluation.metrics.token_overlap import OverlapScores
from vesalius.evaluation.packages import package
from vesalius.evaluation.published.rouge_sets import NoSentenceError, rouge_set_f1

__all__ = [
    "boxed_text",
    "choice",
    "closed_right",
    "exact_matches",
    "nltk_bleu",
    "open_scores",
    "printed_columns",
    "report_scores",
    "tagged",
    "token_sets",
    "unwrapped",
    "yes_no_right",
]

_TAGS = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_PHRASES = (
    "**answer**:", "**answer**", "*answer*:", "**answer:**", "answer is", "answer:", "答案:", "final answer",
    "final answer is",
)  # fmt: skip
"""Tried in this order, each on what the one before left; the text behind the last occurrence stays."""
_ORDERS = (1, 2, 3, 4)
_WEIGHTS = tuple((1 / n,) * n for n in _ORDERS)


def unwrapped(answer: str) -> str:
    """What SLAKE, VQA-RAD, PathVQA and Rad-ReStruct look at: the last box, else the answer tags, else all."""
    boxed = boxed_text(answer)
    if boxed is not None:
        return boxed
    return tagged(answer) if "<answer>" in answer else answer


def choice(answer: str, options: Sequence[str]) -> int:
    """The index of the option an answer is taken for; there always is one, the first where none is alike.

    `options`: as the prompt lists them, with their letters where it does ("A. x").
    """
    letters = [chr(ord("a") + k) for k in range(len(options))]
    text = answer.lower()
    blocks = text.split("\n\n")
    if blocks[0] in letters:
        text = blocks[0]
    elif blocks[-1].split(".")[0] in letters:
        text = blocks[-1].split(".")[0]
    text = _last_said(text).strip().lower().replace("\n", "")
    piece = text.split(".")[0].split(":")[-1]
    listed = [option.lower() for option in options]
    if piece in letters:
        return letters.index(piece)
    if piece in listed:
        return listed.index(piece)
    alike = [SequenceMatcher(None, option, text).ratio() for option in listed]
    return alike.index(max(alike))


def yes_no_right(answer: str, true: str) -> bool:
    """Whether a yes/no answer is taken for right: the letters of one word occur and those of the other do not."""
    text = _plain(answer)
    return ("yes" in text) != ("no" in text) and true.lower() in text


def closed_right(answer: str, true: str) -> bool:
    """Whether a closed answer is the reference, lower case, line ends and points aside."""
    return _plain(answer) == true.lower()


def open_scores(answer: str, true: str) -> dict[str, float]:
    """Scores of an open answer as they are printed: `exact_match`, `bleu_1` to `bleu_4` (unsmoothed), ROUGE of sets,
    permuted token columns. An answer without a word ends the published run; here it scores 0 throughout."""
    said, truth = _last_said(answer), true.lower()
    try:
        rouges = rouge_set_f1(said.lower(), truth)
    except NoSentenceError:
        rouges = None
    names = ["exact_match", *(f"bleu_{n}" for n in _ORDERS), "rouge_1", "rouge_2", "rouge_l"]
    names += ["token_precision", "token_recall", "token_f1"]
    if rouges is None or not said.split():
        return dict.fromkeys(names, 0.0)
    bleus = [nltk_bleu(_spaced(said), _spaced(truth), weights) for weights in _WEIGHTS]
    printed = printed_columns(token_sets([said], [truth]))
    tokens = (float(column[0]) for column in (printed.precision, printed.recall, printed.f1))
    return dict(zip(names, (float(said == truth), *bleus, *rouges, *tokens), strict=True))


def report_scores(answer: str, true: str, longest: int | None = None) -> dict[str, float]:
    """BLEU and ROUGE of a report; an empty one scores 0 in them all. `longest`: characters of it that ROUGE reads."""
    names = [*(f"bleu_{n}" for n in _ORDERS), "rouge_1", "rouge_2", "rouge_l"]
    try:
        rouges = rouge_set_f1(answer.lower()[:longest], true.lower())
    except NoSentenceError:
        return dict.fromkeys(names, 0.0)
    said, truth = ([word for word in _spaced(text) if word] for text in (answer, true))
    return dict(zip(names, (*(nltk_bleu(said, truth, weights) for weights in _WEIGHTS), *rouges), strict=True))


def nltk_bleu(said: Sequence[str], true: Sequence[str], weights: Sequence[float], smoothing: str = "method0") -> float:
    """BLEU of one pair of token lists by nltk. Unsmoothed ("method0") an order without a hit counts as the smallest
    float, so that a right single word has a BLEU-4 of 1.8e-231. `smoothing`: of nltk's methods."""
    bleu: Any = package("nltk.translate.bleu_score", "BLEU")
    if not said:
        return 0.0
    with warnings.catch_warnings():  # it warns of every order without a hit
        warnings.simplefilter("ignore")
        how = getattr(bleu.SmoothingFunction(), smoothing)
        return float(bleu.sentence_bleu([true], said, weights=list(weights), smoothing_function=how))


def token_sets(predicted: Sequence[str | None], reference: Sequence[str]) -> OverlapScores:
    """Overlap of the sets of lower-case tokens, columns in their right places."""
    said, truth = aligned_texts(predicted, reference)
    pairs = [(set(a.lower().split()), set(b.lower().split())) for a, b in zip(said, truth, strict=True)]
    counts = np.array([(len(a & b), len(a), len(b)) for a, b in pairs], dtype=np.float64)
    return OverlapScores.from_counts(counts[:, 0], counts[:, 1], counts[:, 2])


def printed_columns(scores: OverlapScores) -> OverlapScores:
    """The scores under the names the published tables print them."""
    return OverlapScores(precision=scores.f1, recall=scores.precision, f1=scores.recall)


def exact_matches(predicted: Sequence[str | None], reference: Sequence[str]) -> list[bool]:
    """Lower-case texts are equal, points and all: "MRI." is not "mri"."""
    said, truth = aligned_texts(predicted, reference)
    return [_last_said(a) == b.lower() for a, b in zip(said, truth, strict=True)]


def _plain(answer: str) -> str:
    return _last_said(answer).replace("\n", "").replace(".", "")


def _last_said(answer: str) -> str:
    text = answer.lower()
    if "boxed" in text:
        boxed = boxed_text(text)
        text = "None" if boxed is None else boxed
    elif "<answer>" in text:
        text = tagged(text)
    for phrase in _PHRASES:
        text = text.rsplit(phrase, 1)[-1]
    return text


def boxed_text(text: str) -> str | None:
    r"""What stands in the last `\boxed{…}`, braces counted; None where it is not there or not closed."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    depth = 0
    start += len("\\boxed{")
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth < 0:
            return text[start:at].strip()
    return None


def tagged(text: str) -> str:
    """What stands in answer tags, one behind the other; the whole text where there are none."""
    return " ".join(_TAGS.findall(text)).strip() or text


def _spaced(text: str) -> list[str]:
    return text.lower().replace(".", " .").split(" ")

"""Multiple choice, yes/no, closed and open answers.

`accuracy` is one figure over all four kinds: the letter, the polarity, or the exact text after `normalise`. Open and
closed texts have token precision, recall and F1 beside it. Of several true texts the best counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from vesalius.evaluation.contract import Sample
from vesalius.evaluation.option_order import option_body
from vesalius.evaluation.prediction import Prediction
from vesalius.evaluation.scoring.named import parse_named
from vesalius.findings.dialects.statements import answer_part, without_thoughts
from vesalius.findings.normal_text import normalise, words
from vesalius.findings.parse_answer import ParsedAnswer, parse_answer

__all__ = [
    "KINDS",
    "WORDS",
    "parsed",
    "published_letter",
    "score_answer",
    "shown_options",
    "text_scores",
    "texts_of",
    "true_letter",
]

KINDS = ("mcq", "yesno", "closed", "open")
WORDS = ("token_precision", "token_recall", "token_f1")


def texts_of(gold: Any) -> list[str]:
    """The true texts of a closed or open item."""
    return [str(one) for one in gold] if isinstance(gold, list | tuple) else [str(gold)]


def true_letter(sample: Sample) -> str:
    """The published letter of a multiple-choice item."""
    return str(sample.gold).strip().upper()


def written_answer(sample: Sample) -> str:
    """The reference as the benchmark's file has it, where the sample keeps it."""
    return str(sample.extra.get("answer") or texts_of(sample.gold)[0])


def shown_options(sample: Sample, order: str | None) -> Mapping[str, str] | None:
    """Letter → text as the model saw them; `order`: `Prediction.option_order`."""
    options = sample.options
    if not options or not order:
        return options
    return {shown: option_body(was, options[was]) for shown, was in zip(options, order, strict=True)}


def published_letter(sample: Sample, letter: str | None, order: str | None) -> str | None:
    """The published letter of the option shown under `letter`."""
    if letter is None or not order or not sample.options:
        return letter
    return dict(zip(sample.options, order, strict=True)).get(letter)


def parsed(sample: Sample, prediction: Prediction) -> ParsedAnswer | None:
    """The answer under the rules of `parse_answer`; None for an item the model failed on."""
    if prediction.finish_reason == "error":
        return None
    order = prediction.option_order
    if names := sample.extra.get("names"):
        text, is_open = without_thoughts(prediction.raw)
        return ParsedAnswer(None, "truncated") if is_open else parse_named(answer_part(text), str(names), sample.lang)
    kind = sample.kind if sample.kind in ("mcq", "yesno") else "open"
    options = shown_options(sample, order) if kind == "mcq" else None
    said = parse_answer(prediction.raw, kind, options, sample.lang, prediction.finish_reason)
    if kind == "mcq" and order and said.answer is not None:
        return ParsedAnswer(published_letter(sample, said.answer, order), said.status, said.rule)
    return said


def score_answer(sample: Sample, answer: str | None) -> dict[str, float]:
    """The scores of a parsed answer; None is wrong in all of them."""
    if sample.kind == "mcq":
        return {"accuracy": float(answer is not None and answer == true_letter(sample))}
    if sample.kind == "yesno":
        return {"accuracy": float(answer is not None and answer == str(sample.gold).strip().lower())}
    return text_scores(answer, texts_of(sample.gold))


def text_scores(answer: str | None, true: list[str]) -> dict[str, float]:
    """Exact match and token overlap with the best of several true texts."""
    said = normalise(answer or "")
    tokens = words(answer or "")
    best = dict.fromkeys(WORDS, 0.0)
    for text in true:
        reference = words(text)
        shared = (Counter(tokens) & Counter(reference)).total()
        if shared:
            precision, recall = shared / len(tokens), shared / len(reference)
            f1 = 2 * shared / (len(tokens) + len(reference))
            if f1 > best["token_f1"]:
                best = dict(zip(WORDS, (precision, recall, f1), strict=True))
    return {"accuracy": float(bool(said) and any(said == normalise(text) for text in true)), **best}

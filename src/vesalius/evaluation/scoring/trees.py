"""Nodes of question trees (Rad-ReStruct): a set of answers each, and the reports the nodes make together.

A node is right when the set of answers is. Over the answers of all nodes: precision, recall and F1, micro (ratios) and
macro over the (question, answer) classes with support. A report is right when all of its nodes are.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vesalius.evaluation.contract import Sample
from vesalius.evaluation.prediction import Prediction
from vesalius.evaluation.scoring.item import ItemScore
from vesalius.findings.answer_text import prepare
from vesalius.findings.normal_text import normalise
from vesalius.findings.parse_answer import parse_answer

__all__ = ["chosen", "macro_f1", "score_node", "with_reports"]


def chosen(sample: Sample, prediction: Prediction) -> tuple[tuple[str, ...] | None, str, str]:
    """(answers, status, rule) of a node: texts of the options chosen, sorted; None where none could be read."""
    if prediction.finish_reason == "error":
        return None, "error", "the model failed"
    if not sample.options:
        said = parse_answer(prediction.raw, "yesno", lang=sample.lang, finish_reason=prediction.finish_reason)
        return (None if said.answer is None else (said.answer,)), said.status, said.rule
    said = parse_answer(prediction.raw, "mcq", sample.options, sample.lang, prediction.finish_reason)
    multiple = sample.extra.get("answer_type") == "multi_choice"
    if said.answer is not None and not (multiple and re.search(r"[,;、，；]|\band\b", prediction.raw)):
        return (sample.options[said.answer],), said.status, said.rule
    if multiple and said.status in ("ok", "ambiguous", "unparsed"):
        several = _several(prediction.raw, sample.options)
        if several:
            return several, "ok", "several options"
    return (None if said.answer is None else (sample.options[said.answer],)), said.status, said.rule


def _several(raw: str, options: Mapping[str, str]) -> tuple[str, ...] | None:
    """A list whose every entry is an option, by letter or text ("A, C", "left; right"); None for anything else."""
    said = prepare(raw)
    text = said.explicit.shown if said.explicit is not None else said.shown
    by_text = {normalise(option): option for option in options.values()}
    found: set[str] = set()
    for part in re.split(r"\s*(?:[,;\n、，；]|\band\b)\s*", text):
        entry = part.strip(" .()[]")
        if not entry:
            continue
        letter = re.fullmatch(r"([A-Z])(?:[.):].*)?", entry)
        option = options.get(letter[1]) if letter else by_text.get(normalise(entry))
        if option is None:
            return None
        found.add(option)
    return tuple(sorted(found)) or None


def score_node(
    sample: Sample, answers: tuple[str, ...] | None
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """(scores, ratios) of one node."""
    true, said = {str(one) for one in sample.gold}, set(answers or ())
    hit = len(true & said)
    ratios = {
        "answer_precision": (float(hit), float(len(said))),
        "answer_recall": (float(hit), float(len(true))),
        "micro_f1": (2.0 * hit, float(len(true) + len(said))),
    }
    return {"accuracy": float(said == true)}, ratios


def with_reports(items: Sequence[ItemScore], samples: Sequence[Sample]) -> list[ItemScore]:
    """`report_accuracy` added on the first node of every report, so that it runs over reports."""
    members: dict[str, list[int]] = defaultdict(list)
    for k, sample in enumerate(samples):
        members[str(sample.extra.get("report", sample.cluster))].append(k)
    found = list(items)
    for nodes in members.values():
        right = min(items[k].scores["accuracy"] for k in nodes)
        first = min(nodes, key=lambda k: samples[k].id)
        found[first] = replace(items[first], scores={**items[first].scores, "report_accuracy": right})
    return found


def macro_f1(samples: Sequence[Sample], answers: Sequence[Any]) -> float:
    """Mean F1 over the (question, answer) classes that are true somewhere."""
    counts: dict[tuple[str, str], np.ndarray] = defaultdict(lambda: np.zeros(3))
    for sample, said in zip(samples, answers, strict=True):
        question = str(sample.extra.get("path", sample.question))
        true, given = {str(one) for one in sample.gold}, {str(one) for one in said or ()}
        for one in true | given:
            counts[question, one] += (one in true and one in given, one in given, one in true)
    f1 = [2 * row[0] / (row[1] + row[2]) for row in counts.values() if row[2] > 0]
    return float(np.mean(f1))

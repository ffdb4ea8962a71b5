"""Rewards of what is named: answers, labels and the findings of a report."""

from __future__ import annotations

from collections.abc import Iterable

from vesalius.findings.box_overlap import iou_matrix
from vesalius.findings.matching import assign
from vesalius.findings.normal_text import normalise, words
from vesalius.findings.parse_answer import parse_answer
from vesalius.training.rewards.truth import Completion, Truth, completion_of

__all__ = ["answer", "finding_f1", "label_accuracy"]

_NEGATIONS = frozenset(("no", "not", "without", "never", "absent", "无", "没", "未", "لا", "بدون", "دون"))
_REACH = 5
"""Words (or Chinese characters) before a finding in which a negation counts."""


def answer(completion: Completion | str, truth: Truth) -> float | None:
    """1 where the answer, as `parse_answer` extracts it, is right, else 0: unparsed, refused and cut-off answers are
    wrong. Open answers are compared after `normalise`. None without truth."""
    if truth.answer is None:
        return None
    said = completion_of(completion)
    read = parse_answer(said.text, truth.kind, truth.options, truth.lang, said.finish)
    if read.answer is None:
        return 0.0
    if truth.kind == "open":
        return float(normalise(read.answer) == normalise(truth.answer))
    return float(read.answer.lower() == truth.answer.lower())


def label_accuracy(completion: Completion | str, truth: Truth, *, surplus: float = 0.25) -> float | None:
    """Share of the true labels that are said (after `normalise`, or by a synonym), less `surplus` for every further
    distinct label over max(1, true labels), in [0, 1].

    Where the truth has boxes, a label counts on a matched pair of boxes with IoU ≥ 0.1 only, once for each true box;
    else said labels are the names of places, or the parts of the answer between commas, semicolons and lines. With no
    true label: 1 less the surplus. None without truth.
    """
    said = completion_of(completion)
    if truth.boxes is not None and all(name is not None for name, _ in truth.boxes):
        return _located_labels(said, truth, surplus)
    if truth.labels is None:
        return None
    real = {_canonical(name, truth) for name in truth.labels}
    named = {_canonical(name, truth) for name in _said_labels(said, truth)} - {""}
    return _clipped(len(named & real), len(named - real), len(real), surplus)


def _located_labels(said: Completion, truth: Truth, surplus: float) -> float:
    boxes, real = said.boxes(truth), list(truth.boxes or ())
    names = {_canonical(name, truth) for name, _ in real}
    extra = len({_canonical(name, truth) for name, _ in boxes if name} - names)
    right = 0
    if boxes and real:
        overlap = iou_matrix([box for _, box in boxes], [box for _, box in real])
        right = sum(
            _canonical(boxes[p][0], truth) == _canonical(real[g][0], truth)
            for p, g in assign(1.0 - overlap)
            if overlap[p, g] >= 0.1
        )
    return _clipped(right, extra, len(real), surplus)


def _clipped(right: int, extra: int, real: int, surplus: float) -> float:
    share = right / real if real else 1.0
    return min(1.0, max(0.0, share - surplus * extra / max(1, real)))


def _said_labels(said: Completion, truth: Truth) -> list[str]:
    placed = [name for name, _ in (*said.boxes(truth), *said.points(truth)) if name] if truth.size else []
    if placed:
        return placed
    text = said.answer
    for mark in ";\n；、،，":
        text = text.replace(mark, ",")
    return text.split(",")


def _canonical(name: str | None, truth: Truth) -> str:
    plain = normalise(name or "")
    for known, others in truth.synonyms:
        if plain in {normalise(known), *map(normalise, others)}:
            return normalise(known)
    return plain


def finding_f1(completion: Completion | str, truth: Truth) -> float | None:
    """F1 of the findings a report tells against those it has to (`findings` among `known`); 1 where there are none on
    either side. A finding is told where one of its names stands, in singular or plural, without a negation in the words
    right before it in the same clause. None without truth."""
    if truth.findings is None:
        return None
    real = {_canonical(name, truth) for name in truth.findings}
    known = real | {_canonical(name, truth) for name in truth.known}
    told = _told(completion_of(completion).answer, known, truth)
    both = len(told) + len(real)
    return 2.0 * len(told & real) / both if both else 1.0


def _told(text: str, known: Iterable[str], truth: Truth) -> set[str]:
    for mark in ".;:\n。；：؛!?！？":
        text = text.replace(mark, "\n")
    clauses = [words(clause) for clause in text.split("\n")]
    forms = {name: {tuple(words(name))} for name in known}
    for name, others in truth.synonyms:
        forms.setdefault(_canonical(name, truth), set()).update(tuple(words(other)) for other in (name, *others))
    return {name for name in forms if any(_says(clause, form) for clause in clauses for form in forms[name] if form)}


def _says(clause: list[str], form: tuple[str, ...]) -> bool:
    several = (*form[:-1], f"{form[-1]}s"), (*form[:-1], f"{form[-1]}es")
    for start in range(len(clause) - len(form) + 1):
        if tuple(clause[start : start + len(form)]) in (form, *several):
            before = clause[:start]
            # "no effusion or nodule" denies both; "no effusion but a nodule" only the first.
            for turn in ("but", "但", "لكن", "however", "although"):
                if turn in before:
                    before = before[len(before) - before[::-1].index(turn) :]
            if not _NEGATIONS & set(before[-_REACH:]):
                return True
    return False

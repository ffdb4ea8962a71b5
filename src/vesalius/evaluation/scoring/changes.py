"""What an answer says has become of findings between two pictures: (label, change) of each sentence, en, zh and ar.

The truth of an item is a list of [label, change], the change one of `CHANGES`. Known labels are found by any of their
names, others by the label's own text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from vesalius.dialogue.understand import understand
from vesalius.dialogue.words import LABEL_NAMES
from vesalius.errors import InputError
from vesalius.evaluation.contract import Sample
from vesalius.evaluation.prediction import Prediction
from vesalius.evaluation.scoring.reports import read_report

__all__ = ["CHANGES", "changes_said", "score_changes", "true_changes"]

Change = tuple[str, str]
CHANGES = {
    "more": r"\bmore\b|\bincreased in number\b|增多|زاد العدد",
    "fewer": r"\bfewer\b|\bdecreased in number\b|减少|نقص العدد",
    "resolved": r"\bgone\b|\bresolved\b|\bdisappeared\b|\bno longer\b|消失|اختف",
    "unchanged": r"\bunchanged\b|\bstable\b|\bnot changed\b|\bno change\b|无变化|没有变化|稳定|دون تغير|لا تغير",
    "grown": r"\bgrown\b|\bgrew\b|\bincreased\b|\benlarged\b|\blarger\b|增大|زاد|كبر",
    "shrunk": r"\bshrunk\b|\bshrank\b|\bdecreased\b|\bsmaller\b|缩小|نقص|صغر",
    "new": r"\bnew(?:ly)?\b|新出现|新发|新增|جديد",
}
"""Change → how a sentence says it; of several the first here counts."""
_SENTENCE = re.compile(r"(?<=[.!?؟])\s+|(?<=[。！？;；\n])")


def true_changes(sample: Sample) -> set[Change]:
    """The truth of an item. InputError when it has another form."""
    gold: Any = sample.gold
    try:
        found = {(str(label), str(change)) for label, change in gold}
    except (TypeError, ValueError) as exc:
        raise InputError(f"item {sample.id!r}: the truth is no list of [label, change].") from exc
    if odd := {change for _, change in found} - CHANGES.keys():
        raise InputError(f"item {sample.id!r}: {min(odd)!r} is no change.", fix=f"Known: {', '.join(CHANGES)}.")
    return found


def changes_said(text: str, labels: Sequence[str] = ()) -> set[Change]:
    """(label, change) of every sentence that tells one. `labels`: those to look for beside the known ones."""
    told: set[Change] = set()
    strange = [label for label in labels if label not in LABEL_NAMES]
    for sentence in _SENTENCE.split(text):
        folded = sentence.lower()
        change = next((name for name, pattern in CHANGES.items() if re.search(pattern, folded)), None)
        label = next((one for one in strange if one.lower() in folded), None) or understand(sentence).label
        if change is not None and label is not None:
            told.add((label, change))
    return told


def score_changes(sample: Sample, prediction: Prediction) -> tuple[list[list[str]] | None, str, str, dict[str, float]]:
    """(changes said, status, rule, scores). `change_f1`: F1 of the (label, change) pairs; where there is nothing to
    tell, 1 for an answer that tells none."""
    true = true_changes(sample)
    text, status = read_report((sample, prediction))
    if text is None:
        return None, status, "", {"change_f1": 0.0}
    said = changes_said(text, [label for label, _ in true])
    both = len(said) + len(true)
    return (
        [list(one) for one in sorted(said)],
        status,
        "changes told",
        {"change_f1": 2 * len(said & true) / both if both else 1.0},
    )

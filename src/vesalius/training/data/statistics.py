"""What data are made of, counted row by row in constant memory."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vesalius.dialogue.marks import MEDIA_MARK, PLACE_MARK
from vesalius.dialogue.samples import Sample

__all__ = ["Lengths", "Statistics", "estimated_tokens", "sample_text"]

_WORDS = re.compile(r"[A-Za-z]+|\d|[^\sA-Za-z\d]")
_MOST_LABELS = 2_000


def estimated_tokens(text: str) -> int:
    """Tokens of a text without a tokenizer at hand: four letters of a Latin word, one digit, one sign or one letter of
    another script each. Good to a quarter or so; a figure made of it says that it is an estimate."""
    if text.isascii():
        return sum(math.ceil(len(word) / 4) if word[0].isalpha() else 1 for word in _WORDS.findall(text))
    return sum(
        math.ceil(len(word) / 4) if word.isascii() and word[0].isalpha() else 1 for word in _WORDS.findall(text)
    )


def sample_text(sample: Sample) -> str:
    """All texts of a sample; marks of media out, for their tokens depend on the model."""
    text = "\n".join(turn.text for turn in sample.turns)
    return MEDIA_MARK.sub("", text) if "<" in text else text


@dataclass
class Lengths:
    """A histogram of lengths: exact up to 4,096, then in steps that grow with the length."""

    counts: Counter[int] = field(default_factory=Counter[int])
    total: int = 0
    longest: int = 0

    def add(self, length: int) -> None:
        """Count one."""
        step = 1 if length < 4_096 else 1 << (length.bit_length() - 12)
        self.counts[length // step * step] += 1
        self.total += length
        self.longest = max(self.longest, length)

    def quantile(self, share: float) -> int:
        """The length that `share` of all are no longer than."""
        wanted, seen = math.ceil(share * self.counts.total()), 0
        for length in sorted(self.counts):
            seen += self.counts[length]
            if seen >= wanted:
                return length
        return 0

    def over(self, length: int) -> int:
        """How many are longer."""
        return sum(count for one, count in self.counts.items() if one > length)

    def to_json(self) -> dict[str, Any]:
        """Mean and quantiles."""
        n = self.counts.total()
        return {
            "mean": round(self.total / n, 1) if n else 0.0, "median": self.quantile(0.5), "p90": self.quantile(0.9),
            "p99": self.quantile(0.99), "longest": self.longest,
        }  # fmt: skip


@dataclass
class Statistics:
    """Counts over good rows."""

    samples: int = 0
    turns: int = 0
    tokens: Lengths = field(default_factory=Lengths)
    answer_tokens: Lengths = field(default_factory=Lengths)
    modalities: Counter[str] = field(default_factory=Counter[str])
    areas: Counter[str] = field(default_factory=Counter[str])
    tasks: Counter[str] = field(default_factory=Counter[str])
    languages: Counter[str] = field(default_factory=Counter[str])
    media: Counter[str] = field(default_factory=Counter[str])
    targets: Counter[str] = field(default_factory=Counter[str])
    labels: Counter[str] = field(default_factory=Counter[str])
    answers: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    patients: set[str] = field(default_factory=set[str])
    without_patient: int = 0

    def add(self, sample: Sample) -> None:
        """Count a sample, lengths apart."""
        self.samples += 1
        self.turns += len(sample.turns)
        tags = sample.tags
        self.modalities[tags.modality] += 1
        self.areas[tags.area] += 1
        self.tasks[tags.task] += 1
        self.languages[sample.lang] += 1
        for medium in sample.media:
            self.media[medium.kind] += 1
        if not sample.media:
            self.media["text only"] += 1
        if sample.patient is None:
            self.without_patient += 1
        else:
            self.patients.add(sample.patient)
        for turn in sample.turns:
            if turn.targets is not None:
                self._targets(turn.targets, tags.task)

    def _targets(self, targets: Any, task: str) -> None:
        for kind in ("boxes", "points", "counts", "masks", "sides", "sizes", "changes"):
            found: Sequence[Any] = getattr(targets, kind)
            if found:
                self.targets[kind] += len(found)
                for one in found:
                    if len(self.labels) < _MOST_LABELS or one.label in self.labels:
                        self.labels[one.label] += 1
        if targets.answer is not None:
            answers = self.answers.setdefault(task, Counter())
            if len(answers) < _MOST_LABELS or targets.answer in answers:
                answers[targets.answer] += 1

    def remarks(self) -> list[str]:
        """What training should know: unbalanced answers, rare modalities, missing patients."""
        said: list[str] = []
        for task, answers in sorted(self.answers.items()):
            n = answers.total()
            word, most = answers.most_common(1)[0]
            if n >= 20 and len(answers) > 1 and most / n > 0.9:
                said.append(f"{most / n:.0%} of the {n} answers of task {task!r} are {word!r}: unbalanced.")
            elif n >= 20 and len(answers) == 1:
                said.append(f"all {n} answers of task {task!r} are {word!r}: there is nothing to tell apart.")
        known = Counter({name: count for name, count in self.modalities.items() if name != "unknown"})
        for name, count in sorted(known.items()):
            if known.total() >= 100 and count / known.total() < 0.02:
                said.append(f"modality {name!r} is rare ({count} of {known.total()}): a mixture can oversample it.")
        if self.without_patient and self.samples:
            said.append(f"{self.without_patient} of {self.samples} samples name no patient: "
                        "a split can only keep those together that share a file.")  # fmt: skip
        return said

    def to_json(self) -> dict[str, Any]:
        """Plain numbers."""
        def top(counts: Mapping[str, int]) -> dict[str, int]:
            return dict(Counter(counts).most_common(200))

        return {
            "samples": self.samples, "turns": self.turns, "patients": len(self.patients),
            "without_patient": self.without_patient, "tokens": self.tokens.to_json(),
            "answer_tokens": self.answer_tokens.to_json(), "modalities": top(self.modalities), "areas": top(self.areas),
            "tasks": top(self.tasks), "languages": top(self.languages), "media": top(self.media),
            "targets": top(self.targets), "labels": top(self.labels),
            "answers": {task: top(answers) for task, answers in self.answers.items()},
        }  # fmt: skip


def answer_text(sample: Sample) -> str:
    """What is learnt: the assistant's texts."""
    return "\n".join(PLACE_MARK.sub("", turn.text) for turn in sample.turns if turn.role == "assistant")

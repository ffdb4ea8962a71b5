"""Shifted data: the items with a held-out value (another scanner, site, age …) against all others.

The rule is that of SURE-VQA (arXiv 2411.19688), for a model that was trained on the training rows without the value:

* the value can differ between the items of one patient: the OoD test is the test rows that have it;
* it is the same in all items of a patient: the training rows that have it, which the model never saw, are added;
* i.i.d. is all other test rows;
* questions that ask for the shifted attribute itself are dropped;
* no patient stands on both sides: neither a patient of the remaining training rows in the test, nor its pictures.
"""

from __future__ import annotations

import math
import operator
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from vesalius.errors import InputError, OptionError, VesaliusError
from vesalius.evaluation.contract import Benchmark, Sample
from vesalius.evaluation.metrics.normal_text import normalise

__all__ = ["Shift", "asks_for", "rederived", "shift_named", "shifted"]

_SIGNS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_WRITTEN = re.compile(r"\s*(?P<column>[^=<>!]+?)\s*(?P<sign>!=|<=|>=|=|<|>)\s*(?P<value>.+?)\s*")
_TYPES = ("content_type", "question_type", "answer_type", "task", "subtask", "category")
"""Tags that say what a question asks for."""


@dataclass(frozen=True)
class Shift:
    """The held-out items: those whose tag `column` is `value` (sign "="), is not ("!="), or is below or above the
    number `value` ("<", "<=", ">", ">="). Text is compared without regard to case."""

    column: str
    sign: str
    value: str

    def __str__(self) -> str:
        return f"{self.column}{self.sign}{self.value}"

    def holds(self, sample: Sample) -> bool:
        """Whether a sample has the held-out value; one without the tag has not."""
        told = self.told(sample)
        if told is None:
            return False
        if self.sign in ("=", "!="):
            return (told.strip().casefold() == self.value.casefold()) == (self.sign == "=")
        number = _number(told)
        return number is not None and _SIGNS[self.sign](number, float(self.value))

    def told(self, sample: Sample) -> str | None:
        """The sample's own value of the column."""
        name = _plain(self.column)
        return next((text for key, text in sample.tags.items() if _plain(key) == name), None)


def shift_named(text: str) -> Shift:
    """ "modality=X-Ray", "ethnicity!=white", "age<40" as a Shift. OptionError for anything else."""
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise OptionError(f"shift {text!r:.60} is not COLUMN=VALUE.", fix="For example modality=X-Ray or age>=60.")
    shift = Shift(found["column"], found["sign"], found["value"])
    if shift.sign not in ("=", "!=") and _number(shift.value) is None:
        raise OptionError(f"shift {text!r:.60} compares with {shift.value!r:.20}, which is no number.")
    return shift


def shifted(benchmark: Benchmark, shift: Shift, leaks: str = "refuse") -> Benchmark:
    """The benchmark on shifted data: its test items with the tag `shift` "iid" or "ood", then the training rows that
    are added, their ids led in by their split ("train/17"). Its training splits are what a model may learn from: the
    rows without the value.

    `leaks`: "refuse" raises InputError while reading when patients of the remaining training rows are in the test;
    "drop" leaves those items of the test out. Reading raises OptionError when no item, or every item, has the value.
    """
    if leaks not in ("refuse", "drop"):
        raise OptionError(f"leaks is {leaks!r:.20}, not refuse or drop.")
    plans: dict[tuple[Path, str], _Plan] = {}

    def planned(folder: Path, split: str) -> _Plan:
        if (folder, split) not in plans:
            plans[folder, split] = _plan(benchmark, shift, leaks, folder, split)
        return plans[folder, split]

    def trains(split: str) -> bool:
        return split != benchmark.splits[0] and _is_training(split)

    def read(folder: Path, split: str) -> Iterator[Sample]:
        if trains(split):
            yield from (sample for sample in benchmark.read(folder, split) if not shift.holds(sample))
            return
        plan = planned(folder, split)
        for sample in benchmark.read(folder, split):
            if sample.id not in plan.left_out:
                yield _marked(sample, "ood" if shift.holds(sample) else "iid")
        for other in plan.added:
            for sample in benchmark.read(folder, other):
                if shift.holds(sample) and not asks_for(shift, sample):
                    yield _marked(replace(sample, id=f"{other}/{sample.id}"), "ood")

    def remarks(folder: Path, split: str) -> list[str]:
        own = () if trains(split) else planned(folder, split).remarks
        return [*(benchmark.remarks(folder, split) if benchmark.remarks else ()), *own]

    derived = {**benchmark.derived, "shift": str(shift)} | ({"leaks": "drop"} if leaks == "drop" else {})
    return replace(benchmark, read=read, remarks=remarks, derived=derived, variants={})


def rederived(benchmark: Benchmark, derived: Mapping[str, str]) -> Benchmark:
    """The benchmark made from the registered one as `Benchmark.derived` says."""
    benchmark = benchmark.variant(derived.get("variant"))
    if "shift" in derived:
        return shifted(benchmark, shift_named(derived["shift"]), derived.get("leaks", "refuse"))
    return benchmark


def asks_for(shift: Shift, sample: Sample) -> bool:
    """Whether a question asks for the shifted attribute: its type has the attribute's name, its text names it, or its
    answer is the item's own value. A shift of the question's type itself asks for nothing."""
    column = _plain(shift.column)
    if column in map(_plain, _TYPES):
        return False
    if any(_plain(sample.tags.get(key, "")) == column for key in _TYPES):
        return True
    if re.search(rf"\b{re.escape(column)}\b", _plain(sample.question)):
        return True
    told = shift.told(sample)
    right = (sample.options or {}).get(str(sample.gold)) if sample.kind == "mcq" else sample.gold
    return told is not None and isinstance(right, str) and normalise(right) == normalise(told)


@dataclass(frozen=True)
class _Plan:
    """`left_out`: ids of test items; `added`: splits whose rows with the value are added."""

    left_out: frozenset[str]
    added: tuple[str, ...]
    remarks: tuple[str, ...]


@dataclass
class _Side:
    """What is known of a split. `patients`: those with the value (True) and without; `items`: ids by patient, without
    those in `asking`, which ask for the attribute; `held`: ids of those that have the value."""

    patients: dict[bool, set[str]] = field(default_factory=lambda: {True: set(), False: set()})
    items: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict[str, list[str]](list))
    asking: set[str] = field(default_factory=set[str])
    held: set[str] = field(default_factory=set[str])
    columns: set[str] = field(default_factory=set[str])

    def add(self, sample: Sample, shift: Shift, patient: str) -> None:
        holds = shift.holds(sample)
        self.patients[holds].add(patient)
        self.columns |= set(sample.tags)
        if asks_for(shift, sample):
            self.asking.add(sample.id)
        else:
            self.items[patient].append(sample.id)
            if holds:
                self.held.add(sample.id)


def _plan(benchmark: Benchmark, shift: Shift, leaks: str, folder: Path, split: str) -> _Plan:
    hashes: dict[Path, str] = {}

    def survey(name: str) -> _Side:
        side = _Side()
        for sample in benchmark.read(folder, name):
            side.add(sample, shift, _patient(sample, name, hashes))
        return side

    test = survey(split)
    if _plain(shift.column) not in map(_plain, test.columns):
        known = ", ".join(sorted(test.columns)) or "none"
        raise OptionError(f"{benchmark.name} has no tag {shift.column!r:.40}.", fix=f"Known: {known}.")
    training: dict[str, _Side] = {}
    remarks: list[str] = []
    for name in (one for one in benchmark.splits if one != split and _is_training(one)):
        try:
            training[name] = survey(name)
        except (VesaliusError, OSError):
            remarks.append(f"Shift: the split {name} could not be read; leaks from it are not known.")
    sides = [test, *training.values()]
    varies = set[str]().union(*(s.patients[True] for s in sides)) & set[str]().union(
        *(s.patients[False] for s in sides)
    )
    added = () if varies else tuple(name for name, side in training.items() if side.held)
    # Rows with the value are held out of training; a patient with any other row in it has been seen.
    seen = set[str]().union(*(side.patients[False] for side in training.values()))
    leaked = sorted(seen & test.items.keys())
    left_out = {key for patient in leaked for key in test.items[patient]}
    if leaked and leaks == "refuse":
        raise InputError(
            f"{len(leaked)} patients are both in training rows and in the test ({len(left_out)} items).",
            file=folder,
            fix="Leave those items out (--leaks drop), or use splits by patient.",
        )
    kept = {key for keys in test.items.values() for key in keys} - left_out
    num_iid = len(kept - test.held)
    num_ood = len(kept & test.held) + sum(len(training[name].held) for name in added)
    if not num_ood or not num_iid:
        raise OptionError(
            f"{benchmark.name}: {'no' if not num_ood else 'every'} item that counts has {shift}.",
            fix="Choose another column or value.",
        )
    kind = "can differ within a patient" if varies else "is the same for all items of a patient"
    remarks.insert(0, f"Shift {shift}: {num_iid} i.i.d. and {num_ood} OoD items; the value {kind}.")
    if added:
        remarks.append(f"Shift: rows of {', '.join(added)} with the value are added; the model must not know them.")
    if test.asking:
        remarks.append(f"Shift: {len(test.asking)} test questions that ask for {shift.column} are dropped.")
    if leaked:
        remarks.append(
            f"Shift: {len(left_out)} items of {len(leaked)} patients that are in training rows are left out."
        )
    if not training:
        remarks.append("Shift: there are no training rows to check for patients on both sides.")
    both = len(test.patients[True] & test.patients[False])
    if both:
        remarks.append(f"Shift: {both} test patients have i.i.d. and OoD items; the interval draws them together.")
    return _Plan(frozenset(left_out | test.asking), added, tuple(remarks))


def _marked(sample: Sample, side: str) -> Sample:
    return replace(sample, tags={**sample.tags, "shift": side})


def _is_training(split: str) -> bool:
    return split.casefold().startswith(("train", "val", "dev"))


def _patient(sample: Sample, split: str, hashes: dict[Path, str]) -> str:
    """The patient, else the pictures, else the item itself."""
    if sample.cluster is not None:
        return f"patient {sample.cluster}"
    if not sample.media:
        return f"item {split}/{sample.id}"
    found: list[str] = []
    for medium in sample.media:
        if isinstance(medium.source, Path):
            if medium.source not in hashes:
                hashes[medium.source] = medium.sha256()
            found.append(hashes[medium.source])
        else:
            found.append(medium.sha256())
    return f"pictures {' '.join(found)}"


def _plain(text: str) -> str:
    return " ".join(text.replace("_", " ").replace("-", " ").casefold().split())


def _number(text: str) -> float | None:
    """A number, also of "045Y" or "67 years"."""
    found = re.match(r"\s*(-?\d+(?:\.\d+)?)", text)
    value = float(found[1]) if found else math.nan
    return value if math.isfinite(value) else None

"""What two splits share: a patient, a picture (by its bytes, whatever its name), or a whole sample."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vesalius.dialogue.convert.contract import BadRow
from vesalius.dialogue.sample_files import rows_of, sample_files
from vesalius.dialogue.samples import Sample
from vesalius.errors import InputError
from vesalius.training.data.media_files import fingerprint

__all__ = ["Keys", "equal_files", "shared_with"]

Place = tuple[str, int]
"""(file or "", row)."""


@dataclass
class Keys:
    """Where the patients and media of a split stand first."""

    patients: dict[str, Place] = field(default_factory=dict[str, Place])
    paths: dict[str, Place] = field(default_factory=dict[str, Place])

    def add(self, sample: Sample, row: int, folder: str, name: str) -> None:
        """Note a sample."""
        if sample.patient is not None:
            self.patients.setdefault(sample.patient, (name, row))
        for medium in sample.media:
            self.paths.setdefault(os.path.normpath(os.path.join(folder, medium.path)), (name, row))


def shared_with(keys: Keys, other: str | os.PathLike[str]) -> list[BadRow]:
    """Rows of the one split whose patient or media stand in `other`, too; each patient and medium is told once."""
    theirs = Keys()
    for file in sample_files(other):
        for sample in _readable(file):
            theirs.add(sample, 0, str(file.parent), "")
    where = os.fspath(other)
    bad = [
        BadRow(row, f"its patient is in {where}, too", "Split by patient: vesalius data split.", "leak", name)
        for patient, (name, row) in keys.patients.items() if patient in theirs.patients
    ]  # fmt: skip
    bad += [
        BadRow(row, f"one of its media is in {where}, too", "Keep each picture in one split.", "leak", name)
        for name, row in _same_files(keys, theirs)
    ]
    return bad


def _readable(file: Path) -> Iterator[Sample]:
    from pydantic import ValidationError

    good = 0
    for row in rows_of(file):
        try:
            yield Sample.model_validate_json(row.data)
            good += 1
        except ValidationError:
            continue
    if not good:
        raise InputError("holds no sample to compare with.", file=file, fix="Check it first: vesalius data check.")


def _same_files(keys: Keys, theirs: Keys) -> list[Place]:
    """Equal paths, or equal bytes: only files of equal size are read."""
    found = {path: place for path, place in keys.paths.items() if path in theirs.paths}
    by_size: dict[int, list[str]] = {}
    for path in theirs.paths:
        if (size := _size(path)) is not None:
            by_size.setdefault(size, []).append(path)
    hashes: dict[str, str | None] = {}
    for path, place in keys.paths.items():
        size = _size(path) if path not in found else None
        if size is None or size not in by_size:
            continue
        own = fingerprint(path)
        for other in by_size[size]:
            if other not in hashes:
                hashes[other] = fingerprint(other)
            if own is not None and own == hashes[other]:
                found[path] = place
                break
    return list(dict.fromkeys(found.values()))


def equal_files(paths: Iterable[str]) -> list[list[str]]:
    """Groups of files with the same bytes; only those of equal size are read."""
    by_size: dict[int, list[str]] = {}
    for path in paths:
        if (size := _size(path)) is not None:
            by_size.setdefault(size, []).append(path)
    found: dict[str, list[str]] = {}
    for group in by_size.values():
        for path in group if len(group) > 1 else ():
            if (key := fingerprint(path)) is not None:
                found.setdefault(key, []).append(path)
    return [group for group in found.values() if len(group) > 1]


def _size(path: str) -> int | None:
    try:
        return os.path.getsize(path) if not os.path.isdir(path) else None
    except OSError:
        return None

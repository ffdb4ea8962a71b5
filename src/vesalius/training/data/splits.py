"""Splits without leaks: samples that share a patient or a file of media stay together, and a test proves it afterwards.

Groups are ordered by a hash of the seed and their smallest key, never by their order in the file, and dealt modality by
modality where there are enough of them, so that every part gets its share of each.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from vesalius.dialogue.sample_files import placed_samples, read_samples, write_samples
from vesalius.dialogue.samples import Sample
from vesalius.errors import InputError, OptionError
from vesalius.training.data.leaks import Keys, equal_files, shared_with

__all__ = ["Part", "Split", "part_of", "split_samples"]


@dataclass(frozen=True)
class Part:
    """One written part."""

    name: str
    file: Path
    samples: int
    groups: int


@dataclass(frozen=True)
class Split:
    """What was written. `kind`: what a group is, in words."""

    parts: tuple[Part, ...]
    kind: str
    notes: tuple[str, ...] = ()


class _Groups:
    """Which keys belong together (union–find over strings)."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def root(self, key: str) -> str:
        parent = self._parent.setdefault(key, key)
        while parent != self._parent[parent]:
            self._parent[parent] = self._parent[self._parent[parent]]
            parent = self._parent[parent]
        self._parent[key] = parent
        return parent

    def join(self, keys: list[str]) -> None:
        roots = sorted({self.root(key) for key in keys})
        for other in roots[1:]:
            self._parent[other] = roots[0]


def part_of(key: str, parts: Mapping[str, float], seed: int) -> str:
    """The part a group goes to, by a hash: uniform over groups in expectation, the same on every machine."""
    number = int.from_bytes(blake2b(f"{seed}\0{key}".encode(), digest_size=8).digest(), "big") / 2**64
    total, bound = sum(parts.values()), 0.0
    for name, share in parts.items():
        bound += share / total
        if number < bound:
            return name
    return list(parts)[-1]


def split_samples(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    parts: Mapping[str, float],
    *,
    by: str = "patient",
    seed: int = 0,
    parquet: bool = False,
) -> Split:
    """Write `out/NAME.jsonl` for every part. `parts`: name → share. `by` "patient": samples of a patient stay together,
    and those that share a file; InputError when some name no patient. "media": only files count.

    Deterministic by `seed`. Raises InputError for bad rows, fewer than two groups or a part that would be empty,
    OptionError for shares or a folder that cannot be used. Files of equal bytes count as one, whatever their names.
    Afterwards the parts are read again and searched for patients and media they share; InputError if any were found.
    """
    folder = Path(out)
    _check_options(folder, parts, by)
    groups, modality, sizes, notes = _grouped(source, by)
    if len(sizes) < 2:
        raise InputError(
            f"all samples belong to {len(sizes)} group; they cannot be split.", file=source,
            fix="Give samples of more patients." if by == "patient" else "Give samples of more pictures.",
        )  # fmt: skip
    where = _dealt(sizes, modality, parts, seed)
    folder.mkdir(parents=True, exist_ok=True)
    ending = ".parquet" if parquet else ".jsonl"
    written: list[Part] = []
    try:
        for name in parts:
            file = folder / f"{name}{ending}"
            kept = (sample for sample, group in _with_groups(source, groups, by, folder) if where[group] == name)
            count = write_samples(file, kept)
            written.append(Part(name, file, count, sum(part == name for part in where.values())))
        _prove(written)
    except BaseException:
        for part in written:
            part.file.unlink(missing_ok=True)
        raise
    return Split(tuple(written), "patients" if by == "patient" else "groups of shared media", tuple(notes))


def _check_options(folder: Path, parts: Mapping[str, float], by: str) -> None:
    if by not in ("patient", "media"):
        raise OptionError(f"by is {by!r}.", fix="Use patient or media.")
    if len(parts) < 2 or any(not 0 < share < float("inf") for share in parts.values()):
        raise OptionError("a split needs two or more parts with shares above 0.", fix="Write train=0.8,test=0.2.")
    if wrong := [name for name in parts if not name.replace("-", "").replace("_", "").isalnum()]:
        raise OptionError(f"{wrong[0]!r} is no name for a file.", fix="Use letters and digits.")
    for name in parts:
        for ending in (".jsonl", ".parquet"):
            if (folder / f"{name}{ending}").exists():
                raise OptionError(f"{name}{ending} is there already.", file=folder, fix="Name a new folder.")


def _grouped(
    source: str | os.PathLike[str], by: str
) -> tuple[_Groups, dict[str, Counter[str]], Counter[str], list[str]]:
    """(groups, root → modalities of its samples, root → samples, remarks)."""
    groups = _Groups()
    keys_of: list[tuple[str, str]] = []
    nameless = 0
    files: dict[str, str] = {}
    for sample, folder in _with_folders(source):
        keys = _keys(sample, by)
        files.update((os.path.join(folder, one.path), f"media\0{os.path.normpath(one.path)}") for one in sample.media)
        nameless += sample.patient is None
        groups.join(keys)
        keys_of.append((keys[0], sample.tags.modality))
    if not keys_of:
        raise InputError("holds no rows.", file=source, fix="Name the file with the samples.")
    if by == "patient" and nameless:
        raise InputError(
            f"{nameless} of {len(keys_of)} samples name no patient.", file=source,
            fix="Add patient to each, or say --by media if every picture is of another patient.",
        )  # fmt: skip
    for same in equal_files(files):
        groups.join([files[path] for path in same])
    modality: dict[str, Counter[str]] = {}
    sizes: Counter[str] = Counter()
    for key, kind in keys_of:
        root = groups.root(key)
        sizes[root] += 1
        modality.setdefault(root, Counter())[kind] += 1
    notes = ["samples were kept together by their media only; patients were not looked at."] if by == "media" else []
    return groups, modality, sizes, notes


def _keys(sample: Sample, by: str) -> list[str]:
    """What a sample must not share with another part; never empty."""
    keys = [f"patient\0{sample.patient}"] if sample.patient is not None and by == "patient" else []
    # Relative to the samples file, so that the same data give the same split in another place.
    keys += [f"media\0{os.path.normpath(medium.path)}" for medium in sample.media]
    return keys or [f"sample\0{sample.id}"]


def _dealt(
    sizes: Mapping[str, int], modality: Mapping[str, Counter[str]], parts: Mapping[str, float], seed: int
) -> dict[str, str]:
    """Group → part. Within each modality the groups are put in the order of their hash and cut by shares of samples, so
    that every part gets its share of every modality that has enough groups."""
    by_kind: dict[str, list[str]] = {}
    for root, kinds in modality.items():
        by_kind.setdefault(min(kinds, key=lambda kind: (-kinds[kind], kind)), []).append(root)
    where: dict[str, str] = {}
    total = sum(parts.values())
    for kind, roots in sorted(by_kind.items()):
        if len(roots) < 2 * len(parts):
            where |= {root: part_of(root, parts, seed) for root in roots}
            continue
        roots.sort(key=lambda root: blake2b(f"{seed}\0{kind}\0{root}".encode(), digest_size=8).digest())
        samples, seen = sum(sizes[root] for root in roots), 0.0
        for root in roots:
            middle, bound = (seen + sizes[root] / 2) / samples, 0.0
            seen += sizes[root]
            for name, share in parts.items():
                bound += share / total
                if middle < bound or name == list(parts)[-1]:
                    where[root] = name
                    break
    _fill(where, sizes, parts, seed)
    return where


def _fill(where: dict[str, str], sizes: Mapping[str, int], parts: Mapping[str, float], seed: int) -> None:
    """Give an empty part the smallest group of the fullest one. InputError when there are fewer groups than parts."""
    if len(where) < len(parts):
        raise InputError(f"{len(where)} groups cannot fill {len(parts)} parts.", fix="Ask for fewer parts.")
    for name in parts:
        if name not in where.values():
            counts = Counter(where.values())
            fullest = max(counts, key=lambda part: (counts[part], part))
            own = [root for root, part in where.items() if part == fullest]
            where[min(own, key=lambda root: (sizes[root], part_of(root, parts, seed), root))] = name


def _with_folders(source: str | os.PathLike[str]) -> Iterator[tuple[Sample, Path]]:
    """Samples with the folder their media are relative to; repeated ids raise InputError."""
    for sample, _, file in placed_samples(source):
        yield sample, file.parent


def _with_groups(
    source: str | os.PathLike[str], groups: _Groups, by: str, out: Path
) -> Iterator[tuple[Sample, str]]:  # fmt: skip
    from vesalius.training.data.moved import moved_to

    for sample, folder in _with_folders(source):
        yield moved_to(sample, folder, out), groups.root(_keys(sample, by)[0])


def _prove(parts: list[Part]) -> None:
    """Read the parts again and search for what they share."""
    for number, part in enumerate(parts):
        keys = Keys()
        for row, sample in enumerate(read_samples(part.file), 1):
            keys.add(sample, row, str(part.file.parent), "")
        for other in parts[number + 1 :]:
            if found := shared_with(keys, other.file):
                raise InputError(
                    f"{len(found)} patients or pictures would be in both {part.name} and {other.name} "
                    f"(the first: {found[0].reason}).",
                    fix="Check the media with vesalius data check --against.",
                )

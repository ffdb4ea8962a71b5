"""The first walk through a benchmark: nothing is asked before every row has been read and found sound."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from vesalius.errors import InputError, OptionError
from vesalius.evaluation.contract import Benchmark, Medium, Sample
from vesalius.evaluation.passes import Pass

__all__ = ["Survey", "asked_of", "drawn", "read_split", "survey"]


@dataclass(frozen=True)
class Survey:
    """What a walk found. `ids`: id → row, from 1.  `sha256`: over prompts, options, gold and media, in order (media by
    name and size; the hash of what was shown stands in each prediction).  `choices`: ids of multiple-choice items;
    `seeing`: ids of items with media."""

    ids: Mapping[str, int] = field(repr=False)
    sha256: str
    choices: frozenset[str] = field(repr=False)
    seeing: frozenset[str] = field(repr=False)

    def asked(self, one: Pass) -> frozenset[str]:
        """Ids of the items a pass asks; as `asked_of`."""
        open_to = self.choices if one.permutation else self.seeing if one.needs_media else self.ids
        return drawn((key for key in open_to if one.limit is None or self.ids[key] <= one.limit), one.seed, one.sample)


def asked_of(one: Pass, samples: Iterable[Sample]) -> dict[str, None]:
    """Ids of the items a pass asks, in order: ablations and corruptions ask those with media, permutations those with
    options, other passes all; of these a pass with a limit the first so many, one with a sample so many drawn."""
    open_to = [
        sample.id
        for row, sample in enumerate(samples, 1)
        if (one.limit is None or row <= one.limit)
        and (_has_choices(sample) if one.permutation else bool(sample.media) or not one.needs_media)
    ]
    within = drawn(open_to, one.seed, one.sample)
    return {key: None for key in open_to if key in within}


def _has_choices(sample: Sample) -> bool:
    return sample.kind == "mcq" and bool(sample.options)


def drawn(ids: Iterable[str], seed: int, count: int | None) -> frozenset[str]:
    """`count` of the ids (None: all), by the order of hashes of seed and id: whatever order they come in, and a larger
    count holds a smaller one."""
    if count is None:
        return frozenset(ids)

    def rank(key: str) -> bytes:
        return hashlib.sha256(f"{seed}/{key}".encode("utf-8", "surrogatepass")).digest()

    return frozenset(sorted(ids, key=rank)[:count])


def read_split(benchmark: Benchmark, folder: Path, split: str | None, limit: int | None) -> Iterator[Sample]:
    """The first `limit` items of a split (None: the default one), lazily. OptionError for an unknown split or limit,
    InputError for a folder that is not there."""
    chosen = split_of(benchmark, split)
    if limit is not None and limit < 1:
        raise OptionError(f"limit is {limit}; it must be 1 or more.")
    if not folder.is_dir() and not (benchmark.reads_file and folder.is_file()):
        raise InputError(
            "there is no such folder." if not folder.exists() else "is not a folder.",
            file=folder,
            fix=f"--data is the folder with the files of {benchmark.name}"
            + (f" ({benchmark.source})." if benchmark.source else "."),
        )
    return islice(benchmark.read(folder, chosen), limit)


def split_of(benchmark: Benchmark, split: str | None) -> str:
    """The split's name, the default where None."""
    if split is not None and split not in benchmark.splits:
        raise OptionError(f"{benchmark.name} has no split {split!r}.", fix=f"Known: {', '.join(benchmark.splits)}.")
    return split or benchmark.splits[0]


def survey(samples: Iterator[Sample], folder: Path, name: str) -> Survey:
    """Read every item once, decoding nothing.

    Raises InputError naming the row for an id that comes twice, an empty prompt or a medium that is not there, what
    `Benchmark.read` raises, and for a benchmark without items.
    """
    folder = folder.parent if folder.is_file() else folder
    digest = hashlib.sha256()
    ids: dict[str, int] = {}
    choices: set[str] = set()
    seeing: set[str] = set()
    for row, sample in enumerate(samples, 1):
        if sample.id in ids:
            raise InputError(f"{name}: rows {ids[sample.id]} and {row} have the same id {sample.id!r}.", file=folder)
        if not sample.prompt.strip():
            raise InputError(f"{name}: row {row} has no question.", file=folder)
        ids[sample.id] = row
        if _has_choices(sample):
            choices.add(sample.id)
        if sample.media:
            seeing.add(sample.id)
        media = [_medium(medium, folder, f"{name}: row {row}") for medium in sample.media]
        told = [sample.id, sample.kind, sample.prompt, _ordered(sample.options), sample.gold, media]
        digest.update(json.dumps(told, default=lambda value: _plain(value, folder), sort_keys=True).encode())
        digest.update(b"\n")
    if not ids:
        raise InputError(f"{name} holds no items.", file=folder)
    return Survey(ids, digest.hexdigest(), frozenset(choices), frozenset(seeing))


def _ordered(options: Mapping[str, str] | None) -> list[list[str]] | None:
    return None if options is None else [[key, value] for key, value in options.items()]


def _medium(medium: Medium, folder: Path, where: str) -> list[Any]:
    source = medium.source
    if isinstance(source, bytes):
        return [medium.kind, medium.sha256(), dict(medium.options)]
    try:
        size = source.stat().st_size if not source.is_dir() else None
    except FileNotFoundError as exc:
        raise InputError(f"{where} names {_plain(source, folder)}, which is not there.", file=folder) from exc
    except OSError:  # found unreadable when it is shown, and noted with its row
        size = None
    return [medium.kind, _plain(source, folder), size, dict(medium.options)]


def _plain(value: Any, folder: Path) -> Any:
    """What JSON does not know: paths by their place in the data folder, sets in order, others by their text."""
    if isinstance(value, Path):
        return value.relative_to(folder).as_posix() if value.is_relative_to(folder) else value.as_posix()
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)

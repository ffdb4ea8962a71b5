"""What was trained on, or is asked: questions, answers and media, from samples, a benchmark, a run or a folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vesalius.errors import InputError, OptionError
from vesalius.evaluation.contract import Medium

__all__ = ["Entry", "read_entries"]

_MEDIA = {
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".dcm", ".dicom"), "image"),
    **dict.fromkeys((".nii", ".gz", ".nrrd", ".mha", ".mhd"), "volume"),
    **dict.fromkeys((".mp4", ".avi", ".mov", ".mkv"), "video"),
}


@dataclass(frozen=True)
class Entry:
    """One item. `questions` and `answers`: its texts by who says them, empty for a picture alone."""

    id: str
    questions: tuple[str, ...]
    answers: tuple[str, ...]
    media: tuple[Medium, ...]


def read_entries(source: str) -> Iterator[Entry]:
    """The items of a source, one at a time:

    `samples.jsonl` (training samples), `NAME=DIR` or `NAME:SPLIT=DIR` (a benchmark in its published layout), a run's
    folder (or the --out with runs in it), or any other folder (its pictures, volumes and clips).
    Raises InputError for a file or folder that cannot be read, OptionError for a benchmark or split that is unknown.
    """
    path = Path(source)
    name, equals, folder = source.partition("=")
    if path.is_file() and path.suffix.lower() in (".jsonl", ".ndjson"):
        return _samples(path)
    if path.is_dir() and ((path / "manifest.json").is_file() or any(path.glob("*/predictions.jsonl"))):
        from vesalius.evaluation.run_folder import run_folders

        return (_entry(sample) for run in run_folders(path) for sample in run.samples())
    if path.is_dir():
        return _loose(path)
    if equals and not path.exists():
        from vesalius.evaluation.benchmarks import benchmark
        from vesalius.evaluation.survey import read_split

        if not folder:
            raise OptionError(f"{source!r:.80} names no folder.", fix="Give NAME=DIR or NAME:SPLIT=DIR.")
        known, _, split = name.partition(":")
        return map(_entry, read_split(benchmark(known), Path(folder), split or None, None))
    if path.exists():
        raise InputError("is no samples file (.jsonl) and no folder.", file=source)
    raise OptionError(
        f"{source!r:.80} is nothing to read.", fix="Give samples.jsonl, NAME=DIR, NAME:SPLIT=DIR, or a folder."
    )


def _entry(sample: Any) -> Entry:
    gold = sample.gold
    answers = [gold] if isinstance(gold, str) else [one for one in gold if isinstance(one, str)] if isinstance(
        gold, list | tuple
    ) else []  # fmt: skip
    if sample.options and isinstance(gold, str):
        answers = [sample.options.get(gold.strip().upper(), gold)]
    return Entry(sample.id, (sample.question or sample.prompt,), tuple(answers), sample.media)


def _samples(path: Path) -> Iterator[Entry]:
    from vesalius.dialogue.samples import read_samples

    for sample in read_samples(path):
        media = tuple(
            Medium(one.kind, path.parent / one.path) for one in sample.media if one.kind in ("image", "volume", "video")
        )
        said = {role: tuple(turn.text for turn in sample.turns if turn.role == role) for role in ("user", "assistant")}
        yield Entry(sample.id, said["user"], said["assistant"], media)


def _loose(folder: Path) -> Iterator[Entry]:
    found = False
    for path in sorted(folder.rglob("*")):
        kind: Any = _MEDIA.get(path.suffix.lower())
        if kind is not None and path.is_file():
            found = True
            yield Entry(path.relative_to(folder).as_posix(), (), (), (Medium(kind, path),))
    if not found:
        raise InputError("holds no pictures, volumes or clips.", file=folder)

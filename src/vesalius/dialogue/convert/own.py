"""Samples as they are: to check, to change between JSON Lines and Parquet, or to move."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vesalius.dialogue.convert.contract import Format, Options, Places, RawRow, RowError
from vesalius.dialogue.sample_files import rows_of, sample_files, write_samples
from vesalius.dialogue.samples import MaskTarget, Sample, problem_of

__all__ = ["FORMATS"]


def _rows(source: Path, options: Options) -> Iterator[RawRow]:
    for path in sample_files(source):
        for row in rows_of(path):
            yield RawRow(row.number, row.data, path.stem)


def _samples(row: RawRow, places: Places) -> Sequence[Sample]:
    from pydantic import ValidationError

    try:
        sample = Sample.model_validate_json(row.values)
    except ValidationError as exc:
        raise RowError(problem_of(exc)) from exc
    media = tuple(one.model_copy(update={"path": places.told(places.find(one.path))}) for one in sample.media)
    return [_moved(sample, media, places)]


def _moved(sample: Sample, media: Any, places: Places) -> Sample:
    """The sample with its media and mask files named from where it goes."""
    turns = []
    for turn in sample.turns:
        if turn.targets is not None and turn.targets.masks:
            masks = tuple(_moved_mask(one, places) for one in turn.targets.masks)
            turn = turn.model_copy(update={"targets": turn.targets.model_copy(update={"masks": masks})})
        turns.append(turn)
    return sample.model_copy(update={"media": media, "turns": tuple(turns)})


def _moved_mask(mask: MaskTarget, places: Places) -> MaskTarget:
    return mask if mask.path is None else mask.model_copy(update={"path": places.told(places.find(mask.path))})


def _write(samples: Iterator[Sample], source: Path, target: Path, options: Options) -> int:
    return write_samples(target, samples)


def _recognises(source: Path, first: Any) -> bool:
    return isinstance(first, Mapping) and isinstance(first.get("turns"), list)


FORMATS = (
    Format("vesalius", "samples of this package: JSON Lines, gzipped JSON Lines or Parquet", "exact targets",
           _recognises, _rows, _samples, _write),
)  # fmt: skip

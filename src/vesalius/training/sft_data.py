"""From the sources of a recipe to packed rows, and what is wrong with them, said before the first step."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vesalius.dialogue.samples import MaskTarget, Sample, read_samples
from vesalius.errors import InputError, OptionError, VesaliusError
from vesalius.inference.model import Model
from vesalius.training.learned_rows import Learned, Row, learned_masks, learned_tokens, packed_row
from vesalius.training.recipe_sft import SftRecipe, Source

__all__ = ["Checked", "Placed", "SftData", "drawn_mask", "read_sources"]

_WINDOW = 64
"""Samples that are prepared at a time and packed together."""

_SEEN_BEFORE_JUDGING = 100


@dataclass(frozen=True)
class Placed:
    """A sample and where it stands: its file, and its number there from 1."""

    sample: Sample
    file: Path
    number: int

    @property
    def place(self) -> str:
        return f"{self.file.name}, sample {self.number} ({self.sample.id})"


def read_sources(sources: Sequence[Source], drawn: Path) -> list[Placed]:
    """All samples of the sources; phantoms are drawn under `drawn` once. InputError for files that cannot be read or
    hold nothing, and for fewer than two samples."""
    placed: list[Placed] = []
    for source in sources:
        path = Path(source.path) if source.path else _phantoms(source, drawn)
        own = [Placed(sample, path, number) for number, sample in enumerate(read_samples(path), 1)]
        own = [one for one in own if not source.tasks or one.sample.tags.task in source.tasks]
        if not own:
            tasks = f" of the tasks {', '.join(source.tasks)}" if source.tasks else ""
            raise InputError(f"there is no sample{tasks}.", file=path)
        placed += own[: source.limit or None]
    if len(placed) < 2:
        raise InputError(f"there is {len(placed)} sample; training needs at least 2.", file=placed[0].file)
    return placed


def _phantoms(source: Source, drawn: Path) -> Path:
    from vesalius.phantoms.write import write_phantoms

    name = f"{source.phantoms}-{source.count}-{source.seed}-{source.size}-{'-'.join(source.langs)}"
    if not (drawn / name / "samples.jsonl").is_file():
        kind: Any = source.phantoms
        write_phantoms(
            drawn / name, count=source.count, seed=source.seed, kind=kind, langs=source.langs, size=source.size
        )
    return drawn / name / "samples.jsonl"


@dataclass(frozen=True)
class Checked:
    """What was found before the first step: `samples` that can be learnt, `rows` they fill, their `longest`, whether
    any holds pixels or masks, and `bad`: (where, reason) of those that are skipped."""

    samples: int
    rows: int
    longest: int
    shows: bool
    masks: int
    bad: tuple[tuple[str, str], ...]


@dataclass
class SftData:
    """The samples of one recipe as rows for one family. `skipped` counts what was left out, by reason."""

    model: Model
    recipe: SftRecipe
    placed: Sequence[Placed]
    skipped: Counter[str] = field(default_factory=Counter[str])
    seen: int = 0

    def rows(self, epoch: int) -> Iterator[Row]:
        """The rows of one pass, in an order that seed and epoch alone decide. InputError where more samples are bad
        than the recipe allows."""
        order = list(self.placed)
        random.Random(f"{self.recipe.seed}:{epoch}").shuffle(order)
        for first in range(0, len(order), _WINDOW):
            window: list[Learned] = []
            for placed in order[first : first + _WINDOW]:
                self.seen += 1
                try:
                    window.append(self.learned(placed))
                except VesaliusError as exc:
                    self._skip(placed, exc)
            for group in _best_fit([one.length for one in window], self.recipe.max_length):
                yield packed_row(self.model.family, [window[place] for place in group])

    def held_out(self, _: int) -> Iterator[Row]:
        """One sample a row, in the order of the file: for evaluation."""
        for placed in self.placed:
            yield packed_row(self.model.family, [self.learned(placed)])

    def learned(self, placed: Placed) -> Learned:
        """A sample, prepared. InputError and its kin for one that cannot be learnt."""
        sample = placed.sample
        options: dict[str, Any] = dict(self.recipe.prepare)
        parts: Any = getattr(self.model.family, "parts", dict)
        draws = "mask_head" in parts()
        masks = _masks(sample, placed.file.parent) if draws else []
        if masks:
            options["masks"] = masks
        batch = self.model.prepare(_conversation(sample, placed.file.parent, masked=bool(masks)), **options)
        family: Any = self.model.family
        length, tokens = family.length(batch), learned_tokens(batch)
        if not tokens:
            raise InputError("nothing of it is learnt: every label is masked.", fix="End it with an answer.")
        if length > self.recipe.max_length:
            raise InputError(
                f"it takes {length} positions, max_length is {self.recipe.max_length}.",
                fix="Raise max_length, or show fewer or smaller pictures (prepare.max_pixels).",
            )
        shows = any("pixel" in name for name in batch)
        return Learned(batch, sample.id, sample.tags.task, length, tokens, learned_masks(batch), shows)

    def check(self) -> Checked:
        """Prepare the first samples (`recipe.check`, 0: all). InputError naming the first bad sample where their share
        is above the recipe's."""
        bad: list[tuple[str, str]] = []
        good: list[Learned] = []
        looked = self.placed[: self.recipe.check or None]
        for placed in looked:
            try:
                one = self.learned(placed)
            except OptionError:
                raise
            except VesaliusError as exc:
                bad.append((placed.place, str(exc)))
                continue
            good.append(Learned(None, one.id, one.task, one.length, one.tokens, one.masks, one.shows))
        if len(bad) > self.recipe.bad_samples * len(looked):
            where, reason = bad[0]
            raise InputError(
                f"{where}: {reason} {len(bad)} of {len(looked)} samples are bad, "
                f"bad_samples allows {self.recipe.bad_samples:.0%}."
            )
        rows = sum(
            len(_best_fit([one.length for one in good[first : first + _WINDOW]], self.recipe.max_length))
            for first in range(0, len(good), _WINDOW)
        )
        longest = max((one.length for one in good), default=0)
        shows, masks = any(one.shows for one in good), sum(one.masks for one in good)
        return Checked(len(good), rows, longest, shows, masks, tuple(bad))

    def _skip(self, placed: Placed, exc: VesaliusError) -> None:
        self.skipped[f"{placed.place}: {exc}"] += 1
        bad = sum(self.skipped.values())
        if self.seen >= _SEEN_BEFORE_JUDGING and bad > self.recipe.bad_samples * self.seen:
            raise InputError(
                f"{bad} of {self.seen} samples could not be learnt, bad_samples allows {self.recipe.bad_samples:.0%}; "
                f"the last: {placed.place}: {exc}"
            ) from exc


def _best_fit(lengths: Sequence[int], room: int) -> list[list[int]]:
    """Places of samples in rows: the longest first, each into the fullest row that has room."""
    rows: list[list[int]] = []
    left: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda at: -lengths[at]):
        fits = [row for row, free in enumerate(left) if free >= lengths[place]]
        if fits:
            row = min(fits, key=lambda at: left[at])
        else:
            rows.append([])
            left.append(room)
            row = len(rows) - 1
        rows[row].append(place)
        left[row] -= lengths[place]
    return rows


def _conversation(sample: Sample, folder: Path, *, masked: bool) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    media = list(sample.media)
    for turn in sample.turns:
        parts: list[dict[str, Any]] = []
        if turn.role == "user":
            parts += [{"type": one.kind, one.kind: str(folder / one.path)} for one in media]
            media = []
        text = turn.text
        if masked and turn.targets is not None and turn.targets.masks:
            text = " ".join(f"{mask.label} [SEG]" for mask in turn.targets.masks)
        messages.append({"role": turn.role, "content": [*parts, {"type": "text", "text": text}]})
    return messages


def _masks(sample: Sample, folder: Path) -> list[Any]:
    targets = [turn.targets for turn in sample.turns if turn.targets is not None]
    return [drawn_mask(mask, folder) for one in targets for mask in one.masks if mask.slice is None]


def drawn_mask(mask: MaskTarget, folder: Path) -> Any:
    """A mask target as uint8, 255 inside; `folder`: that of the samples file."""
    from vesalius.findings.masks import decode_rle
    from vesalius.study.read import read

    if mask.rle is not None:
        return decode_rle(mask.rle.model_dump()).astype(np.uint8) * 255
    item: Any = read(folder / str(mask.path)).items[0]
    values: Any = item.values()
    return ((values == mask.value) if mask.value is not None else (values > 0)).astype(np.uint8) * 255

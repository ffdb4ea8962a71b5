"""From the sources of a recipe to packed rows, and what is wrong with them, said before the first step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from vesalius.dialogue.samples import MaskTarget, Sample, Targets, read_samples, write_samples
from vesalius.errors import InputError, OptionError, VesaliusError
from vesalius.inference.model import Model
from vesalius.models.contract import SliceMask, VolumeMask
from vesalius.study.items import Volume
from vesalius.training.data.conversation import conversation_of, saying_of
from vesalius.training.data.mixture import Mixture, Pick
from vesalius.training.data.row_problems import sayable
from vesalius.training.learned_rows import Learned, Row, learned_masks, learned_tokens, packed_row
from vesalius.training.packing import RowPacker, Skipped, rows_of_lengths
from vesalius.training.recipe_sft import SftRecipe, Source

__all__ = ["Checked", "SftData", "drawn_mask", "drawn_phantoms", "mixture_of"]

_SEEN_BEFORE_JUDGING = 100
_REMEMBERED = 20


def mixture_of(sources: Sequence[Source], recipe: SftRecipe, drawn: Path) -> Mixture:
    """The sources of a recipe as one stream; phantoms are drawn under `drawn` once. Errors as `Mixture`."""
    paths = [Path(source.path) if source.path else drawn_phantoms(source, drawn) for source in sources]
    weights = [source.weight for source in sources]
    return Mixture(
        paths,
        weights,
        recipe.temperature,
        recipe.seed,
        modality_temperature=recipe.modality_temperature,
    )


def drawn_phantoms(source: Source, drawn: Path) -> Path:
    """The samples file of a source of phantoms, drawn under `drawn` once."""
    from vesalius.phantoms.write import write_phantoms

    name = f"{source.phantoms}-{source.count}-{source.seed}-{source.size}-{'-'.join(source.langs)}"
    if not (drawn / name / "samples.jsonl").is_file():
        kind: Any = source.phantoms
        write_phantoms(
            drawn / name, count=source.count, seed=source.seed, kind=kind, langs=source.langs, size=source.size
        )
    if not source.tasks:
        return drawn / name / "samples.jsonl"
    chosen = drawn / name / f"{'-'.join(source.tasks)}.jsonl"
    samples = read_samples(drawn / name / "samples.jsonl")
    write_samples(chosen, (one for one in samples if one.tags.task in source.tasks))
    return chosen


@dataclass(frozen=True)
class Checked:
    """What was found before the first step: `samples` that can be learnt, `rows` they fill, their `longest`, whether
    any holds pixels, how many masks, and `bad`: (where, reason) of those that are skipped."""

    samples: int
    rows: int
    longest: int
    shows: bool
    masks: int
    bad: tuple[tuple[str, str], ...]


class _Picks:
    """A mixture as a stream of its picks, which are read when they are prepared."""

    def __init__(self, mixture: Mixture) -> None:
        self.mixture = mixture

    def __iter__(self) -> Iterator[Pick]:
        return self.mixture.picks()

    def state_dict(self) -> dict[str, Any]:
        return self.mixture.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.mixture.load_state_dict(state)


@dataclass
class SftData:
    """The samples of one recipe as rows for one family. `skipped`: where and why, of the first that were left out."""

    model: Model
    recipe: SftRecipe
    mixture: Mixture
    skipped: Counter[str] = field(default_factory=Counter[str])
    num_skipped: int = 0
    num_seen: int = 0

    def __post_init__(self) -> None:
        self._saying = saying_of(self.model, **self.recipe.prepare)
        family: Any = self.model.family
        self._draws = "mask_head" in family.parts()

    def packer(self) -> RowPacker[Pick, Learned]:
        """Rows without end, in an order that the seed alone decides; its `state_dict` is the place to resume from.
        InputError while it goes where more samples are bad than the recipe allows."""
        return RowPacker(
            _Picks(self.mixture),
            max_length=self.recipe.max_length,
            prepare=self._picked,
            length=lambda one: one.length,
            name=self.mixture.place_of,
            look_ahead=self.recipe.look_ahead,
            skipped=self._skip,
        )

    def held_out(self) -> Iterator[Row]:
        """Each good sample once, in a row of its own: for evaluation."""
        for row in range(self.mixture.num_rows):
            try:
                one = self._picked(self._nth(row))
            except InputError:
                continue
            yield packed_row(self.model.family, [one])

    def _picked(self, pick: Pick) -> Learned:
        self.num_seen += 1
        sample, folder = self.mixture.read(pick)
        return self.learned(sample, folder, self.mixture.place_of(pick))

    def learned(self, sample: Sample, folder: Path, where: str) -> Learned:
        """A sample, prepared. InputError and its kin for one that cannot be learnt."""
        options: dict[str, Any] = dict(self.recipe.prepare)
        if self._draws:
            sample = _with_masks_said(sample)
            if masks := _masks(sample, folder):
                options["masks"] = masks
        answers = [turn for turn in sample.turns if turn.role == "assistant"]
        if not any(turn.text.strip() or sayable(turn.targets) for turn in answers):
            raise InputError(f"{where}: nothing of it is learnt, every label is masked: each of its {len(answers)} "
                             "answers is empty.", fix="Give the answer a text or targets.")  # fmt: skip
        try:
            spoken = conversation_of(sample, folder, self._saying)
        except (InputError, OptionError) as exc:
            raise InputError(f"{where}: {exc}") from exc
        try:
            batch = self.model.prepare(spoken, **options)
        except InputError as exc:
            # A file's own name says less than the row it is named in.
            raise InputError(f"{where}: {exc}") from exc
        family: Any = self.model.family
        length, tokens = family.length(batch), learned_tokens(batch)
        if not tokens:
            raise InputError(f"{where}: nothing of it is learnt, every label is masked.", fix="End it with an answer.")
        # A text alone may carry a picture of zeros whose features are thrown away; it shows nothing.
        seen = any(len(batch[name]) for name in batch if "pixel_values" in name or name == "visual_features")
        shows = seen and any(one.kind != "table" for one in sample.media)
        return Learned(batch, sample.id, sample.tags.task, length, tokens, learned_masks(batch), shows)

    def check(self) -> Checked:
        """Prepare the first samples (`recipe.check`, 0: all). InputError naming the first bad one where their share is
        above the recipe's, LimitError where too many are longer than a row."""
        good: list[Learned] = []
        bad: list[tuple[str, str]] = []
        room = self.recipe.max_length
        looked = min(self.recipe.check or self.mixture.num_rows, self.mixture.num_rows)
        for row in range(looked):
            pick = self._nth(row)
            where = self.mixture.place_of(pick)
            try:
                one = self._picked(pick)
                if one.length > room:
                    raise InputError(
                        f"{where}: it takes {one.length} positions, max_length is {room}.",
                        fix="Raise max_length, or show fewer or smaller pictures (prepare).",
                    )
            except InputError as exc:
                bad.append((where, str(exc)))
                continue
            good.append(replace(one, batch=None))
        self.num_seen = 0
        if len(bad) > self.recipe.bad_samples * looked:
            raise InputError(
                f"{bad[0][1]} {len(bad)} of the {looked} samples looked at cannot be learnt; "
                f"bad_samples allows {self.recipe.bad_samples:.0%}."
            )
        lengths = [one.length for one in good]
        return Checked(
            len(good),
            len(rows_of_lengths(lengths, room, self.recipe.look_ahead)),
            max(lengths, default=0),
            any(one.shows for one in good),
            sum(one.masks for one in good),
            tuple(bad),
        )

    def _nth(self, row: int) -> Pick:
        for number, source in enumerate(self.mixture.sources):
            if row < len(source):
                return Pick(row, number, row)
            row -= len(source)
        raise IndexError(row)

    def _skip(self, left_out: Skipped) -> None:
        self.num_skipped += 1
        if len(self.skipped) < _REMEMBERED:
            self.skipped[left_out.reason] += 1
        if self.num_seen >= _SEEN_BEFORE_JUDGING and self.num_skipped > self.recipe.bad_samples * self.num_seen:
            raise InputError(
                f"{self.num_skipped} of {self.num_seen} samples could not be learnt, bad_samples allows "
                f"{self.recipe.bad_samples:.0%}; the last: {left_out.reason}"
            )


def _with_masks_said(sample: Sample) -> Sample:
    """A question for a mask whose answer does not mark it is answered by its masks alone."""
    if sample.tags.task != "mask":
        return sample
    turns = [
        turn.model_copy(update={"text": "", "targets": Targets(masks=turn.targets.masks)})
        if turn.role == "assistant" and turn.targets is not None and turn.targets.masks and "<mask>" not in turn.text
        else turn
        for turn in sample.turns
    ]
    return sample.model_copy(update={"turns": tuple(turns)})


def _masks(sample: Sample, folder: Path) -> list[Any]:
    """The masks that the sample's answers say, in order, as `prepare` takes them."""
    made: list[Any] = []
    for turn in sample.turns:
        targets = turn.targets
        if turn.role != "assistant" or targets is None:
            continue
        # A turn without text says its masks where it has no other place to say.
        alone = not turn.text.strip() and not targets.boxes and not targets.points
        if alone or "<mask>" in turn.text:
            made += [_placed_mask(mask, sample, folder) for mask in targets.masks]
    return made


def _placed_mask(mask: MaskTarget, sample: Sample, folder: Path) -> Any:
    """A mask target as `prepare` takes it: of a picture, of one slice of a volume, or of the whole of it."""
    if sample.media[mask.media].kind != "volume":
        return drawn_mask(mask, folder)
    if mask.slice is not None:
        return SliceMask(drawn_mask(mask, folder), mask.slice, mask.axis or "axial")
    item = None if mask.rle is not None else _read_mask(mask, folder)
    if not isinstance(item, Volume):
        raise InputError("a mask of a volume is neither a volume nor of a slice.", fix="Name its slice, or a .nii.gz.")
    return VolumeMask(item, mask.value)


def drawn_mask(mask: MaskTarget, folder: Path) -> Any:
    """A mask target as uint8, 255 inside; `folder`: that of the samples file."""
    from vesalius.findings.masks import decode_rle

    if mask.rle is not None:
        return decode_rle(mask.rle.model_dump()).astype(np.uint8) * 255
    item = _read_mask(mask, folder)
    if not hasattr(item, "values"):
        raise InputError(f"the mask {mask.path} is no picture.")
    values: Any = item.values()
    return ((values == mask.value) if mask.value is not None else (values > 0)).astype(np.uint8) * 255


def _read_mask(mask: MaskTarget, folder: Path) -> Any:
    from vesalius.study.read import read

    try:
        return read(folder / str(mask.path)).items[0]
    except VesaliusError as exc:
        raise InputError(f"the mask {mask.path} cannot be read.") from exc

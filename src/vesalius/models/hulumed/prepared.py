"""What `prepare` makes of one conversation or of a packed row of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import torch
from torch import Tensor

from vesalius.errors import InputError
from vesalius.findings.findings import Where
from vesalius.models.contract import NamedTensors, Shown
from vesalius.models.hulumed.tokens import IGNORED

__all__ = ["Prepared", "Sample", "lengths_of", "pack", "row_of", "with_answer"]

_OF_THE_ROW = ("input_ids", "position_ids", "labels", "spliced_ids", "spliced_position_ids", "spliced_labels")
"""Tensors `[1, L]`; the others hold one entry for each item, patch or feature."""


@dataclass(frozen=True)
class Sample:
    """One conversation: ids and labels after expansion, its items' pixels, and the blocks that are kept."""

    prompt: str
    ids: list[int]
    labels: list[int]
    modals: tuple[str, ...]
    pixels: Tensor = field(repr=False)
    grids: list[tuple[int, int, int]]
    merges: list[int]
    kept: Tensor = field(repr=False)
    kept_per_frame: tuple[tuple[int, ...], ...]
    places: tuple[tuple[Where, ...], ...] = field(repr=False)


@dataclass(frozen=True)
class Prepared(NamedTensors):
    """Named tensors: `input_ids` `[1, L]` before reduction and `position_ids`, `labels` of the same shape;
    `spliced_ids`, `spliced_position_ids`, `spliced_labels` `[1, L']` after it; `pixel_values` `[P, 3·patch²]`,
    `grid_sizes` `[n, 3]`, `merge_sizes` `[n]`, `kept_mask` `[P/m²]`; `image_features_used` `[P/m²]` is False for
    features that stand for no token (the pseudo picture of a text-only training sample, and what reduction dropped).

    Beside them: `prompts`, `modals`, `kept_per_frame` of every item, `sample_starts` in the unreduced row, and, once
    they are said, the answer's ids `new_tokens`.
    """

    tensors: dict[str, Tensor] = field(repr=False)
    prompts: tuple[str, ...]
    modals: tuple[str, ...]
    kept_per_frame: tuple[tuple[int, ...], ...]
    sample_starts: tuple[int, ...]
    media: tuple[Shown, ...] = field(default=(), repr=False)
    places: tuple[tuple[Where, ...], ...] = field(default=(), repr=False)
    warnings: tuple[str, ...] = ()
    new_tokens: list[list[int]] = field(default_factory=list[list[int]], repr=False)

    @property
    def told(self) -> dict[str, list[int]]:
        """What an answer's trace says beyond its text."""
        return {"new_tokens": list(self.new_tokens[0])} if self.new_tokens else {}

    @property
    def visual_tokens(self) -> tuple[int, int]:
        """(kept, all) tokens of pictures."""
        real = [self.tensors["kept_mask"][part] for part, modal in self.parts() if modal != "text"]
        return sum(int(mask.sum()) for mask in real), sum(len(mask) for mask in real)

    def parts(self) -> Iterator[tuple[slice, str]]:
        """Where each item's tokens lie in `kept_mask`, and its modal."""
        if "grid_sizes" not in self.tensors:
            return
        start = 0
        grids, merges = self.tensors["grid_sizes"].tolist(), self.tensors["merge_sizes"].tolist()
        for (t, h, w), m, modal in zip(grids, merges, self.modals, strict=True):
            stop = start + t * h * w // (m * m)
            yield slice(start, stop), modal
            start = stop


def lengths_of(batch: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Positions of each sample of a row, as the language model reads it: they count from 0 in every sample."""
    positions = batch["spliced_position_ids"][0]
    starts = (positions == 0).nonzero()[:, 0].tolist()
    return tuple(stop - start for start, stop in pairwise([*starts, len(positions)]))


def row_of(sample: Sample, image_token: int, media: tuple[Shown, ...]) -> Prepared:
    """A row of one sample, whose first label is never learnt; tokens that reduction drops leave ids, labels and
    positions together."""
    ids, labels = torch.tensor(sample.ids), torch.tensor(sample.labels)
    labels[0] = IGNORED
    stays = torch.ones(len(ids), dtype=torch.bool)
    pseudo = "text" in sample.modals
    if not pseudo:
        stays[ids == image_token] = sample.kept
    tensors = {
        "input_ids": ids,
        "position_ids": torch.arange(len(ids)),
        "labels": labels,
        "spliced_ids": ids[stays],
        "spliced_position_ids": torch.arange(int(stays.sum())),
        "spliced_labels": labels[stays],
    }
    tensors = {name: values[None] for name, values in tensors.items()}
    if sample.grids:
        tensors |= {
            "pixel_values": sample.pixels,
            "grid_sizes": torch.tensor(sample.grids),
            "merge_sizes": torch.tensor(sample.merges),
            "kept_mask": sample.kept,
            "image_features_used": torch.zeros_like(sample.kept) if pseudo else sample.kept,
        }
    counts, places = sample.kept_per_frame, sample.places
    return Prepared(tensors, (sample.prompt,), sample.modals, counts, (0,), media, places)


def with_answer(row: Prepared, ids: Sequence[int]) -> Prepared:
    """A prompt with the ids of an answer behind it, which alone are learnt."""
    said = torch.tensor([list(ids)])
    tensors = dict(row.tensors)
    for start in ("", "spliced_"):
        name = f"{start}ids" if start else "input_ids"
        before = row[name]
        tensors[name] = torch.cat([before, said], 1)
        tensors[f"{start}position_ids"] = torch.arange(before.shape[1] + len(ids))[None]
        tensors[f"{start}labels"] = torch.cat([torch.full_like(before, IGNORED), said], 1)
    return replace(row, tensors=tensors, new_tokens=[])


def pack(rows: Sequence[Prepared]) -> Prepared:
    """One row of all samples of several rows. Positions restart with every sample. InputError for none."""
    if not rows:
        raise InputError("there is no sample to pack.")
    tensors: dict[str, Tensor] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        axis = 1 if name in _OF_THE_ROW else 0
        tensors[name] = torch.cat([row[name] for row in rows if name in row], axis)
    starts: list[int] = []
    total = 0
    for row in rows:
        starts += [total + start for start in row.sample_starts]
        total += row["input_ids"].shape[1]
    return Prepared(
        tensors,
        tuple(prompt for row in rows for prompt in row.prompts),
        tuple(modal for row in rows for modal in row.modals),
        tuple(counts for row in rows for counts in row.kept_per_frame),
        tuple(starts),
        tuple(shown for row in rows for shown in row.media),
        tuple(places for row in rows for places in row.places),
    )

"""What `prepare` makes of one conversation or of a packed row of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vesalius.findings.findings import Where
from vesalius.models.contract import NamedTensors, Shown
from vesalius.models.hulumed.tokens import IGNORED

__all__ = ["Prepared", "Sample", "pack"]


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


def pack(samples: Sequence[Sample], image_token: int, media: tuple[Shown, ...]) -> Prepared:
    """One row of one or several samples. Positions restart with every sample, whose first label is never learnt;
    tokens that reduction drops leave ids, labels and positions together."""
    rows: dict[str, list[Tensor]] = {name: [] for name in (
        "input_ids", "position_ids", "labels", "spliced_ids", "spliced_position_ids", "spliced_labels",
    )}  # fmt: skip
    starts: list[int] = []
    used: list[Tensor] = []
    total = 0
    for sample in samples:
        ids, labels = torch.tensor(sample.ids), torch.tensor(sample.labels)
        labels[0] = IGNORED
        stays = torch.ones(len(ids), dtype=torch.bool)
        is_image = ids == image_token
        pseudo = "text" in sample.modals
        if not pseudo:
            stays[is_image] = sample.kept
        used.append(torch.zeros_like(sample.kept) if pseudo else sample.kept)
        starts.append(total)
        total += len(ids)
        rows["input_ids"].append(ids)
        rows["labels"].append(labels)
        rows["position_ids"].append(torch.arange(len(ids)))
        rows["spliced_ids"].append(ids[stays])
        rows["spliced_labels"].append(labels[stays])
        rows["spliced_position_ids"].append(torch.arange(int(stays.sum())))
    tensors = {name: torch.cat(parts)[None] for name, parts in rows.items()}
    grids = [grid for sample in samples for grid in sample.grids]
    if grids:
        tensors |= {
            "pixel_values": torch.cat([sample.pixels for sample in samples if len(sample.pixels)]),
            "grid_sizes": torch.tensor(grids),
            "merge_sizes": torch.tensor([merge for sample in samples for merge in sample.merges]),
            "kept_mask": torch.cat([sample.kept for sample in samples]),
            "image_features_used": torch.cat(used),
        }
    return Prepared(
        tensors,
        tuple(sample.prompt for sample in samples),
        tuple(modal for sample in samples for modal in sample.modals),
        tuple(counts for sample in samples for counts in sample.kept_per_frame),
        tuple(starts),
        media,
        tuple(places for sample in samples for places in sample.places),
    )

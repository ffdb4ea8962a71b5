"""One conversation → ids, pixels and kept blocks. Knows no weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vesalius.errors import InputError, LimitError, OptionError
from vesalius.models.contract import Conversation, Shown, media_of
from vesalius.models.hulumed.config import HuluMedConfig
from vesalius.models.hulumed.media import Visual, visual_of
from vesalius.models.hulumed.options import PrepareOptions
from vesalius.models.hulumed.pixels import Size, SizedItem, patch_rows, target_sizes
from vesalius.models.hulumed.prepared import Sample
from vesalius.models.hulumed.prompt import MediaPart, Said, render, rendered_text, system_sentence
from vesalius.models.hulumed.quirks import HuluMedQuirks
from vesalius.models.hulumed.tokens import HuluMedTokenizer
from vesalius.vision.reduction import KeepAll, Reduction, reduction

__all__ = ["Preparer"]


@dataclass(frozen=True)
class Preparer:
    """The one processor. `folder`: where the chat template lies."""

    config: HuluMedConfig
    tokenizer: HuluMedTokenizer
    quirks: HuluMedQuirks
    folder: Path

    def sample(
        self, conversation: Conversation, options: PrepareOptions, merge_size: int | Sequence[int] | None
    ) -> Sample:
        """Prepare one conversation. A conversation that ends with an answer is for training: it gets labels and,
        without media, a pseudo picture. Raises InputError, LimitError (context), OptionError."""
        if not conversation:
            raise InputError("the conversation is empty.", fix="Add a user message.")
        training = conversation[-1].role == "assistant"
        visuals = [
            visual_of(shown, number, options, self.quirks) for number, shown in enumerate(media_of(conversation))
        ]
        merges = self._merges(visuals, options, merge_size)
        sizes = self._sizes(visuals, merges, options)
        strategy = self._strategy(options)
        patch = self.config.vision.patch_size
        pixels: list[NDArray[np.float32]] = []
        kept: list[NDArray[np.bool_]] = []
        grids: list[tuple[int, int, int]] = []
        for visual, merge, size in zip(visuals, merges, sizes, strict=True):
            rows = patch_rows(visual.frames, size, merge, patch, self.config.rules)
            grid = (len(visual.frames), size.height // patch, size.width // patch)
            kept.append(_kept(rows, grid, merge, patch, visual.modal, strategy))
            pixels.append(rows)
            grids.append(grid)
        modals: tuple[str, ...] = tuple(visual.modal for visual in visuals)
        counts = tuple(tuple(mask.sum(1).tolist()) for mask in kept)
        messages = _said(conversation, visuals)
        generation = options.add_generation_prompt
        pieces = render(
            messages,
            generation=not training if generation is None else generation,
            system=system_sentence(self.folder) if options.add_system_prompt else None,
            stream_newline=options.layout == "original",
        )
        per_image = [mask.shape[1] for mask in kept for _ in range(mask.shape[0])]
        encoded = self.tokenizer.encode(pieces, per_image, training=training)
        dropped = sum(mask.size - int(mask.sum()) for mask in kept)
        if (length := len(encoded.ids) - dropped) > self.config.max_positions:
            raise LimitError(
                f"the conversation has {length} tokens; the model reads at most {self.config.max_positions}.",
                fix="Give fewer or smaller pictures (max_tokens=), fewer slices, or less text.",
            )
        if training and not visuals:
            # So that the vision weights take part in every training step; the features stand for no token.
            merge = merge_size if isinstance(merge_size, int) else merge_size[0] if merge_size else 1
            pixels, grids, merges, modals = (
                [np.zeros((merge * merge, 3 * patch * patch), np.float32)],
                [(1, merge, merge)],
                [merge],
                ("text",),
            )
            kept, counts = [np.ones((1, 1), np.bool_)], ((0,),)
        return Sample(
            rendered_text(pieces),
            encoded.ids,
            encoded.labels,
            modals,
            torch.from_numpy(np.concatenate(pixels)) if pixels else torch.zeros(0, 3 * patch * patch),
            grids,
            merges,
            torch.from_numpy(np.concatenate([mask.reshape(-1) for mask in kept])) if kept else torch.zeros(0).bool(),
            counts,
            tuple(visual.places for visual in visuals),
        )

    def _merges(
        self, visuals: Sequence[Visual], options: PrepareOptions, merge_size: int | Sequence[int] | None
    ) -> list[int]:
        """Pooling of every item: as asked for, else 2 for videos and volumes and, as an HF call does, for the pictures
        beside them too."""
        if isinstance(merge_size, int):
            return [merge_size] * len(visuals)
        if merge_size is not None:
            if len(merge_size) != len(visuals):
                raise OptionError(f"merge_size names {len(merge_size)} items, the conversation has {len(visuals)}.")
            return list(merge_size)
        moving = [visual.modal == "video" for visual in visuals]
        if options.layout == "hf" and self.quirks.merge2_for_all and any(moving):
            return [2] * len(visuals)
        return [2 if moves else 1 for moves in moving]

    def _sizes(self, visuals: Sequence[Visual], merges: Sequence[int], options: PrepareOptions) -> list[Size]:
        items = [
            SizedItem(visual.height, visual.width, len(visual.frames), merge)
            for visual, merge in zip(visuals, merges, strict=True)
        ]
        return target_sizes(
            items,
            patch=self.config.vision.patch_size,
            min_tokens=options.min_tokens,
            max_tokens=options.max_tokens,
            minimum_when_mixed=not self.quirks.mixed_no_minimum,
        )

    def _strategy(self, options: PrepareOptions) -> Reduction:
        settings: dict[str, object] = {}
        if options.reduction_threshold is not None:
            settings["threshold"] = options.reduction_threshold
        if options.reduction_rule == "hulumed":
            settings["first_whole"] = not self.quirks.reduction_first_frame
        strategy = reduction(options.reduction_rule, **settings)
        return strategy if options.token_reduction else KeepAll()


def _kept(
    rows: NDArray[np.float32], grid: tuple[int, int, int], merge: int, patch: int, modal: str, strategy: Reduction
) -> NDArray[np.bool_]:
    """`[T, N]`: only clips and volumes of more than one frame are reduced."""
    frames, high, wide = grid
    shape = (frames, high * wide // (merge * merge))
    if modal != "video" or frames == 1:
        return np.ones(shape, np.bool_)
    return strategy.keep(rows.reshape(*shape, merge * merge, 3, patch, patch), wide // merge)


def _said(conversation: Conversation, visuals: Sequence[Visual]) -> list[Said]:
    waiting = iter(visuals)
    messages: list[Said] = []
    for spoken in conversation:
        parts: list[str | MediaPart] = []
        for part in spoken.parts:
            if isinstance(part, Shown):
                visual = next(waiting)
                times = visual.times if visual.modal == "video" else part.timestamps
                parts.append(MediaPart(visual.modal, len(visual.frames), times))
            else:
                parts.append(part)
        messages.append(Said(spoken.role, tuple(parts)))
    return messages

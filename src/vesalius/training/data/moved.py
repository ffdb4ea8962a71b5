"""A sample as a file in another folder names its media."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from vesalius.dialogue.samples import Sample

__all__ = ["moved_to"]


def moved_to(sample: Sample, folder: Path, target: Path) -> Sample:
    """The sample with media and mask paths relative to `target` instead of `folder`; absolute paths stay."""

    def told(path: str) -> str:
        if os.path.isabs(path):
            return path
        return PurePosixPath(os.path.relpath((folder / path).absolute(), target.absolute())).as_posix()

    media = tuple(one.model_copy(update={"path": told(one.path)}) for one in sample.media)
    turns = list(sample.turns)
    for number, turn in enumerate(turns):
        if turn.targets is not None and any(mask.path is not None for mask in turn.targets.masks):
            masks = tuple(
                mask if mask.path is None else mask.model_copy(update={"path": told(mask.path)})
                for mask in turn.targets.masks
            )
            targets = turn.targets.model_copy(update={"masks": masks})
            turns[number] = turn.model_copy(update={"targets": targets})
    return sample.model_copy(update={"media": media, "turns": tuple(turns)})

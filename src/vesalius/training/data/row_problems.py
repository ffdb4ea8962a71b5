"""What can be wrong with a sample that has the right form: its turns, its media, its places."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from vesalius.dialogue.marks import Problem, mark_problems
from vesalius.dialogue.samples import Sample, Targets
from vesalius.dialogue.target_sizes import plane_extent
from vesalius.training.data.media_files import MediaFile, MediaFiles

__all__ = ["row_problems", "sayable"]


def row_problems(sample: Sample, folder: str, files: MediaFiles) -> Iterator[Problem]:
    """Everything wrong with a sample. `folder`: that of its file. None of the reasons holds words of the sample."""
    yield from _turns(sample)
    yield from mark_problems(sample)
    placed = {one.media for one in _placed(sample)}
    seen: list[MediaFile] = []
    for number, medium in enumerate(sample.media):
        path = os.path.join(folder, medium.path)
        found = files.look(medium.kind, path, sized=number in placed and medium.kind in ("volume", "video"))
        seen.append(found)
        if found.problem:
            fix = "Copy or export it again, or take the row out."
            yield Problem("media", f"media {number} ({medium.kind}) {found.problem}", fix)
    yield from _places(sample, seen, folder, files)


def _turns(sample: Sample) -> Iterator[Problem]:
    turns = [turn for turn in sample.turns if turn.role != "system"]
    answers = [turn for turn in turns if turn.role == "assistant"]
    empty = [turn for turn in answers if not turn.text.strip() and not sayable(turn.targets)]
    if len(empty) == len(answers):
        yield Problem("empty answer", "nothing to learn: every answer is empty", "Give the answer a text or targets.")
    elif empty:
        yield Problem("empty answer", f"{len(empty)} of {len(answers)} answers are empty", "Give each a text.")
    if turns[0].role != "user":
        yield Problem("turns", "an answer stands before any question", "Begin with a user turn.")
    if turns[-1].role != "assistant":
        yield Problem("turns", "the last turn is no answer", "End with an assistant turn.")
    if not sample.media and any(turn.role == "user" and not turn.text.strip() for turn in turns):
        yield Problem("empty question", "a question has neither text nor media", "Give it one of them.")


def sayable(targets: Targets | None) -> bool:
    """Whether an answer without text can be said from its targets alone."""
    if targets is None:
        return False
    one_count = len(targets.counts) == 1
    return bool(targets.boxes or targets.points or targets.masks or one_count or targets.answer is not None)


def _placed(sample: Sample) -> Iterator[Any]:
    """Targets that lie at a place."""
    for turn in sample.turns:
        if turn.targets is not None:
            yield from turn.targets.boxes
            yield from turn.targets.points
            yield from turn.targets.masks


def _places(sample: Sample, seen: Sequence[MediaFile], folder: str, files: MediaFiles) -> Iterator[Problem]:
    for one in _placed(sample):
        medium, extent = sample.media[one.media], seen[one.media].extent
        if medium.kind == "table":
            yield Problem("places", f"a place lies on media {one.media}, a table", "Correct its media.")
            continue
        if one.frame is not None and medium.kind != "video":
            yield Problem("places", f"a place on a {medium.kind} names a frame", "Frames are of videos.")
            continue
        if (one.slice is not None or one.axis is not None) and medium.kind != "volume":
            yield Problem("places", f"a place on a {medium.kind} names a slice", "Slices are of volumes.")
            continue
        if extent is None:
            continue
        width, height, depth = plane_extent(medium.kind, extent, one.axis)
        index = one.slice if medium.kind == "volume" else one.frame
        if index is not None and index >= depth:
            what = "slice" if medium.kind == "volume" else "frame"
            yield Problem("outside", f"{what} {index} of {depth} {what}s (from 0)", f"Correct the {what}.")
        yield from _inside(one, width, height, folder, files, medium.kind)


def _inside(one: Any, width: int, height: int, folder: str, files: MediaFiles, kind: str) -> Iterator[Problem]:
    if hasattr(one, "box"):
        x0, y0, x1, y1 = one.box
        if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
            yield Problem(
                "outside", f"a box reaches outside its picture of {width} x {height}",
                "Correct it; boxes are x0, y0, x1, y1 in pixels of the original.",
            )  # fmt: skip
    elif hasattr(one, "point"):
        x, y = one.point
        if not (0 <= x <= width and 0 <= y <= height):
            yield Problem("outside", f"a point lies outside its picture of {width} x {height}", "Correct it.")
    elif one.rle is not None:
        if one.rle.size != (height, width) and (kind != "volume" or one.slice is not None):
            rows, columns = one.rle.size
            yield Problem("outside", f"a mask is {columns} x {rows}, its picture {width} x {height}",
                          "Use the mask of this picture; size is (height, width).")  # fmt: skip
    else:
        mask_kind = "volume" if kind == "volume" and one.slice is None else "image"
        found = files.look(mask_kind, os.path.join(folder, one.path), sized=True)
        if found.problem:
            yield Problem("media", f"a mask file {found.problem}", "Put it where the row says, or write it again.")
        elif mask_kind == "image" and found.extent is not None and found.extent[:2] != (width, height):
            yield Problem("outside", f"a mask is {found.extent[0]} x {found.extent[1]}, its picture {width} x {height}",
                          "Use the mask of this picture.")  # fmt: skip

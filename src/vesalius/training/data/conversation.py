"""From a sample to the conversation a model prepares: media in their places, places said in the family's own dialect."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from vesalius.dialogue.marks import MEDIA_MARK, mark_problems
from vesalius.dialogue.messages import KEYS
from vesalius.dialogue.samples import Media, Sample
from vesalius.dialogue.saying import Saying, Size, said
from vesalius.dialogue.target_sizes import target_size
from vesalius.errors import InputError, OptionError

__all__ = ["SAYINGS", "conversation_of", "saying_of"]

SAYINGS: dict[str, Saying] = {
    "starter": Saying("qwen-json", "norm1000"),
    "medmo": Saying("medmo", "norm1000"),
    "qwen2_5_vl": Saying("qwen-json", "abs_processed"),
    "citrusv": Saying("qwen-json", "abs_processed", mask_token="[SEG]"),
    "medmvl": Saying("medmvl", "norm100"),
    "hulumed": Saying("box1000", "norm1000"),
}
"""How each family says places, as its published answers do. Hulu-Med and the starter were not taught to; theirs is our
choice. What counts pixels of the fitted picture gets its size from `saying_of`."""


def saying_of(model: Any, **options: Any) -> Saying:
    """How a loaded model says places. `options`: `min_pixels` and `max_pixels` as they are given to `prepare`, for they
    decide the pixels that Qwen2.5-VL and Citrus-V count. OptionError for a family without a dialect."""
    family = getattr(model, "family", model)
    saying = SAYINGS.get(family.name)
    if saying is None:
        raise OptionError(f"{family.name} has no way to say places.", fix="Give a Saying.")
    if saying.coord != "abs_processed":
        return saying
    rules = family.config.media
    least, most = rules.picture_px
    low, high = options.get("min_pixels") or least, options.get("max_pixels") or most

    def processed(size: Size) -> Size:
        from vesalius.vision.patches import fit_picture

        rows, columns = fit_picture(size[1], size[0], factor=rules.patches.factor, min_pixels=low, max_pixels=high)
        return columns, rows

    return replace(saying, processed_size=processed)


def conversation_of(
    sample: Sample, folder: str | os.PathLike[str], saying: Saying | None = None
) -> list[dict[str, Any]]:
    """The list of `{"role", "content"}` that `model.prepare` takes; the last turn is the answer to learn.

    `folder`: that of the samples file; media paths are resolved against it. `saying`: how places are said (`saying_of`);
    needed only for samples that hold any. Raises InputError when marks, media or targets do not fit or nothing is to be
    learnt, OptionError when places must be said and `saying` is missing or cannot say them.
    """
    if problem := next(mark_problems(sample), None):
        raise InputError(f"{problem.reason}.", fix=problem.fix)
    if sample.turns[-1].role != "assistant":
        raise InputError("the last turn is no answer.", fix="End the sample with an assistant turn.")
    size_of = target_size(sample, Path(folder))
    parts = _Waiting(sample, Path(folder))
    messages: list[dict[str, Any]] = []
    for number, turn in enumerate(sample.turns):
        text = _text(turn, saying, size_of, number)
        if turn.role == "user":
            content = parts.content(text)
        else:
            content = [{"type": "text", "text": text}]
        messages.append({"role": turn.role, "content": content})
    return messages


def _text(turn: Any, saying: Saying | None, size_of: Any, number: int) -> str:
    if saying is not None:
        if turn.role != "assistant" and not turn.text.strip():
            return ""
        return said(turn, saying, size_of)
    from vesalius.dialogue.marks import PLACE_MARK

    if PLACE_MARK.search(turn.text) or (turn.role == "assistant" and not turn.text.strip()):
        raise OptionError(f"turn {number} has places to say.", fix="Give saying: saying_of(model).")
    return turn.text


class _Waiting:
    """Media that were not yet shown, by kind, in order."""

    def __init__(self, sample: Sample, folder: Path) -> None:
        self._folder = folder
        marked = any(turn.role == "user" and MEDIA_MARK.search(turn.text) for turn in sample.turns)
        self._front = [] if marked else list(sample.media)
        self._by_kind: dict[str, list[Media]] = {}
        for medium in sample.media:
            self._by_kind.setdefault(medium.kind, []).append(medium)

    def content(self, text: str) -> list[dict[str, Any]]:
        """A user turn's parts."""
        made = [self._part(medium) for medium in self._front]
        if self._front:
            text = text.lstrip("\n")
        self._front = []
        at = 0
        for mark in MEDIA_MARK.finditer(text):
            self._add(made, text[at : mark.start()])
            made.append(self._part(self._by_kind[mark[1]].pop(0)))
            at = mark.end()
        self._add(made, text[at:], after=at > 0)
        if not made:
            raise InputError("a question has neither text nor media.", fix="Give it one of them.")
        return made

    @staticmethod
    def _add(made: list[dict[str, Any]], text: str, *, after: bool = False) -> None:
        # Data put a newline between a picture and the question; families put their own there.
        text = text.removeprefix("\n") if after or made else text
        text = text.removesuffix("\n") if not after else text
        if text:
            made.append({"type": "text", "text": text})

    def _part(self, medium: Media) -> dict[str, Any]:
        options = {key: value for key, value in medium.meta.items() if key in KEYS[medium.kind] and key != medium.kind}
        return {"type": medium.kind, medium.kind: str(self._folder / medium.path), **options}

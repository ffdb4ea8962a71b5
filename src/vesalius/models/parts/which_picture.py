"""On which of the pictures that were shown an answer's places lie.

What the answer names wins ("Image 2: …"), then the one picture the question names, then a default: the first picture
of the latest message that has any; of a volume's slices the middle one, of a clip's frames the first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from vesalius.findings.mentions import Mention, mentions_of, named_where
from vesalius.models.contract import Conversation, Shown

__all__ = ["Asked", "Shot", "asked_of", "on_pictures"]

T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """`question`: the text of the last message; `latest`: the number of the first medium of the latest message that
    has media."""

    question: str = ""
    latest: int = 0


@dataclass(frozen=True)
class Shot:
    """One picture, slice or clip as it was shown. `item`: its medium's number. `times_s`: of a clip's shown frames."""

    item: int
    times_s: tuple[float, ...] | None = None


def asked_of(conversation: Conversation) -> Asked:
    """What was asked last, and about what."""
    number = latest = 0
    for spoken in conversation:
        held = sum(isinstance(part, Shown) for part in spoken.parts)
        if held:
            latest = number
        number += held
    return Asked(conversation[-1].text if conversation else "", latest)


def on_pictures(
    text: str, read: Callable[[str], Sequence[T]], shots: Sequence[Shot], asked: Asked
) -> tuple[list[tuple[T, int, int]], bool]:
    """((what `read` found, number of its shot, frame among those shown of a clip), whether any was placed by default
    although there was a choice)."""
    if not shots:
        return [], False
    usual = _default(shots, asked)
    made: list[tuple[T, int, int]] = []
    assumed = False
    for one, mention in named_where(text, read):
        where = None if mention is None else _resolved(mention, shots, asked)
        assumed |= where is None and not usual[1] and len(shots) > 1
        made.append((one, *(where or usual[0])))
    return made, assumed


def _default(shots: Sequence[Shot], asked: Asked) -> tuple[tuple[int, int], bool]:
    """(shot and frame, whether the question named it)."""
    named = {_resolved(one, shots, asked) for one in mentions_of(asked.question)} - {None}
    if len(named) == 1 and (where := named.pop()) is not None:
        return where, True
    latest = [number for number, shot in enumerate(shots) if shot.item >= asked.latest] or list(range(len(shots)))
    same = [number for number in latest if shots[number].item == shots[latest[0]].item]
    return (same[len(same) // 2], 0), False


def _resolved(mention: Mention, shots: Sequence[Shot], asked: Asked) -> tuple[int, int] | None:
    """(shot, frame), None for what was not shown."""
    stills = [number for number, shot in enumerate(shots) if shot.times_s is None]
    clips = [number for number, shot in enumerate(shots) if shot.times_s is not None]
    clip = next((number for number in clips if shots[number].item >= asked.latest), clips[0] if clips else None)
    times = () if clip is None else shots[clip].times_s or ()
    if mention.kind == "time":
        if clip is None or not times:
            return None
        return clip, min(range(len(times)), key=lambda frame: abs(times[frame] - mention.number))
    number = int(mention.number)
    if clip is not None and (mention.kind == "frame" or not stills):
        frame = len(times) - 1 if number == -1 else number
        return (clip, frame) if 0 <= frame < len(times) else None
    if number == -1:
        return (stills[-1], 0) if stills else None
    return (stills[number], 0) if 0 <= number < len(stills) else None

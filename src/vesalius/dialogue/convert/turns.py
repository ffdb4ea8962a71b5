"""From foreign conversations to samples: roles, media marks, places in the texts, ids. Shared by the formats that are
lists of who said what."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from vesalius.dialogue.convert.contract import Places, RawRow, RowError
from vesalius.dialogue.convert.spelled import looks_spelt, unsaid
from vesalius.dialogue.marks import MEDIA_MARK, PLACE_MARK
from vesalius.dialogue.samples import Media, Sample, Tags, Targets, Turn
from vesalius.findings.dialects.frames import Frame, frame_of
from vesalius.findings.dialects.statements import ImagesNamed

__all__ = [
    "Spoken",
    "checked_sample",
    "listed",
    "mask_paths",
    "message_texts",
    "named_id",
    "spelt_turns",
    "tags_of",
    "text_of_row",
]

Role = Literal["system", "user", "assistant"]
_ROLES: dict[str, Role] = {
    "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "bot": "assistant",
    "system": "system",
}  # fmt: skip
_MASK = re.compile(r"(?:<SEG>|\[SEG\])?<mask>([^<>\n]+)</mask>")


@dataclass(frozen=True)
class Spoken:
    """One foreign turn."""

    role: Role
    text: str


def message_texts(values: Any, who: str, what: str) -> list[Spoken]:
    """A list of `{who: role, what: text}`. RowError for anything else."""
    if not isinstance(values, list) or not values:
        raise RowError("it has no turns", f"Give a list of objects with {who} and {what}.")
    turns: list[Spoken] = []
    for number, one in enumerate(cast("list[Any]", values)):
        if not isinstance(one, Mapping):
            raise RowError(f"turn {number} is no object", f"Give {who} and {what}.")
        turn = cast("Mapping[str, Any]", one)
        role = _ROLES.get(str(turn.get(who)).lower())
        if role is None:
            raise RowError(f"turn {number} has an unknown {who}", f"Known: {', '.join(_ROLES)}.")
        text = turn.get(what)
        if not isinstance(text, str):
            raise RowError(f"turn {number} has no text", f"Give {what} as a string.")
        turns.append(Spoken(role, text))
    return turns


def listed(value: Any) -> list[Any]:
    """One or several: a list of them."""
    if value is None:
        return []
    return list(cast("list[Any]", value)) if isinstance(value, list) else [value]


def named_id(row: RawRow, *keys: str) -> str:
    """The row's own id, or the file's stem and the row's number."""
    for key in keys or ("id",):
        value = row.values.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return str(value)[:200]
    return f"{row.name or 'row'}-{row.number}"[-200:]


def tags_of(places: Places, task: str, **known: str) -> Tags:
    """Tags the caller gave; `known`: what the row itself says."""
    options = places.options
    modality = options.modality if options.modality != "unknown" else known.get("modality", "unknown")
    area = options.area if options.area != "unknown" else known.get("area", "unknown")
    return Tags(modality=modality, area=area, task=options.task or task)


def text_of_row(value: Any, what: str) -> str:
    """A cell that must be text."""
    if not isinstance(value, str) or not value.strip():
        raise RowError(f"{what} is missing", f"Give {what} as text.")
    return value


def spelt_turns(
    turns: Sequence[Spoken],
    media: Sequence[Media],
    files: Sequence[Path],
    places: Places,
    *,
    dialect: str | None,
    coord: str | None,
    size: tuple[int, int] | None = None,
    marks: Mapping[str, str] | None = None,
    keep_places: bool = False,
) -> list[Turn]:
    """Turns with media marks as ours and, where `dialect` names their form, places as targets.

    `files`: of the media, for their sizes. `size`: what the format states for one picture instead. `marks`: foreign
    mark → ours. `keep_places`: our place marks in the text are the format's own.
    """
    made: list[Turn] = []
    for turn in turns:
        text = _with_own_marks(turn, marks or {"image": "image", "video": "video"}, places, keep_places)
        if dialect is None:
            if looks_spelt(text) is not None:
                places.notes["texts spell places out; name their --dialect to make targets of them"] += 1
            made.append(Turn(role=turn.role, text=text))
            continue
        frame_at = _frames(text, media, files, places, coord, size)
        found = unsaid(text, dialect, frame_at)
        targets = None
        if found.boxes or found.points or found.counts:
            targets = Targets(
                boxes=tuple(found.boxes), points=tuple(found.points), counts=tuple(found.counts)
            )  # fmt: skip
        said = found.text
        if targets is not None and turn.role == "assistant" and not PLACE_MARK.sub("", said).strip():
            said = ""  # nothing but places: said in each model's own form
        made.append(Turn(role=turn.role, text=said, targets=targets))
    return made


def _with_own_marks(turn: Spoken, marks: Mapping[str, str], places: Places, keep_places: bool) -> str:
    text = turn.text
    if "<" not in text:
        return text
    if turn.role == "user":
        kept = "\0{}\0".format
        for foreign, own in marks.items():
            text = text.replace(f"<{foreign}>", kept(own))
        broken = MEDIA_MARK.sub(r"< \1>", text)
        if broken != text:
            places.notes["texts spell a mark of ours, as <table>; a space keeps it text"] += 1
        text = re.sub("\0([a-z]+)\0", r"<\1>", broken)
    if not keep_places:
        broken = PLACE_MARK.sub(r"< \1>", text)
        if broken != text:
            places.notes["texts spell a mark of ours, as <point>; a space keeps it text"] += 1
        text = broken
    return text


def _frames(
    text: str, media: Sequence[Media], files: Sequence[Path], places: Places, coord: str | None,
    size: tuple[int, int] | None,
) -> Callable[[int], tuple[int, Frame]]:  # fmt: skip
    named = ImagesNamed(text)
    pictures = [k for k, medium in enumerate(media) if medium.kind == "image"]

    def frame_at(position: int) -> tuple[int, Frame]:
        if not pictures:
            raise RowError("a text names a place, but there is no picture", "Add the picture, or leave --dialect out.")
        if coord is None:
            raise RowError("the frame of the places is not named", "Name it with --coord.")
        which = 0
        if len(pictures) > 1:
            told = named(position)
            if told is None:
                raise RowError("a place stands without saying in which of the pictures", "Say for example: image 2.")
            which = told
        if which >= len(pictures):
            raise RowError(f"a text names picture {which + 1} of {len(pictures)}", "Correct its number.")
        at = pictures[which]
        return at, frame_of(coord, size if size is not None else places.size(files[at]))

    return frame_at


def mask_paths(text: str) -> tuple[str, list[str]]:
    """`<mask>PATH</mask>` in an answer → our mark, and the paths in order."""
    return _MASK.sub("<mask>", text), _MASK.findall(text)


def checked_sample(
    row: RawRow, places: Places, media: Sequence[Media], turns: Sequence[Turn], tags: Tags, **fields: Any
) -> Sample:
    """The sample, or RowError with what the schema or the marks say against it."""
    from pydantic import ValidationError

    from vesalius.dialogue.marks import mark_problems
    from vesalius.dialogue.samples import problem_of

    patient = fields.pop("patient", None)
    if patient is None:
        patient = next((row.values[key] for key in ("patient", "patient_id", "subject_id")
                        if isinstance(row.values, dict) and row.values.get(key) not in (None, "")), None)  # fmt: skip
    try:
        sample = Sample(
            id=fields.pop("id", None) or named_id(row), lang=places.options.lang, media=tuple(media),
            turns=tuple(turns), tags=tags, patient=None if patient is None else str(patient), **fields,
        )  # fmt: skip
    except ValidationError as exc:
        raise RowError(problem_of(exc)) from exc
    if problem := next(mark_problems(sample), None):
        raise RowError(problem.reason, problem.fix, problem.kind)
    return sample

"""Conversations: the list of dicts users write, checked and turned into frozen messages, and back."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Literal, cast, get_args

from vesalius import limits
from vesalius.errors import InputError, LimitError, OptionError
from vesalius.study.items import Clip, Document, Picture, Slide, Study, Table, Volume

__all__ = [
    "ImagePart",
    "MediaPart",
    "Message",
    "Part",
    "Role",
    "TablePart",
    "TextPart",
    "VideoPart",
    "VolumePart",
    "escape_special",
    "from_question",
    "media_of",
    "read_conversation",
    "text_of",
    "write_conversation",
]

Role = Literal["system", "user", "assistant", "tool", "stream"]
"""Who speaks. "stream": pictures that arrive one after another with their times, for models that know the role."""
Axis = Literal["axial", "coronal", "sagittal"]


@dataclass(frozen=True)
class TextPart:
    """Text, special tokens already escaped."""

    text: str


@dataclass(frozen=True)
class ImagePart:
    """`image`: path, bytes, array `[H, W]` or `[H, W, 3]`, PIL image, Picture, Slide, or a Study with one.
    `timestamp`: seconds, for models that are told when a picture was taken. `spacing_mm`: (x, y) distance of pixel
    centres, for a file that does not say."""

    image: Any = field(repr=False)
    timestamp: float | None = None
    spacing_mm: tuple[float, float] | None = None


@dataclass(frozen=True)
class VolumePart:
    """`volume`: path, bytes, array or Volume. `num_slices`: how many slices are shown (None: the model's choice).
    `axis`: what they are cut across (None: axial). `window`: a named window, (centre, width), a Window, or None."""

    volume: Any = field(repr=False)
    num_slices: int | None = None
    axis: Axis | None = None
    window: Any = None


@dataclass(frozen=True)
class VideoPart:
    """`video`: path, bytes, frames `[T, H, W(, 3)]`, Clip, or a list or folder of pictures. `fps`: frames per second to
    sample. `timestamps`: seconds, instead; one per frame where the frames were chosen before."""

    video: Any = field(repr=False)
    fps: float | None = None
    timestamps: tuple[float, ...] | None = None


@dataclass(frozen=True)
class TablePart:
    """`table`: path, bytes or Table."""

    table: Any = field(repr=False)


MediaPart = ImagePart | VolumePart | VideoPart | TablePart
Part = TextPart | MediaPart

KEYS: dict[str, tuple[str, ...]] = {
    "text": ("text",),
    "image": ("image", "timestamp", "spacing_mm"),
    "volume": ("volume", "num_slices", "axis", "window"),
    "video": ("video", "fps", "timestamps"),
    "table": ("table",),
}
"""Part types and the keys each may hold, the one that must be there first."""


@dataclass(frozen=True)
class Message:
    """One turn."""

    role: Role
    parts: tuple[Part, ...]


# --- special tokens in text -------------------------------------------------------------------------------------------

TAGS = (
    "image", "img", "picture", "video", "audio", "volume", "im_patch", "im_start", "im_end", "image_pad", "video_pad",
    "vision_start", "vision_end", "s", "unk", "pad", "bos", "eos", "mask", "seg", "box", "ref", "quad", "point",
    "think", "tool_call", "tool_response", "start_of_turn", "end_of_turn", "start_of_image", "end_of_image",
    "image_soft_token", "sys",
)  # fmt: skip
TAG = re.compile(rf"<(?=/?(?:{'|'.join(TAGS)})\s*/?>)", re.IGNORECASE)
BRACKETS = re.compile(r"\[(?=/?(?:INST|SEG|IMG|IMG_BREAK|IMG_END|CLS|SEP|MASK|PAD|UNK)\])")


def escape_special(text: str, extra: Iterable[str] = ()) -> str:
    """Break what a tokenizer could take for a special token by one visible space: `<|im_end|>` → `< |im_end| >`,
    `<image>` → `< image>`, `[INST]` → `[ INST]`. Ordinary text, "<" and "[1]" included, is unchanged.

    `extra`: further special tokens of the model at hand; a space goes after their first character. Escaping twice
    changes nothing more.
    """
    for bar in ("|", "\uff5c"):
        text = text.replace(f"<{bar}", f"< {bar}").replace(f"{bar}>", f"{bar} >")
    text = BRACKETS.sub("[ ", TAG.sub("< ", text))
    for token in sorted({t for t in extra if len(t) > 1 and not t.isspace()}, key=len, reverse=True):
        text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


# --- reading ----------------------------------------------------------------------------------------------------------


def read_conversation(conversation: object, *, escape: bool = True) -> tuple[Message, ...]:
    """Check a list of `{"role", "content"}` and make messages of it; tuples of Message pass through.

    `content` is a list of parts or, for short, a string. `escape`: neutralise special tokens in all text.
    Raises InputError (nothing to answer, no content, media missing, unknown role, part type or key), OptionError (a
    value out of range) and LimitError (more media than `limits.max_media`, more text than `limits.max_text_chars`).
    """
    if not isinstance(conversation, Sequence) or isinstance(conversation, (str, bytes)):
        raise InputError(
            f"a conversation is a list of messages, not {type(conversation).__name__}.",
            fix='Pass [{"role": "user", "content": [...]}].',
        )
    messages = tuple(_message(m, k, escape) for k, m in enumerate(cast(Sequence[object], conversation), 1))
    if not messages:
        raise InputError("the conversation is empty.", fix="Add a user message.")
    if not any(m.role in ("user", "stream") for m in messages):
        raise InputError("the conversation has no user message.", fix="Add one with the question.")
    caps = limits.current()
    if (count := len(media_of(messages))) > caps.max_media:
        raise LimitError(f"the conversation has {count} media, more than the {caps.max_media} allowed.")
    characters = sum(len(p.text) for m in messages for p in m.parts if isinstance(p, TextPart))
    if characters > caps.max_text_chars:
        raise LimitError(f"the conversation has {characters} characters, more than the {caps.max_text_chars} allowed.")
    return messages


def _message(given: object, number: int, escape: bool) -> Message:
    where = f"message {number}"
    if isinstance(given, Message):
        return given
    if not isinstance(given, Mapping):
        raise InputError(f"{where} is {type(given).__name__}, not a dict with role and content.")
    message = cast(Mapping[str, Any], given)
    role = message.get("role")
    if role not in get_args(Role):
        raise InputError(f"{where} has role {_shown(role)}.", fix=_nearest(role, get_args(Role)))
    content = message.get("content")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, Sequence) or isinstance(content, bytes) or not content:
        raise InputError(f"{where} has no content.", fix="content is a string or a list of parts.")
    parts = tuple(_part(p, f"{where}, part {k}", escape) for k, p in enumerate(cast(Sequence[object], content), 1))
    if role in ("system", "assistant") and any(not isinstance(p, TextPart) for p in parts):
        raise InputError(f"{where} ({role}) holds media.", fix="Put media into user messages.")
    return Message(cast(Role, role), parts)


def _shown(value: object) -> str:
    return repr(value)[:40]


def _nearest(given: object, known: Iterable[str]) -> str:
    """What to write instead: the nearest known name, and all of them."""
    names = list(known)
    near = difflib.get_close_matches(str(given).lower(), names, 1)
    return f"{f'Did you mean {near[0]}? ' if near else ''}Known: {', '.join(names)}."


def _part(given: object, where: str, escape: bool) -> Part:
    if isinstance(given, (TextPart, ImagePart, VolumePart, VideoPart, TablePart)):
        return given
    if isinstance(given, str):
        given = {"type": "text", "text": given}
    if not isinstance(given, Mapping):
        raise InputError(f"{where} is {type(given).__name__}, not a dict with a type.")
    part = cast(Mapping[str, Any], given)
    kind = part.get("type")
    if not isinstance(kind, str) or kind not in KEYS:
        raise InputError(f"{where} has the unknown type {_shown(kind)}.", fix=_nearest(kind, KEYS))
    if unknown := sorted(str(k) for k in part if k not in (*KEYS[kind], "type")):
        raise InputError(
            f"{where} ({kind}) has the unknown key {_shown(unknown[0])}.", fix=_nearest(unknown[0], KEYS[kind])
        )
    content = part.get(kind)
    if content is None or (isinstance(content, (str, bytes, list, tuple)) and kind != "text" and not content):
        raise InputError(f"{where} has type {kind} but no {kind}.", fix=f'Give "{kind}".')
    if kind == "text":
        if not isinstance(content, str):
            raise InputError(f"{where} holds {type(content).__name__}, not text.")
        return TextPart(escape_special(content) if escape else content)
    return _media_part(kind, content, part, where)


def _media_part(kind: str, content: Any, part: Mapping[str, Any], where: str) -> MediaPart:
    if kind == "image":
        moment = part.get("timestamp")
        if moment is not None and not _is_number(moment):
            raise OptionError(f"{where} has timestamp {_shown(moment)}; it must be a number of seconds.")
        return ImagePart(content, None if moment is None else float(moment), _spacing(part.get("spacing_mm"), where))
    if kind == "table":
        return TablePart(content)
    if kind == "video":
        fps, times = part.get("fps"), part.get("timestamps")
        if fps is not None and not (_is_number(fps) and 0 < fps <= 1000):
            raise OptionError(f"{where} has fps {_shown(fps)}; it must be above 0 and at most 1000.")
        if times is not None and not (
            isinstance(times, (list, tuple)) and all(map(_is_number, cast(list[Any], times)))
        ):
            raise OptionError(f"{where} has timestamps that are not a list of seconds.")
        return VideoPart(
            content, None if fps is None else float(fps), None if times is None else tuple(map(float, times))
        )
    num, axis = part.get("num_slices"), part.get("axis")
    if num is not None and (isinstance(num, bool) or not isinstance(num, int) or num < 1):
        raise OptionError(f"{where} has num_slices {_shown(num)}; it must be a whole number above 0.")
    if axis is not None and axis not in get_args(Axis):
        raise OptionError(f"{where} has axis {_shown(axis)}, not one of {', '.join(get_args(Axis))}.")
    return VolumePart(content, num, cast("Axis | None", axis), part.get("window"))


def _spacing(given: Any, where: str) -> tuple[float, float] | None:
    """One distance for both directions, or (x, y)."""
    if given is None:
        return None
    pair = cast("list[Any]", list(given) if isinstance(given, (list, tuple)) else [given, given])
    if len(pair) != 2 or not all(_is_number(mm) and 0 < mm <= 1000 for mm in pair):
        raise OptionError(f"{where} has spacing_mm {_shown(given)}; it must be millimetres above 0, one or (x, y).")
    return float(pair[0]), float(pair[1])


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9


# --- writing and reading parts ----------------------------------------------------------------------------------------


def write_conversation(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The plain list of dicts, options that are None left out."""
    return [{"role": m.role, "content": [_written(p) for p in m.parts]} for m in messages]


def _written(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    kind = {ImagePart: "image", VolumePart: "volume", VideoPart: "video", TablePart: "table"}[type(part)]
    values = {key: getattr(part, key) for key in KEYS[kind]}
    if isinstance(part, VideoPart) and part.timestamps is not None:
        values["timestamps"] = list(part.timestamps)
    if isinstance(part, ImagePart) and part.spacing_mm is not None:
        values["spacing_mm"] = list(part.spacing_mm)
    return {"type": kind, **{key: value for key, value in values.items() if value is not None}}


def media_of(messages: Sequence[Message]) -> tuple[MediaPart, ...]:
    """All media parts in order; a finding's `where.item` indexes this tuple."""
    return tuple(p for m in messages for p in m.parts if not isinstance(p, TextPart))


def text_of(message: Message) -> str:
    """The text parts of one message, joined by newlines."""
    return "\n".join(p.text for p in message.parts if isinstance(p, TextPart))


# --- the short way ----------------------------------------------------------------------------------------------------

SUFFIXES: dict[str, tuple[str, ...]] = {
    "volume": (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd"),
    "video": (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".gif"),
    "table": (".csv", ".tsv", ".xlsx"),
}


def from_question(media: object, question: str, *, escape: bool = True) -> tuple[Message, ...]:
    """One user message: the media, then the question.

    `media`: None, a Study, an item of one, a path, bytes, an array, or a list of these. Items keep their kind; a path
    goes by its suffix (picture when unknown: read it into a Study to be sure), an array by its dimensions (four, or
    three whose last is not 3 or 4: a volume). Text documents of a study come in as escaped text. `escape`: neutralise
    special tokens in the question, too.
    """
    if not isinstance(question, str) or not question.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError("the question is empty.")
    parts = [part for item in _listed(media) for part in _as_parts(item)]
    return read_conversation([Message("user", (*parts, TextPart(escape_special(question) if escape else question)))])


def _listed(media: object) -> list[object]:
    if media is None:
        return []
    if isinstance(media, Study):
        return list(media.items)
    if isinstance(media, (list, tuple)):
        return [one for item in cast(Sequence[object], media) for one in _listed(item)]
    return [media]


def _as_parts(item: object) -> list[Part]:
    if isinstance(item, Document):
        return [TextPart(escape_special(item.text))]
    if isinstance(item, (Picture, Slide)):
        return [ImagePart(item)]
    if isinstance(item, Volume):
        return [VolumePart(item)]
    if isinstance(item, Clip):
        return [VideoPart(item)]
    if isinstance(item, Table):
        return [TablePart(item)]
    if isinstance(item, (str, PathLike)):
        name = Path(fspath(cast("str | PathLike[str]", item))).name.lower()
        kind = next((k for k, suffixes in SUFFIXES.items() if name.endswith(suffixes)), "image")
        return [{"image": ImagePart, "volume": VolumePart, "video": VideoPart, "table": TablePart}[kind](item)]
    shape = getattr(item, "shape", None)
    if isinstance(item, bytes) or shape is None:
        return [ImagePart(item)]
    flat = len(shape) == 2 or (len(shape) == 3 and shape[-1] in (3, 4))
    return [ImagePart(item) if flat else VolumePart(item)]

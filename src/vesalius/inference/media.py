"""From a conversation's parts to study items a model can look at. The only place where answering reads files."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np

from vesalius.dialogue.messages import ImagePart, Message, TablePart, TextPart, VideoPart, VolumePart, escape_special
from vesalius.errors import InputError, OptionError
from vesalius.models.contract import Shown, Spoken
from vesalius.study.items import Clip, Document, Item, Picture, Slide, Study, Table, Volume
from vesalius.study.read import read
from vesalius.study.windows import Window, preset

__all__ = ["read_raw", "spoken_of"]


def spoken_of(messages: Sequence[Message], *, raw_volumes: bool = False) -> tuple[list[Spoken], list[str]]:
    """(messages with their media read, warnings of the readers). Tables and documents become quoted text.

    `raw_volumes`: arrays and `.npy` files in volume parts need no geometry (see `read_raw`).
    """
    spoken: list[Spoken] = []
    warnings: list[str] = []
    for message in messages:
        parts: list[str | Shown] = []
        for part in message.parts:
            if isinstance(part, TextPart):
                parts.append(part.text)
                continue
            given, study = _read(part, raw_volumes)
            warnings += study.warnings
            for item in study.items:
                warnings += item.origin.warnings
                if isinstance(item, Table | Document):
                    text = item.to_text() if isinstance(item, Table) else item.text
                    parts.append(f'"{escape_special(text[:2000])}"')
                else:
                    parts.append(_shown(item, part, given))
        spoken.append(Spoken(message.role, tuple(parts)))
    return spoken, list(dict.fromkeys(warnings))


_STACK_AFFINE = np.array([[0.0, 0, -1, 0], [0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
"""[slices, rows, columns] as slices are looked at: feet to head, front to back, the patient's right to left."""


def _read(part: Any, raw_volumes: bool) -> tuple[Any, Study]:
    source = next(getattr(part, name) for name in ("image", "volume", "video", "table") if hasattr(part, name))
    if isinstance(source, Study):
        return None, source
    if isinstance(source, Picture | Volume | Clip | Slide | Table | Document):
        return None, Study((source,))
    study = read_raw(source) if raw_volumes and isinstance(part, VolumePart) else read(source)
    wanted = {ImagePart: (Picture, Slide), VolumePart: (Volume,), VideoPart: (Clip,), TablePart: (Table,)}[type(part)]
    if not isinstance(part, ImagePart) and not any(isinstance(item, wanted) for item in study.items):
        kinds = ", ".join(sorted({type(item).__name__.lower() for item in study.items}))
        raise InputError(f"the {type(part).__name__.removesuffix('Part').lower()} part holds a {kinds}.")
    return source, study


def read_raw(source: Any) -> Study:
    """As `read`, but an array without geometry is taken as [slices, rows, columns] with voxels of 1 mm, and a warning
    says that. For families whose published data are such arrays: they never speak of millimetres."""
    array = getattr(source, "ndim", None) == 3
    path = isinstance(source, str | PathLike) and str(source).lower().endswith(".npy")
    if not array and not path:
        return read(source)
    study = read(source, affine=_STACK_AFFINE)
    warning = "a volume without geometry was taken as [slices, rows, columns]; sizes in mm are not known."
    return Study(study.items, (*study.warnings, warning))


def _shown(item: Item, part: Any, source: Any) -> Shown:
    if isinstance(part, VolumePart) and isinstance(item, Volume):
        return Shown(item, axis=part.axis, num_slices=part.num_slices, window=_window(part.window), source=source)
    if isinstance(part, VideoPart) and isinstance(item, Clip):
        return Shown(item, fps=part.fps, timestamps=part.timestamps, source=source)
    return Shown(item, source=source)


def _window(given: Any) -> Window | None:
    if given is None or isinstance(given, Window):
        return given
    if isinstance(given, str):
        return preset(given)
    if isinstance(given, list | tuple) and len(given) == 2 and all(isinstance(v, int | float) for v in given):
        return Window.from_centre_width(float(given[0]), float(given[1]))
    raise OptionError(f"window {given!r} is neither a name nor (centre, width).")

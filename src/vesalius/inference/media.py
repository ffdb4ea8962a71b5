"""From a conversation's parts to study items a model can look at. The only place where answering reads files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from vesalius.dialogue.messages import ImagePart, Message, TablePart, TextPart, VideoPart, VolumePart, escape_special
from vesalius.errors import InputError, OptionError
from vesalius.models.contract import Shown, Spoken
from vesalius.study.items import Clip, Document, Item, Picture, Slide, Study, Table, Volume
from vesalius.study.picture_stack import clip_of_pictures
from vesalius.study.read import read
from vesalius.study.windows import Window, preset
from vesalius.vision.pillow_rgb import is_pil_image

__all__ = ["read_media", "read_raw", "read_video", "spoken_of"]


def spoken_of(
    messages: Sequence[Message],
    *,
    raw_volumes: bool = False,
    given: Mapping[int, Any] | None = None,
    known: dict[Any, Study] | None = None,
) -> tuple[list[Spoken], list[str]]:
    """(messages with their media read, warnings of the readers). Tables and documents become quoted text.

    `raw_volumes`: arrays and `.npy` files in volume parts need no geometry (see `read_raw`). `given`: by `id` of an
    item that was read before, what it was read from. `known`: files and bytes read before and now, so that
    conversations that share it show the very same items.
    """
    spoken: list[Spoken] = []
    warnings: list[str] = []
    for message in messages:
        parts: list[str | Shown] = []
        for part in message.parts:
            if isinstance(part, TextPart):
                parts.append(part.text)
                continue
            source, study = _read(part, raw_volumes, given or {}, known)
            warnings += study.warnings
            for item in study.items:
                warnings += item.origin.warnings
                if isinstance(item, Table | Document):
                    text = item.to_text() if isinstance(item, Table) else item.text
                    parts.append(f'"{escape_special(text[:2000])}"')
                else:
                    parts.append(_shown(item, part, source))
        spoken.append(Spoken(message.role, tuple(parts)))
    return spoken, list(dict.fromkeys(warnings))


_STACK_AFFINE = np.array([[0.0, 0, -1, 0], [0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
"""[slices, rows, columns] as slices are looked at: feet to head, front to back, the patient's right to left."""


def _read(part: Any, raw_volumes: bool, given: Mapping[int, Any], known: dict[Any, Study] | None) -> tuple[Any, Study]:
    source = next(getattr(part, name) for name in ("image", "volume", "video", "table") if hasattr(part, name))
    if isinstance(source, Study):
        return None, source
    if isinstance(source, Picture | Volume | Clip | Slide | Table | Document):
        return given.get(id(source)), Study((source,))
    spacing = part.spacing_mm if isinstance(part, ImagePart) else None
    key = (type(part), source, spacing, raw_volumes) if isinstance(source, str | bytes | PathLike) else None
    if known is not None and key is not None and key in known:
        return source, known[key]
    study = _read_part(part, source, raw_volumes)
    if spacing is not None:
        study = replace(study, items=tuple(_spaced(item, spacing) for item in study.items))
    if known is not None and key is not None:
        known[key] = study
    return source, study


def _spaced(item: Item, spacing_mm: tuple[float, float]) -> Item:
    """A picture whose file tells no spacing gets the one that is given."""
    if isinstance(item, Picture) and item.spacing_mm is None:
        return replace(item, spacing_mm=spacing_mm)
    return item


def _read_part(part: Any, source: Any, raw_volumes: bool) -> Study:
    if isinstance(part, VideoPart):
        study = read_video(source)
    else:
        study = read_raw(source) if raw_volumes and isinstance(part, VolumePart) else read_media(source)
    wanted = {ImagePart: (Picture, Slide), VolumePart: (Volume,), VideoPart: (Clip,), TablePart: (Table,)}[type(part)]
    if not isinstance(part, ImagePart) and not any(isinstance(item, wanted) for item in study.items):
        kinds = ", ".join(sorted({type(item).__name__.lower() for item in study.items}))
        raise InputError(f"the {type(part).__name__.removesuffix('Part').lower()} part holds a {kinds}.")
    return study


def read_media(source: Any) -> Study:
    """As `read`, images of Pillow too, alone or in a list."""
    if isinstance(source, list | tuple):
        listed: list[Any] = [_array_of(one) if is_pil_image(one) else one for one in source]
        return read(listed)
    return read(_array_of(source) if is_pil_image(source) else source)


def _array_of(image: Any) -> Any:
    """An image of Pillow, upright, as the array the readers take."""
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(image)
    if upright.mode in ("L", "RGB", "RGBA", "I", "F") or upright.mode.startswith("I;16"):
        return np.asarray(upright)
    clear = upright.mode in ("LA", "PA") or "transparency" in upright.info
    return np.asarray(upright.convert("RGBA" if clear else "L" if upright.mode == "1" else "RGB"))


def read_video(source: Any) -> Study:
    """As `read_media`, with pictures that are listed, or that lie in one folder, as the frames of one clip."""
    study = read_media(source)
    listed = isinstance(source, list | tuple)
    if not listed and not (isinstance(source, str | PathLike) and Path(source).is_dir()):
        return study
    if not study.items or not all(isinstance(item, Picture) for item in study.items):
        return study
    return Study((clip_of_pictures(study.pictures, format="frames" if listed else "folder"),), study.warnings)


def read_raw(source: Any) -> Study:
    """As `read`, but an array without geometry is taken as [slices, rows, columns] with voxels of 1 mm, and a warning
    says that. For families whose published data are such arrays: they never speak of millimetres."""
    array = getattr(source, "ndim", None) == 3
    path = isinstance(source, str | PathLike) and str(source).lower().endswith(".npy")
    if not array and not path:
        return read_media(source)
    study = read(source, affine=_STACK_AFFINE)
    warning = "a volume without geometry was taken as [slices, rows, columns]; sizes in mm are not known."
    return Study(study.items, (*study.warnings, warning))


def _shown(item: Item, part: Any, source: Any) -> Shown:
    if isinstance(part, VolumePart) and isinstance(item, Volume):
        return Shown(item, axis=part.axis, num_slices=part.num_slices, window=_window(part.window), source=source)
    if isinstance(part, VideoPart) and isinstance(item, Clip):
        return Shown(item, fps=part.fps, timestamps=part.timestamps, source=source)
    if isinstance(part, ImagePart) and part.timestamp is not None and isinstance(item, Picture | Slide):
        return Shown(item, timestamps=(part.timestamp,), source=source)
    return Shown(item, source=source)


def _window(given: Any) -> Window | None:
    if given is None or isinstance(given, Window):
        return given
    if isinstance(given, str):
        return preset(given)
    if isinstance(given, list | tuple) and len(given) == 2 and all(isinstance(v, int | float) for v in given):
        return Window.from_centre_width(float(given[0]), float(given[1]))
    raise OptionError(f"window {given!r} is neither a name nor (centre, width).")

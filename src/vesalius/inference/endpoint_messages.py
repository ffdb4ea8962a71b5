"""Conversations as an OpenAI-compatible server takes them: text, and pictures as PNG in data URLs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.dialogue.messages import Message
from vesalius.errors import InputError
from vesalius.inference.media import spoken_of
from vesalius.models.contract import Shown
from vesalius.study.items import Clip, Item, Picture, Slide, Volume

__all__ = ["chat_messages"]

_SLICES, _FRAMES, _SLIDE_PIXELS = 16, 16, 1024


def chat_messages(messages: Sequence[Message]) -> tuple[list[dict[str, Any]], list[Item]]:
    """(`messages` of /v1/chat/completions, the items shown).

    A volume becomes its slices in order, a clip its frames: those asked for, else 16 spread over its length. Pictures
    keep their size; windows are applied. Raises what reading the media raises.
    """
    spoken, _ = spoken_of(messages, raw_volumes=True)
    told: list[dict[str, Any]] = []
    items: list[Item] = []
    for one in spoken:
        content: list[dict[str, Any]] = []
        for part in one.parts:
            if isinstance(part, str):
                content.append({"type": "text", "text": part})
                continue
            items.append(part.item)
            content += [{"type": "image_url", "image_url": {"url": _data_url(pixels)}} for pixels in _pictures(part)]
        plain = all(part["type"] == "text" for part in content)
        text = "\n".join(part["text"] for part in content) if plain else None
        told.append({"role": one.role, "content": content if text is None else text})
    return told, items


def _pictures(shown: Shown) -> list[NDArray[np.uint8]]:
    from vesalius.vision.frames import nearest_frames
    from vesalius.vision.views import native_axis, spread

    match shown.item:
        case Picture() as picture:
            return [picture.view(shown.window)]
        case Slide() as slide:
            return [slide.thumbnail(_SLIDE_PIXELS)]
        case Volume() as volume:
            axis = shown.axis or native_axis(volume)
            indices = spread(volume.num_slices(axis), shown.num_slices or _SLICES)
            return [view.view() for view in volume.slices(indices, axis, shown.window)]
        case Clip() as clip:
            if shown.timestamps is not None:
                return clip.frames(nearest_frames(list(clip.times_s), shown.timestamps))
            most = _FRAMES if shown.fps is None else max(1, round(clip.duration_s * shown.fps))
            return clip.frames(spread(clip.num_frames, most))
        case _:
            raise InputError(f"an endpoint cannot be shown a {type(shown.item).__name__.lower()}.")


def _data_url(pixels: NDArray[np.uint8]) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, format="PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")

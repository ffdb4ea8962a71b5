"""The chat prompt of Qwen-VL models: roles, placeholders, timestamps, what is learned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vesalius.errors import InputError
from vesalius.models.contract import Conversation, Shown, Spoken
from vesalius.models.parts.chat_pieces import Control, Media, Text
from vesalius.models.qwen_vl.config import Generation
from vesalius.models.qwen_vl.sights import Sight
from vesalius.vision.frames import pair_times

__all__ = ["Pieces", "chat_pieces", "media_pieces"]

Pieces = list[Control | Text | Media]


def chat_pieces(
    conversation: Conversation, media: Sequence[Pieces], *, system: str | None, open_answer: bool
) -> Pieces:
    """Each message as `<|im_start|>role`, its parts without separators, `<|im_end|>` and a newline.

    `media`: the pieces of each item, in order.  `system`: put first unless the conversation has its own.
    `open_answer`: end with the start of an answer. Answers and their `<|im_end|>` are learned.
    """
    if not conversation:
        raise InputError("the conversation is empty.", fix="Add a user message.")
    pieces: Pieces = []
    waiting = iter(media)
    if system is not None and conversation[0].role != "system":
        pieces += _message(Spoken("system", (system,)), waiting)
    for spoken in conversation:
        pieces += _message(spoken, waiting)
    if open_answer:
        pieces += [Control("<|im_start|>"), Text("assistant\n")]
    return pieces


def _message(spoken: Spoken, media: Iterator[Pieces]) -> Pieces:
    learned = spoken.role == "assistant"
    role = "user" if spoken.role == "tool" else spoken.role
    pieces: Pieces = [Control("<|im_start|>"), Text(f"{role}\n")]
    if spoken.role == "tool":
        pieces.append(Text("<tool_response>\n"))
    for part in spoken.parts:
        if isinstance(part, Shown):
            pieces += next(media)
        else:
            pieces.append(Text(part, learned))
    if spoken.role == "tool":
        pieces.append(Text("\n</tool_response>"))
    return [*pieces, Control("<|im_end|>", learned), Text("\n")]


def media_pieces(
    sights: Sequence[Sight], *, generation: Generation, merge: int, temporal: int, tokens_per_second: float
) -> Pieces:
    """Placeholders of one item. Qwen3-VL announces every temporal patch of a clip with its time; Qwen2.5-VL lays the
    clip out in time through its positions."""
    pieces: Pieces = []
    for sight in sights:
        t, h, w = sight.grid
        h, w = h // merge, w // merge
        if sight.times_s is None:
            pieces += _framed(Media("<|image_pad|>", (t, h, w), 1))
        elif generation == "qwen2_5_vl":
            pieces += _framed(Media("<|video_pad|>", (t, h, w), 2, temporal / sight.fps, tokens_per_second))
        else:
            for second in pair_times(sight.times_s, temporal):
                # Python's rounding of .1f is part of the prompt: 0.25 is announced as 0.2.
                pieces += [Text(f"<{second:.1f} seconds>"), *_framed(Media("<|video_pad|>", (1, h, w), 2))]
    return pieces


def _framed(media: Media) -> Pieces:
    return [Control("<|vision_start|>"), media, Control("<|vision_end|>")]

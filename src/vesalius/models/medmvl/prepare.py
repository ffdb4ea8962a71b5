"""Conversations → the named tensors of MedM-VL: one processor for asking and for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vesalius.errors import InputError, LimitError, OptionError
from vesalius.models.contract import Conversation, NamedTensors, Shown, media_of
from vesalius.models.medmvl.load import Loaded
from vesalius.models.medmvl.pixels import VolumeReading
from vesalius.models.medmvl.prompt import IGNORE, PICTURE, VOLUME, WORDS, Prompt, build_prompt, turns_of
from vesalius.models.medmvl.splice import padded, spliced_labels
from vesalius.models.parts.which_picture import Asked, asked_of
from vesalius.study.items import Volume

__all__ = ["Prepared", "prepare"]

_NOTE = (
    "this checkpoint's training data may have been grey levels 0..255 made with an unpublished window; the volume was "
    'read as HU. If it holds grey levels, pass volume_intensity="0_255".'
)


@dataclass(frozen=True)
class Prepared(NamedTensors):
    """Named tensors of one conversation or of several.

    `input_ids` `[B, L]` (-200 picture, -201 volume) and `attention_mask` `[B, L]` bool, padded on the right;
    `embeds_attention_mask` `[B, P]` and `num_positions` `[B]` after splicing, padded on the left for generation and on
    the right for training; for training `labels` `[B, L]` and `spliced_labels` `[B, P]`; `pixel_values` `[n, 3, S, S]`;
    `volume_pixel_values` `[v, 3, N, S, S]` (2D tower) or `[v, 1, D, H, W]` (3D tower).
    `prompts`: the rendered texts. `media`: of each conversation, in order. `asked`: the question of each, and about
    which media. `new_tokens`: ids that were said, of each, once they are. `notes`: what was odd.
    """

    tensors: dict[str, Tensor]
    prompts: tuple[str, ...]
    media: tuple[tuple[Shown, ...], ...]
    asked: tuple[Asked, ...]
    notes: list[str] = field(default_factory=list[str])
    new_tokens: list[list[int]] = field(default_factory=list[list[int]])

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was odd about the media and the answer."""
        return tuple(self.notes)

    @property
    def told(self) -> dict[str, list[int]]:
        """What an answer's trace says beyond its text."""
        return {"new_tokens": list(self.new_tokens[0])} if self.new_tokens else {}

    @property
    def trains(self) -> bool:
        """Whether it holds labels."""
        return "labels" in self.tensors


def prepare(
    loaded: Loaded,
    conversations: Sequence[Conversation],
    *,
    conv_version: str | None,
    mode: str | None,
    volumes: VolumeReading,
    max_new_tokens: int | None,
) -> Prepared:
    """See `Medmvl.prepare_many`."""
    if not conversations:
        raise InputError("there is no conversation.", fix="Give one or more.")
    train = _trains(conversations, mode)
    prompts: list[Prompt] = []
    media: list[tuple[Shown, ...]] = []
    for conversation in conversations:
        system, turns = turns_of(conversation)
        prompts.append(build_prompt(loaded.tokenizer, system, turns, conv_version or loaded.config.llm_type))
        media.append(tuple(media_of(conversation)))
        _check_placeholders(prompts[-1], media[-1])
    tensors = _ids(loaded, prompts, media, train)
    _check_length(loaded, tensors["num_positions"], 0 if train else max_new_tokens or 1)
    tensors |= _pixels(loaded, media, volumes)
    old = loaded.config.generation != "g2" and volumes.intensity is None and "volume_pixel_values" in tensors
    asked = tuple(asked_of(conversation) for conversation in conversations)
    return Prepared(tensors, tuple(p.text for p in prompts), tuple(media), asked, [_NOTE] if old else [])


def _trains(conversations: Sequence[Conversation], mode: str | None) -> bool:
    if mode not in (None, "generate", "train"):
        raise OptionError(f"mode is {mode!r}; use generate or train.")
    answered = [bool(one) and one[-1].role == "assistant" for one in conversations]
    if mode == "train" and not all(answered):
        raise InputError("a conversation to learn from does not end with an answer.", fix="Add the answer.")
    if mode == "generate" and any(answered):
        raise InputError("the conversation ends with an answer.", fix="End it with a user message.")
    if any(answered) and not all(answered):
        raise InputError("some conversations end with an answer and some do not.", fix="Prepare them apart.")
    return all(answered)


def _check_placeholders(prompt: Prompt, media: Sequence[Shown]) -> None:
    """Each item has its placeholder by construction, except where a template writes its own."""
    volumes = sum(isinstance(shown.item, Volume) for shown in media)
    for kind, held in ((PICTURE, len(media) - volumes), (VOLUME, volumes)):
        if (placed := prompt.ids.count(kind)) != held:
            raise InputError(
                f"the prompt has {placed} {WORDS[kind]} placeholders and the conversation {held} such media.",
                fix="The pretrain templates take one picture (or volume) a turn.",
            )


def _ids(loaded: Loaded, prompts: Sequence[Prompt], media: Sequence[Sequence[Shown]], train: bool) -> dict[str, Tensor]:
    if loaded.pixels.rule is None and any(not isinstance(one.item, Volume) for row in media for one in row):
        raise InputError("this checkpoint reads volumes only.", fix="Give a volume, or load a 2D checkpoint.")
    pad, network = loaded.tokenizer.pad_id, loaded.network
    ids = [torch.tensor(prompt.ids) for prompt in prompts]
    labels = [torch.tensor(prompt.labels) for prompt in prompts]
    shown = [one for row in media for one in row]
    volumes = [one for one in shown if isinstance(one.item, Volume)]
    num_tokens = {
        PICTURE: [network.tokens_of_picture() for one in shown if not isinstance(one.item, Volume)],
        VOLUME: [network.tokens_of_volume(loaded.pixels.num_slices(one)) for one in volumes],
    }
    spliced = spliced_labels(ids, labels, num_tokens)
    made = {
        "input_ids": padded(ids, pad, left=False),
        "attention_mask": padded([torch.ones(len(row)) for row in ids], 0, left=False).bool(),
        "embeds_attention_mask": padded([torch.ones(len(row)) for row in spliced], 0, left=not train).bool(),
        "num_positions": torch.tensor([len(row) for row in spliced]),
    }
    if train:
        filler = pad if loaded.pixels.quirks.padded_labels_hold_pad_id else IGNORE
        made["labels"] = padded(labels, filler, left=False)
        made["spliced_labels"] = padded(spliced, IGNORE, left=False)
    return made


def _check_length(loaded: Loaded, num_positions: Tensor, room: int) -> None:
    """Too long is an error: cut on the right, a prompt would lose `ASSISTANT:` and a sample its answer."""
    longest, limit = int(num_positions.max()), loaded.config.max_length
    if longest > limit:
        raise LimitError(
            f"the conversation has {longest} tokens with its pictures; this checkpoint reads {limit}.",
            fix="Shorten it, drop its oldest turns or give fewer pictures.",
        )
    positions = int(loaded.config.llm.get("max_position_embeddings", limit))
    if longest + room > positions:
        raise LimitError(
            f"{longest} tokens and an answer of {room} exceed the model's {positions} positions.",
            fix="Shorten the conversation or lower max_new_tokens.",
        )


def _pixels(loaded: Loaded, media: Sequence[Sequence[Shown]], reading: VolumeReading) -> dict[str, Tensor]:
    shown = [one for row in media for one in row]
    pictures = [loaded.pixels.picture(one) for one in shown if not isinstance(one.item, Volume)]
    volumes = [loaded.pixels.volume(one, reading) for one in shown if isinstance(one.item, Volume)]
    made: dict[str, Tensor] = {}
    if pictures:
        made["pixel_values"] = torch.stack(pictures)
    if volumes:
        if len({tuple(volume.shape) for volume in volumes}) > 1:
            raise OptionError("the volumes of a batch differ in num_slices.", fix="Prepare them apart.")
        stacked = torch.stack(volumes)
        made["volume_pixel_values"] = stacked
        if loaded.config.reads_volumes_as_slices:
            made["volume_pixel_values_ch0"] = stacked[:, 0]
        else:
            made["volume_pixel_values_stride"] = stacked[:, :, ::2, ::8, ::8]
    return made

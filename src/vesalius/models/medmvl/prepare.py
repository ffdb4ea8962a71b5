"""Conversations → the named tensors of MedM-VL: one processor for asking and for training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from vesalius.errors import InputError, LimitError, OptionError
from vesalius.models.contract import Conversation, NamedTensors, Shown, media_of
from vesalius.models.medmvl.load import Loaded
from vesalius.models.medmvl.pixels import VolumeReading
from vesalius.models.medmvl.prompt import IGNORE, PICTURE, VOLUME, WORDS, Prompt, build_prompt, turns_of
from vesalius.models.medmvl.splice import padded, real_rows, spliced_labels
from vesalius.models.parts.which_picture import Asked, asked_of
from vesalius.study.items import Volume

__all__ = ["Prepared", "pack", "prepare", "slice_counts", "with_answer"]

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
    A packed row is one row of all of these, `num_positions` `[S]` telling its samples apart; volumes read as slices
    stand in it slice after slice, `volume_pixel_values` `[1, 3, sum of N, S, S]`, and `volume_slices` `[v]` counts.
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


def pack(batches: Sequence[Prepared]) -> Prepared:
    """One row of the samples of several prepared training batches. InputError for none, or one that waits for an
    answer."""
    if not batches:
        raise InputError("there is no sample to pack.")
    if not all(batch.trains for batch in batches):
        raise InputError("a conversation to learn from does not end with an answer.", fix="Add the answer.")
    ids, labels, spliced = (
        torch.cat([row for batch in batches for row in real_rows(batch[name], batch[mask])])[None]
        for name, mask in (
            ("input_ids", "attention_mask"),
            ("labels", "attention_mask"),
            ("spliced_labels", "embeds_attention_mask"),
        )
    )
    num_positions = torch.cat([batch["num_positions"] for batch in batches])
    spliced[0, num_positions.cumsum(0)[:-1]] = spliced[0, 0] = IGNORE
    tensors = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids, dtype=torch.bool),
        "embeds_attention_mask": torch.ones_like(spliced, dtype=torch.bool),
        "num_positions": num_positions,
        "labels": labels,
        "spliced_labels": spliced,
    }
    for name in ("pixel_values", "volume_pixel_values"):
        given = [batch[name] for batch in batches if name in batch]
        if given and name == "volume_pixel_values" and given[0].shape[1] == 3:
            tensors[name] = torch.cat([volume for volumes in given for volume in volumes], 1)[None]
            tensors["volume_slices"] = torch.cat([slice_counts(batch) for batch in batches])
        elif given:
            tensors[name] = torch.cat(given)
    return Prepared(
        tensors,
        tuple(text for batch in batches for text in batch.prompts),
        tuple(media for batch in batches for media in batch.media),
        tuple(asked for batch in batches for asked in batch.asked),
        list(dict.fromkeys(note for batch in batches for note in batch.notes)),
    )


def with_answer(batch: Prepared, ids: Sequence[int]) -> Prepared:
    """One prompt with the ids of an answer behind it, which alone are learned."""
    said = torch.tensor([list(ids)])
    before, positions = batch["input_ids"], int(batch["num_positions"][0])
    full = torch.ones(1, positions + len(ids), dtype=torch.bool)
    tensors = {
        **batch.tensors,
        "input_ids": torch.cat([before, said], 1),
        "attention_mask": torch.ones(1, before.shape[1] + len(ids), dtype=torch.bool),
        "embeds_attention_mask": full,
        "num_positions": torch.tensor([positions + len(ids)]),
        "labels": torch.cat([torch.full_like(before, IGNORE), said], 1),
        "spliced_labels": torch.cat([torch.full((1, positions), IGNORE), said], 1),
    }
    return replace(batch, tensors=tensors, new_tokens=[])


def slice_counts(batch: Mapping[str, Tensor]) -> Tensor:
    """`[v]`: slices of each volume of a batch that are read one by one."""
    if "volume_slices" in batch:
        return batch["volume_slices"]
    volumes = batch.get("volume_pixel_values")
    return torch.zeros(0, dtype=torch.long) if volumes is None else torch.full((len(volumes),), volumes.shape[2])


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

"""Qwen2.5-VL and Qwen3-VL (MedMO is an unchanged Qwen3-VL): one family, the network being transformers' own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vesalius.errors import CheckpointError, InputError, LimitError, OptionError, WeightsMissingError
from vesalius.findings.findings import Finding
from vesalius.models.contract import Conversation, Loading, RowLoss, RowStates, media_of
from vesalius.models.parts.chat_pieces import Encoded, encode_pieces, render_pieces
from vesalius.models.parts.chat_tokens import ChatTokens
from vesalius.models.parts.mrope import mrope_positions
from vesalius.models.parts.network_parts import divided
from vesalius.models.parts.packed_rows import packed_positions, reduced_loss, row_loss
from vesalius.models.parts.speak import pad_left
from vesalius.models.parts.speaking import Said, speak, speak_together
from vesalius.models.parts.thinking import split_thinking
from vesalius.models.parts.token_stream import Sampling
from vesalius.models.parts.which_picture import asked_of
from vesalius.models.quirks import QuirkSwitches, quirk
from vesalius.models.qwen_vl.config import VlConfig, generation_of, read_config
from vesalius.models.qwen_vl.located import located
from vesalius.models.qwen_vl.network import TOWER, Seen, VlNetwork, build_network, published_to_ours, vl_places
from vesalius.models.qwen_vl.prepared import Prepared, VlOptions, options_from, pixel_tensors
from vesalius.models.qwen_vl.prompt import Pieces, chat_pieces, media_pieces
from vesalius.models.qwen_vl.sights import ClipRule, Sight, sights_of
from vesalius.models.weights import CheckpointTensors, chosen_dtype, fill, read_json
from vesalius.vision.patches import PatchRule
from vesalius.vision.resize import check_resize

__all__ = ["GUESSED", "QwenVl", "QwenVlQuirks", "in_one_row", "lengths_of", "traced", "with_labels"]

GUESSED = "the answer does not say which picture its places are on; see the documentation for what was assumed."


@dataclass(frozen=True)
class QwenVlQuirks(QuirkSwitches):
    """Behaviour of the published code that is a trap."""

    assumed_fps: bool = quirk(
        "Frames without times are announced as if they ran at 24 a second (Qwen2.5-VL: 2); off: one second apart."
    )
    opened_by_pillow: bool = quirk(
        """Picture files become RGB by Pillow alone: what is transparent is laid over white (Citrus-V: alpha is dropped
        and hidden colours show), greys above 8 bits saturate; off: laid over black, windowed."""
    )
    endless: bool = quirk(
        "An answer that repeats itself goes on to the token limit; off: it is ended there (finish 'repetition')."
    )


class QwenVl:
    """A loaded checkpoint. Text of a conversation is never taken for control tokens (`raw_text`)."""

    name = "qwen_vl"
    notice = ""
    raw_text = True

    def __init__(self, config: VlConfig, network: VlNetwork, tokens: ChatTokens, quirks: QwenVlQuirks) -> None:
        self.config, self.network, self.tokens, self.quirks = config, network, tokens, quirks
        self.name = "medmo" if config.generation == "qwen3_vl" else "qwen2_5_vl"
        self.templates: tuple[str, ...] = (config.generation,)
        tokens.check("<|image_pad|>", config.image_id, "image_token_id")
        tokens.check("<|video_pad|>", config.video_id, "video_token_id")
        self.pad_id = tokens.id("<|endoftext|>")
        self.stop_ids = tuple(dict.fromkeys((*config.eos_ids, tokens.id("<|im_end|>"), tokens.id("<|endoftext|>"))))

    @classmethod
    def load(cls, how: Loading) -> QwenVl:
        """Load a checkpoint folder. CheckpointError for files that contradict each other, WeightsMissingError without
        a folder: these weights are not part of the package."""
        if how.folder is None:
            raise WeightsMissingError("these weights are not in the package.", fix="Give the checkpoint's folder.")
        raw = read_json(how.folder / "config.json")
        generation = generation_of(raw)
        if generation is None:
            raise CheckpointError(f"model_type {raw.get('model_type')!r} is no Qwen-VL.", file=how.folder)
        config = read_config(how.folder, raw, generation)
        tokens = ChatTokens.load(how.folder)
        tensors = CheckpointTensors(how.folder)
        model = build_network(raw, generation, chosen_dtype(how.dtype, config.stored_dtype))
        if config.tied:
            model.lm_head.weight = model.model.language_model.embed_tokens.weight
        fill(model, tensors, published_to_ours, how=how, tower=TOWER, file=how.folder)
        network = VlNetwork(model, config.image_id, config.video_id)
        return cls(config, network, tokens, QwenVlQuirks.chosen(how.quirks))

    @property
    def model(self) -> Any:
        """The transformers module; its parameters take gradients."""
        return self.network.model

    def parts(self) -> dict[str, nn.ModuleList]:
        """See `Trainable.parts`. The mergers, which bring features to the language width, are the projector."""
        return divided(self.model, vl_places())

    def stored(self, published: str) -> Tensor | None:
        """See `Trainable.stored`."""
        return self.model.state_dict(keep_vars=True).get(published_to_ours(published))

    # --- the one processor --------------------------------------------------------------------------------------------

    def prepare(self, conversation: Conversation, **options: Any) -> Prepared:
        """Named tensors of one conversation; see `Prepared` for what they are and `VlOptions` for the options."""
        return self._sample(conversation, options_from(VlOptions, options))

    def prepare_many(self, conversations: Sequence[Conversation], **options: Any) -> Prepared:
        """Several conversations. `packed` (None: where all of them end with an answer): in one row, for `loss`, where
        nothing is padded and nothing leaks between them. Else one row each, padded on the left as the published
        processors do; results are those of one by one."""
        chosen = options_from(VlOptions, options)
        if not conversations:
            raise InputError("no conversation was given.")
        samples = [self.prepare(one, **options) for one in conversations]
        packs = all("labels" in sample for sample in samples) if chosen.packed is None else chosen.packed
        return self.pack(samples) if packs else self.padded(samples)

    def padded(self, samples: Sequence[Prepared]) -> Prepared:
        """Prepared conversations as rows of one batch, padded on the left."""
        fills = {"input_ids": self.pad_id, "attention_mask": 0, "mm_token_type_ids": 0}
        if any("labels" in sample for sample in samples):
            fills["labels"] = -100
        unlearned = [torch.full_like(sample["input_ids"], -100) for sample in samples]
        tensors = {
            name: pad_left([one.get(name, other)[0] for one, other in zip(samples, unlearned, strict=True)], fill)[0]
            for name, fill in fills.items()
        }
        # Where there is nothing the published code writes position 1; no mask ever lets it count.
        rows = [sample["position_ids"][:, 0].T for sample in samples]
        tensors["position_ids"] = pad_left(rows, 1)[0].permute(2, 0, 1)
        sights = tuple(sight for sample in samples for sight in sample.sights)
        tensors |= pixel_tensors(sights)
        seconds = [sample["second_per_grid_ts"] for sample in samples if "second_per_grid_ts" in sample]
        if seconds:
            tensors["second_per_grid_ts"] = torch.cat(seconds)
        return Prepared(
            tensors,
            sights,
            tuple(item for sample in samples for item in sample.media),
            "".join(sample.text for sample in samples),
            tuple(sample["input_ids"].shape[1] for sample in samples),
            samples[0].stop_ids,
            samples=tuple(samples),
        )

    def length(self, batch: Any) -> int:
        """Positions of a prepared batch, padding not counted."""
        return sum(lengths_of(batch))

    def pack(self, batches: Sequence[Any]) -> Prepared:
        """Prepared conversations (or packed rows of them) as one row, with four rows of positions. Those without an
        answer are read, and nothing of them is learned."""
        if not batches:
            raise InputError("there is no sample to pack.")
        unlearned = [torch.full_like(one["input_ids"], -100) for one in batches]
        tensors = {name: torch.cat([one[name] for one in batches], 1) for name in ("input_ids", "mm_token_type_ids")}
        tensors["labels"] = torch.cat([b.get("labels", other) for b, other in zip(batches, unlearned, strict=True)], 1)
        tensors["position_ids"] = packed_positions([one["position_ids"] for one in batches])
        lengths = tuple(length for one in batches for length in lengths_of(one))
        tensors["labels"][0, torch.tensor((0, *lengths[:-1])).cumsum(0)] = -100
        sights = tuple(sight for one in batches for sight in one.sights)
        items = tuple(item for one in batches for item in one.media)
        text = "".join(one.text for one in batches)
        return Prepared({**tensors, **pixel_tensors(sights)}, sights, items, text, lengths, self.stop_ids)

    def _sample(self, conversation: Conversation, options: VlOptions) -> Prepared:
        if options.template not in (None, *self.templates):
            fix = f"Use {' or '.join(self.templates)}, or leave it out."
            raise OptionError(f"template {options.template!r} is not this checkpoint's.", fix=fix)
        if not conversation:
            raise InputError("the conversation is empty.", fix="Add a user message.")
        shown = media_of(conversation)
        each = [self.look(one, number, options) for number, one in enumerate(shown)]
        answered = conversation[-1].role == "assistant"
        opened = not answered if options.add_generation_prompt is None else options.add_generation_prompt
        system = self.config.system if options.system is None else options.system
        pieces = chat_pieces(
            conversation, [self.placeholders(sights) for sights in each], system=system, open_answer=opened
        )
        tensors, text = self.encoded(pieces, answered and not opened)
        sights = [sight for sights in each for sight in sights]
        if not answered:
            del tensors["labels"]
        tensors |= pixel_tensors(sights)
        if self.config.generation == "qwen2_5_vl" and "video_grid_thw" in tensors:
            seconds = [self.rule.temporal / sight.fps for sight in sights if sight.is_clip]
            tensors["second_per_grid_ts"] = torch.tensor(seconds, dtype=torch.float32)
        length = tensors["input_ids"].shape[1]
        items = tuple(one.item for one in shown)
        stops = self._stops(options)
        return Prepared(tensors, tuple(sights), items, text, (length,), stops, asked=asked_of(conversation))

    def look(self, shown: Any, number: int, options: VlOptions) -> list[Sight]:
        """The sights of one item under the options."""
        from dataclasses import replace

        rules = self.config.media
        least, most = rules.picture_px
        bounds = (options.min_pixels or least, options.max_pixels or most)
        assumed = {"qwen3_vl": 24.0, "qwen2_5_vl": 2.0}[self.config.generation] if self.quirks.assumed_fps else None
        crop = None if options.crop_frames_to is None else _pair(options.crop_frames_to)
        return sights_of(
            shown,
            number,
            replace(rules, picture_px=bounds, resize=check_resize(options.resize)),
            ClipRule(options.do_sample_frames, crop, assumed),
            by_pillow=self.quirks.opened_by_pillow,
            over_white=self.over_white,
        )

    @property
    def rule(self) -> PatchRule:
        """How pictures are cut."""
        return self.config.media.patches

    def placeholders(self, sights: Sequence[Sight]) -> Pieces:
        """The prompt pieces of one item."""
        return media_pieces(
            sights,
            generation=self.config.generation,
            merge=self.rule.merge,
            temporal=self.rule.temporal,
            tokens_per_second=self.config.tokens_per_second,
        )

    def encoded(self, pieces: Pieces, answered: bool) -> tuple[dict[str, Tensor], str]:
        """(ids, types, labels and positions as tensors, the prompt as text); `answered`: the last piece of conversation
        is an answer. LimitError past the context length."""
        del answered
        return self.tensors_of(encode_pieces(pieces, self.tokens)), render_pieces(pieces)

    def tensors_of(self, made: Encoded) -> dict[str, Tensor]:
        """An encoded prompt as tensors `[1, L]`. LimitError past the context length."""
        if len(made.ids) > self.config.max_positions:
            raise LimitError(
                f"the conversation has {len(made.ids)} tokens, the model reads at most {self.config.max_positions}.",
                fix="Show fewer or smaller pictures (max_pixels), or less text.",
            )
        return {
            "input_ids": torch.tensor([made.ids]),
            "attention_mask": torch.ones(1, len(made.ids), dtype=torch.long),
            "mm_token_type_ids": torch.tensor([made.types]),
            "labels": torch.tensor([made.labels]),
            "position_ids": mrope_positions(made.spans),
        }

    def _stops(self, options: VlOptions) -> tuple[int, ...]:
        given = options.eos_token_id
        return self.stop_ids if given is None else (given,) if isinstance(given, int) else tuple(given)

    # --- computing ----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def logits(self, batch: Mapping[str, Tensor]) -> Tensor:
        """`[B, L, vocab]` float32 at every position; those of padding mean nothing."""
        return self.network.head(self.network.hidden(batch)).float()

    @torch.no_grad()
    def trace(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`vision_features` [N, D] after the merger, `deepstack_features.k` [N, D] (Qwen3-VL), `inputs_embeds`
        [B, L, D] with them spliced in, `last_hidden` [L, D] after the final norm ([B, L, D] of a batch),
        `position_ids`. Of a packed row also ids, types, labels, positions and `logits_last16` of sample k under
        `k.…`."""
        return traced(self.network, batch)

    def loss(self, batch: Mapping[str, Tensor], *, reduction: str = "mean", **options: Any) -> Tensor:
        """Cross entropy of what is learned: the mean over all learned tokens ("mean"), their "sum", or the sum of each
        sample ("per_sample" `[S]`). Differentiable. `labels`: a tensor of the ids' shape in place of the batch's own;
        -100 is not learned. The other options are those of `prepare` and change nothing here."""
        chosen = options_from(VlOptions, options)
        batch = with_labels(batch, chosen.labels)
        labels = in_one_row(batch, self.learned(batch))[None]
        hidden = in_one_row(batch, self.network.hidden(batch))
        return reduced_loss(hidden, self.network.head, labels, lengths_of(batch), reduction)

    def row_loss(self, batch: Mapping[str, Tensor]) -> RowLoss:
        """What a packed row or a prepared conversation costs; see `RowLoss`."""
        return row_loss(*self.row_states(batch))

    def row_states(self, batch: Mapping[str, Tensor]) -> RowStates:
        """See `Trainable.row_states`."""
        labels = in_one_row(batch, self.learned(batch))[None]
        hidden = in_one_row(batch, self.network.hidden(batch))
        return RowStates(hidden, self.network.head, labels, lengths_of(batch))

    def answered(self, batch: Any, ids: Sequence[int]) -> Prepared:
        """See `Trainable.answered`."""
        length, said = batch["input_ids"].shape[1], torch.tensor([list(ids)])
        if length + len(ids) > self.config.max_positions:
            raise LimitError(f"{length + len(ids)} tokens, the model reads at most {self.config.max_positions}.")
        # Behind the prompt the three axes of the positions agree.
        after = int(batch["position_ids"].max()) + 1 + torch.arange(len(ids))
        made: Prepared = copy(batch)
        made.tensors = {
            **batch,
            "input_ids": torch.cat([batch["input_ids"], said], 1),
            "attention_mask": torch.ones(1, length + len(ids), dtype=torch.long),
            "mm_token_type_ids": torch.cat([batch["mm_token_type_ids"], torch.zeros_like(said)], 1),
            "labels": torch.cat([torch.full_like(batch["input_ids"], -100), said], 1),
            "position_ids": torch.cat([batch["position_ids"], after.expand(3, 1, -1)], -1),
        }
        made.lengths = (length + len(ids),)
        return made

    @staticmethod
    def learned(batch: Mapping[str, Tensor]) -> Tensor:
        """The labels. InputError for a batch without an answer to learn."""
        labels = batch.get("labels")
        if labels is None or not bool((labels != -100).any()):
            raise InputError("the batch has no answer to learn.", fix="End the conversation with an answer.")
        return labels

    # --- answering ----------------------------------------------------------------------------------------------------

    def say(self, batch: Any, *, max_new_tokens: int, sampling: Sampling) -> Iterator[tuple[str, str | None]]:
        """(new text, finish reason or None) as it is made. InputError for a batch of several conversations."""
        if len(batch["input_ids"]) != 1:
            raise InputError(
                f"the batch holds {len(batch['input_ids'])} conversations; one is said at a time.", fix="Use ask_batch."
            )
        with torch.inference_mode():
            seen = self.network.see(batch)
        batch.said = Said()
        yield from speak(
            self.network.decoder(batch["position_ids"], seen.first, self.config.max_positions),
            seen.embeds,
            self.tokens,
            batch.said,
            stop_ids=batch.stop_ids,
            max_new_tokens=max_new_tokens,
            sampling=sampling,
            guard=not self.quirks.endless,
            skip_special=self.skip_special,
            keep=self.keep,
        )

    skip_special = True
    over_white = True
    """Transparent pictures are laid over white, as the processors of Qwen-VL models do."""

    def keep(self, token: int) -> bool:
        """Whether the state read at an answer's token is kept. Here none is."""
        del token
        return False

    def say_batch(
        self, batches: Sequence[Any], *, max_new_tokens: int, sampling: Sampling
    ) -> list[tuple[str, str, int]]:
        """(text, finish reason, new tokens) of each, equal to `say` one by one."""
        batches = [row for batch in batches for row in batch.samples or (batch,)]
        with torch.inference_mode():
            seen = [self.network.see(batch) for batch in batches]
        embeds, mask = pad_left([one.embeds[0] for one in seen])
        positions = pad_left([batch["position_ids"][:, 0].T for batch in batches])[0].permute(2, 0, 1)
        decoder = self.network.decoder(positions, _together(seen), self.config.max_positions)
        for batch in batches:
            batch.said = Said()
        speak_together(
            decoder,
            embeds,
            mask,
            [batch.said for batch in batches],
            stop_ids=batches[0].stop_ids,
            max_new_tokens=max_new_tokens,
            sampling=sampling,
            guard=not self.quirks.endless,
            keep=self.keep,
        )
        said = [batch.said for batch in batches]
        return [(one.text(self.tokens, self.skip_special), one.reason or "length", len(one.ids)) for one in said]

    @property
    def text_tokenizer(self) -> Any:
        """What text is made of, for decoding held to a form."""
        return self.tokens.tokenizer

    def split_thinking(self, text: str) -> tuple[str, str]:
        """(thinking, answer)."""
        return split_thinking(text)

    def findings(self, batch: Any, text: str) -> list[Finding]:
        """Boxes and points the answer names, in original pixels, on the pictures it names (see `which_picture`).
        Qwen3-VL speaks in thousandths of the picture, Qwen2.5-VL in pixels of the picture as it was fitted. What was
        only thought counts where the answer names no place."""
        thousandths = self.config.generation == "qwen3_vl"
        made, assumed = located(text, batch.sights, batch.media, batch.asked, thousandths=thousandths)
        if assumed:
            batch.warnings.append(GUESSED)
        return made


def traced(network: VlNetwork, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The network's intermediates by name; see `QwenVl.trace`."""
    seen = network.see(batch)
    hidden = network.hidden(batch, seen)
    named = {"inputs_embeds": seen.embeds, "last_hidden": hidden[0] if len(hidden) == 1 else hidden}
    if seen.features is not None:
        named["vision_features"] = seen.features
    named |= {f"deepstack_features.{number}": layer for number, layer in enumerate(seen.deep)}
    if len(lengths_of(batch)) > len(batch["input_ids"]):
        named |= _by_sample(network, batch, named["last_hidden"])
    named |= {"position_ids": batch["position_ids"]}
    return {name: value.detach() for name, value in named.items()}


def _by_sample(network: VlNetwork, batch: Mapping[str, Tensor], hidden: Tensor) -> dict[str, Tensor]:
    """The parts of a packed row under `<number of the sample>.<name>`."""
    named: dict[str, Tensor] = {}
    first = 0
    for number, length in enumerate(lengths_of(batch)):
        part = slice(first, first + length)
        for name in ("input_ids", "mm_token_type_ids", "labels"):
            named[f"{number}.{name}"] = batch[name][:, part]
        named[f"{number}.position_ids"] = batch["position_ids"][1:, :, part]
        named[f"{number}.logits_last16"] = network.head(hidden[part][-16:]).float()
        first += length
    return named


def _together(seen: Sequence[Seen]) -> dict[str, Any]:
    """First-read keywords of several prompts, padded on the left as their embeddings are."""
    if not any(one.deep for one in seen):
        return {}
    layers = max(len(one.deep) for one in seen)
    deep = [torch.cat([one.deep[layer] for one in seen if one.deep]) for layer in range(layers)]
    return {"visual_pos_masks": pad_left([one.mask[0] for one in seen])[0], "deepstack_visual_embeds": deep}


def with_labels(batch: Mapping[str, Tensor], labels: Any) -> Mapping[str, Tensor]:
    """The batch with labels given as a tensor in place of its own. InputError for another shape."""
    if not isinstance(labels, Tensor):
        return batch
    if labels.shape != batch["input_ids"].shape:
        raise InputError(f"labels are {tuple(labels.shape)}, the ids {tuple(batch['input_ids'].shape)}.")
    changed: Any = copy(batch)
    changed.tensors = {**batch, "labels": labels}
    return changed


def in_one_row(batch: Mapping[str, Tensor], values_BL: Tensor) -> Tensor:
    """`[B, L, …]` → `[sum of lengths, …]` without the padding."""
    if len(values_BL) == 1:
        return values_BL[0]
    return values_BL[batch["attention_mask"].bool().to(values_BL.device)]


def lengths_of(batch: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Positions of each sample of a batch or row."""
    return getattr(batch, "lengths", ()) or (batch["input_ids"].shape[1],)


def _pair(given: Sequence[int]) -> tuple[int, int]:
    if len(given) != 2 or min(given) < 1:
        raise OptionError(f"crop_frames_to is {list(given)}.", fix="Give [height, width].")
    return int(given[0]), int(given[1])

"""MedM-VL: one language model, a 2D tower and/or a 3D tower, each with a connector; visual tokens are spliced into the
prompt where the pictures and volumes stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vesalius.errors import InputError, LimitError, OptionError
from vesalius.findings.findings import Finding
from vesalius.models.contract import Conversation, Loading, RowLoss, RowStates
from vesalius.models.medmvl.boxes import located
from vesalius.models.medmvl.load import Loaded, load_checkpoint
from vesalius.models.medmvl.pixels import VolumeReading
from vesalius.models.medmvl.prepare import Prepared, pack, prepare, slice_counts, with_answer
from vesalius.models.medmvl.prompt import IGNORE, PICTURE, VOLUME
from vesalius.models.medmvl.splice import padded, real_rows, spliced_embeds, spliced_labels
from vesalius.models.medmvl.tokens import TERMINATORS
from vesalius.models.parts.hf_decode import HfDecoder
from vesalius.models.parts.network_parts import divided
from vesalius.models.parts.packed_rows import row_loss
from vesalius.models.parts.segment_attention import segment_keywords
from vesalius.models.parts.token_stream import Sampling, TokenStep, stream_tokens

__all__ = ["Medmvl"]


class Medmvl:
    """A loaded checkpoint. `model`: the network, parameters named as in the published state dict, ready for training.
    `unused`: stored tensors that no forward pass reads."""

    name = "medmvl"
    notice = "MedM-VL is a research model, not a medical device."
    reads_raw_volumes = True
    """Arrays without geometry are volumes in their stored order, as in the published data."""
    raw_text = True
    """Texts are tokenised apart from control tokens, so nothing in them needs to be broken up."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.config, self.model, self.tokenizer = loaded.config, loaded.network, loaded.tokenizer
        self.quirks, self.unused = loaded.pixels.quirks, loaded.unused
        self.pad_id = self.tokenizer.pad_id
        self.end_id = self.tokenizer.id_of(TERMINATORS[self.config.llm_type])

    @classmethod
    def load(cls, how: Loading) -> Medmvl:
        """Load a checkpoint folder; errors as `load_checkpoint`."""
        return cls(load_checkpoint(how))

    def parts(self) -> dict[str, nn.ModuleList]:
        """See `Trainable.parts`."""
        places = {
            "vision": ("encoder_image", "encoder_image3d"),
            "projector": ("connector_image", "connector_image3d"),
            "language": ("llm",),
        }
        return divided(self.model, places)

    def stored(self, published: str) -> Tensor | None:
        """See `Trainable.stored`."""
        return self.model.state_dict(keep_vars=True).get(published)

    def prepare(self, conversation: Conversation, **options: Any) -> Prepared:
        """Tensors of a conversation; options and errors as `prepare_many`."""
        return self.prepare_many([conversation], **options)

    def prepare_many(
        self,
        conversations: Sequence[Conversation],
        *,
        conv_version: str | None = None,
        mode: str | None = None,
        volume_intensity: str | None = None,
        volume_orientation: str | None = None,
        max_new_tokens: int | None = None,
        **unknown: Any,
    ) -> Prepared:
        """Tensors of several conversations as one batch.

        `conv_version`: the template (None: the language model's; also "pretrain", "pretrain_image3d").  `mode`:
        "generate" or "train" (None: whether the conversations end with an answer).  `volume_intensity`: "hu" (None) or
        "0_255".  `volume_orientation`: "radiological" (None) or "stored", see `pixels`.  `max_new_tokens`: room for the
        answer, checked here.
        Raises InputError (roles, media without placeholder), LimitError (too long, with the count), OptionError.
        """
        if unknown:
            raise OptionError(
                f"medmvl's prepare has no option {min(unknown)!r}.",
                fix="It has conv_version, mode, volume_intensity, volume_orientation and max_new_tokens.",
            )
        return prepare(
            self.loaded,
            conversations,
            conv_version=conv_version,
            mode=mode,
            volumes=VolumeReading(volume_intensity, volume_orientation),
            max_new_tokens=max_new_tokens,
        )

    # --- computing ----------------------------------------------------------------------------------------------------

    def embedded(self, batch: Mapping[str, Tensor], trace: dict[str, Tensor] | None = None) -> list[Tensor]:
        """`[P, D]` of each row: token embeddings with visual tokens spliced in. `trace` receives the stages."""
        of_pictures: dict[str, Tensor] = {}
        of_volumes: dict[str, Tensor] = {}
        pictures, volumes = batch.get("pixel_values"), batch.get("volume_pixel_values")
        seen_pictures = [] if pictures is None else list(self.model.see_pictures(pictures, of_pictures))
        if volumes is not None and "volume_slices" in batch:
            seen_volumes = self.model.see_slices(volumes, batch["volume_slices"].tolist())
        else:
            seen_volumes = [] if volumes is None else list(self.model.see_volumes(volumes, of_volumes))
        if trace is not None:
            _merge(trace, of_pictures, of_volumes)
        device, table = self.model.device, self.model.llm.get_input_embeddings()
        ids = [row.to(device) for row in real_rows(batch["input_ids"], batch["attention_mask"])]
        return spliced_embeds(ids, table, seen_pictures, seen_volumes)

    def logits(self, batch: Mapping[str, Tensor]) -> Tensor:
        """`[B, P, V]` float32 at every position after splicing."""
        with torch.inference_mode():
            return self.model.llm.lm_head(self._hidden(batch, self.embedded(batch))).float()

    def trace(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Intermediates by name: pixels, `patch_embed`, `encoder_image`, `attn_pool`, `connector_image`,
        `encoder_image3d`, `connector_image3d`, `inputs_embeds`, `logits`, `logits_last16`; with `.0` for pictures and
        `.1` for volumes where both pass the same tower."""
        made: dict[str, Tensor] = {name: tensor for name, tensor in batch.items() if "input_ids" not in name}
        train = "labels" in batch
        with torch.inference_mode():
            rows = self.embedded(batch, made)
            made["inputs_embeds"] = padded(rows, 0.0, left=not train)
            made["logits"] = self.model.llm.lm_head(self._hidden(batch, rows)).float()
            made["logits_last16"] = made["logits"][:, -16:]
            if train and self._learns(batch):
                made["loss"] = self.loss(batch)[None]
        return made

    def loss(
        self, batch: Mapping[str, Tensor], *, labels: Tensor | None = None, loss: str | None = None, **unknown: Any
    ) -> Tensor:
        """Mean cross-entropy over every learned token of the whole batch, a float32 scalar with gradient.

        `labels`: `[B, L]` beside `input_ids` or `[B, P]` after splicing, in place of the batch's own; -100 is not
        learned. `loss`: a description, which changes nothing. Raises InputError when nothing is learned.
        """
        del loss
        if unknown:
            raise OptionError(f"medmvl's loss has no option {min(unknown)!r}.", fix="It has labels.")
        row = self.row_loss(batch, labels=labels)
        return row.summed / row.tokens

    def length(self, batch: Mapping[str, Tensor]) -> int:
        """Positions of a prepared batch after splicing, padding not counted."""
        return int(batch["num_positions"].sum())

    def pack(self, batches: Sequence[Prepared]) -> Prepared:
        """Prepared training batches as one row; volumes may differ in their number of slices."""
        return pack(batches)

    def row_loss(self, batch: Mapping[str, Tensor], *, labels: Tensor | None = None) -> RowLoss:
        """What a packed row or a batch costs; a batch is read as one row, so nothing of it is padded. `labels` as in
        `loss`. InputError when nothing is learned."""
        return row_loss(*self.row_states(batch, labels=labels))

    def row_states(self, batch: Mapping[str, Tensor], *, labels: Tensor | None = None) -> RowStates:
        """See `Trainable.row_states`."""
        rows = self.embedded(batch)
        targets = self._targets(batch, labels, [len(row) for row in rows])
        learned = torch.cat([row[: len(embeds)] for row, embeds in zip(targets, rows, strict=True)])[None]
        lengths = batch["num_positions"].tolist()
        return RowStates(self._one_row(torch.cat(rows), lengths), self.model.llm.lm_head, learned, lengths)

    def answered(self, batch: Prepared, ids: Sequence[int]) -> Prepared:
        """See `Trainable.answered`."""
        made = with_answer(batch, ids)
        if self.length(made) > (most := int(self.config.llm["max_position_embeddings"])):
            raise LimitError(f"{self.length(made)} tokens exceed the model's {most} positions.")
        return made

    def _learns(self, batch: Mapping[str, Tensor]) -> bool:
        return bool((batch["spliced_labels"][:, 1:] != IGNORE).any())

    def _targets(self, batch: Mapping[str, Tensor], labels: Tensor | None, lengths: list[int]) -> Tensor:
        if labels is None:
            if "spliced_labels" not in batch:
                raise InputError("the batch has no labels.", fix="End each conversation with an answer.")
            return batch["spliced_labels"]
        if labels.shape == (len(lengths), max(lengths)):
            return labels
        if labels.shape != batch["input_ids"].shape:
            raise InputError(
                f"labels are {tuple(labels.shape)}; {tuple(batch['input_ids'].shape)} (as the ids) or "
                f"{(len(lengths), max(lengths))} (after splicing) is needed."
            )
        ids, mask = batch["input_ids"], batch["attention_mask"]
        network = self.model
        volumes = [network.tokens_of_volume(count) for count in slice_counts(batch).tolist()]
        pictures = [network.tokens_of_picture()] * len(batch["pixel_values"]) if "pixel_values" in batch else []
        media = {PICTURE: pictures, VOLUME: volumes}
        return padded(spliced_labels(real_rows(ids, mask), real_rows(labels, mask), media), IGNORE, left=False)

    def _one_row(self, embeds_PD: Tensor, lengths: Sequence[int]) -> Tensor:
        """`[P, D]` after the final norm of samples that stand one after another, each attending to itself."""
        text = self.model.llm.model
        positions = torch.cat([torch.arange(length) for length in lengths])[None].to(embeds_PD.device)
        apart = segment_keywords(text, lengths) if len(lengths) > 1 else {}
        read = text(inputs_embeds=embeds_PD[None], position_ids=positions, use_cache=False, **apart)
        return read.last_hidden_state[0]

    def _hidden(self, batch: Mapping[str, Tensor], rows: Sequence[Tensor]) -> Tensor:
        """`[B, P, D]` after the final norm. Positions count real tokens; padding is on the left, in training on the
        right."""
        if len(batch["num_positions"]) > len(rows):
            return self._one_row(rows[0], batch["num_positions"].tolist())[None]
        left = "labels" not in batch
        embeds = padded(rows, 0.0, left=left)
        mask = padded([torch.ones(len(row), device=embeds.device) for row in rows], 0, left=left).long()
        whole = bool(mask.all())
        return self.model.llm.model(
            inputs_embeds=embeds,
            attention_mask=None if whole else mask,
            position_ids=(mask.cumsum(1) - 1).clamp_min(0),
            use_cache=False,
        ).last_hidden_state

    # --- answering ----------------------------------------------------------------------------------------------------

    def say(
        self, batch: Mapping[str, Tensor], *, max_new_tokens: int, sampling: Sampling
    ) -> Iterator[tuple[str, str | None]]:
        """Yield (new text, finish reason or None) as tokens are made; half a character waits for its other half."""
        ids: list[int] = []
        told = ""
        with torch.inference_mode():
            rows = self.embedded(batch)
        if len(rows) != 1:
            raise InputError(f"the batch holds {len(rows)} conversations; one is said at a time.", fix="Use ask_batch.")
        if isinstance(batch, Prepared):
            batch.new_tokens[:] = [ids]
        for step in self._decode(rows, max_new_tokens, sampling):
            if step.ids[0] is not None:
                ids.append(step.ids[0])
            reason = step.finished[0]
            text = self.tokenizer.decode(ids)
            text = text if reason is not None else self.tokenizer.settled(text)
            yield text[len(told) :], reason
            told = max(told, text, key=len)

    def say_batch(
        self, batches: Sequence[Mapping[str, Tensor]], *, max_new_tokens: int, sampling: Sampling
    ) -> list[tuple[str, str, int]]:
        """Answer several prompts together, padded on the left: (text, finish reason, new tokens) each, in order."""
        with torch.inference_mode():
            rows = [row for batch in batches for row in self.embedded(batch)]
        ids: list[list[int]] = [[] for _ in rows]
        reasons = ["length"] * len(rows)
        for step in self._decode(rows, max_new_tokens, sampling):
            for number, (token, reason) in enumerate(zip(step.ids, step.finished, strict=True)):
                if token is not None:
                    ids[number].append(token)
                    reasons[number] = reason or reasons[number]
        waiting = iter(ids)
        for batch in batches:
            if isinstance(batch, Prepared):
                batch.new_tokens[:] = [next(waiting) for _ in batch.media]
        return [(self.tokenizer.decode(said), reason, len(said)) for said, reason in zip(ids, reasons, strict=True)]

    def findings(self, batch: Any, text: str) -> list[Finding]:
        """Boxes of the answer in pixels of the original pictures, on those it names (see `which_picture`)."""
        if not isinstance(batch, Prepared):
            return []
        upright = not self.quirks.opened_by_pillow
        made, assumed = located(batch.media[0], text, batch.asked[0], stored_upright=upright)
        if assumed:
            batch.notes.append("the answer does not say which picture its boxes are on; see the documentation.")
        return made

    @property
    def text_tokenizer(self) -> Any:
        """What text is made of, for decoding held to a form."""
        return self.tokenizer.tokenizer

    def _decode(self, rows: Sequence[Tensor], max_new_tokens: int, sampling: Sampling) -> Iterator[TokenStep]:
        decoder = HfDecoder(
            self.model.llm.model, self.model.llm.lm_head, max_positions=int(self.config.llm["max_position_embeddings"])
        )
        mask = padded([torch.ones(len(row)) for row in rows], 0, left=True).bool()
        return stream_tokens(
            decoder,
            padded(rows, 0.0, left=True),
            mask_BL=None if bool(mask.all()) else mask,
            max_new_tokens=max_new_tokens,
            stop_ids=[self.tokenizer.eos_id, self.end_id],
            sampling=sampling,
            guard=not self.quirks.endless_repetition,
        )


def _merge(trace: dict[str, Tensor], pictures: Mapping[str, Tensor], volumes: Mapping[str, Tensor]) -> None:
    """Stages of both paths; where both passed the same module, `.0` is the picture's and `.1` the volume's."""
    for name in {**pictures, **volumes}:
        if name in pictures and name in volumes:
            trace[f"{name}.0"], trace[f"{name}.1"] = pictures[name], volumes[name]
        else:
            trace[name] = pictures[name] if name in pictures else volumes[name]

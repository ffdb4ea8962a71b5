"""The Hulu-Med family: loading, the forward pass, loss, and answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vesalius.errors import InputError, LimitError, OptionError
from vesalius.findings.findings import Finding
from vesalius.models.contract import Batch, Conversation, Loading, RowLoss, RowStates, media_of
from vesalius.models.hulumed.config import HuluMedConfig, read_config
from vesalius.models.hulumed.network import HuluMedNetwork, load_network, renamed
from vesalius.models.hulumed.options import read_options
from vesalius.models.hulumed.prepare import Preparer
from vesalius.models.hulumed.prepared import Prepared, lengths_of, pack, row_of, with_answer
from vesalius.models.hulumed.quirks import HuluMedQuirks
from vesalius.models.hulumed.thinking import split_thinking
from vesalius.models.hulumed.tokens import IGNORED, HuluMedTokenizer
from vesalius.models.parts.hf_decode import HfDecoder
from vesalius.models.parts.network_parts import divided
from vesalius.models.parts.packed_rows import row_loss
from vesalius.models.parts.segment_attention import segment_keywords
from vesalius.models.parts.speak import speak, speak_batch
from vesalius.models.parts.token_stream import Sampling
from vesalius.models.weights import CheckpointTensors, find_json

__all__ = ["HuluMed"]

_AGAIN = "Prepare the batch again."


class HuluMed:
    """A loaded checkpoint. `model`: the network, its parameters named as in the HF layout."""

    name = "hulumed"
    notice = ""
    raw_text = True
    """Text reaches `prepare` as it was written: it is encoded by a tokenizer that knows no special token."""
    reads_streams = True
    """Messages of the role "stream" are between tokens of their own."""

    def __init__(
        self,
        config: HuluMedConfig,
        model: HuluMedNetwork,
        tokenizer: HuluMedTokenizer,
        quirks: HuluMedQuirks,
        folder: Path,
    ) -> None:
        self.config, self.model, self.tokenizer, self.quirks = config, model, tokenizer, quirks
        self.preparer = Preparer(config, tokenizer, quirks, folder)
        self.stop_ids = _stop_ids(folder, tokenizer)
        self.pad_id = tokenizer.special["<|im_end|>"]

    @classmethod
    def load(cls, how: Loading) -> HuluMed:
        """Load a checkpoint folder. Raises WeightsMissingError, CheckpointError or OptionError."""
        if how.folder is None:
            raise OptionError("Hulu-Med has no weights in the package.", fix="Give the folder of a checkpoint.")
        tensors = CheckpointTensors(how.folder)
        config = read_config(how.folder, tensors)
        tokenizer = HuluMedTokenizer(how.folder, config.image_token, int(config.language.get("vocab_size", 151936)))
        network = load_network(config, tensors, how)
        return cls(config, network, tokenizer, HuluMedQuirks.chosen(how.quirks), how.folder)

    def parts(self) -> dict[str, nn.ModuleList]:
        """See `Trainable.parts`."""
        text = ("model.embed_tokens", "model.layers", "model.norm", "lm_head")
        places = {"vision": ("model.vision_encoder",), "projector": ("model.mm_projector",), "language": text}
        return divided(self.model, places)

    def stored(self, published: str) -> Tensor | None:
        """See `Trainable.stored`."""
        name = renamed(published)
        return None if name is None else self.model.state_dict(keep_vars=True).get(name)

    def prepare(self, conversation: Conversation, **options: Any) -> Prepared:
        """Named tensors of one conversation; `options` as in `PrepareOptions`."""
        chosen = read_options(options, self.config)
        sample = self.preparer.sample(conversation, chosen, chosen.merge_size)
        return row_of(sample, self.config.image_token, tuple(media_of(conversation)))

    def prepare_many(self, conversations: Sequence[Conversation], **options: Any) -> Prepared:
        """Several conversations in one row, each attending to itself; `merge_size` may hold one number per sample."""
        chosen = read_options(options, self.config)
        if chosen.packing is False:
            raise OptionError("several conversations make one packed row.", fix="Use ask_batch for separate ones.")
        merge = chosen.merge_size
        if isinstance(merge, tuple) and len(merge) != len(conversations):
            raise OptionError(f"merge_size names {len(merge)} samples, the row has {len(conversations)}.")
        if not conversations:
            raise InputError("no conversation was given.")
        rows: list[Prepared] = []
        for place, conversation in enumerate(conversations):
            merged = merge[place] if isinstance(merge, tuple) else merge
            sample = self.preparer.sample(conversation, chosen, merged)
            rows.append(row_of(sample, self.config.image_token, tuple(media_of(conversation))))
        return pack(rows)

    def length(self, batch: Batch) -> int:
        """Positions of the row after reduction, as the language model reads them."""
        return batch["spliced_ids"].shape[1]

    def pack(self, batches: Sequence[Any]) -> Prepared:
        """Rows from `prepare` or `prepare_many` as one."""
        return pack(batches)

    def _looked(self, batch: Batch) -> tuple[Tensor, Tensor] | None:
        if "pixel_values" not in batch:
            return None
        return self.model.look(batch["pixel_values"], batch["grid_sizes"], batch["merge_sizes"])

    def _embedded(self, batch: Batch, projected: Tensor | None) -> Tensor:
        """`[1, L', H]`: token embeddings with the kept features in place of `<image>`."""
        ids = batch["spliced_ids"].to(self.model.device)
        embeds: Tensor = self.model.model.get_input_embeddings()(ids)
        # What is learnt is text, even where a sampled answer spells the token that stands for features.
        places = (ids == self.config.image_token) & (batch["spliced_labels"].to(ids.device) == IGNORED)
        used = None if projected is None else batch["image_features_used"].to(projected.device)
        if used is not None and projected is not None and len(used) != len(projected):
            raise InputError(f"the pixels give {len(projected)} features, {len(used)} are expected.", fix=_AGAIN)
        given = 0 if used is None else int(used.sum())
        if (placed := int(places.sum())) != given:
            raise InputError(f"the prompt has {placed} visual tokens, the media give {given}.", fix=_AGAIN)
        if projected is None or used is None:
            return embeds
        features = projected[used]
        # In the published way: a copy of the row whose marked places are overwritten, so gradients reach both.
        return embeds.masked_scatter(places[..., None], features.to(embeds.dtype))

    def _hidden(self, batch: Batch, embeds: Tensor) -> Tensor:
        """`[1, L', H]` after the final norm; each sample of the row attends to itself."""
        positions = batch["spliced_position_ids"].to(embeds.device)
        lengths = lengths_of(batch)
        apart = segment_keywords(self.model.model, lengths) if len(lengths) > 1 else {}
        read = self.model.model(inputs_embeds=embeds, position_ids=positions, use_cache=False, **apart)
        return read.last_hidden_state

    def embedded(self, batch: Batch) -> Tensor:
        """`[1, L', H]`: what the language model reads."""
        with torch.inference_mode():
            looked = self._looked(batch)
            return self._embedded(batch, None if looked is None else looked[1])

    def logits(self, batch: Batch) -> Tensor:
        """See `Family.logits`."""
        with torch.inference_mode():
            return self.model.lm_head(self._hidden(batch, self.embedded(batch))).float()

    def trace(self, batch: Batch) -> dict[str, Tensor]:
        """`vision_features` `[P/m², D]` after pooling, `projected_tokens` `[P/m², H]`, `inputs_embeds` `[1, L', H]`,
        and, where something is learnt, `loss_per_sample` `[samples]` float64; beside what `prepare` made."""
        with torch.inference_mode():
            found = dict(batch.items())
            looked = self._looked(batch)
            if looked is not None:
                found["vision_features"], found["projected_tokens"] = looked
            found["inputs_embeds"] = self._embedded(batch, None if looked is None else looked[1])
            if bool((batch["spliced_labels"] != IGNORED).any()):
                row = self._row_loss(batch, found["inputs_embeds"])
                found["loss_per_sample"] = row.per_sample.double().cpu() / row.tokens
            return found

    def row_loss(self, batch: Batch, *, labels: Tensor | None = None) -> RowLoss:
        """What a row costs. `labels`: `[1, L']` in place of its own. InputError where nothing is learnt."""
        looked = self._looked(batch)
        return self._row_loss(batch, self._embedded(batch, None if looked is None else looked[1]), labels)

    def row_states(self, batch: Batch) -> RowStates:
        """See `Trainable.row_states`."""
        looked = self._looked(batch)
        hidden = self._hidden(batch, self._embedded(batch, None if looked is None else looked[1]))
        return RowStates(hidden[0], self.model.lm_head, batch["spliced_labels"], lengths_of(batch))

    def answered(self, batch: Any, ids: Sequence[int]) -> Prepared:
        """See `Trainable.answered`."""
        made: Prepared = with_answer(batch, ids)
        if self.length(made) > self.config.max_positions:
            raise LimitError(f"{self.length(made)} tokens exceed the {self.config.max_positions} it reads.")
        return made

    def _row_loss(self, batch: Batch, embeds: Tensor, labels: Tensor | None = None) -> RowLoss:
        labels = batch["spliced_labels"] if labels is None else labels
        return row_loss(self._hidden(batch, embeds)[0], self.model.lm_head, labels, lengths_of(batch))

    def loss(self, batch: Batch, **options: Any) -> Tensor:
        """Shifted cross-entropy of the learnt tokens, with gradient: their mean, or their sum over
        `num_items_in_batch`. `labels`: `[1, L]` or `[1, L']` in place of those of the conversation. `packing` and
        `loss`, which describe how the batch was made, change nothing.

        Raises InputError where nothing is learnt, OptionError for other options or labels of another length.
        """
        for name in options:
            if name not in ("labels", "num_items_in_batch", "packing", "loss"):
                raise OptionError(f"Hulu-Med's loss has no option {name!r}.", fix="Use labels, num_items_in_batch.")
        labels = None if options.get("labels") is None else _spliced(options["labels"], batch, self)
        row = self.row_loss(batch, labels=labels)
        return row.summed / (options.get("num_items_in_batch") or row.tokens)

    def say(self, batch: Batch, *, max_new_tokens: int, sampling: Sampling) -> Iterator[tuple[str, str | None]]:
        """See `Family.say`."""
        prompt = self._prompt(batch, max_new_tokens)
        return speak(
            self.decoder(), prompt, self.tokenizer.decode,
            stop_ids=self.stop_ids, max_new_tokens=max_new_tokens, sampling=sampling,
            guard=not self.quirks.endless_repetition, said=getattr(batch, "new_tokens", None),
        )  # fmt: skip

    def say_batch(
        self, batches: Sequence[Batch], *, max_new_tokens: int, sampling: Sampling
    ) -> list[tuple[str, str, int]]:
        """See `Family.say_batch`."""
        prompts = [self._prompt(batch, max_new_tokens) for batch in batches]
        return speak_batch(
            self.decoder(), prompts, self.tokenizer.decode,
            stop_ids=self.stop_ids, max_new_tokens=max_new_tokens, sampling=sampling,
            guard=not self.quirks.endless_repetition, told=[getattr(one, "new_tokens", []) for one in batches],
        )  # fmt: skip

    def decoder(self) -> HfDecoder:
        """The language model as the decoding loop drives it."""
        return HfDecoder(self.model.model, self.model.lm_head, max_positions=self.config.max_positions)

    def _prompt(self, batch: Batch, max_new_tokens: int) -> Tensor:
        length = batch["spliced_ids"].shape[1]
        if length + max_new_tokens > self.config.max_positions:
            raise LimitError(
                f"{length} tokens and {max_new_tokens} new ones exceed the {self.config.max_positions} it reads.",
                fix="Give fewer slices or less text, or ask for a shorter answer.",
            )
        return self.embedded(batch)

    @property
    def text_tokenizer(self) -> Any:
        """What text is made of, for decoding held to a form."""
        return self.tokenizer.whole

    def split_thinking(self, text: str) -> tuple[str, str]:
        """(what was thought, what is answered)."""
        return split_thinking(text)

    def findings(self, batch: Any, text: str) -> list[Finding]:
        """None: Hulu-Med was not taught to write places."""
        del batch, text
        return []


def _spliced(labels: Tensor, batch: Batch, family: HuluMed) -> Tensor:
    """Given labels without the tokens that reduction dropped."""
    ids = batch["input_ids"]
    if labels.shape == batch["spliced_ids"].shape:
        return labels
    if labels.shape != ids.shape:
        raise OptionError(f"labels are {tuple(labels.shape)}, the ids {tuple(ids.shape)}.")
    stays = torch.ones(ids.shape[1], dtype=torch.bool)
    places = (ids[0] == family.config.image_token).nonzero()[:, 0]
    if len(places):
        real = torch.cat([batch["kept_mask"][part] for part in _real_parts(batch)])
        stays[places] = real
    return labels[:, stays]


def _real_parts(batch: Any) -> list[slice]:
    return [part for part, modal in batch.parts() if modal != "text"]


def _stop_ids(folder: Path, tokenizer: HuluMedTokenizer) -> list[int]:
    """What the checkpoint's generation config stops at, and the end of a turn."""
    stops = {tokenizer.special["<|im_end|>"]}
    for name in ("generation_config.json", "config.json"):
        given: Any = (find_json(folder / name) or {}).get("eos_token_id")
        if given is not None:
            stops |= {int(one) for one in (given if isinstance(given, list) else [given])}
            break
    return sorted(stops)

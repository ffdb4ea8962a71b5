"""Citrus-V: Qwen2.5-VL that says [SEG], a projector of the states read there, and SAM2 that draws their masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from vesalius.errors import InputError, OptionError, WeightsMissingError
from vesalius.findings.findings import Finding
from vesalius.findings.masks import encode_rle
from vesalius.models.citrusv.masks import mask_losses, read_mask, sam_picture
from vesalius.models.citrusv.module import CitrusModel, Decoded, PictureFeatures, build_citrus
from vesalius.models.citrusv.names import OurTensors, home_of, is_unused
from vesalius.models.citrusv.plan import CitrusOptions, Plan, Sample, masks_on, picture_for_sam, segmented_sights
from vesalius.models.citrusv.prompt import ADDED, prompt_and_answer, with_pictures_placed, with_tokens
from vesalius.models.citrusv.said import mask_findings, place_findings
from vesalius.models.citrusv.settings import SegSettings, read_settings
from vesalius.models.contract import Conversation, Loading, RowLoss
from vesalius.models.parts.chat_pieces import encode_pieces, render_pieces
from vesalius.models.parts.chat_tokens import ChatTokens
from vesalius.models.parts.network_parts import divided
from vesalius.models.parts.packed_rows import row_loss
from vesalius.models.placement import LanguageTower
from vesalius.models.quirks import quirk
from vesalius.models.qwen_vl.config import VlConfig, read_config
from vesalius.models.qwen_vl.network import TOWER, VlNetwork, vl_places
from vesalius.models.qwen_vl.prepared import Prepared, options_from
from vesalius.models.qwen_vl.prompt import Pieces
from vesalius.models.qwen_vl.qwen_vl import GUESSED, QwenVl, QwenVlQuirks, in_one_row, lengths_of, traced, with_labels
from vesalius.models.weights import CheckpointTensors, chosen_dtype, fill, read_json

__all__ = ["CitrusQuirks", "CitrusV"]

_TOWER = LanguageTower(f"mllm.{TOWER.text}", f"mllm.{TOWER.head}")


@dataclass(frozen=True)
class CitrusQuirks(QwenVlQuirks):
    """Behaviour of the published code that is a trap.

    Two more are off even by default, because they lose information and no weights depend on them. The published code
    generates an answer with [SEG] a second time, 20 tokens at most, and throws away what the first pass said: never
    copied. It feeds SAM2 the picture after it was shrunk for the language model: option `sam_image_from`.
    """

    typed_tokens: bool = quirk(
        "[SEG], <bbox> and </bbox> typed by anyone are tokens, so a [SEG] in a question asks for a mask; off: "
        "they are text unless the model says them."
    )


class CitrusV(QwenVl):
    """A loaded checkpoint. `whole` holds language model, projector and SAM2."""

    skip_special = False
    over_white = False

    def __init__(
        self, config: VlConfig, settings: SegSettings, whole: CitrusModel, tokens: ChatTokens, quirks: CitrusQuirks
    ) -> None:
        super().__init__(config, VlNetwork(whole.mllm, config.image_id, config.video_id), tokens, quirks)
        self.name = "citrusv"
        self.templates = ("citrus_v", "citrus_v_infer")
        self.settings, self.whole, self.seg_quirks = settings, whole, quirks
        tokens.check("[SEG]", settings.seg_id, "seg_token_idx")

    @classmethod
    def load(cls, how: Loading) -> CitrusV:
        """Load a checkpoint folder; SAM2's memory tensors are left out. CheckpointError for files that contradict each
        other (a wrong [SEG] id among them), WeightsMissingError without a folder."""
        if how.folder is None:
            raise WeightsMissingError("these weights are not in the package.", fix="Give the checkpoint's folder.")
        raw = read_json(how.folder / "config.json")
        config, settings = read_config(how.folder, raw, "qwen2_5_vl"), read_settings(how.folder, raw)
        tokens = ChatTokens.load(how.folder, ADDED)
        tokens.check("[SEG]", settings.seg_id, "seg_token_idx")
        tensors = OurTensors(CheckpointTensors(how.folder))
        whole = build_citrus(raw, settings, chosen_dtype(how.dtype, config.stored_dtype))
        fill(whole, tensors, lambda name: name, how=how, tower=_TOWER, file=how.folder)
        return cls(config, settings, whole, tokens, CitrusQuirks.chosen(how.quirks))

    @property
    def model(self) -> CitrusModel:
        """The whole module; its parameters take gradients."""
        return self.whole

    def published_parameter(self, name: str) -> Tensor:
        """The parameter a published tensor name lives in (a row table for those published in rows)."""
        return dict(self.whole.state_dict(keep_vars=True))[home_of(name).names[0]]

    def parts(self) -> dict[str, nn.ModuleList]:
        """See `Trainable.parts`. `mask_head`: the projector of [SEG] states and the whole of SAM2."""
        return divided(self.whole, {**vl_places("mllm."), "mask_head": ("seg_projector", "grounding_encoder")})

    def stored(self, published: str) -> Tensor | None:
        """See `Trainable.stored`."""
        if is_unused(published):
            return None
        home = home_of(published)
        value: Tensor | None = self.whole.state_dict(keep_vars=True).get(home.names[0])
        return value if value is None or home.row is None else value[home.row : home.row + 1]

    # --- the one processor --------------------------------------------------------------------------------------------

    def prepare(self, conversation: Conversation, **options: Any) -> Prepared:
        """Named tensors of one conversation: those of Qwen2.5-VL, `prompt_input_ids` and `answer_ids`,
        `sam_pixel_values` `[K, 3, S, S]` of what is segmented (one picture, or every slice of a volume), `gt_masks`
        `[m, S/4, S/4]` uint8 where masks are given: one per [SEG], of a volume one per slice it lies on.
        See `CitrusOptions`."""
        chosen = options_from(CitrusOptions, options)
        edge = self.whole.picture_px
        if chosen.sam_image_size not in (None, edge):
            raise OptionError(f"sam_image_size is {chosen.sam_image_size}, this checkpoint's is {edge}.")
        made = self._sample(with_pictures_placed(conversation), chosen)
        segmented = segmented_sights(made, chosen.seg_image)
        if segmented:
            pictures = [picture_for_sam(sight, chosen.sam_image_from) for sight in segmented]
            made.tensors["sam_pixel_values"] = torch.cat([sam_picture(picture, edge) for picture in pictures])
        sample = Sample(len(segmented), None)
        if chosen.masks is not None:
            truth, drawn = masks_on(chosen.masks, segmented, made.media)
            made.tensors["gt_masks"] = torch.stack([read_mask(mask, edge // 4) for mask in truth])
            sample = Sample(len(segmented), len(chosen.masks), drawn)
        made.plan = Plan(chosen, segmented, (sample,))
        return made

    def prepare_many(self, conversations: Sequence[Conversation], **options: Any) -> Prepared:
        """Several conversations, in one row or padded on the left as Qwen2.5-VL's. `masks` holds a list for each
        conversation, None for those that learn words alone; everything else is as in `prepare`."""
        masks = options.pop("masks", None) or [None] * len(conversations)
        if not conversations or len(masks) != len(conversations):
            raise InputError(f"{len(masks)} lists of masks for {len(conversations)} conversations.")
        samples = [self.prepare(one, masks=some, **options) for one, some in zip(conversations, masks, strict=True)]
        plans: list[Plan] = [sample.plan for sample in samples]
        packs = plans[0].options.packed
        packs = all("labels" in sample for sample in samples) if packs is None else packs
        return self.pack(samples) if packs else self._with_plans(self.padded(samples), samples)

    def pack(self, batches: Sequence[Any]) -> Prepared:
        """As Qwen2.5-VL's, with what SAM2 needs of each sample."""
        return self._with_plans(super().pack(batches), batches)

    @staticmethod
    def _with_plans(made: Prepared, batches: Sequence[Any]) -> Prepared:
        plans: list[Plan] = [one.plan for one in batches]
        for name in ("sam_pixel_values", "gt_masks"):
            given = [one[name] for one in batches if name in one]
            if given:
                made.tensors[name] = torch.cat(given)
        sights = [sight for plan in plans for sight in plan.segmented]
        made.plan = Plan(plans[0].options, sights, tuple(one for plan in plans for one in plan.samples))
        return made

    def encoded(self, pieces: Pieces, answered: bool) -> tuple[dict[str, Tensor], str]:
        """As Qwen2.5-VL's, with [SEG] as a token and the last answer tokenized on its own."""
        pieces = with_tokens(pieces, typed=self.seg_quirks.typed_tokens)
        prompt, answer = (encode_pieces(part, self.tokens) for part in prompt_and_answer(pieces, answered=answered))
        tensors = self.tensors_of(prompt + answer)
        tensors["prompt_input_ids"] = torch.tensor([prompt.ids])
        if answered:
            tensors["answer_ids"] = torch.tensor([answer.ids])
        return tensors, render_pieces(pieces)

    # --- computing ----------------------------------------------------------------------------------------------------

    def seg_positions(self, batch: Mapping[str, Tensor]) -> Tensor:
        """`[n]`: where the row has [SEG], its last position left out (nothing was read there yet when it is said)."""
        return torch.nonzero(batch["input_ids"][0, :-1] == self.settings.seg_id)[:, 0]

    @torch.no_grad()
    def trace(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What Qwen2.5-VL's `trace` gives, `seg_positions` [n] and, of the first picture segmented where there are
        any: `seg_hidden` [n, D], `seg_projected` [n, d], `sam_feat_s0`, `sam_feat_s1`, `sam_image_embedding`,
        `dense_pe`, `dense_prompt`, `sparse_prompt`, `low_res_multimasks` [n, 3, S/4, S/4], `ious`,
        `object_score_logits`, `chosen_index`, `low_res_masks` [n, S/4, S/4], `masks` uint8. Of a padded batch all that
        is said of row k under `k.…`."""
        named = traced(self.network, batch)
        rows: Sequence[Prepared] = getattr(batch, "samples", ())
        if rows:
            return named | {
                f"{k}.{name}": value for k, row in enumerate(rows) for name, value in self.trace(row).items()
            }
        named["seg_positions"] = positions = self.seg_positions(batch)
        if not len(positions) or "sam_pixel_values" not in batch:
            return named
        states = named["last_hidden"][positions.to(self.network.device)]
        features = self.features(batch)[0]
        prompts = self.whole.seg_projector(states)
        named |= {"seg_hidden": states, "seg_projected": prompts}
        named |= _named(features, self.whole.decode(features, prompts))
        return {name: value.detach() for name, value in named.items()}

    def features(self, batch: Mapping[str, Tensor]) -> list[PictureFeatures]:
        """SAM2's features of every picture that is segmented."""
        return [self.whole.features(one[None].to(self.network.device)) for one in batch["sam_pixel_values"]]

    def loss(self, batch: Mapping[str, Tensor], *, seg_grad_hook: float | None = None, **options: Any) -> Tensor:
        """Cross entropy + weighted mask losses, a scalar with gradient; without masks the cross entropy alone.

        `seg_grad_hook`: factor on the gradient of the projector's output (what the mask losses send to projector and
        language model), None or 1 to leave it. `masks`: as in `prepare`, in place of the batch's own. `labels`: a
        tensor of the ids' shape. The other options are those of `prepare` and change nothing here. Raises InputError
        when masks and [SEG] differ in number.
        """
        terms = self.loss_terms(batch, seg_grad_hook=seg_grad_hook, **options)
        return torch.stack(list(terms.values())).sum()

    def loss_terms(
        self, batch: Mapping[str, Tensor], *, seg_grad_hook: float | None = None, **options: Any
    ) -> dict[str, Tensor]:
        """The loss by parts: `ce`, `bce_times_2` and `dice` as the config weighs them, for logs."""
        chosen = options_from(CitrusOptions, options)
        batch = with_labels(batch, chosen.labels)
        if chosen.masks is not None:
            batch = self._with_masks(batch, chosen.masks)
        row = self.row_loss(batch, seg_grad_hook=seg_grad_hook)
        means = {name: total / count for name, (total, count) in row.others.items()}
        return {"ce": row.summed / row.tokens, **means}

    def row_loss(self, batch: Mapping[str, Tensor], *, seg_grad_hook: float | None = None) -> RowLoss:
        """What a packed row or a prepared conversation costs, `others` being `bce_times_2` and `dice` over masks, as
        the config weighs them, where masks are given. `seg_grad_hook` as in `loss`. InputError when masks and [SEG]
        differ in number."""
        if seg_grad_hook is not None and not isinstance(seg_grad_hook, int | float):
            raise OptionError(f"seg_grad_hook is {seg_grad_hook!r}.", fix="Give one factor, or None.")
        labels = in_one_row(batch, self.learned(batch))[None]
        hidden = in_one_row(batch, self.network.hidden(batch))
        spoken = row_loss(hidden, self.network.head, labels, lengths_of(batch))
        drawn = self._drawn_samples(batch, hidden, seg_grad_hook)
        if not drawn:
            return spoken
        masks = torch.cat(drawn)
        bce, dice = mask_losses(masks, batch["gt_masks"].to(hidden.device), self.settings.dice_eps)
        weighed = {"bce_times_2": bce * self.settings.bce_weight, "dice": dice * self.settings.dice_weight}
        return replace(spoken, others={name: (mean * len(masks), len(masks)) for name, mean in weighed.items()})

    def _with_masks(self, batch: Any, masks: Sequence[Any]) -> Any:
        """The batch with these masks to learn, a list for each of its conversations where it has several."""
        plan: Plan = batch.plan
        each: Sequence[Any] = [masks] if len(plan.samples) == 1 else masks
        if len(each) != len(plan.samples):
            raise InputError(f"{len(each)} lists of masks for {len(plan.samples)} conversations.")
        truth = [read_mask(mask, self.whole.picture_px // 4) for some in each for mask in some or ()]  # of pictures
        changed = copy(batch)
        changed.tensors = {**batch, "gt_masks": torch.stack(truth)} if truth else dict(batch)
        samples = [
            replace(one, masks=None if some is None else len(some), drawn=tuple((0, k) for k in range(len(some or ()))))
            for one, some in zip(plan.samples, each, strict=True)
        ]
        changed.plan = replace(plan, samples=tuple(samples))
        return changed

    def _drawn_samples(self, batch: Any, hidden: Tensor, seg_grad_hook: float | None) -> list[Tensor]:
        """Mask logits `[n, S/4, S/4]` of every sample of the row that learns masks, in order."""
        drawn: list[Tensor] = []
        row = in_one_row(batch, batch["input_ids"])
        start = picture = 0
        for length, sample in zip(batch.lengths, batch.plan.samples, strict=True):
            positions = self.seg_positions({"input_ids": row[None, start : start + length]}) + start
            if sample.masks is not None:
                if len(positions) != sample.masks or not sample.pictures:
                    raise InputError(
                        f"{sample.masks} masks for {len(positions)} [SEG] on {sample.pictures} pictures.",
                        fix="Give one mask for each [SEG].",
                    )
                prompts = self.whole.seg_projector(hidden[positions.to(hidden.device)])
                if seg_grad_hook is not None and prompts.requires_grad:
                    prompts.register_hook(lambda gradient: gradient * seg_grad_hook)
                for number in sorted({number for number, _ in sample.drawn}):
                    pixels = batch["sam_pixel_values"][picture + number][None].to(hidden.device)
                    said = torch.tensor([k for at, k in sample.drawn if at == number], device=prompts.device)
                    drawn.append(self.whole.decode(self.whole.features(pixels), prompts[said]).masks)
            start += length
            picture += sample.pictures
        return drawn

    # --- answering ----------------------------------------------------------------------------------------------------

    def keep(self, token: int) -> bool:
        """States read at [SEG] are kept while answering."""
        return token == self.settings.seg_id

    @torch.inference_mode()
    def findings(self, batch: Any, text: str) -> list[Finding]:
        """One mask per [SEG] (an empty one is a mask; no [SEG], none), and the boxes the text names, all in original
        pixels. Fills the batch's `told` with run lengths at SAM2's own size, scores and low-resolution logits."""
        prepared: Prepared = batch
        plan: Plan = prepared.plan
        made, assumed = place_findings(text, prepared.sights, prepared.media, prepared.asked, plan.options.seg_image)
        if assumed:
            prepared.warnings.append(GUESSED)
        states = self._states(prepared)
        prepared.extra["num_seg"] = len(states)
        if not len(states) or not plan.segmented:
            return made
        prompts = self.whole.seg_projector(states)
        drawn = [self.whole.decode(features, prompts) for features in self.features(prepared)]
        prepared.extra |= {"seg_positions": self._said_positions(prepared), **_told(drawn)}
        nearest = plan.options.mask_resize == "nearest_256"
        return made + mask_findings(text, plan.segmented, prepared.media, drawn, nearest=nearest)

    def _said_positions(self, prepared: Prepared) -> list[int]:
        """Where prompt and answer together have [SEG], the last position left out."""
        ids = [*prepared["input_ids"][0].tolist(), *prepared.said.ids]
        return [at for at, token in enumerate(ids[:-1]) if token == self.settings.seg_id]

    def _states(self, prepared: Prepared) -> Tensor:
        """States of every [SEG]: those of the prompt (read once more, they are rare), then those said."""
        asked = self.seg_positions(prepared)
        states = list(self.network.hidden(prepared)[0][asked.to(self.network.device)]) if len(asked) else []
        states += prepared.said.states
        return torch.stack(states) if states else torch.zeros(0, self.network.head.in_features)  # pyright: ignore[reportCallIssue, reportArgumentType]


def _named(features: PictureFeatures, decoded: Decoded) -> dict[str, Tensor]:
    return {
        "sam_feat_s0": features.s0,
        "sam_feat_s1": features.s1,
        "sam_image_embedding": features.embedding,
        "dense_pe": decoded.dense_pe,
        "dense_prompt": decoded.dense_prompt,
        "sparse_prompt": decoded.sparse_prompt,
        "low_res_multimasks": decoded.multimasks,
        "ious": decoded.ious,
        "object_score_logits": decoded.object_scores,
        "chosen_index": decoded.chosen,
        "low_res_masks": decoded.masks,
        "masks": (decoded.masks > 0).to(torch.uint8),
    }


def _told(drawn: Sequence[Decoded]) -> dict[str, Any]:
    return {
        "seg_masks_rle": [encode_rle((mask > 0).cpu().numpy()) for one in drawn for mask in one.masks],
        "low_res_masks": torch.cat([one.masks for one in drawn]),
        "masks": torch.cat([one.masks > 0 for one in drawn]).to(torch.uint8),
        "ious": [[round(v, 6) for v in row] for one in drawn for row in one.ious.tolist()],
        "object_scores": [round(v[0], 6) for one in drawn for v in one.object_scores.tolist()],
        "chosen_index": [v for one in drawn for v in one.chosen.tolist()],
    }

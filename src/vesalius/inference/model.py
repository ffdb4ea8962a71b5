"""One interface to every model: ask, stream, prepare, logits, trace."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vesalius.dialogue.messages import Message, from_question, read_conversation
from vesalius.errors import GeometryError, InputError, OptionError
from vesalius.inference.answer import Answer, Usage
from vesalius.inference.media import read_media, read_raw, spoken_of
from vesalius.models.contract import Family, Shown, Spoken, media_of
from vesalius.models.hub import HubAccess, located
from vesalius.models.parts.token_stream import Sampling
from vesalius.models.quirks import Quirks
from vesalius.models.registry import load_family, recognise
from vesalius.study import late_warnings
from vesalius.study.items import Clip, Study, Volume
from vesalius.study.read import gathered

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Model", "load"]


def load(
    name: str = "starter",
    *,
    device: str = "auto",
    dtype: str = "auto",
    quirks: Quirks = "published",
    quantize: str | None = None,
    device_map: str | Mapping[str, str] | None = None,
    adapter: str | os.PathLike[str] | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    offline: bool = False,
    endpoint: str | None = None,
) -> Model:
    """Load a model by name ("starter"), checkpoint directory, or hub id ("org/name", "org/name@revision").

    `device`: "auto" (the first GPU, else the CPU), "cpu", "cuda:1".  `dtype`: "auto" (as stored), "float32",
    "bfloat16", "float16".  `quirks`: the published behaviour, ours, or named ones.  `quantize`: keep the linear layers
    of the language model in "8bit" or "4bit" (extra `quantize`).  `device_map`: in place of `device`, "auto" (GPUs,
    main memory, disk, in this order), a device, or a mapping of module names to devices or "disk" (extra `offload`); ""
    stands for all that is not named. Each weight goes straight to its device.  `adapter`: the folder of a LoRA adapter
    that was trained on this model (PEFT's layout); it is added to the weights, so not together with `quantize` or
    `device_map`. The folder of an adapter as `name` stands for the base it names and itself.

    A directory that exists is never asked for on a hub. `revision`: branch, tag or 40-digit commit of a hub id.
    `token`, `offline`, `endpoint`: how the hub is reached; without them HF_TOKEN (or the stored login), HF_HUB_OFFLINE
    and HF_ENDPOINT count, and files go to the cache of HF_HUB_CACHE or HF_HOME. Only JSON, tokenizer files and
    safetensors are fetched, their hashes are checked, and an interrupted download goes on where it stopped.

    Before any weight is read: WeightsMissingError naming the command that installs them or why the hub does not give
    them (not found, gated, offline, no connection, no room), CheckpointError for damaged or contradicting files, wrong
    hashes and pickles, LimitError stating the memory needed and available, OptionError for an unknown name, device,
    dtype or module, UnsupportedError naming the extra that is not installed.
    """
    access = HubAccess(token=token, offline=offline, endpoint=endpoint)
    from vesalius.models.adapters import base_named, is_adapter, merge_adapter

    if adapter is None and is_adapter(Path(name)):
        name, adapter = base_named(Path(name)), name
    place = located(name, revision=revision, access=access, accept=recognise)
    how: dict[str, Any] = {"device": device, "dtype": dtype, "quirks": quirks}
    if adapter is not None and (quantize is not None or device_map is not None):
        raise OptionError(
            "an adapter goes with neither quantize nor device_map.", fix="Merge it: vesalius convert --adapter."
        )
    family = load_family(place, **how, quantize=quantize, device_map=device_map)
    if adapter is not None:
        merge_adapter(family, Path(place) if Path(place).is_dir() else getattr(family, "folder", None), Path(adapter))
    return Model(family)


class Model:
    """A loaded model. `family` is what does the work; this class reads media, streams, and locates findings."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self._bound: tuple[Any, Any] | None = None

    @property
    def name(self) -> str:
        return self.family.name

    @property
    def notice(self) -> str:
        """What the model says about itself; show it once."""
        return self.family.notice

    @property
    def _escape(self) -> bool:
        """Special tokens in text are broken up, unless the family tells text and control tokens apart by itself."""
        return not getattr(self.family, "raw_text", False)

    def ask(
        self,
        source: Any,
        question: str | None = None,
        *,
        max_new_tokens: int = 256,
        temperature: float = 0.0,
        seed: int | None = None,
        schema: Any = None,
        **options: Any,
    ) -> Answer:
        """Ask about a study, path, array or item (or a list of these), or answer a whole conversation.

        DICOM files of a list are read together: the slices of a series are one volume.
        `source` with `question`: media and one question (`source` None: no picture). Without: a list of messages.
        `schema`: the form the answer must have: a JSON schema (dict), a regular expression (str) or choices (list of
        str). `options`: the family's own, as `prepare` takes them.
        Raises InputError and its kin for media that cannot be read, OptionError for options out of range.
        """
        last: Answer | None = None
        for piece in self.stream(
            source,
            question,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seed=seed,
            schema=schema,
            **options,
        ):
            if isinstance(piece, Answer):
                last = piece
        if last is None:  # stream always ends with the Answer
            raise RuntimeError("the stream ended without an answer")
        return last

    def ask_batch(
        self,
        requests: Sequence[Any],
        *,
        max_new_tokens: int = 256,
        temperature: float = 0.0,
        seed: int | None = None,
        schema: Any = None,
        batch_size: int = 8,
        **options: Any,
    ) -> list[Answer]:
        """Answer several (source, question) pairs or conversations (lists of messages), in order, `batch_size` at a
        time; each as `ask` answers it. Those that are answered together read a file once, and a family that keeps what
        it saw looks once at what neighbours show."""
        _check_length(max_new_tokens)
        sampling = self._sampling(temperature, seed, schema)
        answers: list[Answer] = []
        for first in range(0, len(requests), batch_size):
            pairs: list[Any] = [one if isinstance(one, tuple) else (one, None) for one in requests]
            known: dict[Any, Study] = {}
            asked = [self._asked(pair[0], pair[1], options, known) for pair in pairs[first : first + batch_size]]
            started = time.perf_counter()
            batches: list[Any] = [one.batch for one in asked]
            said = self.family.say_batch(batches, max_new_tokens=max_new_tokens, sampling=sampling)
            spent = time.perf_counter() - started
            for one, (text, reason, tokens) in zip(asked, said, strict=True):
                answers.append(self._answer(one, text, tokens, reason, one.prepare_s + spent, one.prepare_s + spent))
        return answers

    def stream(
        self,
        source: Any,
        question: str | None = None,
        *,
        max_new_tokens: int = 256,
        temperature: float = 0.0,
        seed: int | None = None,
        schema: Any = None,
        **options: Any,
    ) -> Iterator[str | Answer]:
        """As `ask`, piece by piece: text as it is made, and the Answer as the last item."""
        _check_length(max_new_tokens)
        started = time.perf_counter()
        one = self._asked(source, question, options)
        pieces: list[str] = []
        first = 0.0
        tokens, finish = 0, "stop"
        sampling = self._sampling(temperature, seed, schema)
        for text, reason in self.family.say(one.batch, max_new_tokens=max_new_tokens, sampling=sampling):
            first = first or time.perf_counter() - started
            tokens += 1
            finish = reason or finish
            if text:
                pieces.append(text)
                yield text
        yield self._answer(one, "".join(pieces), tokens, finish, first, time.perf_counter() - started)

    def _sampling(self, temperature: float, seed: int | None, schema: Any) -> Sampling:
        """How tokens are chosen; the last schema's tables are kept, a benchmark asks thousands of times under one."""
        if schema is None:
            return Sampling(temperature=temperature, seed=seed)
        from vesalius.models.parts.constrained import constraint_of

        tokenizer: Any = getattr(self.family, "text_tokenizer", None)
        if tokenizer is None:
            raise OptionError(f"{self.name} takes no schema.")
        if self._bound is None or self._bound[0] != schema:
            self._bound = (schema, constraint_of(schema, tokenizer))
        return Sampling(temperature=temperature, seed=seed, constraint=self._bound[1])

    def _asked(
        self, source: Any, question: str | None, options: Mapping[str, Any], known: dict[Any, Study] | None = None
    ) -> _Asked:
        started = time.perf_counter()
        spoken, warnings = self._spoken(source, question, known)
        if spoken[-1].role == "assistant":
            raise InputError("the conversation ends with an answer.", fix="End it with a user message.")
        batch = self.family.prepare(spoken, **options)
        asked = spoken[-1].text
        return _Asked(batch, asked, media_of(spoken), warnings, time.perf_counter() - started)

    def generate(
        self, batch: Any, *, max_new_tokens: int = 256, temperature: float = 0.0, seed: int | None = None
    ) -> Tensor:
        """Continue a prepared batch of one or several conversations: `[B, n]` int64, the new tokens alone, the end
        token included; rows that end earlier are filled with the family's padding token."""
        import torch

        _check_length(max_new_tokens)
        sampling = Sampling(temperature=temperature, seed=seed)
        self.family.say_batch([batch], max_new_tokens=max_new_tokens, sampling=sampling)
        rows: list[list[int]] | None = getattr(batch, "new_tokens", None)
        if rows is None:
            raise OptionError(f"{self.name} does not tell its tokens.", fix="Use ask.")
        longest = max(len(row) for row in rows)
        pad = int(getattr(self.family, "pad_id", 0))
        return torch.tensor([row + [pad] * (longest - len(row)) for row in rows])

    def _answer(self, one: _Asked, text: str, tokens: int, finish: str, first_s: float, total_s: float) -> Answer:
        text = text.strip()
        findings = tuple(self.family.findings(one.batch, text))
        # Not-a-number voxels and the like show only when slices are decoded, which is after the files were read.
        late = [w for shown in one.media if isinstance(shown.item, Volume) for w in late_warnings(shown.item)]
        warnings = [*one.warnings, *late, *getattr(one.batch, "warnings", ())]
        kept, seen = getattr(one.batch, "visual_tokens", (0, 0))
        usage = Usage(
            int(one.batch["input_ids"].shape[-1]),
            tokens,
            round(one.prepare_s, 4),
            round(first_s, 4),
            round(total_s, 4),
            finish,
            visual_tokens=seen,
            visual_tokens_kept=kept,
        )
        split: Any = getattr(self.family, "split_thinking", None)
        thinking, answer = ("", text) if split is None else split(text)
        return Answer(
            answer,
            findings,
            usage,
            self.name,
            one.question,
            tuple(shown.item for shown in one.media),
            thinking=thinking,
            trace={
                "scene": getattr(one.batch, "scene_text", ""),
                "warnings": list(dict.fromkeys(warnings)),
                **getattr(one.batch, "told", {}),
            },
            notice=self.notice,
            raw=text,
        )

    def prepare(self, conversation: Any, question: str | None = None, **options: Any) -> Any:
        """The one processor: named tensors (`input_ids` `[1, L]`, …) of a conversation.

        A conversation that ends with an answer is prepared for `loss`. A list of conversations becomes one batch, where
        the family has that. `options` are the family's own.
        """
        if question is None and _are_conversations(conversation):
            several = [self._spoken(one, None)[0] for one in conversation]
            many: Any = getattr(self.family, "prepare_many", None)
            if many is None:
                raise OptionError(f"{self.name} prepares one conversation at a time.")
            return many(several, **options)
        return self.family.prepare(self._spoken(conversation, question)[0], **options)

    def _spoken(
        self, source: Any, question: str | None, known: dict[Any, Study] | None = None
    ) -> tuple[list[Spoken], list[str]]:
        raw = bool(getattr(self.family, "reads_raw_volumes", False))
        messages, odd, given = conversation_of(source, question, raw_volumes=raw, escape=self._escape)
        spoken, warnings = spoken_of(messages, raw_volumes=raw, given=given, known=known)
        if any(one.role == "stream" for one in spoken) and not getattr(self.family, "reads_streams", False):
            raise InputError(f"{self.name} knows no messages of role stream.", fix="Use the role user.")
        if not getattr(self.family, "reads_streams", False) and any(
            shown.timestamps is not None and not isinstance(shown.item, Clip) for shown in media_of(spoken)
        ):
            warnings = [*warnings, f"{self.name} is not told the times of pictures; timestamp was passed over."]
        return spoken, [*odd, *warnings]

    def loss(self, batch: Any, **options: Any) -> Tensor:
        """The training loss of a prepared batch, a scalar with gradient."""
        return self.family.loss(batch, **options)

    def logits(self, batch: Any) -> Tensor:
        """`[1, L, vocab]` float32 next-token logits of a prepared batch."""
        return self.family.logits(batch)

    def trace(self, batch: Any) -> dict[str, Tensor]:
        """Named intermediates of a prepared batch."""
        return self.family.trace(batch)


@dataclass(frozen=True)
class _Asked:
    """A request made ready: the family's batch and what it came from."""

    batch: Any
    question: str
    media: list[Shown]
    warnings: list[str]
    prepare_s: float


def _read_any(source: Any, raw_volumes: bool) -> Study:
    try:
        return read_media(source)
    except GeometryError:
        if not raw_volumes:
            raise
        return read_raw(source)


def _are_conversations(given: Any) -> bool:
    return isinstance(given, list | tuple) and bool(given) and all(isinstance(one, list | tuple) for one in given)  # pyright: ignore[reportUnknownVariableType]


def _check_length(max_new_tokens: int) -> None:
    if not 1 <= max_new_tokens <= 8192:
        raise OptionError(f"max_new_tokens is {max_new_tokens}; it must be 1 to 8192.")


def conversation_of(
    source: Any, question: str | None, *, raw_volumes: bool = False, escape: bool = True
) -> tuple[tuple[Message, ...], list[str], dict[int, Any]]:
    """(conversation, warnings of the readers, what items were read from by their `id`) from media and a question, or
    from a list of messages.

    Paths are read to learn what they are; DICOM files of a list are read together. `raw_volumes`: arrays without
    geometry may be volumes. `escape`: neutralise special tokens in the text.
    """
    from vesalius.study.items import Document, Item, Picture, Slide, Table

    if question is None:
        return read_conversation(source, escape=escape), [], {}
    media: list[Item] = []
    warnings: list[str] = []
    given: dict[int, Any] = {}
    listed: list[Any] = list(source) if isinstance(source, list | tuple) else [] if source is None else [source]
    for one in gathered(listed):
        if isinstance(one, Picture | Volume | Clip | Slide | Table | Document):
            media.append(one)
            continue
        study = one if isinstance(one, Study) else _read_any(one, raw_volumes)
        media += study.items
        warnings += study.warnings
        if not isinstance(one, Study | list) and len(study.items) == 1:
            given[id(study.items[0])] = one
    return from_question(media, question, escape=escape), warnings, given

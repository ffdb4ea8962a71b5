"""What every model family offers to `inference`, and how conversations reach it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from torch import Tensor, nn

from vesalius.findings.findings import Finding
from vesalius.models.parts.token_stream import Sampling
from vesalius.models.quirks import Quirks
from vesalius.study.items import Axis, Item, Volume
from vesalius.study.windows import Window

__all__ = [
    "Batch",
    "Conversation",
    "Family",
    "Loading",
    "NamedTensors",
    "Quirks",
    "RowLoss",
    "RowStates",
    "Shown",
    "SliceMask",
    "Spoken",
    "Trainable",
    "VolumeMask",
    "media_of",
    "turns_of",
]

Batch = Mapping[str, Tensor]
"""What `prepare` returns: named tensors; a family may carry more beside them."""


class NamedTensors(Mapping[str, Tensor]):
    """A batch that carries more: reads as the mapping of its `tensors`."""

    tensors: dict[str, Tensor]

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)


@dataclass(frozen=True)
class Loading:
    """How a checkpoint is loaded. `folder`: its directory (None: the family's own weights). `device`: "cpu", "cuda:0",
    "auto". `dtype`: "float32", "bfloat16", "float16", "auto". `quirks`: the published behaviour or ours. `quantize`:
    what the language layers are kept in. `device_map`: in place of `device`, "auto", a device, or module → device."""

    folder: Path | None = None
    device: str = "auto"
    dtype: str = "auto"
    quirks: Quirks = "published"
    quantize: Literal["8bit", "4bit"] | None = None
    device_map: str | Mapping[str, str] | None = None


@dataclass(frozen=True)
class RowLoss:
    """What a row of one or several samples costs.

    `summed`: scalar float32 with gradient, the sum of the cross entropies of its learned tokens; `tokens`: how many
    these are.  `per_sample` `[S]` float32: the same sums of each sample, detached; `tokens_per_sample`: their counts.
    `others`: further losses by name, already weighed, as (sum with gradient, count).  The loss of a step over several
    rows is Σ summed / Σ tokens and, of each other loss, Σ sum / Σ count.
    """

    summed: Tensor
    tokens: int
    per_sample: Tensor
    tokens_per_sample: tuple[int, ...]
    others: Mapping[str, tuple[Tensor, int]] = field(default_factory=dict[str, tuple[Tensor, int]])


@dataclass(frozen=True)
class Shown:
    """One item of a conversation and how the caller wants it shown (None: the model's own choice).

    `axis`, `num_slices`, `window`: volumes.  `fps`: clips.  `timestamps`: seconds, of a clip's frames or of a picture.
    `source`: what the caller gave (a path, bytes, an array, a PIL image, an item), for families whose published code
    opens files in its own way.
    """

    item: Item
    axis: Axis | None = None
    num_slices: int | None = None
    window: Window | None = None
    fps: float | None = None
    timestamps: tuple[float, ...] | None = None
    source: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Spoken:
    """One message: its text (special tokens already escaped) and media, in order. Tables have become text."""

    role: Literal["system", "user", "assistant", "tool", "stream"]
    parts: tuple[str | Shown, ...]

    @property
    def text(self) -> str:
        """The text parts, joined by newlines."""
        return "\n".join(part for part in self.parts if isinstance(part, str))


Conversation = Sequence[Spoken]


def media_of(conversation: Conversation) -> list[Shown]:
    """All media in order; a finding's `where.item` counts these."""
    return [part for spoken in conversation for part in spoken.parts if isinstance(part, Shown)]


def turns_of(conversation: Conversation) -> list[tuple[str, str | None]]:
    """(question, answer) pairs, texts only; the last answer is None where the conversation waits for one."""
    turns: list[tuple[str, str | None]] = []
    question: list[str] = []
    for spoken in conversation:
        if spoken.role == "assistant":
            turns.append(("\n".join(question), spoken.text))
            question = []
        else:
            question += [part for part in spoken.parts if isinstance(part, str)]
    if question:
        turns.append(("\n".join(question), None))
    return turns


class RowStates(NamedTuple):
    """What the losses of a row are made from. `hidden` `[L, D]`: states after the final norm, with gradient.  `head`:
    D → V.  `labels` `[1, L]`: -100 is not learned.  `lengths`: positions of each sample."""

    hidden: Tensor
    head: nn.Module
    labels: Tensor
    lengths: Sequence[int]


class Family(Protocol):
    """A loaded model. `name` as `vesalius models` lists it; `notice`: a sentence every surface shows once, or "".

    A family may also have: `prepare_many` (several conversations as one batch), `split_thinking`, `raw_text` (it tells
    text from control tokens by itself), `reads_raw_volumes`, `reads_streams` (it knows messages of role stream and
    times of pictures) and `pad_id`. What its `prepare` returns may have, beside the tensors, `warnings`, `told` (for
    the answer's trace), `visual_tokens` (kept, all) and `new_tokens` (ids of every row, filled by `say` and
    `say_batch`, the end token among them).
    """

    name: str
    notice: str

    def prepare(self, conversation: Conversation, **options: Any) -> Batch:
        """The one processor: conversation → named tensors. A conversation that ends with an answer is for training:
        labels are built from it. OptionError for an option the family does not have."""
        ...

    def logits(self, batch: Batch) -> Tensor:
        """`[1, L', vocab]` float32 at every position after splicing."""
        ...

    def trace(self, batch: Batch) -> dict[str, Tensor]:
        """Named intermediates."""
        ...

    def loss(self, batch: Batch, **options: Any) -> Tensor:
        """The training loss of a batch, a scalar with gradient. OptionError where a family has none."""
        ...

    def say(self, batch: Batch, *, max_new_tokens: int, sampling: Sampling) -> Iterator[tuple[str, str | None]]:
        """(new text, finish reason or None) as it is made."""
        ...

    def say_batch(
        self, batches: Sequence[Batch], *, max_new_tokens: int, sampling: Sampling
    ) -> list[tuple[str, str, int]]:
        """(text, finish reason, new tokens) of each, equal to `say` one by one."""
        ...

    def findings(self, batch: Any, text: str) -> list[Finding]:
        """What the answer located, in original pixels."""
        ...


@dataclass(frozen=True)
class VolumeMask:
    """A mask to learn on every shown slice of a volume. `volume`: in the grid of the one that is shown; inside is what
    equals `value`, or all above 0 without one."""

    volume: Volume
    value: int | None = None

    def on(self, axis: Axis, index: int) -> Any:
        """`[H, W]` uint8 of the slice as it is displayed, 255 inside."""
        values: Any = self.volume.slices([index], axis)[0].values
        return ((values > 0) if self.value is None else (values == self.value)).astype("uint8") * 255


@dataclass(frozen=True)
class SliceMask:
    """A mask to learn on one slice of a volume. `pixels`: `[H, W]` of the slice as it is displayed, inside above 0;
    `index` across `axis`."""

    pixels: Any
    index: int
    axis: Axis = "axial"


class Trainable(Family, Protocol):
    """A family that learns, part by part, from packed rows in which nothing is padded and no sample sees another.
    `model`: its network."""

    model: Any

    def parts(self) -> Mapping[str, nn.ModuleList]:
        """The parts that are trained, frozen or adapted on their own ("vision", "projector", "language", "mask_head"),
        each with its modules. Every parameter is in exactly one."""
        ...

    def stored(self, published: str) -> Tensor | None:
        """The weight a tensor name of the checkpoint stands for, None where it is not part of the network."""
        ...

    def length(self, batch: Batch) -> int:
        """Positions the language model reads of a prepared batch: what it takes of a row."""
        ...

    def pack(self, batches: Sequence[Batch]) -> Batch:
        """One row of several samples, each made by `prepare` from a conversation that ends with an answer. Positions
        restart with every sample, whose first token is never learned. InputError for none."""
        ...

    def row_loss(self, batch: Batch, **options: Any) -> RowLoss:
        """What a row (of `pack`, or of one sample from `prepare`) costs. InputError where nothing is learned."""
        ...

    def row_states(self, batch: Batch) -> RowStates:
        """What the losses of a row are made from: states of its positions with gradient, the head, labels, lengths.
        InputError where nothing is learned."""
        ...

    def answered(self, batch: Batch, ids: Sequence[int]) -> Batch:
        """One prompt from `prepare` with the ids of an answer behind it, exactly as they were said: what `prepare`
        would make of the conversation and that answer. LimitError past the context length."""
        ...

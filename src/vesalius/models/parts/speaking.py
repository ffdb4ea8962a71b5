"""Text out of a decoder, piece by piece or for several prompts at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from vesalius.models.parts.chat_tokens import ChatTokens
from vesalius.models.parts.token_stream import Decoder, Sampling, TokenStep, stream_tokens

__all__ = ["Said", "speak", "speak_together"]

_HALF = "\ufffd"


@dataclass
class Said:
    """What one row said so far: `ids` (the stop token included) and `states`, the final-norm state [D] read at each of
    them. The last token's state is only known once a further token was asked for."""

    ids: list[int] = field(default_factory=list[int])
    states: list[Tensor] = field(default_factory=list[Tensor])
    reason: str | None = None

    def take(self, step: TokenStep, row: int, keep: Callable[[int], bool] | None) -> None:
        """Note one step. `keep`: whether a token's state is wanted (None: none is)."""
        token = step.ids[row]
        if token is None:
            return
        if keep is not None and self.ids and keep(self.ids[-1]):
            self.states.append(step.hidden[row].clone())
        self.ids.append(token)
        self.reason = step.finished[row]

    def text(self, tokens: ChatTokens, skip_special: bool) -> str:
        """The text so far; the stop token is not part of it."""
        ended = self.reason == "stop"
        return tokens.decode(self.ids[:-1] if ended else self.ids, skip_special=skip_special)


def speak(
    decoder: Decoder,
    prompt_1LD: Tensor,
    tokens: ChatTokens,
    said: Said,
    *,
    stop_ids: Sequence[int],
    max_new_tokens: int,
    sampling: Sampling,
    guard: bool,
    skip_special: bool = True,
    keep: Callable[[int], bool] | None = None,
) -> Iterator[tuple[str, str | None]]:
    """Yield (new text, finish reason or None); half a character waits for its other half. Fills `said`."""
    told = 0
    for step in stream_tokens(
        decoder, prompt_1LD, max_new_tokens=max_new_tokens, stop_ids=stop_ids, sampling=sampling, guard=guard
    ):
        said.take(step, 0, keep)
        text = said.text(tokens, skip_special)
        if said.reason is None and text.endswith(_HALF):
            yield "", None
            continue
        yield text[told:], said.reason
        told = len(text)


def speak_together(
    decoder: Decoder,
    prompts_BLD: Tensor,
    mask_BL: Tensor,
    said: Sequence[Said],
    *,
    stop_ids: Sequence[int],
    max_new_tokens: int,
    sampling: Sampling,
    guard: bool,
    keep: Callable[[int], bool] | None = None,
) -> None:
    """Continue left-padded prompts (see `speak.pad_left`) until all have ended. Fills `said`, one per row."""
    for step in stream_tokens(
        decoder,
        prompts_BLD,
        mask_BL=mask_BL,
        max_new_tokens=max_new_tokens,
        stop_ids=stop_ids,
        sampling=sampling,
        guard=guard,
    ):
        for row, one in enumerate(said):
            one.take(step, row, keep)

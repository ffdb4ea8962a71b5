"""A chat prompt as pieces — control tokens, text, media — and its encoding with labels and media spans.

Neighbouring texts are tokenized as one (a newline of the template may merge with the text after it, as it does when a
whole template is rendered); a `Text` with `alone` starts anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from vesalius.models.parts.chat_tokens import ChatTokens

__all__ = ["IGNORED", "Control", "Encoded", "Media", "Span", "Text", "encode_pieces", "render_pieces"]

IGNORED = -100
"""The label of a position that is not learned."""


@dataclass(frozen=True)
class Control:
    """A control token; `learned` positions become labels."""

    token: str
    learned: bool = False


@dataclass(frozen=True)
class Text:
    """Text in which nothing is a control token."""

    text: str
    learned: bool = False
    alone: bool = False


@dataclass(frozen=True)
class Media:
    """A run of placeholder tokens. `grid`: (t, h, w) in tokens; `kind`: 1 picture, 2 video. `seconds` one step of t
    lasts and `per_second` temporal positions make the step in time (0 for pictures)."""

    token: str
    grid: tuple[int, int, int]
    kind: int
    seconds: float = 0.0
    per_second: float = 0.0

    @property
    def count(self) -> int:
        """How many tokens it takes."""
        t, h, w = self.grid
        return t * h * w


@dataclass(frozen=True)
class Span:
    """`length` positions: text (`media` None) or one media run."""

    length: int
    media: Media | None = None


@dataclass
class Encoded:
    """`ids`, `labels` and `types` (0 text, 1 picture, 2 video) of every position, and the spans they form."""

    ids: list[int] = field(default_factory=list[int])
    labels: list[int] = field(default_factory=list[int])
    types: list[int] = field(default_factory=list[int])
    spans: list[Span] = field(default_factory=list[Span])

    def add(self, ids: Sequence[int], learned: Sequence[bool], media: Media | None = None) -> None:
        """Append positions: text, or one media run."""
        self.ids += ids
        self.labels += [token if learn else IGNORED for token, learn in zip(ids, learned, strict=True)]
        self.types += [0 if media is None else media.kind] * len(ids)
        if media is None and self.spans and self.spans[-1].media is None:
            self.spans[-1] = Span(self.spans[-1].length + len(ids))
        elif ids:
            self.spans.append(Span(len(ids), media))

    def __add__(self, other: Encoded) -> Encoded:
        """The two, one after the other."""
        both = Encoded(self.ids + other.ids, self.labels + other.labels, self.types + other.types, list(self.spans))
        for span in other.spans:
            if span.media is None and both.spans and both.spans[-1].media is None:
                both.spans[-1] = Span(both.spans[-1].length + span.length)
            else:
                both.spans.append(span)
        return both


def encode_pieces(pieces: Sequence[Control | Text | Media], tokens: ChatTokens) -> Encoded:
    """Ids, labels, types and spans. CheckpointError when the tokenizer lacks a control token."""
    made = Encoded()
    run: list[Text] = []
    for piece in pieces:
        if isinstance(piece, Text):
            if piece.alone:
                _flush(run, made, tokens)
            run.append(piece)
            continue
        _flush(run, made, tokens)
        ids = [tokens.id(piece.token)]
        if isinstance(piece, Media):
            made.add(ids * piece.count, [False] * piece.count, piece)
        else:
            made.add(ids, [piece.learned])
    _flush(run, made, tokens)
    return made


def _flush(run: list[Text], made: Encoded, tokens: ChatTokens) -> None:
    """Tokenize texts that stand together; a token belongs to the text its first character is of."""
    ids, starts = tokens.plain_with_starts("".join(piece.text for piece in run))
    learned: list[bool] = []
    end, at = 0, iter(run)
    current: Text | None = None
    for start in starts:
        while current is None or start >= end:
            current = next(at)
            end += len(current.text)
        learned.append(current.learned)
    made.add(ids, learned)
    run.clear()


def render_pieces(pieces: Sequence[Control | Text | Media]) -> str:
    """The prompt as text, one placeholder per media run."""
    return "".join(piece.text if isinstance(piece, Text) else piece.token for piece in pieces)

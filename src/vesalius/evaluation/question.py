"""What is put to a model for one item in one pass: the text and the media, changed as the pass wants it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vesalius.evaluation.blank import blank
from vesalius.evaluation.contract import Medium, conversation_of
from vesalius.evaluation.corrupted import corrupted
from vesalius.evaluation.corruptions import Corruption
from vesalius.evaluation.passes import Ablation

__all__ = ["Question"]


@dataclass(frozen=True)
class Question:
    """One question, small enough to send to another process: media are paths, or bytes where the benchmark embeds
    them. `row`: of the item, from 1. `media`: of another item where the pass shuffles them. `earlier`: turns before."""

    row: int
    id: str
    prompt: str
    media: tuple[Medium, ...]
    seed: int
    ablation: Ablation | None = None
    option_order: str | None = None
    earlier: tuple[Mapping[str, str], ...] = ()
    corruption: Corruption | None = None

    @property
    def prompt_sha256(self) -> str:
        return hashlib.sha256(self.prompt.encode("utf-8", "surrogatepass")).hexdigest()

    def shown(self, known: dict[Any, Any] | None = None) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
        """(conversation, sha256 of each medium shown). Errors of reading come with the file's name.

        `known`: what other questions of a batch were shown instead of a medium; questions that share it show the very
        same, and a model may look at it once.
        """
        hashes: list[str] = []
        seen: list[Medium] = []
        for medium in () if self.ablation == "none" else self.media:
            source: Any = medium.source
            sha256 = medium.sha256()
            if self.ablation == "blank" or self.corruption is not None:
                key = (medium.kind, sha256, self.corruption, self.seed)
                if known is None or key not in known:
                    known = {} if known is None else known
                    known[key] = (
                        blank(medium, sha256)
                        if self.corruption is None
                        else corrupted(medium, sha256, self.corruption, self.seed)
                    )
                source, sha256 = known[key]
            hashes.append(sha256)
            seen.append(replace(medium, source=source))
        return conversation_of(self.prompt, seen, self.earlier), tuple(hashes)

    def names(self) -> Sequence[str]:
        """The files shown, by their last two parts."""
        return ["/".join(m.source.parts[-2:]) for m in self.media if isinstance(m.source, Path)]

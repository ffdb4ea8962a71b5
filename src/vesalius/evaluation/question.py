"""What is put to a model for one item in one pass: the text and the media, changed as the pass wants it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vesalius.evaluation.blank import blank
from vesalius.evaluation.contract import Medium
from vesalius.evaluation.passes import Ablation

__all__ = ["Question"]


@dataclass(frozen=True)
class Question:
    """One question, small enough to send to another process: media are paths, or bytes where the benchmark embeds
    them. `row`: of the item, from 1. `media`: of another item where the pass shuffles them."""

    row: int
    id: str
    prompt: str
    media: tuple[Medium, ...]
    seed: int
    ablation: Ablation | None = None
    option_order: str | None = None

    @property
    def prompt_sha256(self) -> str:
        return hashlib.sha256(self.prompt.encode("utf-8", "surrogatepass")).hexdigest()

    def shown(self) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
        """(conversation, sha256 of each medium shown). Errors of reading come with the file's name."""
        hashes: list[str] = []
        parts: list[dict[str, Any]] = []
        for medium in () if self.ablation == "none" else self.media:
            source: Any = medium.source
            sha256 = medium.sha256()
            if self.ablation == "blank":
                source, sha256 = blank(medium, sha256)
            hashes.append(sha256)
            parts.append({"type": medium.kind, medium.kind: source, **medium.options})
        parts.append({"type": "text", "text": self.prompt})
        return [{"role": "user", "content": parts}], tuple(hashes)

    def names(self) -> Sequence[str]:
        """The files shown, by their last two parts."""
        return ["/".join(m.source.parts[-2:]) for m in self.media if isinstance(m.source, Path)]

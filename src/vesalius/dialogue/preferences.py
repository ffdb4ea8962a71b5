"""Preference rows: a conversation that waits for an answer, the answer that is preferred and one that is not.

{"id": "p7-0", "media": [{"kind": "image", "path": "images/7.png"}],
 "turns": [{"role": "user", "text": "Is there a nodule?"}],
 "chosen": {"role": "assistant", "text": "Yes, on the left."}, "rejected": {"role": "assistant", "text": "No."}}

Everything else is as in `dialogue.samples`. Files are JSON Lines, also gzipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vesalius.dialogue.sample_files import rows_of, sample_files
from vesalius.dialogue.samples import Media, Sample, Tags, Turn, problem_of
from vesalius.errors import InputError

__all__ = ["Preference", "read_preferences"]


class Preference(BaseModel):
    """One pair. `turns` end with a question; `chosen` and `rejected` are answers to it and differ."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: Annotated[str, Field(min_length=1, max_length=190)]
    lang: Annotated[str, Field(min_length=2, max_length=8)] = "en"
    media: tuple[Media, ...] = ()
    turns: Annotated[tuple[Turn, ...], Field(min_length=1)]
    chosen: Turn
    rejected: Turn
    tags: Tags = Tags()
    patient: Annotated[str, Field(min_length=1, max_length=200)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Preference:
        if self.turns[-1].role != "user":
            raise ValueError("turns must end with a question; the answers are chosen and rejected")
        if self.chosen.role != "assistant" or self.rejected.role != "assistant":
            raise ValueError("chosen and rejected must be assistant turns")
        if self.chosen == self.rejected:
            raise ValueError("chosen and rejected are the same")
        for which in ("chosen", "rejected"):  # both must be whole samples
            self.sample(which)
        return self

    def sample(self, which: Literal["chosen", "rejected"]) -> Sample:
        """The conversation with one of the answers, as a sample to learn from."""
        answer = self.chosen if which == "chosen" else self.rejected
        return Sample(
            id=f"{self.id}-{which}",
            lang=self.lang,
            media=self.media,
            turns=(*self.turns, answer),
            tags=self.tags,
            patient=self.patient,
        )


def read_preferences(path: str | os.PathLike[str]) -> Iterator[Preference]:
    """Stream the rows of a file, folder of shards or pattern. InputError naming file and row for a bad one."""
    seen: set[str] = set()
    for file in sample_files(path):
        for row in rows_of(file):
            try:
                made = Preference.model_validate_json(row.data)
            except ValidationError as exc:
                raise InputError(f"row {row.number}: {problem_of(exc)}.", file=file) from exc
            if made.id in seen:
                raise InputError(f"row {row.number}: its id stands in an earlier row, too.", file=file)
            seen.add(made.id)
            yield made
